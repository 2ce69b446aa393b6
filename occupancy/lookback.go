package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// queueSteps is how many steps of a day are kept at most; a day with more
	// teaches no demand.
	queueSteps = 16000
	// lookBackRounds is how often the rates of a day are estimated, each time
	// with those of the time before.
	lookBackRounds = 25
	// expectedWorth is how many minutes what is expected of a half hour is worth
	// beside what happened in it.
	expectedWorth = 8.0
	// A queue that nothing sees the end of tells that more come than are let in,
	// and not how many more. The longer it lasted in all, the more it is likely to
	// be: so many times what a full yard lets through, with that much for each
	// hour, in these bounds.
	crowdBase, crowdHour  = 1.0, 0.14
	crowdLeast, crowdMost = 1.17, 2.2
	// deafPart of the time without a sign of the entries is more than a day may
	// have to teach.
	deafPart = 0.05
	// leastOpen is how many minutes a day must be open for to teach.
	leastOpen = 60.0
)

type queueStepKind uint8

const (
	waited queueStepKind = iota
	admitted
	supposed // admitted, for all that is known
	gathered // some may have come before the gates opened
	cleared
)

// What a loop says.
const (
	covered   = 1
	uncovered = 2
)

// A queueStep is what a change of the belief in the queue depended on, beside
// the rate of arrivals.
type queueStep struct {
	kind    queueStepKind
	open    bool
	deaf    bool
	slot    uint8
	minutes float64
	full    float64
	like    float64 // the likelihood of what was seen, were there a queue
	heard   uint64  // two bits a loop: 0 when it says nothing
}

// queueTape keeps the steps of a day of the queue, the newest.
type queueTape struct {
	date  perron.Date
	steps []queueStep
	over  bool // there were too many
}

func (t *queueTape) add(at time.Time, s queueStep) {
	if t == nil {
		return
	}
	if d := perron.DateOf(at); d != t.date {
		*t = queueTape{date: d, steps: t.steps[:0]}
	}
	if t.over = t.over || len(t.steps) >= queueSteps; !t.over {
		t.steps = append(t.steps, s)
	}
}

// lookBack says how many vehicles are likely to have joined in each half hour
// of a day that is over, and in how many minutes, those in which the queue kept
// people away counted in part; and in which part of the day there was a queue
// whose end no loop saw. It is the algorithm of Baum and Welch (Rabiner,
// Proceedings of the IEEE 77, 1989, section III.C) with the arrival rate of each
// half hour for parameters: what came later tells how long the queue was, above
// all that it ended. What nothing tells is as expected, or without that as in
// the half hours beside.
func (r *road) lookBack(expected *profile) (joined, minutes [slots]float64, unseen float64, ok bool) {
	t := r.tape
	if t == nil || t.over || len(t.steps) == 0 {
		return joined, minutes, 0, false
	}
	var deaf, open float64
	for i := range t.steps {
		if s := &t.steps[i]; s.open {
			open += s.minutes
			if s.deaf {
				deaf += s.minutes
			}
		}
	}
	if open < leastOpen || deaf > deafPart*open {
		return joined, minutes, 0, false
	}
	var rates [slots]float64
	for h := range rates {
		rates[h] = 0.8 * r.unit
		if expected != nil {
			rates[h] = max(expected.rates[h], trickle*r.unit)
		}
	}
	n := r.size
	alpha := make([]float64, (len(t.steps)+1)*n)
	beta, next := make([]float64, n), make([]float64, n)
	for range lookBackRounds {
		alpha[0] = 1
		for i := range t.steps {
			s := &t.steps[i]
			p := alpha[(i+1)*n : (i+2)*n]
			copy(p, alpha[i*n:(i+1)*n])
			r.step(p, rates[s.slot], r.usualStay, s)
			r.weigh(p, s)
			if !normalise(p) {
				clear(p)
				p[0] = 1
			}
		}
		joined, minutes = [slots]float64{}, [slots]float64{}
		var hidden, open [slots]float64
		for q := range beta {
			beta[q] = 1
		}
		for i := len(t.steps) - 1; i >= 0; i-- {
			s := &t.steps[i]
			before := alpha[i*n : (i+1)*n]
			r.weigh(beta, s)
			came := r.unstep(before, next, beta, rates[s.slot], s)
			var sum, willing, beyond float64
			for q := range n {
				v := before[q] * next[q]
				sum += v
				willing += v * r.usualStay[q]
				if q >= max(1, r.reach) {
					beyond += v
				}
			}
			if sum > 1e-250 && s.open && !s.deaf {
				joined[s.slot] += came / sum
				open[s.slot] += s.minutes
				hidden[s.slot] += s.minutes * beyond / sum
				minutes[s.slot] += s.minutes * willing / sum
			}
			beta, next = next, beta
			if !normalise(beta) {
				for q := range beta {
					beta[q] = 1
				}
			}
		}
		level := 1.0
		if expected != nil {
			var have, want float64
			for h := range slots {
				have += joined[h]
				want += minutes[h] * expected.rates[h]
			}
			level = (have + 5) / (want + 5)
		}
		var hiddenAll, openAll float64
		for h := range slots {
			hiddenAll += hidden[h]
			openAll += open[h]
		}
		unseen = hiddenAll / max(openAll, 60)
		crowd := r.unit * min(crowdMost, max(crowdLeast, crowdBase+crowdHour*hiddenAll/60))
		before := rates
		for h := range slots {
			like := (before[max(0, h-1)] + before[min(slots-1, h+1)]) / 2
			if expected != nil {
				like = level * expected.rates[h]
			}
			like = max(like, trickle*r.unit)
			if open[h] > 0 {
				like *= math.Pow(crowd/like, hidden[h]/open[h])
			}
			rates[h] = max(trickle*r.unit, (joined[h]+expectedWorth*like)/(minutes[h]+expectedWorth))
		}
	}
	return joined, minutes, unseen, true
}

