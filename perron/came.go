package perron

import (
	"math"
	"time"
)

// Came is what became true in the quarters that lie within [from, to): how many
// vehicles came in each, and how many minutes someone who came when it began
// had to wait, by the Unix time of its start. Counts are quarter hours with
// gates summed, of which those without a passage may be missing; samples are in
// order of time.
//
// A quarter is among them when it was measured: each third of it has a sample,
// and in none of them staff had closed the site. The vehicles that came are
// those that went in and those by which the queue grew, where samples at both
// ends know the queue. The wait is that of the first sample of the quarter:
// what the estimator held likeliest then, which beyond the last queue loop is
// rather too low.
func Came(from, to time.Time, counts []Count, samples []Sample) (arrivals, waits map[int64]float64) {
	arrivals, waits = make(map[int64]float64), make(map[int64]float64)
	in := make(map[int64]float64, len(counts))
	for _, c := range counts {
		in[c.Start.Unix()] += float64(max(0, c.In))
	}
	type quarter struct {
		thirds, closed int
		start          *Sample // within the first minutes
	}
	quarters := make(map[int64]*quarter)
	var q *quarter
	var until time.Time // of q
	for i := range samples {
		v := &samples[i]
		if q == nil || !v.At.Before(until) {
			start := Quarter.Start(v.At)
			q, until = &quarter{}, Quarter.Next(start)
			quarters[start.Unix()] = q
		}
		if v.Level == Closed {
			q.closed++
			continue
		}
		late := 15*time.Minute - until.Sub(v.At)
		q.thirds |= 1 << max(0, min(2, int(late/(5*time.Minute))))
		if q.start == nil && late < 3*time.Minute && finite(v.Queue.Mid) && finite(v.Wait.Mid) {
			q.start = v
		}
	}
	for at, q := range quarters {
		start := time.Unix(at, 0).UTC()
		end := Quarter.Next(start)
		if q.closed > 0 || q.thirds != 7 || start.Before(from) || end.After(to) {
			continue
		}
		grown, known := 0.0, q.start != nil
		if known {
			if next := quarters[end.Unix()]; next != nil && next.start != nil {
				grown = next.start.Queue.Mid - q.start.Queue.Mid
			} else {
				known = q.start.Queue.Mid < 0.5 // nobody joins at the very end
			}
		}
		if known {
			arrivals[at] = math.Max(0, in[at]+grown)
		}
		if q.start != nil {
			waits[at] = q.start.Wait.Mid
		}
	}
	return arrivals, waits
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
