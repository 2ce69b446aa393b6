package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// answer is what the road says to a newcomer.
type answer struct {
	queue, wait perron.Interval // vehicles, minutes
	atLeast     bool
	rate        float64 // entries per minute
}

func (r *road) answer(at time.Time, full, prior float64) answer {
	prior = math.Min(prior, r.site.GateRate())
	known := priorEntries + r.queueEntries
	rate := known / (priorEntries/prior + r.queueMinutes)
	out := answer{queue: quantiles(r.marginal[:r.within], queueTail), rate: rate}
	seen := 0.0 // vehicles that the loops see
	r.loops.trust(at)
	for i := range r.loops {
		l := &r.loops[i]
		if !l.queued(at) || !l.trusted {
			continue
		}
		d := float64(l.distance)
		seen = math.Max(seen, d)
		out.queue.Low = math.Max(out.queue.Low, d)
		out.queue.Mid = math.Max(out.queue.Mid, d)
		out.queue.High = math.Max(out.queue.High, d)
		out.atLeast = out.atLeast || l.distance == r.reach
	}
	out.wait = r.wait(seen, full, rate, known)
	return out
}

// wait is the time until it is a newcomer's turn to be let in: none without a
// queue while a bay is free, else as many admissions as vehicles wait ahead, and
// one of its own that on average is partly over. Were they a
// Poisson process with a rate that is known from k entries, the wait behind s
// admissions would have mean s/rate and variance s/rate² + (s/rate)²/k (the
// queue-length estimator of Ibrahim and Whitt, M&SOM 11, 2009, with an unknown
// rate); exits of many bays are more even than that, hence the factors, with which the
// ranges of the simulated yards hold what they should.
func (r *road) wait(seen, full, rate, known float64) perron.Interval {
	const (
		points = 17
		// waitVariance is that of the time which an admission takes, in units of
		// its square. It is more than that of the service, admissionScatter² in
		// package forecast, since it covers what the belief does not hold, such as
		// the next minutes' balking and a rate that changes. rateVariance is the
		// same for the rate, in units of what Poisson counts would leave.
		waitVariance = 0.6
		rateVariance = 0.7
	)
	var mean, sd, weight [points]float64
	used := 0
	add := func(steps, w float64) {
		mean[used] = steps / rate
		sd[used] = math.Sqrt(waitVariance*steps/rate/rate + rateVariance*steps*steps/rate/rate/known)
		weight[used] = w
		used++
	}
	// Thin the belief to a few points of about equal weight.
	var sum, at, none float64
	for q, p := range r.marginal[:r.within] {
		// The loops have the last word, as they have on the queue.
		x := math.Max(float64(q), seen)
		if x == 0 {
			// No queue: at once, or with the next bay that gets free.
			none = p * (1 - full)
			add(r.site.OwnTurn, p*full)
			continue
		}
		sum += p
		at += p * x
		if sum >= 1.0/(points-2) && used < points-1 || q == r.within-1 {
			if sum > 1e-12 {
				// Some of those ahead renege; the next admission is under way.
				add(r.site.OwnTurn+rate*r.site.RenegedUnseen(at/sum/rate), sum)
			}
			sum, at = 0, 0
		}
	}
	quantile := func(want float64) float64 {
		lo, hi := 0.0, 0.0
		if want -= none; want <= 0 {
			return 0
		}
		for i := range used {
			hi = math.Max(hi, mean[i]+4*sd[i])
		}
		for range 24 {
			x, below := (lo+hi)/2, 0.0
			for i := range used {
				below += weight[i] * 0.5 * math.Erfc((mean[i]-x)/sd[i]/math.Sqrt2)
			}
			if below < want {
				lo = x
			} else {
				hi = x
			}
		}
		return (lo + hi) / 2
	}
	return perron.Interval{
		Low:  min(longestWait, quantile(waitTail)),
		Mid:  min(longestWait, quantile(0.5)),
		High: min(longestWait, max(shortestRange, quantile(1-waitTail))),
	}
}
