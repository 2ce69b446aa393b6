package simulate_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

func site(bays int) *perron.Site {
	s := &perron.Site{
		ID: "poort", Bays: bays, Lanes: 1, TypicalDwell: 14, RoadSpace: 45,
		QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}, {Sensor: "queue-2", Distance: 12}, {Sensor: "queue-3", Distance: 25}},
	}
	for w := range 7 {
		if time.Weekday(w) != time.Sunday {
			s.Hours.Weekly[w] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
		}
	}
	return s
}

func date(s string) perron.Date {
	d, err := perron.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// TestDayIsConsistent follows every vehicle of a busy Saturday and checks
// truth and events against them.
func TestDayIsConsistent(t *testing.T) {
	y := &simulate.Yard{Site: site(24), Seed: 1, Visits: 1500}
	d := date("2026-05-16")
	day := y.Day(d)
	if diff := cmp.Diff(day, y.Day(d)); diff != "" {
		t.Fatalf("the same day differs: %s", diff)
	}
	if n := len(day.Truth); n != 1440 {
		t.Fatalf("%d rows of truth, want 1440", n)
	}
	fates := map[simulate.Fate]int{}
	for _, v := range day.Vehicles {
		fates[v.Fate]++
		if v.Left.Before(v.Arrived) || v.Fate == simulate.Served && (v.Entered.Before(v.Arrived) || !v.Left.After(v.Entered)) {
			t.Fatalf("impossible vehicle %+v", v)
		}
	}
	for _, f := range []simulate.Fate{simulate.Served, simulate.Balked, simulate.TurnedAway} {
		if fates[f] == 0 {
			t.Errorf("no vehicle was %s on a busy Saturday: %v", f, fates)
		}
	}
	for _, tr := range day.Truth {
		inside := 0
		for _, v := range day.Vehicles {
			if v.Fate == simulate.Served && !v.Entered.After(tr.At) && v.Left.After(tr.At) {
				inside++
			}
		}
		if inside != tr.OnSite {
			t.Fatalf("%v: truth says %d on site, the vehicles %d", tr.At, tr.OnSite, inside)
		}
		if tr.OnSite > 24 || math.IsNaN(tr.Wait) || math.IsInf(tr.Wait, 0) {
			t.Fatalf("impossible truth %+v", tr)
		}
	}
	in, out := 0, 0
	state := map[string]perron.Kind{}
	for i, e := range day.Events {
		if i > 0 && e.Time.Before(day.Events[i-1].Time) {
			t.Fatalf("event %d goes back in time", i)
		}
		switch e.Kind {
		case perron.In:
			in++
		case perron.Out:
			out++
		default:
			if state[e.Sensor] == e.Kind || state[e.Sensor] == "" && e.Kind == perron.Off {
				t.Fatalf("event %d: %s twice at %s", i, e.Kind, e.Sensor)
			}
			state[e.Sensor] = e.Kind
		}
	}
	if in != fates[simulate.Served] || out != in {
		t.Errorf("%d entries and %d exits without faults, %d served", in, out, fates[simulate.Served])
	}
	for s, k := range state {
		if k == perron.On {
			t.Errorf("%s is still occupied at night", s)
		}
	}
}

// TestWaitIsThatOfTheNextVehicle: who truly joined right after a grid instant
// waited as long as the truth says, within the seconds between them.
func TestWaitIsThatOfTheNextVehicle(t *testing.T) {
	y := &simulate.Yard{Site: site(24), Seed: 3}
	day := y.Day(date("2026-05-16"))
	checked := 0
	for _, tr := range day.Truth {
		for _, v := range day.Vehicles {
			gap := v.Arrived.Sub(tr.At)
			if v.Fate != simulate.Served || gap <= 0 || gap > 10*time.Second {
				continue
			}
			got := v.Let.Sub(v.Arrived).Minutes()
			if math.Abs(got-tr.Wait) > 0.8 {
				t.Errorf("%v: truth says %.1f minutes, the next vehicle took %.1f", tr.At, tr.Wait, got)
			}
			checked++
			break
		}
	}
	if checked < 50 {
		t.Fatalf("only %d checked", checked)
	}
}

func TestFaultsLeaveTheTruthAlone(t *testing.T) {
	d := date("2026-05-16")
	whole := (&simulate.Yard{Site: site(24), Seed: 1}).Day(d)
	faulty := (&simulate.Yard{Site: site(24), Seed: 1, Faults: simulate.Faults{MissIn: 0.1, MissOut: 0.2, Double: 0.05}}).Day(d)
	if diff := cmp.Diff(whole.Truth, faulty.Truth); diff != "" {
		t.Errorf("truth changed: %s", diff)
	}
	count := func(day simulate.Day, k perron.Kind) (n float64) {
		for _, e := range day.Events {
			if e.Kind == k {
				n++
			}
		}
		return n
	}
	for kind, want := range map[perron.Kind]float64{perron.In: 0.9 * 1.05, perron.Out: 0.8 * 1.05} {
		if got := count(faulty, kind) / count(whole, kind); math.Abs(got-want) > 0.05 {
			t.Errorf("%s: %.3f of the passages reported, want about %.3f", kind, got, want)
		}
	}
}

// TestClosedAndClockChanges: no one comes on a closed day, and the days of the
// clock changes have 23 and 25 hours.
func TestClosedAndClockChanges(t *testing.T) {
	s := site(24)
	if day := (&simulate.Yard{Site: s}).Day(date("2026-05-10")); len(day.Events) != 0 || day.Truth[720].Wait != -1 {
		t.Errorf("a closed Sunday has %d events", len(day.Events))
	}
	s.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 10 * 60, Close: 16 * 60}}
	for d, hours := range map[string]int{"2026-03-29": 23, "2026-10-25": 25} {
		day := (&simulate.Yard{Site: s, Seed: 2}).Day(date(d))
		if len(day.Truth) != hours*60 {
			t.Errorf("%s has %d minutes", d, len(day.Truth))
		}
		for _, v := range day.Vehicles {
			if tod := perron.TimeOfDayOf(v.Arrived); tod < 9*60+45 || tod >= 16*60 {
				t.Errorf("%s: a vehicle arrives at %s", d, tod)
			}
		}
		if len(day.Vehicles) < 100 {
			t.Errorf("%s: only %d vehicles", d, len(day.Vehicles))
		}
	}
}

