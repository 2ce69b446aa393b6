package occupancy

import (
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

func crowdedYard(seed uint64) *simulate.Yard {
	site := &perron.Site{ID: "poort", Bays: 10, Lanes: 1, TypicalDwell: 14, RoadSpace: 30, Gates: []perron.Gate{{ID: "main", Sensors: []string{"main-in", "main-out"}}}}
	for w := range 7 {
		site.Hours.Weekly[w] = []perron.Span{{Open: 9 * 60, Close: 16*60 + 30}}
	}
	return &simulate.Yard{Site: site, Seed: seed, Dwell: simulate.Dwell{Median: 13}, Faults: simulate.Faults{MissIn: 0.02, MissOut: 0.04, Double: 0.01}}
}

func lived(x Experience, y *simulate.Yard, d perron.Date) (*Estimator, simulate.Day) {
	day := y.Day(d)
	e := x.New(y.Site)
	for _, ev := range day.Events {
		e.Observe(ev)
	}
	return e, day
}

// TestLookBack: nothing sees the queue, yet when a day is over the arrivals of
// each half hour are found again, where entries alone would have them too late.
func TestLookBack(t *testing.T) {
	y := crowdedYard(77)
	first := perron.Date{Year: 2026, Month: 1, Day: 10}
	var came, entered [slots]float64
	var x Experience
	for k := range 6 {
		e, day := lived(x, y, first.AddDays(7*k))
		x = x.Learn(e)
		for _, v := range day.Vehicles {
			came[slotOf(v.Arrived)]++
			if v.Fate == simulate.Served {
				entered[slotOf(v.Entered)]++
			}
		}
	}
	p := x.demand.on(first.AddDays(42))
	var ours, entries, all float64
	for h := 19; h < 32; h++ { // from half past nine on; before that they wait for the opening
		ours += math.Abs(p.rates[h]*slotMinutes*6 - came[h])
		entries += math.Abs(entered[h] - came[h])
		all += came[h]
	}
	t.Logf("of %.0f arrivals %.0f %% at another time, by the entries %.0f %%; days differ by %.2f", all, 100*ours/all, 100*entries/all, p.sigma)
	if ours > 0.12*all || ours > 0.8*entries {
		t.Errorf("%.0f of %.0f arrivals are found at another time; by the entries %.0f", ours, all, entries)
	}
	if !(p.sigma > 0.1 && p.sigma < 0.8) {
		t.Errorf("days differ by %v", p.sigma)
	}
}

// TestDemandOfAnyDay: what is expected is a number on every day, those of 23
// and 25 hours and holidays among them, whatever was learned.
func TestDemandOfAnyDay(t *testing.T) {
	sound := func(what string, d *demand) {
		for day := (perron.Date{Year: 2026, Month: 1, Day: 1}); day.Year == 2026; day = day.AddDays(1) {
			p := d.on(day)
			if !(p.sigma > 0 && p.sigma < 2) {
				t.Fatalf("%s, %v: days differ by %v", what, day, p.sigma)
			}
			for at := day.Start(); at.Before(day.End()); at = at.Add(20 * time.Minute) {
				if v := p.at(at); !(v >= 0 && v < 100) {
					t.Fatalf("%s, %v: %v a minute", what, at, v)
				}
			}
		}
	}
	y := crowdedYard(9)
	learnFrom := func(days ...perron.Date) *demand {
		var x Experience
		for _, d := range days {
			e, _ := lived(x, y, d)
			x = x.Learn(e)
		}
		return x.demand
	}
	date := func(m time.Month, d int) perron.Date { return perron.Date{Year: 2026, Month: m, Day: d} }
	sound("nothing", &demand{})
	sound("a single Tuesday", learnFrom(date(3, 3)))
	sound("both changes of the clock", learnFrom(date(3, 28), date(3, 29), date(10, 24), date(10, 25)))

	// A day of which the entries were not seen for long teaches no demand, nor
	// does one with too many steps.
	quiet, day := New(y.Site), y.Day(date(3, 7))
	for _, ev := range day.Events {
		if h := ev.Time.In(perron.Amsterdam).Hour(); ev.Kind == perron.In && h >= 11 && h < 14 {
			continue
		}
		quiet.Observe(ev)
	}
	if x := (Experience{}).Learn(quiet); x.days != 1 || x.demand != nil {
		t.Errorf("dead entries have taught: %d days, demand %v", x.days, x.demand != nil)
	}
	// A loop that comes on before the first vehicle of a day does not hide the day
	// before.
	looped := crowdedYard(4)
	looped.Site.QueueLoops = []perron.QueueLoop{{Sensor: "queue-1", Distance: 2}}
	c := NewContinual(looped.Site)
	for _, d := range []perron.Date{date(3, 7), date(3, 9)} {
		events := looped.Day(d).Events
		c.Observe(perron.Event{Time: events[0].Time.Add(-time.Second), Sensor: "queue-1", Kind: perron.On})
		for _, ev := range events {
			c.Observe(ev)
		}
	}
	if got := c.experience.demand; got == nil || got.kinds[time.Saturday].joined[11*60/slotMinutes] < 5 {
		t.Errorf("Saturday taught %+v", got)
	}
	long, _ := lived(Experience{}, y, date(3, 7))
	for range maxQueueSteps {
		long.live.road.trace.add(long.live.at, queueStep{kind: queueTime})
	}
	if x := (Experience{}).Learn(long); x.demand != nil {
		t.Error("a day with too many steps has taught")
	}
}

// TestContinual: an estimator of many days learns in the nights between, and
// is the same as one that has learned nothing on the first.
func TestContinual(t *testing.T) {
	y := crowdedYard(3)
	alone, c := New(y.Site), NewContinual(y.Site)
	first := perron.Date{Year: 2026, Month: 5, Day: 8} // a Friday
	for k := range 4 {
		day := y.Day(first.AddDays(k))
		for _, ev := range day.Events {
			alone.Observe(ev)
			c.Observe(ev)
		}
		if got := c.Belief().Days; got != k {
			t.Errorf("on day %d: %d days learned", k+1, got)
		}
		at := first.AddDays(k).At(12 * 60)
		a, b := alone.Estimate(at), c.Estimate(at)
		if k == 0 && a != b {
			t.Errorf("on the first day %+v, by itself %+v", b, a)
		}
		if a.OnSite != b.OnSite {
			t.Errorf("on day %d: %v on site, by itself %v", k+1, b.OnSite, a.OnSite)
		}
	}
	if c.experience.demand.days != 3 {
		t.Errorf("%d days taught demand", c.experience.demand.days)
	}
}
