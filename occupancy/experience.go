package occupancy

import (
	"math"
	"time"
)

const (
	// priorDays is how many days the starting guess of the error rates and the dwell
	// time is worth.
	priorDays = 5.0
	// A day teaches when so many passed; the first of them are warming up.
	teachingPassages = 120
	warmUp           = 60
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
	days         int
	weight       float64 // of all days, faded
	errorDays    [errorHypotheses]float64
	dwellDays    [dwellHypotheses]float64
	patienceDays [patienceHypotheses]float64 // of patience, as errors
	demand       *demand
}

// patienceWeights is how likely each hypothesis on it is.
func (x Experience) patienceWeights() (w [patienceHypotheses]float64) {
	for k := range w {
		w[k] = (priorDays/float64(len(w)) + x.patienceDays[k]) / (priorDays + x.weight)
	}
	return w
}

// Days is how many closed days were learned from.
func (x Experience) Days() int { return x.days }

func (x Experience) prior() (p prior) {
	var sum float64
	for i, f := range dwellFactors {
		z := math.Log(f) / dwellGuessSigma
		p.dwell[i] = math.Exp(-z * z / 2)
		sum += p.dwell[i]
	}
	total := priorDays + x.weight
	for i := range p.dwell {
		p.dwell[i] = (priorDays*p.dwell[i]/sum + x.dwellDays[i]) / total
	}
	for j, e := range errorHypothesisTable {
		p.errors[j] = (priorDays*e.weight + x.errorDays[j]) / total
	}
	return p
}

// Learn is the experience after one more closed day that the estimator went
// through, days in their order. A day with few vehicles teaches nothing.
func (x Experience) Learn(day *Estimator) Experience {
	l := &day.summary
	if l.counted < teachingPassages-warmUp {
		return x
	}
	x.days++
	x.weight = dayDecay*x.weight + 1
	for j := range x.errorDays {
		x.errorDays[j] = dayDecay*x.errorDays[j] + l.errors[j]/l.counted
	}
	for i := range x.dwellDays {
		x.dwellDays[i] = dayDecay*x.dwellDays[i] + l.dwell[i]/l.counted
	}
	for k, w := range day.live.road.patienceWeights() {
		x.patienceDays[k] = dayDecay*x.patienceDays[k] + w
	}
	r := &day.live.road
	if learned := r.lookBack(r.trace, x.demand.expected(r.trace.date)); learned != nil {
		x.demand = x.demand.learn(r.trace.date, learned)
	}
	return x
}

// A daySummary sums up what was believed at the passages of a day.
type daySummary struct {
	passages int
	counted  float64
	errors   [errorHypotheses]float64
	dwell    [dwellHypotheses]float64
	// Since when the counters of entries and of exits miss clearly more than
	// they used to; zero while they do not.
	driftIn, driftOut time.Time
}
