package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	// maxQueueSteps is how many steps of a day are kept at most; a day with more
	// teaches no demand.
	maxQueueSteps = 16000
	// leastRoad is the longest queue, in vehicles, that is thought possible at
	// least.
	leastRoad = 30
	earlyMean = 8.0 // mean number of those who wait for the gates to open, where some do
)

type queueStepKind uint8

const (
	queueTime queueStepKind = iota
	queueAdmission
	queueAssumedAdmission // admitted, for all that is known
	queueEarlyArrivals    // some may have come before the gates opened
	queueCleared
)

// A queueStep is what a change of the belief in the queue depended on, beside
// the rate of arrivals.
type queueStep struct {
	kind          queueStepKind
	open          bool
	entriesUnseen bool
	slot          uint8
	minutes       float64
	full          float64
	likelihood    float64 // the likelihood of what was seen, were there a queue
	loops         uint64  // two bits a loop: 0 when it says nothing
}

// queueTrace keeps the steps of a day of the queue, the newest.
type queueTrace struct {
	date  perron.Date
	steps []queueStep
	over  bool // there were too many
}

func (t *queueTrace) add(at time.Time, s queueStep) {
	if t == nil {
		return
	}
	if d := perron.DateOf(at); d != t.date {
		*t = queueTrace{date: d, steps: t.steps[:0]}
	}
	if t.over = t.over || len(t.steps) >= maxQueueSteps; !t.over {
		t.steps = append(t.steps, s)
	}
}

// A queueModel is how a belief in the queue changes, as a linear step of the
// probabilities of 0, 1, 2, … vehicles that wait.
type queueModel struct {
	site        yard.Yard
	size        int     // states of the queue, 0 … size-1
	serviceRate float64 // vehicles per minute that a full yard is expected to let through
	distances   []int   // of the loops, in vehicles
	reach       int     // of them the greatest; 0 without loops
	// joining is, by patience and queue, the part of those who arrive that joins.
	joining [][]float64
	// joiningUsually is the same at the median patience, for looking back.
	joiningUsually []float64
}

func newQueueModel(y yard.Yard, ls loops, serviceRate float64) queueModel {
	m := queueModel{site: y, serviceRate: math.Min(serviceRate, y.GateRate()), reach: ls.reach()}
	for i := range ls {
		m.distances = append(m.distances, ls[i].distance)
	}
	m.size = max(int(y.Road), m.reach+m.reach/2+10, leastRoad) + 1
	for _, patience := range y.Patience {
		m.joining = append(m.joining, m.joinProbabilities(patience))
	}
	m.joiningUsually = m.joinProbabilities(y.MedianPatience())
	return m
}

// step takes the belief in the queue under one arrival rate, p[q], over a step.
func (m *queueModel) step(p []float64, rate float64, stay []float64, s *queueStep) {
	switch s.kind {
	case queueTime:
		block, alone := m.withoutQueue(rate, s)
		m.growQueue(p, rate, block, alone, stay, s)
	case queueAdmission:
		admit(p, rate*(1-m.blocked(rate, s.full)), s.likelihood)
	case queueAssumedAdmission:
		admit(p, 1, 1)
	case queueEarlyArrivals:
		addEarlyArrivals(p)
	case queueCleared:
		clear(p)
		p[0] = 1
	}
}

// withoutQueue says of an empty road how likely it is that someone who comes has to
// wait, and that nobody was seen to enter in a step: without a queue one only
// forms when the yard is full or the lanes cannot keep up, and others would be
// seen.
func (m *queueModel) withoutQueue(rate float64, s *queueStep) (block, alone float64) {
	switch {
	case s.open:
		block = m.blocked(rate, s.full)
		return block, math.Exp(-rate * (1 - block) * s.minutes)
	case m.reach > 0:
		return 0.2, 1 // early visitors: the loops will tell
	}
	return 0.02, 1
}

// growQueue lets the queue grow for a step.
func (m *queueModel) growQueue(p []float64, rate, block, alone float64, willing []float64, s *queueStep) {
	joins := 0.0 // the probability that someone joins q vehicles; nobody joins a full road
	for q := len(p) - 1; q > 1; q-- {
		joinsFewer := arrivalProbability(rate*willing[q-1], s.minutes)
		p[q] = p[q]*(1-joins)*s.likelihood + p[q-1]*(joinsFewer*s.likelihood)
		joins = joinsFewer
	}
	first := arrivalProbability(rate, s.minutes) * block
	p[1] = p[1]*(1-joins)*s.likelihood + p[0]*(first*alone)
	p[0] *= (1 - first) * alone
}

