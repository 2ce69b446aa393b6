package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// arrivals are the hypotheses on how many vehicles join the queue: factors on
// what is expected of the time of day, or where nothing was learned of that, on
// what a full yard lets through.
type arrivals struct {
	factors []float64
	weights []float64 // of each at the start of a day
	base    float64   // vehicles a minute that factors multiply
	moves   float64   // of the belief that a loop contradicts, see hear
	demand  *demand   // nil when nothing was learned
	profile profile
	until   time.Time // when the profile must be looked up again
}

// unlearned are the factors without anything learned, on what a full yard lets
// through.
var unlearned = []float64{0.1, 0.3, 0.55, 0.8, 1.05, 1.4, 1.9, 2.8}

const (
	// What of the belief that a loop contradicts moves to where the loop says; the
	// rest speaks against the arrivals that led to it. Guesses are worth less.
	movesUnlearned, movesLearned = 0.95, 0.4
	// levelMinutes is how long a deviation from what is expected usually lasts.
	levelMinutes = 180.0
	// Learned hypotheses stand so many standard deviations apart, and one on
	// either side farther out for a day like none before, with that weight.
	factorStep = 0.6
	farOut     = 0.5
	farWeight  = 0.01
)

func (v *arrivals) init(unit float64, d *demand) {
	v.base, v.demand = unit, d
	v.factors, v.moves = unlearned, movesUnlearned
	if d != nil {
		v.factors, v.moves = make([]float64, 10), movesLearned
	}
	v.weights = make([]float64, len(v.factors))
	for a, f := range v.factors {
		x := math.Log(f / 0.7)
		v.weights[a] = math.Exp(-x * x / 2)
	}
	if d != nil {
		v.spread(daySigma)
	}
}

// spread sets the learned hypotheses around what is expected, with a standard
// deviation of the logarithm.
func (v *arrivals) spread(sigma float64) {
	// Fresh ones: states share them.
	factors, weights := make([]float64, len(v.factors)), make([]float64, len(v.factors))
	last := len(factors) - 1
	for a := range factors {
		z := (float64(a) - float64(last)/2) * factorStep
		far := 0.0
		weights[a] = math.Exp(-z * z / 2)
		if a == 0 || a == last {
			far = math.Copysign(farOut, z)
			weights[a] = farWeight
		}
		factors[a] = math.Exp(z*sigma + far)
	}
	normalise(weights)
	v.factors, v.weights = factors, weights
}

// look sets what is expected of the time of day.
func (r *road) look(at time.Time) {
	if r.demand == nil {
		return
	}
	if !at.Before(r.until) {
		d := perron.DateOf(at)
		r.profile, r.until = r.demand.on(d), d.End()
		r.spread(r.profile.sigma)
		// Another day: its level has nothing to do with that of the last.
		r.redraw()
	}
	r.base = max(trickle*r.unit, r.profile.at(at))
}

// redraw gives the arrival hypotheses their weights at the start of a day.
func (r *road) redraw() {
	for k := range patiences {
		p := r.ofPatience(k)
		for q := range r.size {
			var all float64
			for a := range r.factors {
				all += p[a*r.size+q]
			}
			for a, w := range r.weights {
				p[a*r.size+q] = all * w
			}
		}
	}
}

// wander lets the level move: a diffusion that in the long run is spread like
// the weights.
func (r *road) wander(minutes float64) {
	for a := 0; a+1 < len(r.factors); a++ {
		gap := math.Log(r.factors[a+1] / r.factors[a])
		speed := r.profile.sigma * r.profile.sigma / (gap * gap * levelMinutes) * minutes
		up := min(0.4, speed*math.Sqrt(r.weights[a+1]/r.weights[a]))
		down := min(0.4, speed*math.Sqrt(r.weights[a]/r.weights[a+1]))
		for k := range patiences {
			p := r.ofPatience(k)
			low, high := p[a*r.size:(a+1)*r.size], p[(a+1)*r.size:(a+2)*r.size]
			for q := range low {
				move := low[q]*up - high[q]*down
				low[q] -= move
				high[q] += move
			}
		}
	}
}

// mix lets the arrival hypotheses move to their neighbours, and behind a full
// yard to those with which a yard gets full: more come than it lets through.
// Where loops see the end of the queue they know better.
func (r *road) mix(minutes, full float64, blind bool) {
	r.doubtPatience(minutes * (1 - r.marg[0]))
	if r.demand != nil {
		r.wander(minutes)
		return
	}
	for k := range patiences {
		r.mixUnlearned(r.ofPatience(k), minutes, full, blind)
	}
}

func (r *road) mixUnlearned(p []float64, minutes, full float64, blind bool) {
	const rate = 1.0 / 40
	pull := 1.0 / 600
	if blind {
		pull = 1.0 / 20
		if r.reach == 0 {
			pull = 1.0 / 400
		}
	}
	// Where loops see part of the queue, a queue that does not reach them
	// speaks against the highest; without any nothing does.
	centre, spread := 1.6, 0.45
	if r.reach == 0 {
		centre, spread = 1.3, 0.4
	}
	var crowd [8]float64
	var sum float64
	for a, f := range r.factors {
		x := math.Log(f/centre) / spread
		crowd[a] = math.Exp(-x * x / 2)
		sum += crowd[a]
	}
	towards := (1 - math.Exp(-pull*minutes*full))
	for q := 1; q < r.size; q++ {
		var all float64
		for a := range r.factors {
			all += p[a*r.size+q]
		}
		for a := range r.factors {
			p[a*r.size+q] += towards * (all*crowd[a]/sum - p[a*r.size+q])
		}
	}
	step := (1 - math.Exp(-rate*minutes)) / 2
	for q := range r.size {
		before := p[q]
		for a := range r.factors {
			here := p[a*r.size+q]
			v := here
			if a > 0 {
				v += step * (before - here)
			}
			if a+1 < len(r.factors) {
				v += step * (p[(a+1)*r.size+q] - here)
			}
			before = here
			p[a*r.size+q] = v
		}
	}
}
