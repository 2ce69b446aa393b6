package occupancy

import "testing"

// hourOf is an hour before a full yard: a vehicle leaves and one enters each
// minute, of which the counters see all but some.
func hourOf(b *balance, missIn, missOut int, full bool) (weights [hypotheses]float64) {
	for j, e := range errorRates {
		weights[j] = e.prior
	}
	for minute := range 60 {
		if evidence, ok := b.pass(1, 1, full, 24); ok {
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
		w := hourOf(&balance{}, c.missIn, c.missOut, c.full)
		in, out := missed(w)
		if in < c.in[0] || in > c.in[1] || out < c.out[0] || out > c.out[1] {
			t.Errorf("%s: %.2f of the entries and %.2f of the exits are believed to be missed, want %v and %v", c.name, in, out, c.in, c.out)
		}
	}
}

// TestBalanceOfAnotherYard: six bays are parked upon, so that six fewer fit. That
// is no counter that misses a tenth.
func TestBalanceOfAnotherYard(t *testing.T) {
	b := &balance{}
	hourOf(b, 0, 0, true)
	for range 6 {
		b.passage(0, false)
	}
	in, out := missed(hourOf(b, 0, 0, true))
	if in > 0.1 || out > 0.1 {
		t.Errorf("%.2f of the entries and %.2f of the exits are believed to be missed", in, out)
	}
}
