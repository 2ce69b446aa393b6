package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	leastQueue = 3   // vehicles: with fewer, entries say how many come, not how many could
	ratesKept  = 720 // of a full yard that are kept, one a sample
)

// queueMemory is what was estimated of the queues of the past: how long they were
// at the start of each quarter, and how fast they were let in.
type queueMemory struct {
	yard    yard.Yard
	lengths map[int64]float64 // vehicles, by the Unix time of the quarter
	longest float64           // of them, nearly; 0 where too few are known
	rate    float64           // of entries, the newest; of no full yard when nobody waits
	rates   []float64         // of a full yard, as they were measured
	median  float64           // of the rates; 0 when it is to be found
}

// rememberRate keeps the rate at which a queue was let in.
func (q *queueMemory) rememberRate(e *perron.Estimate) {
	if e.Queue.Mid < leastQueue || !(e.EntryRate > 0) || math.IsInf(e.EntryRate, 0) {
		return
	}
	if len(q.rates) >= ratesKept {
		q.rates = append(q.rates[:0], q.rates[ratesKept/4:]...)
	}
	q.rates = append(q.rates, e.EntryRate)
	q.median = 0
}

// medianRate is the median of the rates at which queues were let in; 0 when too
// few are known.
func (q *queueMemory) medianRate() float64 {
	if q.median == 0 && len(q.rates) >= 30 {
		q.median = median(q.rates)
	}
	return q.median
}

// follow takes the rate of the newest estimate, or what is usual while few wait.
func (q *queueMemory) follow(now *perron.Estimate) {
	q.remember(now.At, now.Queue.Mid)
	q.rememberRate(now)
	usual := q.medianRate()
	if now.EntryRate > 0 && (now.Queue.Mid >= leastQueue || usual == 0) {
		q.rate = now.EntryRate
	} else {
		q.rate = usual
	}
}

func (q *queueMemory) remember(at time.Time, queue float64) {
	if at.IsZero() || math.IsNaN(queue) || math.IsInf(queue, 0) {
		return
	}
	start := perron.Quarter.Start(at)
	if _, ok := q.lengths[start.Unix()]; !ok && at.Sub(start) < 3*time.Minute {
		q.lengths[start.Unix()] = q.plausibleQueue(queue)
	}
}

// plausibleQueue is a queue as it can be: what is twice as long as the road is none.
func (q *queueMemory) plausibleQueue(queue float64) float64 {
	return math.Max(0, math.Min(2*q.yard.Road, queue))
}

// room is how long a queue can become: as long as the road, or longer where
// longer queues are remembered, since a public road does not end there.
func (q *queueMemory) room() float64 { return math.Max(q.yard.Road, q.longest) }

// findLongest keeps the length that one queue in fifty was beyond.
func (q *queueMemory) findLongest() {
	const enough = 20 // quarters of an hour
	var some []float64
	for _, length := range q.lengths {
		if length >= leastQueue {
			some = append(some, length)
		}
	}
	q.longest = 0
	if len(some) >= enough {
		slices.Sort(some)
		q.longest = some[len(some)*49/50]
	}
}

func (q *queueMemory) forget(before time.Time) {
	for at := range q.lengths {
		if at < before.Unix() {
			delete(q.lengths, at)
		}
	}
}

// serviceRate is how many vehicles per minute a full yard lets through: as measured
// when that is plausible, else bays over the usual dwell (its mean, about 13 %
// above the median).
func (q *queueMemory) serviceRate() float64 {
	if q.rate > 0 {
		return q.plausibleRate(q.rate)
	}
	return q.plausibleRate(q.medianRate())
}

// usualServiceRate is that of another day: what is usual, if that is known.
func (q *queueMemory) usualServiceRate() float64 {
	if rate := q.medianRate(); rate > 0 {
		return q.plausibleRate(rate)
	}
	return q.serviceRate()
}

// plausibleRate is a rate, or one near it that the bays could have, or for 0 that
// of the bays.
func (q *queueMemory) plausibleRate(rate float64) float64 {
	usual := q.yard.ServiceRate(q.yard.Dwell)
	if rate > 0 {
		return math.Max(0.4*usual, math.Min(2.5*usual, rate))
	}
	return usual
}

// leastJoined is the least part that is taken to have joined a queue of the
// past: of a longer wait nothing is known, and nobody is made up who would have
// balked.
const leastJoined = 0.2

// joined is the part that is taken to have joined a past queue of so many
// minutes, by which those who did are divided to find the arrivals.
func (q *queueMemory) joined(wait float64) float64 {
	return math.Max(leastJoined, q.yard.JoinsUsually(wait))
}

// joinedAt is the part that joined in a past quarter, by the queue at its
// start.
func (q *queueMemory) joinedAt(start time.Time) float64 {
	length, ok := q.lengths[start.Unix()]
	if !ok {
		return 1
	}
	return q.joined(length / q.usualServiceRate())
}
