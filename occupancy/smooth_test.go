package occupancy_test

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// TestSmoothing: with the whole day known the number on site is closer to the
// truth than it was live, with a fault in mid-day too.
func TestSmoothing(t *testing.T) {
	if underRace {
		t.Skip("too slow with the race detector, which has nothing to find here")
	}
	site := schooled()
	var live, after tally
	for k, spell := range []simulate.Spell{
		{}, {Sensor: "main-out", From: 12 * 60, Trouble: simulate.Weak, Miss: 0.18}, {Sensor: "main-in", From: 13 * 60, Until: 14 * 60, Trouble: simulate.Weak, Miss: 0.5},
	} {
		y := &simulate.Yard{Site: site, Seed: 21, Faults: simulate.Faults{MissIn: 0.02, MissOut: 0.05, Double: 0.005}}
		if spell.Sensor != "" {
			y.Faults.Spells = []simulate.Spell{spell}
		}
		d := perron.Date{Year: 2026, Month: 5, Day: 2}.AddDays(7 * k)
		day := y.Day(d)
		s := through(occupancy.New(site), d, day, 9*60, nil)
		var times []time.Time
		for at := d.At(9 * 60); at.Before(d.At(17 * 60)); at = at.Add(5 * time.Minute) {
			times = append(times, at)
		}
		began := time.Now()
		var a tally
		for i, v := range (occupancy.Experience{}).Smooth(site, day.Events, nil, times) {
			if !(v.Low >= 0 && v.Low <= v.Mid && v.Mid <= v.High && v.High < 80) {
				t.Fatalf("%v: %+v", times[i], v)
			}
			a.add(float64(day.Truth[int(times[i].Sub(d.Start())/time.Minute)].OnSite), v.Mid, v.Low, v.High)
		}
		t.Logf("%v: live %v, smoothed %v, in %v", d, &s, &a, time.Since(began).Round(time.Millisecond))
		for _, v := range []struct{ to, from *tally }{{&live, &s}, {&after, &a}} {
			v.to.n, v.to.abs, v.to.bias, v.to.within = v.to.n+v.from.n, v.to.abs+v.from.abs, v.to.bias+v.from.bias, v.to.within+v.from.within
		}
	}
	if after.mae() > 0.95*live.mae() {
		t.Errorf("smoothed %v, live %v", &after, &live)
	}
	if after.coverage() < 0.7 {
		t.Errorf("the range holds %.2f", after.coverage())
	}
}

// TestSmoothingHasCases without sense: nothing at all, a recount, exits only.
func TestSmoothingHasCases(t *testing.T) {
	site := schooled()
	d := perron.Date{Year: 2026, Month: 5, Day: 2}
	times := []time.Time{d.At(10 * 60), d.At(12 * 60), d.At(16 * 60)}
	var x occupancy.Experience
	for _, v := range x.Smooth(site, nil, nil, times) {
		if v.Mid != 0 {
			t.Errorf("without an event: %+v", v)
		}
	}
	// Someone counts 30 in a yard for 24 at noon; that tells of ten o'clock too.
	events := []perron.Event{{Time: d.At(9 * 60), Sensor: "main-in", Kind: perron.In}}
	for m := range 60 {
		events = append(events, perron.Event{Time: d.At(perron.TimeOfDay(11*60 + m)), Sensor: "main-in", Kind: perron.In})
	}
	counted := []perron.Action{{At: d.At(11 * 60), Kind: perron.Close}, {At: d.At(12 * 60), Kind: perron.Recount, Vehicles: 100}}
	if got := x.Smooth(site, events, counted, times); got[1].Mid < 90 || got[2].Mid > 30 {
		t.Errorf("a recount of 100: %+v", got)
	}
	for i := range events {
		events[i].Kind = perron.Out
	}
	for _, v := range x.Smooth(site, events, nil, times) {
		if !(v.Low >= 0 && v.High < 80) {
			t.Errorf("exits only: %+v", v)
		}
	}
	if got := x.Smooth(site, events, nil, nil); len(got) != 0 {
		t.Errorf("at no time: %+v", got)
	}
}