// TestSaturdayIsBelievable looks at ten weeks: waits of ten to forty minutes
// around noon on Saturdays, none on Tuesdays.
func TestSaturdayIsBelievable(t *testing.T) {
	y := &simulate.Yard{Site: site(24), Seed: 7}
	noon := map[time.Weekday]float64{}
	for w := range 70 {
		d := date("2026-03-02").AddDays(w)
		day := y.Day(d)
		var sum, n float64
		var line string
		for _, tr := range day.Truth {
			tod := perron.TimeOfDayOf(tr.At)
			if tod >= 11*60 && tod < 15*60 && tr.Wait >= 0 {
				sum, n = sum+tr.Wait, n+1
			}
			if tod%60 == 0 && tod >= 8*60 && tod <= 17*60 {
				line += fmt.Sprintf(" %4.0f", tr.Wait)
			}
		}
		if wd := d.Weekday(); n > 0 {
			noon[wd] += sum / n / 10
			if testing.Verbose() && (wd == time.Saturday || wd == time.Monday || wd == time.Tuesday) {
				t.Logf("%s %s %d vehicles, wait by hour:%s", d, wd, len(day.Vehicles), line)
			}
		}
	}
	if w := noon[time.Saturday]; w < 8 || w > 40 {
		t.Errorf("Saturdays around noon wait %.1f minutes on average", w)
	}
	if w := noon[time.Tuesday]; w > 3 {
		t.Errorf("Tuesdays around noon wait %.1f minutes on average", w)
	}
}

func BenchmarkYear(b *testing.B) {
	y := &simulate.Yard{Site: site(24), Seed: 7}
	for b.Loop() {
		for i := range 365 {
			y.Day(date("2026-01-01").AddDays(i))
		}
	}
}

// Staff close the only lane over noon: nobody is let in meanwhile, the queue
// grows, and who comes in between waits until it opens again.
func TestLaneClosing(t *testing.T) {
	s := site(24)
	d := date("2026-05-16")
	y := &simulate.Yard{Site: s, Seed: 1, Visits: 400, Closings: []simulate.LaneClosing{{From: 12 * 60, Until: 12*60 + 40, Lanes: 1}}}
	from, until := d.At(12*60), d.At(12*60+40)
	day := y.Day(d)
	for _, v := range day.Vehicles {
		// Who was at the entrance already is let through.
		if v.Entered.After(from.Add(time.Minute)) && v.Entered.Before(until) {
			t.Errorf("%s entered through a closed lane", v.Entered.Sub(from))
		}
	}
	var before, after int
	for _, tr := range day.Truth {
		if tr.At.Equal(from) {
			before = tr.Queue
		}
		if tr.At.Equal(until) {
			after = tr.Queue
		}
		if open := until.Sub(tr.At).Minutes(); !tr.At.Before(from.Add(time.Minute)) && tr.At.Before(until) && tr.Wait < open {
			t.Errorf("%s: a wait of %.1f minutes, while the lane opens in %.0f", tr.At.Sub(from), tr.Wait, open)
		}
	}
	if after < before+5 {
		t.Errorf("%d queue before and %d after 40 minutes", before, after)
	}
	if open := (&simulate.Yard{Site: s, Seed: 1, Visits: 400}).Day(d); len(open.Vehicles) != len(day.Vehicles) {
		t.Errorf("%d come, and %d where no lane closes", len(day.Vehicles), len(open.Vehicles))
	}
}

// TestBalk: where people turn away by the length of the queue it stays shorter,
// and more drive on.
func TestBalk(t *testing.T) {
	d := date("2026-05-16")
	longest := func(y *simulate.Yard) (queue, away int) {
		day := y.Day(d)
		for _, tr := range day.Truth {
			queue = max(queue, tr.Queue)
		}
		for _, v := range day.Vehicles {
			if v.Fate == simulate.Balked {
				away++
			}
		}
		return queue, away
	}
	patient, stayed := longest(&simulate.Yard{Site: site(24), Seed: 1, Visits: 900})
	hasty, left := longest(&simulate.Yard{Site: site(24), Seed: 1, Visits: 900, Balk: 12})
	if hasty > patient*3/4 || left <= stayed {
		t.Errorf("the queue reaches %d and %d drive on; %d and %d where people turn away early", patient, stayed, hasty, left)
	}
}
