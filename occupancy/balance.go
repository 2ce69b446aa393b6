package occupancy

import "math"

// A counterBalance weighs the counters by the queue. While a loop sees that people
// wait and nobody finds a free bay, as many enter as leave, so that what the two
// counters differ by from then on is what they miss. How many the yard holds
// need not be known for that, nor how long vehicles stay.
//
// For each hypothesis on the counters it is a belief on how many more are inside
// than when a queue was first seen today, the forward algorithm again; how well
// that agrees with a yard that is as full as then is evidence on the hypothesis.
type counterBalance struct {
	started     bool // a queue was seen today
	p           [errorHypotheses][balanceSpan]float64
	fullMinutes float64 // with a full yard, since the last comparison
}

const (
	balanceLow  = -18 // vehicles fewer than then
	balanceSpan = 45

	// compareEvery is how many minutes of a full yard make a comparison.
	compareEvery = 5.0
	// A full yard holds as many as before, give or take so many vehicles, and a
	// part of the bays more.
	fullSigma, fullPart = 1.2, 0.03
	// Now and then, once in so many minutes, what a yard holds becomes another
	// number, by about so many vehicles: a part of it is shut or parked upon.
	capacityChangeMinutes, capacityChangeSigma = 600.0, 7.0
	// trusts is how much of the evidence counts: the number on site has told a
	// part of it already.
	evidenceWeight = 0.8
)

func (b *counterBalance) reset() { *b = counterBalance{} }

// passage takes in an entry or an exit, up or down by one, that is a double with
// that probability.
func (b *counterBalance) passage(double float64, up bool) {
	if !b.started {
		return
	}
	for j, e := range errorHypothesisTable {
		p := &b.p[j]
		if !up {
			for i := range balanceSpan - 1 {
				p[i] = double*p[i] + (1-double)*p[i+1]
			}
			p[balanceSpan-1] *= double
			continue
		}
		more := (1 - double) * e.missedPerSeen()
		for i := balanceSpan - 1; i > 0; i-- {
			p[i] = double*p[i] + (1-double-more)*p[i-1]
			if i > 1 {
				p[i] += more * p[i-2]
			}
		}
		p[0] *= double
	}
	b.forgetIfBeyond()
}

// forgetIfBeyond forgets a belief that has come to either end: it is about another day,
// or a yard that has emptied.
func (b *counterBalance) forgetIfBeyond() {
	for j := range b.p {
		if p := &b.p[j]; p[0]+p[1]+p[balanceSpan-2]+p[balanceSpan-1] < 0.05 {
			return
		}
	}
	b.reset()
}

// elapse lets minutes pass in which so many vehicles per minute are expected to
// leave, seen or not. While the yard is full it returns, every few minutes, what
// speaks for each hypothesis, and true.
func (b *counterBalance) elapse(minutes, exits float64, full bool, bays int) (evidence [errorHypotheses]float64, ok bool) {
	if !b.started {
		if !full {
			return evidence, false
		}
		b.started = true
		for j := range b.p {
			for i := range b.p[j] {
				b.p[j][i] = fullLikelihood(i, bays)
			}
			normalise(b.p[j][:])
		}
		return evidence, false
	}
	for j, e := range errorHypothesisTable {
		p := &b.p[j]
		out := min(0.9, exits*e.out*minutes)
		for i := range balanceSpan - 1 {
			p[i] += out * (p[i+1] - p[i])
		}
		p[balanceSpan-1] *= 1 - out
		if e.entriesDead() {
			in := min(0.9, exits*minutes)
			for i := balanceSpan - 1; i > 0; i-- {
				p[i] += in * (p[i-1] - p[i])
			}
			p[0] *= 1 - in
		}
	}
	if !full {
		return evidence, false
	}
	if b.fullMinutes += minutes; b.fullMinutes < compareEvery {
		return evidence, false
	}
	other := 1 - math.Exp(-b.fullMinutes/capacityChangeMinutes)
	b.fullMinutes = 0
	most := 0.0
	for j := range b.p {
		p := &b.p[j]
		var sum, all, spread float64
		for i := range p {
			all += p[i]
			z := float64(i+balanceLow) / capacityChangeSigma
			spread += p[i] * math.Exp(-z*z/2)
		}
		if !(all > 0) {
			continue
		}
		for i := range p {
			// It is as full as before, or what it holds is another number.
			p[i] = (1-other)*p[i]*fullLikelihood(i, bays)/all + other*spread/all*fullLikelihood(i, bays)/10
			sum += p[i]
		}
		evidence[j] = math.Pow(sum, evidenceWeight)
		most = max(most, evidence[j])
		if sum > 0 {
			for i := range p {
				p[i] /= sum
			}
		}
	}
	if !(most > 0) {
		b.reset() // nothing agrees: begin anew
		return evidence, false
	}
	for j := range evidence {
		evidence[j] /= most
	}
	return evidence, true
}

// fullLikelihood is how well a place of the belief agrees with a full yard.
func fullLikelihood(i, bays int) float64 {
	z := float64(i+balanceLow) / (fullSigma + fullPart*float64(bays))
	return math.Exp(-z * z / 2)
}

// switchHypotheses lets the hypotheses switch as those of the yard do: what is believed under
// one comes in part from the others.
func (b *counterBalance) switchHypotheses(toPrior float64, weights, prior *[errorHypotheses]float64) {
	if !b.started {
		return
	}
	var all [balanceSpan]float64
	for j := range b.p {
		for i, v := range b.p[j] {
			all[i] += weights[j] * v
		}
	}
	for j := range b.p {
		p := &b.p[j]
		for i := range p {
			p[i] = (1-toPrior)*weights[j]*p[i] + toPrior*prior[j]*all[i]
		}
		normalise(p[:])
	}
}