// step takes the belief in the queue under one arrival rate, p[q], over a step.
func (r *road) step(p []float64, rate float64, stay []float64, s *queueStep) {
	switch s.kind {
	case waited:
		block, alone := r.alone(rate, s)
		r.grow(p, rate, block, alone, stay, s)
	case admitted:
		admit(p, rate*(1-r.blocked(rate, s.full)), s.like)
	case supposed:
		admit(p, 1, 1)
	case gathered:
		gatheredBefore(p)
	case cleared:
		clear(p)
		p[0] = 1
	}
}

// weigh takes the likelihood of what the loops said into p. Live, belief that
// contradicts a covered loop comes back at the loop, lest a queue that outgrew
// what was thought likely be lost; here it counts against the rate.
func (r *road) weigh(p []float64, s *queueStep) {
	if s.heard == 0 {
		return
	}
	keep := math.Max(1e-4, math.Exp(-doubtRate*s.minutes*60))
	for i := range r.loops {
		d := min(r.loops[i].distance, len(p))
		switch s.heard >> (2 * i) & 3 {
		case covered:
			for q := range p[:d] {
				p[q] *= keep
			}
		case uncovered:
			for q := d; q < len(p); q++ {
				p[q] *= keep
			}
		}
	}
}

// unstep puts into out the likelihood of what followed from each state before
// the step, given that after it, and returns how many joined in it, times the
// likelihood of all.
func (r *road) unstep(before, out, beta []float64, rate float64, s *queueStep) (came float64) {
	last := len(beta) - 1
	switch s.kind {
	case waited:
		block, alone := r.alone(rate, s)
		for q := range beta {
			quiet, join := s.like, joins(rate*r.usualStay[q], s.minutes)
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
	case admitted:
		alone := rate * (1 - r.blocked(rate, s.full))
		out[0] = alone * beta[0]
		came = before[0] * out[0]
		for q := 1; q <= last; q++ {
			out[q] = s.like * beta[q-1]
		}
	case supposed:
		out[0] = beta[0]
		copy(out[1:], beta[:last])
	case gathered:
		const stay = gatherers / (1 + gatherers)
		carry := 0.0 // of the geometric part, from more
		for q := last; q >= 0; q-- {
			carry = carry*stay + beta[q]*(1-stay)
			out[q] = (beta[q] + carry) / 2
		}
	case cleared:
		for q := range out {
			out[q] = 1
		}
	}
	return came
}
