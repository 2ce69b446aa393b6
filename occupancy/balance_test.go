package occupancy

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// hourOf is an hour before a full yard: a vehicle leaves and one enters each
// minute, of which the counters see all but some.
func hourOf(b *counterBalance, missIn, missOut int, full bool) (weights [errorHypotheses]float64) {
	for j, e := range errorHypothesisTable {
		weights[j] = e.weight
	}
	for minute := range 60 {
		if evidence, ok := b.elapse(1, 1, full, 24); ok {
			for j := range weights {
				weights[j] *= evidence[j]
			}
			normalise(weights[:])
		}
		if missIn == 0 || minute%missIn != 0 {
			b.passage(0, true)
		}
		if missOut == 0 || minute%missOut != 0 {
			b.passage(0, false)
		}
	}
	return weights
}

// TestBalance: the queue tells within the hour which counter misses vehicles,
// and nothing while there is none.
func TestBalance(t *testing.T) {
	for _, c := range []struct {
		name            string
		missIn, missOut int
		full            bool
		in, out         [2]float64 // what is believed to be missed
	}{
		{"both are sound", 0, 0, true, [2]float64{0, 0.06}, [2]float64{0, 0.06}},
		{"every fifth exit is missed", 0, 5, true, [2]float64{0, 0.06}, [2]float64{0.15, 0.3}},
		{"every fifth entry is missed", 5, 0, true, [2]float64{0.15, 0.3}, [2]float64{0, 0.06}},
		{"no exit is seen", 0, 1, true, [2]float64{0, 0.06}, [2]float64{0.9, 1}},
		{"no entry is seen", 1, 0, true, [2]float64{0.9, 1}, [2]float64{0, 0.06}},
		{"no queue is seen", 0, 5, false, [2]float64{0, 0.08}, [2]float64{0, 0.08}},
	} {
		w := hourOf(&counterBalance{}, c.missIn, c.missOut, c.full)
		in, out := expectedMisses(w)
		if in < c.in[0] || in > c.in[1] || out < c.out[0] || out > c.out[1] {
			t.Errorf("%s: %.2f of the entries and %.2f of the exits are believed to be missed, want %v and %v", c.name, in, out, c.in, c.out)
		}
	}
}

// TestBalanceOfAnotherYard: six bays are parked upon, so that six fewer fit. That
// is no counter that misses a tenth.
func TestBalanceOfAnotherYard(t *testing.T) {
	b := &counterBalance{}
	hourOf(b, 0, 0, true)
	for range 6 {
		b.passage(0, false)
	}
	in, out := expectedMisses(hourOf(b, 0, 0, true))
	if in > 0.1 || out > 0.1 {
		t.Errorf("%.2f of the entries and %.2f of the exits are believed to be missed", in, out)
	}
}

// TestDeadEntriesShowInTheBalance: an entry counter that dies before a queue is
// judged by it as well, through the estimator.
func TestDeadEntriesShowInTheBalance(t *testing.T) {
	site := &perron.Site{ID: "poort", Bays: 24, TypicalDwell: 14, QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}}}
	e := New(site)
	begin := time.Date(2026, 5, 16, 8, 0, 0, 0, time.UTC)
	event := func(second int, kind perron.Kind, sensor string) {
		e.Observe(perron.Event{Time: begin.Add(time.Duration(second) * time.Second), Sensor: sensor, Kind: kind})
	}
	looks := 0
	for s := 0; s < 3*3600; s += 40 {
		if s >= 960 {
			event(s, perron.Out, "main")
		}
		if s < 3600 {
			event(s+9, perron.In, "main")
		}
		switch {
		case s == 1200:
			event(s+10, perron.On, "queue-1")
		case s > 1200: // the queue moves up
			event(s+11, perron.Off, "queue-1")
			event(s+13, perron.On, "queue-1")
		}
		if s > 2*3600 && e.live.balance.started && e.live.road.backedUp(e.live.at) {
			looks++
		}
	}
	if in := e.Belief().Entries.Missed; looks == 0 || in < 0.5 {
		t.Errorf("%.2f of the entries are believed to be missed, the queue was looked at %d times", in, looks)
	}
}
