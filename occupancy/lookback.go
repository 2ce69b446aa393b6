package occupancy

import "math"

const (
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
	unseenBase, unseenPerHour = 1.0, 0.14
	unseenLeast, unseenMost   = 1.17, 2.2
	// unseenEntriesPart of the time without a sign of the entries is more than a day may
	// have to teach.
	unseenEntriesPart = 0.05
	// leastOpen is how many minutes a day must be open for to teach.
	leastOpen = 60.0
)

// lookBack finds what joined on a day that is over. It is the algorithm of Baum
// and Welch (Rabiner, Proceedings of the IEEE 77, 1989, section III.C) with the
// arrival rate of each half hour for parameters: what came later tells how long
// the queue was, above all that it ended. What nothing tells is as expected, or
// without that as in the half hours beside. It is nil when the day teaches
// nothing.
func (m *queueModel) lookBack(t *queueTrace, expected *profile) *joinedDay {
	if t == nil || t.over || len(t.steps) == 0 {
		return nil
	}
	var unseenEntries, open float64
	for i := range t.steps {
		if s := &t.steps[i]; s.open {
			open += s.minutes
			if s.entriesUnseen {
				unseenEntries += s.minutes
			}
		}
	}
	if open < leastOpen || unseenEntries > unseenEntriesPart*open {
		return nil
	}
	var rates [slots]float64
	for h := range rates {
		rates[h] = 0.8 * m.serviceRate
		if expected != nil {
			rates[h] = max(expected.rates[h], leastDemand*m.serviceRate)
		}
	}
	n := m.size
	var joined, minutes [slots]float64
	unseen := 0.0
	alpha := make([]float64, (len(t.steps)+1)*n)
	beta, next := make([]float64, n), make([]float64, n)
	for range lookBackRounds {
		alpha[0] = 1
		for i := range t.steps {
			s := &t.steps[i]
			p := alpha[(i+1)*n : (i+2)*n]
			copy(p, alpha[i*n:(i+1)*n])
			m.step(p, rates[s.slot], m.joiningUsually, s)
			m.loopLikelihood(p, s)
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
			m.loopLikelihood(beta, s)
			came := m.reverseStep(before, next, beta, rates[s.slot], s)
			var sum, willing, beyond float64
			for q := range n {
				v := before[q] * next[q]
				sum += v
				willing += v * m.joiningUsually[q]
				if q >= max(1, m.reach) {
					beyond += v
				}
			}
			if sum > 1e-250 && s.open && !s.entriesUnseen {
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
		crowd := m.serviceRate * min(unseenMost, max(unseenLeast, unseenBase+unseenPerHour*hiddenAll/60))
		before := rates
		for h := range slots {
			like := (before[max(0, h-1)] + before[min(slots-1, h+1)]) / 2
			if expected != nil {
				like = level * expected.rates[h]
			}
			like = max(like, leastDemand*m.serviceRate)
			if open[h] > 0 {
				like *= math.Pow(crowd/like, hidden[h]/open[h])
			}
			rates[h] = max(leastDemand*m.serviceRate, (joined[h]+expectedWorth*like)/(minutes[h]+expectedWorth))
		}
	}
	return &joinedDay{joined, minutes, unseen}
}
