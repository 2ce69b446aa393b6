package main

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/simulate"
)

// Estimators of the wait that are handed what no sensor knows: when every
// vehicle arrived and was let in, and how many wait. They are the delay
// announcements of R. Ibrahim and W. Whitt, "Real-Time Delay Estimation Based
// on Delay History", M&SOM 11(3), 2009: the wait of the last vehicle to enter
// service (LES), how long the head of the line has waited so far (HOL), and the
// queue length over the service rate (QL); and the mean of the last ten waits.
//
// All are causal. Without anyone to go by they answer 0.
var knownNames = [...]string{"last to enter", "head of line", "last ten", "queue × headway"}

// knowing answers for rising instants of one day.
type knowing struct {
	byArrival, byEntry []simulate.Vehicle
	arrived, entered   int
}

func newKnowing(day simulate.Day) *knowing {
	k := &knowing{}
	for _, v := range day.Vehicles {
		if v.Fate != simulate.Balked {
			k.byArrival = append(k.byArrival, v)
		}
		if v.Fate == simulate.Served {
			k.byEntry = append(k.byEntry, v)
		}
	}
	slices.SortStableFunc(k.byArrival, func(a, b simulate.Vehicle) int { return a.Arrived.Compare(b.Arrived) })
	slices.SortStableFunc(k.byEntry, func(a, b simulate.Vehicle) int { return a.Let.Compare(b.Let) })
	return k
}

// at is what each says to someone who joins at t behind a queue that long.
func (k *knowing) at(t time.Time, queue int) (out [len(knownNames)]float64) {
	for k.arrived < len(k.byArrival) && !k.byArrival[k.arrived].Arrived.After(t) {
		k.arrived++
	}
	for k.entered < len(k.byEntry) && !k.byEntry[k.entered].Let.After(t) {
		k.entered++
	}
	waited := func(v simulate.Vehicle) float64 { return v.Let.Sub(v.Arrived).Minutes() }
	if done := k.byEntry[:k.entered]; len(done) > 0 {
		out[0] = waited(done[len(done)-1])
		last := done[max(0, len(done)-10):]
		for _, v := range last {
			out[2] += waited(v) / float64(len(last))
		}
		if first := done[max(0, len(done)-11)]; len(done) > 1 {
			headway := done[len(done)-1].Let.Sub(first.Let).Minutes() / float64(min(10, len(done)-1))
			out[3] = float64(queue) * headway
		}
	}
	if head, ok := k.head(t, queue); ok {
		out[1] = t.Sub(head.Arrived).Minutes()
	}
	return out
}

// head is the first of those who wait.
func (k *knowing) head(t time.Time, queue int) (simulate.Vehicle, bool) {
	for i := k.arrived - 1; i >= 0 && queue > 0; i-- {
		v := k.byArrival[i]
		gone := v.Left
		if v.Fate == simulate.Served {
			gone = v.Let
		}
		if !gone.After(t) {
			continue
		}
		if queue--; queue == 0 {
			return v, true
		}
	}
	return simulate.Vehicle{}, false
}
