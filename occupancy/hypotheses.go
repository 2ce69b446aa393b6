package occupancy

// An errorRate is a hypothesis on the passage sensors: the part of the
// entries and of the exits that they miss.
type errorRate struct{ in, out, prior float64 }

var errorRates = []errorRate{
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

// deadIn says that no entry is seen, so that unseen ones do not come beside seen
// ones but by themselves.
func (e errorRate) deadIn() bool { return e.in > 0.9 }

// beside is how many entries are missed for each that is seen.
func (e errorRate) beside() float64 {
	if e.deadIn() {
		return 0
	}
	return e.in / (1 - e.in)
}

// seen is how likely an entry that was seen is, beside one that a counter in
// order would see.
func (e errorRate) seen() float64 {
	if e.deadIn() {
		return 0.05
	}
	return 1
}

// dwellFactors are hypotheses on the dwell time, as factors on the site's
// typical one.
var dwellFactors = []float64{0.5, 0.6, 0.72, 0.85, 1, 1.18, 1.4, 1.68, 2}
