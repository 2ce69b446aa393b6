package words

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A stretch is a run of slots of one level.
type stretch struct {
	from, to time.Time
	rank     int
}

func stretches(slots []perron.Slot) []stretch {
	var out []stretch
	for i := range slots {
		s := &slots[i]
		end := s.Start.Add(time.Duration(s.Minutes) * time.Minute)
		rank := s.Level.Rank()
		if rank == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].rank == rank && out[n-1].to.Equal(s.Start) {
			out[n-1].to = end
			continue
		}
		out = append(out, stretch{s.Start, end, rank})
	}
	return out
}

var ranks = []perron.Level{"", perron.Quiet, perron.Moderate, perron.Busy, perron.VeryBusy}

// Summary says a day in at most two short sentences: its longest quiet stretch
// and its longest stretch at the busiest level.
func (l *Language) Summary(slots []perron.Slot) string {
	runs := stretches(slots)
	if len(runs) == 0 {
		return l.T("summary.nothing")
	}
	top := 0
	for _, r := range runs {
		top = max(top, r.rank)
	}
	if top == 1 {
		return l.T("summary.allquiet")
	}
	longestOf := func(rank int) (best stretch) {
		for _, r := range runs {
			if r.rank == rank && r.to.Sub(r.from) > best.to.Sub(best.from) {
				best = r
			}
		}
		return best
	}
	say := func(r stretch) string {
		return l.T("summary."+string(ranks[r.rank]), "From", l.Clock(r.from), "To", l.Clock(r.to))
	}
	busy := bridged(runs, longestOf(top))
	quiet := longestOf(1)
	switch {
	case quiet.rank == 0:
		return say(busy)
	case quiet.from.Before(busy.from):
		return say(quiet) + " " + say(busy)
	}
	return say(busy) + " " + say(quiet)
}

// breather is the longest pause within a busy stretch that is not worth a trip.
const breather = 30 * time.Minute

// bridged is a busy stretch with the others of its level that follow or precede
// it after a breather at most: who reads that it is busy until a quarter to two
// must not come at two, into the next hour of it.
func bridged(runs []stretch, busy stretch) stretch {
	for again := true; again; {
		again = false
		for _, r := range runs {
			if r.rank != busy.rank {
				continue
			}
			if r.from.After(busy.to) && r.from.Sub(busy.to) <= breather {
				busy.to, again = r.to, true
			}
			if r.to.Before(busy.from) && busy.from.Sub(r.to) <= breather {
				busy.from, again = r.from, true
			}
		}
	}
	return busy
}
