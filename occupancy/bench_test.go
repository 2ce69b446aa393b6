package occupancy_test

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

func BenchmarkObserve(b *testing.B) {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}}}
	at := time.Date(2026, 5, 16, 8, 0, 0, 0, time.UTC)
	e := occupancy.New(site)
	for i := 0; b.Loop(); i++ {
		at = at.Add(20 * time.Second)
		e.Observe(perron.Event{Time: at, Sensor: "main", Kind: []perron.Kind{perron.In, perron.Out}[i%2]})
	}
}

func BenchmarkEstimate(b *testing.B) {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}}}
	at := time.Date(2026, 5, 16, 8, 0, 0, 0, time.UTC)
	e := occupancy.New(site)
	for i := range 200 {
		at = at.Add(20 * time.Second)
		e.Observe(perron.Event{Time: at, Sensor: "main", Kind: []perron.Kind{perron.In, perron.Out}[i%2]})
	}
	for b.Loop() {
		e.Estimate(at.Add(10 * time.Second))
	}
}
