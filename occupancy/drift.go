package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// A counter drifts when it is this likely to miss at least a tenth, and seven
	// in a hundred more than it used to; and no longer when it is that unlikely.
	// See docs/forecasting-measured.md for how often and how late that warns.
	driftStarts, driftEnds = 0.35, 0.12
	driftAtLeast           = 0.1
	driftMore              = 0.07
	driftWarmUp            = 40 // passages
)

// recordBelief takes in what is believed after a passage.
func (e *Estimator) recordBelief(at time.Time) {
	l, y := &e.summary, &e.live.onSite
	l.passages++
	if l.passages <= driftWarmUp {
		return
	}
	w := y.errorWeights
	in, out := expectedMisses(y.prior.errors)
	var worseIn, worseOut float64
	for j, r := range errorHypothesisTable {
		if r.in >= max(driftAtLeast, in+driftMore) {
			worseIn += w[j]
		}
		if r.out >= max(driftAtLeast, out+driftMore) {
			worseOut += w[j]
		}
	}
	update := func(since *time.Time, likely float64) {
		switch {
		case likely < driftEnds:
			*since = time.Time{}
		case likely > driftStarts && since.IsZero():
			*since = at
		}
	}
	update(&l.driftIn, worseIn)
	update(&l.driftOut, worseOut)
	if l.passages <= warmUp {
		return
	}
	l.counted++
	for j, v := range w {
		l.errors[j] += v
	}
	for i, v := range y.dwellWeights {
		l.dwell[i] += v
	}
}

// Belief is what the filter holds of the counters and the dwell time as of the
// newest event.
func (e *Estimator) Belief() perron.Belief {
	y := &e.live.onSite
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	in, out := expectedMisses(y.errorWeights)
	usualIn, usualOut := expectedMisses(y.prior.errors)
	b := perron.Belief{
		Entries: perron.CounterBelief{Missed: round(in), Usual: round(usualIn), DriftSince: e.summary.driftIn},
		Exits:   perron.CounterBelief{Missed: round(out), Usual: round(usualOut), DriftSince: e.summary.driftOut},
		Stated:  y.site.Dwell, Days: e.experience.days,
	}
	q := quantiles(y.dwellWeights, 0.1)
	minutes := func(i float64) float64 { return math.Round(y.site.Dwell * dwellFactors[int(i)]) }
	b.Dwell = perron.Interval{Low: minutes(q.Low), Mid: minutes(q.Mid), High: minutes(q.High)}
	return b
}
