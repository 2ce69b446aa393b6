package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// patienceHalfLife is after how many minutes of a queue half of what was learned
// of the patience is doubted again.
const patienceHalfLife = 1200.0

// negligible is how little belief in the longest queues is dropped, so that a step
// costs by the queue and not by the road: less than the sums are exact to.
const negligible = 1e-16

// queueBelief is the belief about the queue outside, jointly with the patience and
// the level of the arrivals: p[(k*len(factors)+a)*size+q] is the probability of
// patience k, arrival hypothesis a and q vehicles that wait.
type queueBelief struct {
	p        []float64
	marginal []float64 // of q
	within   int       // belief is in fewer vehicles than that, at least 2
	queueModel
	arrivals
}

func newQueueBelief(m queueModel, d *demand, patience [patienceHypotheses]float64) queueBelief {
	b := queueBelief{queueModel: m, marginal: make([]float64, m.size)}
	b.arrivals.init(m.serviceRate, d)
	b.p = make([]float64, patienceHypotheses*len(b.factors)*b.size)
	b.clear(patience)
	b.summarise()
	return b
}

func (b *queueBelief) copy(from *queueBelief) {
	p, marginal := b.p, b.marginal
	*b = *from
	b.p = append(p[:0], from.p...)
	b.marginal = append(marginal[:0], from.marginal...)
}

// clear puts all belief on nobody, with these weights of the patience and those
// of the start of a day of the arrivals.
func (b *queueBelief) clear(patience [patienceHypotheses]float64) {
	clear(b.p)
	b.within = 2
	for k, keep := range patience {
		for a, w := range b.weights {
			b.ofPatience(k)[a*b.size] = keep * w
		}
	}
}

// summarise scales the belief and sums up its marginal; it is false when nothing
// is believed any more.
func (b *queueBelief) summarise() bool {
	clear(b.marginal)
	b.each(func(p []float64, _ float64, _ []float64) {
		for q, v := range p {
			b.marginal[q] += v
		}
	})
	var sum float64
	for _, v := range b.marginal[:b.within] {
		sum += v
	}
	if !(sum > 1e-280) || math.IsInf(sum, 0) {
		return false
	}
	f := 1 / sum
	for q := range b.marginal[:b.within] {
		b.marginal[q] *= f
	}
	b.each(func(p []float64, _ float64, _ []float64) {
		for q := range p {
			p[q] *= f
		}
	})
	for b.within > 2 && b.marginal[b.within-1] < negligible {
		b.within--
		b.marginal[b.within] = 0
		for i := b.within; i < len(b.p); i += b.size {
			b.p[i] = 0
		}
	}
	return true
}

// advance takes the belief over a step.
func (b *queueBelief) advance(s *queueStep) {
	b.widen(s)
	b.each(func(p []float64, rate float64, joining []float64) { b.step(p, rate, joining, s) })
}

// widen takes in the queues that a step may make possible.
func (b *queueBelief) widen(s *queueStep) {
	switch s.kind {
	case queueTime:
		b.within = min(b.size, b.within+1)
		if s.loops != 0 {
			b.within = max(b.within, b.reach+1) // where applyLoop may move belief
		}
	case queueEarlyArrivals:
		b.within = b.size
	}
}

// weighLoops applies what the loops say in a step; of what one contradicts a
// part to keep stays.
func (b *queueBelief) weighLoops(s *queueStep, keep float64) {
	if s.loops == 0 {
		return
	}
	b.each(func(p []float64, _ float64, _ []float64) {
		for i, distance := range b.distances[:min(len(b.distances), maxLoops)] {
			if says := s.loops >> (2 * i) & 3; says != 0 {
				applyLoop(p, distance, says == loopQueued, keep, b.relocated)
			}
		}
	})
}

// each goes through the hypotheses: the belief in the queue, the vehicles
// per minute that arrive, and which part of them joins.
func (b *queueBelief) each(do func(p []float64, rate float64, stay []float64)) {
	at := 0
	for k := range patienceHypotheses {
		for _, f := range b.factors {
			do(b.p[at:at+b.within], f*b.base, b.joining[k])
			at += b.size
		}
	}
}

// ofPatience is the belief of one hypothesis on the patience.
func (b *queueBelief) ofPatience(k int) []float64 {
	n := len(b.factors) * b.size
	return b.p[k*n : (k+1)*n]
}

