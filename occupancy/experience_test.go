package occupancy_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

func schooled() *perron.Site {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 45}
	for i, d := range []int{4, 12, 25, 40} {
		site.QueueLoops = append(site.QueueLoops, perron.QueueLoop{Sensor: fmt.Sprintf("queue-%d", i+1), Distance: d})
	}
	for w := range 7 {
		site.Hours.Weekly[w] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	return site
}

// through runs an estimator through a day and scores it against the truth,
// every five minutes from a time of day on.
func through(e *occupancy.Estimator, d perron.Date, day simulate.Day, from perron.TimeOfDay, each func(at time.Time)) (s tally) {
	i := 0
	for at := d.At(from); at.Before(d.At(17 * 60)); at = at.Add(5 * time.Minute) {
		for ; i < len(day.Events) && !day.Events[i].Time.After(at); i++ {
			e.Observe(day.Events[i])
		}
		if each != nil {
			each(at)
		}
		v := e.Estimate(at).OnSite
		s.add(float64(day.Truth[int(at.Sub(d.Start())/time.Minute)].OnSite), v.Mid, v.Low, v.High)
	}
	for ; i < len(day.Events); i++ {
		e.Observe(day.Events[i])
	}
	return s
}

// TestClosedDaysTeach: vehicles stay longer than is stated and exits are
// missed; after two weeks the mornings are estimated better than by the
// starting guess.
func TestClosedDaysTeach(t *testing.T) {
	if underRace {
		t.Skip("too slow with the race detector, which has nothing to find here")
	}
	site := schooled()
	y := &simulate.Yard{Site: site, Seed: 3, Dwell: simulate.Dwell{Median: 20}, Faults: simulate.Faults{MissIn: 0.01, MissOut: 0.12}}
	var x occupancy.Experience
	if b := x.New(site).Belief(); b.Days != 0 || math.Abs(b.Dwell.Mid-14) > 1 || b.Exits.Usual > 0.08 {
		t.Errorf("before any day: %+v", b)
	}
	var fresh, learned tally
	d := perron.Date{Year: 2026, Month: 5, Day: 4}
	for range 9 {
		e := x.New(site)
		through(e, d, y.Day(d), 9*60, nil)
		x = x.Learn(e)
		d = d.AddDays(1)
	}
	for range 3 {
		day := y.Day(d)
		a := through(occupancy.New(site), d, day, 9*60, nil)
		b := through(x.New(site), d, day, 9*60, nil)
		for _, s := range []struct{ to, from *tally }{{&fresh, &a}, {&learned, &b}} {
			s.to.n, s.to.abs, s.to.bias, s.to.within = s.to.n+s.from.n, s.to.abs+s.from.abs, s.to.bias+s.from.bias, s.to.within+s.from.within
		}
		d = d.AddDays(1)
	}
	b := x.New(site).Belief()
	t.Logf("starting guess %v; learned %v; %+v", &fresh, &learned, b)
	if b.Days < 7 || b.Dwell.Mid < 16 || b.Exits.Usual < 0.08 || b.Entries.Usual > 0.06 {
		t.Errorf("after nine days: %+v", b)
	}
	if learned.mae() > fresh.mae() {
		t.Errorf("what was learned makes it worse: %v, was %v", &learned, &fresh)
	}
	// A day without vehicles teaches nothing.
	if x.Learn(x.New(site)).Days() != b.Days {
		t.Error("an empty day taught something")
	}
}

// TestDriftShows: a counter that begins to miss 18 % of the exits at noon is
// noticed, on most busy days within the hour, and the estimate follows; on the
// same days without the fault nobody is warned.
func TestDriftShows(t *testing.T) {
	if underRace {
		t.Skip("too slow with the race detector, which has nothing to find here")
	}
	site := schooled()
	usual := simulate.Faults{MissIn: 0.01, MissOut: 0.02, Double: 0.005}
	faulty := usual
	faulty.Spells = []simulate.Spell{{Sensor: "main-out", From: 12 * 60, Trouble: simulate.Weak, Miss: 0.18}}
	var x occupancy.Experience
	for k := range 7 {
		d := perron.Date{Year: 2026, Month: 4, Day: 6}.AddDays(k)
		e := x.New(site)
		through(e, d, (&simulate.Yard{Site: site, Seed: 9, Faults: usual}).Day(d), 9*60, nil)
		x = x.Learn(e)
	}
	within := 0
	const saturdays = 5
	for k := range saturdays {
		d := perron.Date{Year: 2026, Month: 5, Day: 2}.AddDays(7 * k)
		e := x.New(site)
		noon, noticed := d.At(12*60), time.Time{}
		s := through(e, d, (&simulate.Yard{Site: site, Seed: 5, Faults: faulty}).Day(d), 9*60, func(at time.Time) {
			if noticed.IsZero() && !e.Belief().Exits.DriftSince.IsZero() {
				noticed = at
			}
		})
		t.Logf("%v: noticed after %v, on site %v, believed %+v", d, noticed.Sub(noon), &s, e.Belief().Exits)
		if noticed.IsZero() || noticed.Before(noon) || noticed.After(noon.Add(100*time.Minute)) {
			t.Errorf("%v: noticed at %v", d, noticed)
		}
		if !noticed.After(noon.Add(time.Hour)) {
			within++
		}
		if s.mae() > 3 {
			t.Errorf("%v: on site %v", d, &s)
		}
		e = x.New(site)
		through(e, d, (&simulate.Yard{Site: site, Seed: 5, Faults: usual}).Day(d), 9*60, func(at time.Time) {
			if b := e.Belief(); !b.Exits.DriftSince.IsZero() || !b.Entries.DriftSince.IsZero() {
				t.Errorf("%v: a false alarm at %v: %+v", d, at, b)
			}
		})
	}
	if within < saturdays-1 {
		t.Errorf("noticed within the hour on %d of %d Saturdays", within, saturdays)
	}
}
