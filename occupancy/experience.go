package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// guess is how many days the starting guess of the error rates and the dwell
	// time is worth.
	guess = 5.0
	// fading is what a day is worth beside the next one: half after ten days.
	fading = 0.933
	// A day teaches when so many passed; the first of them are warming up.
	lessonPassages = 120
	warmUp         = 60
)

// An Experience is what closed days have taught of a site: how likely each
// hypothesis on its counters and its dwell time is at the start of a day, and
// what a counter goes back to after a fault. It is a value: learning makes a new
// one, and any number of estimators may start from one. The zero Experience
// knows nothing and leaves the starting guess.
//
// A day's lesson is the mean over its passages of what the filter believed of
// the hypotheses; the days are pooled as counts of a Dirichlet distribution
// whose prior is the starting guess, older ones fading (one step of the
// expectation-maximisation that Rabiner, Proceedings of the IEEE 77, 1989,
// section III.C, has for hidden Markov models). So one bad day moves it by a
// twentieth, and no hypothesis is ever ruled out.
//
// Beside that it knows how many vehicles usually join the queue at each time of
// a day; see demand.
type Experience struct {
	days   int
	weight float64 // of all days, faded
	errors [hypotheses]float64
	dwell  [dwells]float64
	queues [len(patiences)]float64 // of patience, as errors
	demand *demand
}

const (
	hypotheses = 9 // len(errorRates)
	dwells     = 9 // len(dwellFactors)
)

// prior is what an estimator starts from; each sums up to 1.
type prior struct {
	errors [hypotheses]float64
	dwell  [dwells]float64
}

// patience is how likely each hypothesis on it is.
func (x Experience) patience() (w [len(patiences)]float64) {
	for k := range w {
		w[k] = (guess/float64(len(w)) + x.queues[k]) / (guess + x.weight)
	}
	return w
}

// Days is how many closed days were learned from.
func (x Experience) Days() int { return x.days }

func (x Experience) prior() (p prior) {
	var sum float64
	for i, f := range dwellFactors {
		z := math.Log(f) / priorSigma
		p.dwell[i] = math.Exp(-z * z / 2)
		sum += p.dwell[i]
	}
	total := guess + x.weight
	for i := range p.dwell {
		p.dwell[i] = (guess*p.dwell[i]/sum + x.dwell[i]) / total
	}
	for j, e := range errorRates {
		p.errors[j] = (guess*e.prior + x.errors[j]) / total
	}
	return p
}

// Learn is the experience after one more closed day that the estimator went
// through, days in their order. A day with few vehicles teaches nothing.
func (x Experience) Learn(day *Estimator) Experience {
	l := &day.today
	if l.n < lessonPassages-warmUp {
		return x
	}
	x.days++
	x.weight = fading*x.weight + 1
	for j := range x.errors {
		x.errors[j] = fading*x.errors[j] + l.errors[j]/l.n
	}
	for i := range x.dwell {
		x.dwell[i] = fading*x.dwell[i] + l.dwell[i]/l.n
	}
	for k, w := range day.live.road.patience() {
		x.queues[k] = fading*x.queues[k] + w
	}
	if r := &day.live.road; len(r.tape.steps) > 0 {
		x.demand = x.demand.learn(r.tape.date, r)
	}
	return x
}

// A lesson sums up what was believed at the passages of a day.
type lesson struct {
	seen   int
	n      float64
	errors [hypotheses]float64
	dwell  [dwells]float64
	// Since when the counters of entries and of exits miss clearly more than
	// they used to; zero while they do not.
	driftIn, driftOut time.Time
}

const (
	// A counter drifts when it is this likely to miss at least a tenth, and seven
	// in a hundred more than it used to; and no longer when it is that unlikely.
	// See docs/forecasting.md for how often and how late that warns.
	drifts, driftOver = 0.35, 0.12
	driftAtLeast      = 0.1
	driftMore         = 0.07
	driftWarmUp       = 40 // passages
)

// study takes in what is believed after a passage.
func (e *Estimator) study(at time.Time) {
	l, y := &e.today, &e.live.yard
	l.seen++
	if l.seen <= driftWarmUp {
		return
	}
	w := y.errs
	in, out := missed(y.prior.errors)
	var worseIn, worseOut float64
	for j, r := range errorRates {
		if r.in >= max(driftAtLeast, in+driftMore) {
			worseIn += w[j]
		}
		if r.out >= max(driftAtLeast, out+driftMore) {
			worseOut += w[j]
		}
	}
	judge := func(since *time.Time, likely float64) {
		switch {
		case likely < driftOver:
			*since = time.Time{}
		case likely > drifts && since.IsZero():
			*since = at
		}
	}
	judge(&l.driftIn, worseIn)
	judge(&l.driftOut, worseOut)
	if l.seen <= warmUp {
		return
	}
	l.n++
	for j, v := range w {
		l.errors[j] += v
	}
	for i, v := range y.mass {
		l.dwell[i] += v
	}
}

// missed are the parts of the entries and exits that counters are expected to
// miss.
func missed(weights [hypotheses]float64) (in, out float64) {
	for j, r := range errorRates {
		in += weights[j] * r.in
		out += weights[j] * r.out
	}
	return in, out
}

// Belief is what the filter holds of the counters and the dwell time as of the
// newest event.
func (e *Estimator) Belief() perron.Belief {
	y := &e.live.yard
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	in, out := missed(y.errs)
	usualIn, usualOut := missed(y.prior.errors)
	b := perron.Belief{
		Entries: perron.CounterBelief{Missed: round(in), Usual: round(usualIn), DriftSince: e.today.driftIn},
		Exits:   perron.CounterBelief{Missed: round(out), Usual: round(usualOut), DriftSince: e.today.driftOut},
		Stated:  y.typical, Days: e.experience.days,
	}
	q := quantiles(y.mass, 0.1)
	minutes := func(i float64) float64 { return math.Round(y.typical * dwellFactors[int(i)]) }
	b.Dwell = perron.Interval{Low: minutes(q.Low), Mid: minutes(q.Mid), High: minutes(q.High)}
	return b
}
