package occupancy_test

import (
	"fmt"
	"math"
	"testing"

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

// TestClosedDaysTeach: a day moves the belief on the counters towards what they
// missed on it, and a day without vehicles teaches nothing. How much is learned in
// nine days is scored by bench/eval.
func TestClosedDaysTeach(t *testing.T) {
	site := schooled()
	y := &simulate.Yard{Site: site, Seed: 3, Visits: 400, Dwell: simulate.Dwell{Median: 20}, Faults: simulate.Faults{MissIn: 0.01, MissOut: 0.12}}
	var x occupancy.Experience
	before := x.New(site).Belief()
	if before.Days != 0 || math.Abs(before.Dwell.Mid-14) > 1 || before.Exits.Usual > 0.08 {
		t.Errorf("before any day: %+v", before)
	}
	for k := range 2 {
		e := x.New(site)
		for _, ev := range y.Day(perron.Date{Year: 2026, Month: 5, Day: 4 + k}).Events {
			e.Observe(ev)
		}
		x = x.Learn(e)
	}
	after := x.New(site).Belief()
	if after.Days != 2 || after.Exits.Usual <= before.Exits.Usual || after.Entries.Usual > 0.06 {
		t.Errorf("after two days: %+v", after)
	}
	if x.Learn(x.New(site)).Days() != after.Days {
		t.Error("an empty day taught something")
	}
}