// patienceWeights is how likely each hypothesis on it is.
func (b *queueBelief) patienceWeights() (w [patienceHypotheses]float64) {
	var sum float64
	for k := range w {
		for _, v := range b.ofPatience(k) {
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

// forgetPatience lets what is believed of the patience fade.
func (b *queueBelief) forgetPatience(minutes float64) {
	fade := 1 - math.Exp2(-minutes/patienceHalfLife)
	for a := range b.factors {
		for i := a * b.size; i < a*b.size+b.within; i++ {
			mean := 0.0
			for k := range patienceHypotheses {
				mean += b.ofPatience(k)[i] / float64(patienceHypotheses)
			}
			for k := range patienceHypotheses {
				b.ofPatience(k)[i] += fade * (mean - b.ofPatience(k)[i])
			}
		}
	}
}

// expectDemand sets what is expected of the time of day.
func (b *queueBelief) expectDemand(at time.Time) {
	if b.demand == nil {
		return
	}
	if !at.Before(b.until) {
		d := perron.DateOf(at)
		b.profile, b.until = b.demand.on(d), d.End()
		b.spreadFactors(b.profile.sigma)
		// Another day: its level has nothing to do with that of the last.
		b.resetLevel()
	}
	b.base = max(leastDemand*b.serviceRate, b.profile.at(at))
}

// resetLevel gives the arrival hypotheses their weights at the start of a day.
func (b *queueBelief) resetLevel() {
	for k := range patienceHypotheses {
		p := b.ofPatience(k)
		for q := range b.within {
			var all float64
			for a := range b.factors {
				all += p[a*b.size+q]
			}
			for a, w := range b.weights {
				p[a*b.size+q] = all * w
			}
		}
	}
}

// diffuseLevel lets the level move: a diffusion that in the long run is spread like
// the weights.
func (b *queueBelief) diffuseLevel(minutes float64) {
	for a := 0; a+1 < len(b.factors); a++ {
		gap := math.Log(b.factors[a+1] / b.factors[a])
		speed := b.profile.sigma * b.profile.sigma / (gap * gap * levelMinutes) * minutes
		up := min(0.4, speed*math.Sqrt(b.weights[a+1]/b.weights[a]))
		down := min(0.4, speed*math.Sqrt(b.weights[a]/b.weights[a+1]))
		for k := range patienceHypotheses {
			p := b.ofPatience(k)
			low, high := p[a*b.size:a*b.size+b.within], p[(a+1)*b.size:(a+1)*b.size+b.within]
			for q := range low {
				move := low[q]*up - high[q]*down
				low[q] -= move
				high[q] += move
			}
		}
	}
}

// switchHypotheses lets the arrival hypotheses move to their neighbours, and behind a full
// yard to those with which a yard gets full: more come than it lets through.
// Where loops see the end of the queue they know better.
func (b *queueBelief) switchHypotheses(minutes, full float64, endUnseen bool) {
	b.forgetPatience(minutes * (1 - b.marginal[0]))
	if b.demand != nil {
		b.diffuseLevel(minutes)
		return
	}
	for k := range patienceHypotheses {
		b.switchUnlearned(b.ofPatience(k), minutes, full, endUnseen)
	}
}

func (b *queueBelief) switchUnlearned(p []float64, minutes, full float64, endUnseen bool) {
	const rate = 1.0 / 40
	pull := 1.0 / 600
	if endUnseen {
		pull = 1.0 / 20
		if b.reach == 0 {
			pull = 1.0 / 400
		}
	}
	// Where loops see part of the queue, a queue that does not reach them
	// speaks against the highest; without any nothing does.
	centre, spread := 1.6, 0.45
	if b.reach == 0 {
		centre, spread = 1.3, 0.4
	}
	var crowd [8]float64
	var sum float64
	for a, f := range b.factors {
		x := math.Log(f/centre) / spread
		crowd[a] = math.Exp(-x * x / 2)
		sum += crowd[a]
	}
	towards := (1 - math.Exp(-pull*minutes*full))
	for q := 1; q < b.within; q++ {
		var all float64
		for a := range b.factors {
			all += p[a*b.size+q]
		}
		for a := range b.factors {
			p[a*b.size+q] += towards * (all*crowd[a]/sum - p[a*b.size+q])
		}
	}
	step := (1 - math.Exp(-rate*minutes)) / 2
	for q := range b.within {
		before := p[q]
		for a := range b.factors {
			here := p[a*b.size+q]
			v := here
			if a > 0 {
				v += step * (before - here)
			}
			if a+1 < len(b.factors) {
				v += step * (p[(a+1)*b.size+q] - here)
			}
			before = here
			p[a*b.size+q] = v
		}
	}
}

// resume goes on with another demand; the patience and the queue stay as they are.
func (b *queueBelief) resume(d *demand) {
	if d == nil {
		return
	}
	patience := b.patienceWeights()
	b.arrivals = arrivals{}
	b.arrivals.init(b.serviceRate, d)
	b.p = make([]float64, patienceHypotheses*len(b.factors)*b.size)
	for k, keep := range patience {
		for q, v := range b.marginal {
			b.ofPatience(k)[q] = v * keep
		}
	}
	b.resetLevel()
}