// blocked is the probability that someone who comes to an empty road has to
// wait: no bay is free, or the lanes are taken.
func (m *queueModel) blocked(rate, full float64) float64 {
	return min(0.99, full+(1-full)*min(1, rate/m.site.GateRate())*0.3)
}

// arrivalProbability is the probability that one more vehicle joins.
func arrivalProbability(rate, minutes float64) float64 { return min(0.9, rate*minutes) }

// admit takes the head of the queue away, or lets someone in who found none.
func admit(p []float64, alone, withQueue float64) {
	p[0] = p[0]*alone + p[1]*withQueue
	for q := 1; q < len(p)-1; q++ {
		p[q] = p[q+1] * withQueue
	}
	p[len(p)-1] = 0
}

// addEarlyArrivals lets that many more wait: nobody as likely as not, else a
// geometric number.
func addEarlyArrivals(p []float64) {
	const stay = earlyMean / (1 + earlyMean)
	carry := 0.0 // of the geometric part, from fewer
	for q, v := range p {
		carry = carry*stay + v*(1-stay)
		p[q] = (v + carry) / 2
	}
}

// applyLoop applies what a loop reads to a belief, but for the part to keep. What
// contradicts the loop is lost, which speaks against the arrivals that led to it, but for a
// part that moves to where the loop says: or a queue that outgrew all that was
// thought likely would never be found.
func applyLoop(p []float64, distance int, queued bool, keep, moves float64) {
	d := min(distance, len(p))
	wrong, right := p[d:], d-1
	if queued {
		// The vehicles that cover it must be there.
		wrong, right = p[:d], d
	}
	var lost float64
	for q, v := range wrong {
		lost += v * (1 - keep)
		wrong[q] = v * keep
	}
	if right < len(p) {
		p[right] += moves * lost
	}
}

// loopLikelihood takes the likelihood of what the loops read into p. Live, belief that
// contradicts an occupied loop comes back at the loop, lest a queue that outgrew
// what was thought likely be lost; here it counts against the rate.
func (m *queueModel) loopLikelihood(p []float64, s *queueStep) {
	if s.loops == 0 {
		return
	}
	keep := math.Max(1e-4, math.Exp(-doubtRate*s.minutes*60))
	for i, distance := range m.distances {
		d := min(distance, len(p))
		switch s.loops >> (2 * i) & 3 {
		case loopQueued:
			for q := range p[:d] {
				p[q] *= keep
			}
		case loopClear:
			for q := d; q < len(p); q++ {
				p[q] *= keep
			}
		}
	}
}

// reverseStep puts into out the likelihood of what followed from each state before
// the step, given that after it, and returns how many joined in it, times the
// likelihood of all.
func (m *queueModel) reverseStep(before, out, beta []float64, rate float64, s *queueStep) (came float64) {
	last := len(beta) - 1
	switch s.kind {
	case queueTime:
		block, alone := m.withoutQueue(rate, s)
		for q := range beta {
			quiet, join := s.likelihood, arrivalProbability(rate*m.joiningUsually[q], s.minutes)
			if q == 0 {
				quiet, join = alone, join*block
			}
			if q == last {
				join = 0
			}
			out[q] = (1 - join) * quiet * beta[q]
			if q < last {
				v := join * quiet * beta[q+1]
				out[q] += v
				came += before[q] * v
			}
		}
	case queueAdmission:
		alone := rate * (1 - m.blocked(rate, s.full))
		out[0] = alone * beta[0]
		came = before[0] * out[0]
		for q := 1; q <= last; q++ {
			out[q] = s.likelihood * beta[q-1]
		}
	case queueAssumedAdmission:
		out[0] = beta[0]
		copy(out[1:], beta[:last])
	case queueEarlyArrivals:
		const stay = earlyMean / (1 + earlyMean)
		carry := 0.0 // of the geometric part, from more
		for q := last; q >= 0; q-- {
			carry = carry*stay + beta[q]*(1-stay)
			out[q] = (beta[q] + carry) / 2
		}
	case queueCleared:
		for q := range out {
			out[q] = 1
		}
	}
	return came
}

// joinProbabilities is, by the number of others, the part of those who come that join
// behind them: fewer do when the wait looks long, and half of them when it looks
// that many minutes long.
func (m *queueModel) joinProbabilities(patience float64) []float64 {
	out := make([]float64, m.size)
	for q := range out {
		out[q] = yard.Joins(float64(q)/m.serviceRate, patience)
	}
	return out
}
