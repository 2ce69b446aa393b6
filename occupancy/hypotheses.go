package occupancy

import "github.com/perrondrukte/perrondrukte/yard"

const (
	errorHypotheses = 9 // len(errorHypothesisTable)
	dwellHypotheses = 9 // len(dwellFactors)
)

// An errorHypothesis is one on the passage sensors: the parts of the entries and
// of the exits that they miss. Its weight is that before anything was learned.
type errorHypothesis struct{ in, out, weight float64 }

var errorHypothesisTable = []errorHypothesis{
	{0.01, 0.01, 0.30},
	{0.02, 0.05, 0.30},
	{0.02, 0.12, 0.12},
	{0.02, 0.22, 0.06},
	{0.05, 0.02, 0.12},
	{0.12, 0.02, 0.06},
	{0.22, 0.02, 0.04},
	{0.02, 0.99, 0.01}, // the exit counter is dead
	{0.99, 0.02, 0.01}, // the entry counter is dead
}

// entriesDead says that no entry is seen, so that unseen ones do not come beside seen
// ones but by themselves.
func (e errorHypothesis) entriesDead() bool { return e.in > 0.9 }

// missedPerSeen is how many entries are missed for each that is seen.
func (e errorHypothesis) missedPerSeen() float64 {
	if e.entriesDead() {
		return 0
	}
	return e.in / (1 - e.in)
}

// seenPart is how likely an entry that was seen is, beside one that a counter in
// order would see.
func (e errorHypothesis) seenPart() float64 {
	if e.entriesDead() {
		return 0.05
	}
	return 1
}

const (
	// switchSeconds and the two rates let the hypotheses change in the course of
	// a day: a sensor breaks, a full yard is slower.
	switchSeconds   = 60.0
	errorSwitchRate = 1.0 / (5 * 60) // per minute
	dwellSwitchRate = 1.0 / (48 * 60)
)

// dwellFactors are hypotheses on the dwell time, as factors on the site's
// typical one.
var dwellFactors = []float64{0.5, 0.6, 0.72, 0.85, 1, 1.18, 1.4, 1.68, 2}

// patienceHypotheses stand beside those on the arrivals: the wait at which half of
// those who arrive balk differs between places.
const patienceHypotheses = len(yard.Physics{}.Patience)

// prior is what an estimator starts from; each sums up to 1.
type prior struct {
	errors [errorHypotheses]float64
	dwell  [dwellHypotheses]float64
}

// expectedMisses are the parts of the entries and exits that counters are expected to
// miss.
func expectedMisses(weights [errorHypotheses]float64) (in, out float64) {
	for j, r := range errorHypothesisTable {
		in += weights[j] * r.in
		out += weights[j] * r.out
	}
	return in, out
}
