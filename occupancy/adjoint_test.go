package occupancy

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// TestBackwardIsTheTransposeOfForward: the likelihood of a day is the same
// wherever the forward and the backward belief meet.
func TestBackwardIsTheTransposeOfForward(t *testing.T) {
	e := New(&perron.Site{ID: "poort", Bays: 6, TypicalDwell: 9})
	rec := &trace{}
	e.live.onSite.trace = rec
	at := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	var forward [][]float64
	var steps []int
	keep := func() {
		forward, steps = append(forward, slices.Clone(e.live.onSite.p)), append(steps, len(rec.steps))
	}
	for i := range 60 {
		at = at.Add(time.Duration(10+i*7%50) * time.Second)
		kind := perron.In
		if i%5 > 2 || i > 40 && i%2 == 0 {
			kind = perron.Out
		}
		e.Observe(perron.Event{Time: at, Sensor: "main", Kind: kind})
		if i == 30 {
			e.Recount(at, 9) // beyond the bays, where entries are rare
		}
		if i == 35 {
			e.live.onSite.compare(&[errorHypotheses]float64{1, 0.9, 0.5, 0.2, 0.7, 0.1, 0.3, 0.01, 0.6})
		}
		keep()
	}
	kinds := map[stepKind]int{}
	for _, s := range rec.steps {
		kinds[s.kind]++
	}
	for _, k := range []stepKind{stepTime, stepComparison, stepSwitch, stepEntry, stepExit, stepRecount} {
		if kinds[k] == 0 {
			t.Errorf("no step of kind %d", k)
		}
	}
	b := backward{y: &e.live.onSite, beta: make([]float64, len(e.live.onSite.p)), spare: make([]float64, len(e.live.onSite.p))}
	for i := range b.beta {
		b.beta[i] = 1
	}
	likelihood := func(k int) (sum float64) {
		for i, v := range forward[k] {
			sum += v * b.beta[i]
		}
		return sum
	}
	want := likelihood(len(forward) - 1)
	n := len(rec.steps)
	for k := len(forward) - 1; k >= 0; k-- {
		for ; n > steps[k]; n-- {
			b.reverse(&rec.steps[n-1])
		}
		if got := likelihood(k); math.Abs(got/want-1) > 1e-9 {
			t.Fatalf("at event %d the likelihood is %g, at the end %g", k, got, want)
		}
	}
}

// TestQueueStepsHaveTheirTranspose: what a step does to the belief in the queue
// and what looking back does to the likelihood are the same sum.
func TestQueueStepsHaveTheirTranspose(t *testing.T) {
	e := New(&perron.Site{ID: "poort", Bays: 6, TypicalDwell: 9})
	r := &e.live.road
	for _, s := range []queueStep{
		{kind: queueTime, open: true, minutes: 0.3, full: 0.4, likelihood: 0.7},
		{kind: queueAdmission, open: true, full: 0.4, likelihood: 1.3},
		{kind: queueAssumedAdmission, open: true},
		{kind: queueEarlyArrivals},
	} {
		p, beta, back := make([]float64, r.size), make([]float64, r.size), make([]float64, r.size)
		for q := range p {
			p[q], beta[q] = 1/float64(q+2), math.Exp(-float64(q%7)/3)
		}
		r.reverseStep(p, back, beta, 0.8, &s)
		var before, after float64
		for q := range p[:r.size-2] { // the far end of the road is cut off
			before += p[q] * back[q]
		}
		clear(p[r.size-2:])
		r.step(p, 0.8, r.joiningUsually, &s)
		for q := range p {
			after += p[q] * beta[q]
		}
		if math.Abs(before/after-1) > 0.02 {
			t.Errorf("step %d: %g, looking back %g", s.kind, after, before)
		}
	}
}
