package occupancy

import "math"

// patiences are hypotheses on the minutes of wait at which half of those who come
// drive on, which differs between places. usualPatience is for looking back.
var patiences = [...]float64{25, 45}

const (
	usualPatience = 32.0
	// patienceFades is in how many minutes of a queue half of what was learned of
	// the patience is doubted again.
	patienceFades = 1200.0
)

// willing is, by the number of others, the part of those who come that join
// behind them: fewer do when the wait looks long, and half of them when it looks
// that many minutes long.
func (r *road) willing(patience float64) []float64 {
	out := make([]float64, r.size)
	for q := range out {
		wait := float64(q) / r.unit / patience
		out[q] = 1 / (1 + wait*wait)
	}
	return out
}

// each goes through the hypotheses: the belief in the queue, the vehicles a
// minute that come, and which part of them joins.
func (r *road) each(do func(p []float64, rate float64, stay []float64)) {
	at := 0
	for k := range patiences {
		for _, f := range r.factors {
			do(r.p[at:at+r.size], f*r.base, r.stay[k])
			at += r.size
		}
	}
}

// ofPatience is the belief of one hypothesis on the patience.
func (r *road) ofPatience(k int) []float64 {
	n := len(r.factors) * r.size
	return r.p[k*n : (k+1)*n]
}

// patience is how likely each hypothesis on it is.
func (r *road) patience() (w [len(patiences)]float64) {
	var sum float64
	for k := range w {
		for _, v := range r.ofPatience(k) {
			w[k] += v
		}
		sum += w[k]
	}
	for k := range w {
		if w[k] /= sum; !(sum > 0) {
			w[k] = 1.0 / float64(len(w))
		}
	}
	return w
}

// doubtPatience lets what is believed of the patience fade.
func (r *road) doubtPatience(minutes float64) {
	fade := 1 - math.Exp2(-minutes/patienceFades)
	for i := range len(r.factors) * r.size {
		mean := 0.0
		for k := range patiences {
			mean += r.ofPatience(k)[i] / float64(len(patiences))
		}
		for k := range patiences {
			r.ofPatience(k)[i] += fade * (mean - r.ofPatience(k)[i])
		}
	}
}
