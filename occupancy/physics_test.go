package occupancy

import (
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/yard"
)

// TestBalkingIsThatOfTheForecast: of those who arrive to a queue of so many
// minutes the same part joins whether the estimator asks or the run ahead does,
// whatever the patience.
func TestBalkingIsThatOfTheForecast(t *testing.T) {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 200}
	for w := range 7 {
		site.Hours.Weekly[w] = []perron.Span{{Open: 9 * 60, Close: 16 * 60}}
	}
	y := &simulate.Yard{Site: site, Seed: 7, Visits: 400}
	d := perron.Date{Year: 2026, Month: time.May, Day: 16}
	var history []perron.Count
	for k := -21; k < 0; k++ {
		for _, ev := range y.Day(d.AddDays(k)).Events {
			if ev.Kind == perron.In {
				history = append(history, perron.Count{Start: perron.Quarter.Start(ev.Time), In: 1})
			}
		}
	}
	for _, patience := range []float64{20, 42, 75} {
		p := yard.Usual()
		p.Patience = [2]float64{patience, patience}
		e := Experience{}.NewUnder(p, site)
		r := &e.live.road
		m := forecast.NewUnder(p, site)
		m.Refit(history)
		opening := d.At(9 * 60)
		arrivals := func(queue float64) float64 {
			f := m.Forecast(opening, nil, perron.Estimate{At: opening, Queue: perron.Exactly(queue), EntryRate: r.serviceRate})
			s, ok := f.SlotAt(opening)
			if !ok || s.Arrivals.Mid <= 0 {
				t.Fatalf("at opening time: %+v", s)
			}
			return s.Arrivals.Mid
		}
		nobodyWaits := arrivals(0)
		for _, wait := range []float64{5, 15, 30, 60} {
			// The estimator: a queue of that length, and a step in which hardly
			// anyone arrives.
			queue := int(math.Round(wait * r.serviceRate))
			belief := make([]float64, r.size)
			belief[queue] = 1
			step := queueStep{kind: queueTime, open: true, minutes: 0.01, full: 1, likelihood: 1}
			r.step(belief, 1, r.joining[0], &step)
			estimated := belief[queue+1] / (1 * step.minutes)
			// The run ahead: the queue that takes as long, those who renege and a
			// newcomer's own turn included.
			minutes := float64(queue) / r.serviceRate
			behind := math.Expm1(p.RenegeRate*minutes)/p.RenegeRate*r.serviceRate - p.OwnTurn
			expected := arrivals(behind) / nobodyWaits
			if math.Abs(estimated-expected) > 0.02 {
				t.Errorf("patience %v, a wait of %.1f minutes: %.3f join by the estimator, %.3f by the run ahead", patience, minutes, estimated, expected)
			}
		}
	}
}

// TestLongRoadChangesNothing: where no queue gets near its end, a road ten times as
// long gives the same estimates, and its far end takes no part in the steps.
func TestLongRoadChangesNothing(t *testing.T) {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 60, QueueLoops: []perron.QueueLoop{
		{Sensor: "queue-1", Distance: 4}, {Sensor: "queue-2", Distance: 12},
	}}
	for w := range 7 {
		site.Hours.Weekly[w] = []perron.Span{{Open: 9 * 60, Close: 16 * 60}}
	}
	longer := *site
	longer.RoadSpace = 600
	y := &simulate.Yard{Site: site, Seed: 7, Visits: 350}
	day := y.Day(perron.Date{Year: 2026, Month: time.May, Day: 16})
	short, long := New(site), New(&longer)
	queued := 0
	for i, ev := range day.Events {
		short.Observe(ev)
		long.Observe(ev)
		b := &long.live.road.queueBelief
		for q, v := range b.marginal[b.within:] {
			if v != 0 {
				t.Fatalf("at %v: belief %v in %d vehicles, of which steps take %d", ev.Time, v, b.within+q, b.within)
			}
		}
		if i%10 != 0 {
			continue
		}
		a, b2 := short.Estimate(ev.Time), long.Estimate(ev.Time)
		if math.Abs(a.Queue.High-b2.Queue.High) > 1e-3 || math.Abs(a.Wait.Mid-b2.Wait.Mid) > 1e-3 {
			t.Fatalf("at %v: %v and %v behind a road of 60, %v and %v of 600", ev.Time, a.Queue, a.Wait, b2.Queue, b2.Wait)
		}
		if a.Queue.Mid > 0 {
			queued++
		}
		if perron.TimeOfDayOf(ev.Time) > 11*60 && b.within > 120 {
			t.Fatalf("at %v: steps take %d vehicles of a queue of %v", ev.Time, b.within, b2.Queue)
		}
	}
	if queued == 0 {
		t.Error("nobody waited")
	}
}

// TestLoopFindsAQueueThatNobodyBelieved: a loop that stays occupied far beyond what
// is thought possible puts the queue there.
func TestLoopFindsAQueueThatNobodyBelieved(t *testing.T) {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 50}}}
	e := New(site)
	at := time.Date(2026, 5, 16, 10, 0, 0, 0, time.UTC)
	b := &e.live.road.queueBelief
	if b.within > 10 {
		t.Fatalf("%d vehicles are thought possible at first", b.within)
	}
	e.Observe(perron.Event{Time: at, Sensor: "queue-1", Kind: perron.On})
	if got := e.Estimate(at.Add(10 * time.Minute)); got.Queue.Low < 50 {
		t.Errorf("the queue is %v", got.Queue)
	}
	e.Observe(perron.Event{Time: at.Add(10 * time.Minute), Sensor: "main-out", Kind: perron.Out})
	if most := mostLikely(b.marginal); most < 50 {
		t.Errorf("most likely %d wait", most)
	}
}

func mostLikely(p []float64) (at int) {
	for q, v := range p {
		if v > p[at] {
			at = q
		}
	}
	return at
}
