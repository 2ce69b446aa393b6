package occupancy

import "time"

const (
	doublePart = 0.01 // of the passages are one vehicle counted twice
	doubleGap  = 3.0  // seconds within which most doubles come
	bounceGap  = 0.25 // seconds within which hardly a second vehicle follows
)

// bounceCounts counts how many passages follow within bounceGap, which tells a
// contact that chatters from vehicles that by chance come together.
type bounceCounts struct{ short, total float64 }

func (b *bounceCounts) add(gap float64) {
	const memory = 2000 // passages
	b.total++
	if gap > 0 && gap < bounceGap {
		b.short++
	}
	if b.total > memory {
		b.short, b.total = b.short/2, b.total/2
	}
}

// probability is the probability that a passage within bounceGap of the one before is
// a bounce: what is beyond the part that chance makes of a flow, in vehicles a
// minute. It starts with that part.
func (b *bounceCounts) probability(flow float64) float64 {
	const known = 100 // passages that the start is worth
	chance := max(flow, 0.5) * bounceGap / 60
	return 1 - chance*(known+b.total)/(chance*known+b.short)
}

// doubleProbability is the probability that a passage is the previous one counted twice.
func doubleProbability(at, last time.Time, flow float64, b *bounceCounts) float64 {
	gap := at.Sub(last).Seconds()
	b.add(gap)
	if last.IsZero() || gap > doubleGap {
		return doublePart / 10
	}
	// Against doubles stand the vehicles that truly come within the gap.
	odds := doublePart / (doublePart + max(flow, 0.5)*doubleGap/60)
	if gap > 0 && gap < bounceGap { // none at all is a clock of whole seconds
		odds = max(odds, b.probability(flow))
	}
	return odds
}
