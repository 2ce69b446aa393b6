package occupancy

import (
	"math"
	"time"
)

// arrivals are the hypotheses on how many vehicles join the queue: factors on
// what is expected of the time of day, or where nothing was learned of that, on
// what a full yard lets through.
type arrivals struct {
	factors   []float64
	weights   []float64 // of each at the start of a day
	base      float64   // vehicles per minute that factors multiply
	relocated float64   // of the belief that a loop contradicts, see applyLoop
	demand    *demand   // nil when nothing was learned
	profile   profile
	until     time.Time // when the profile must be looked up again
}

// unlearnedFactors are the factors without anything learned, on what a full yard lets
// through.
var unlearnedFactors = []float64{0.1, 0.3, 0.55, 0.8, 1.05, 1.4, 1.9, 2.8}

const (
	// What of the belief that a loop contradicts moves to where the loop says; the
	// rest speaks against the arrivals that led to it. Guesses are worth less.
	relocatedUnlearned, relocatedLearned = 0.95, 0.4
	// levelMinutes is how long a deviation from what is expected usually lasts.
	levelMinutes = 180.0
	// Learned hypotheses stand so many standard deviations apart, and one on
	// either side farther out for a day like none before, with that weight.
	factorStep  = 0.6
	outerStep   = 0.5
	outerWeight = 0.01
)

func (v *arrivals) init(unit float64, d *demand) {
	v.base, v.demand = unit, d
	v.factors, v.relocated = unlearnedFactors, relocatedUnlearned
	if d != nil {
		v.factors, v.relocated = make([]float64, 10), relocatedLearned
	}
	v.weights = make([]float64, len(v.factors))
	for a, f := range v.factors {
		x := math.Log(f / 0.7)
		v.weights[a] = math.Exp(-x * x / 2)
	}
	if d != nil {
		v.spreadFactors(daySigma)
	}
}

// spreadFactors sets the learned hypotheses around what is expected, with a standard
// deviation of the logarithm.
func (v *arrivals) spreadFactors(sigma float64) {
	// Fresh ones: states share them.
	factors, weights := make([]float64, len(v.factors)), make([]float64, len(v.factors))
	last := len(factors) - 1
	for a := range factors {
		z := (float64(a) - float64(last)/2) * factorStep
		far := 0.0
		weights[a] = math.Exp(-z * z / 2)
		if a == 0 || a == last {
			far = math.Copysign(outerStep, z)
			weights[a] = outerWeight
		}
		factors[a] = math.Exp(z*sigma + far)
	}
	normalise(weights)
	v.factors, v.weights = factors, weights
}
