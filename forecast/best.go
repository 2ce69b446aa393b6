package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	momentsKept   = 3
	beforeEnd     = 30 * time.Minute // of closing: who comes later may be too late
	spareTime     = 15 * time.Minute // between entering, should the wait be long, and closing
	timeApart     = 45 * time.Minute
	longestMoment = 6  // quarters in a moment
	worthwhile    = 10 // minutes of wait: where nobody waits as long, any time is good
)

// lateRisk is the probability of not getting in from which a moment is no
// advice.
const lateRisk = 0.05

// onAverage is the mean wait of a slot by Swanson's rule, for which long waits
// that are unlikely count too (Hurst, Brown and Swanson, "Swanson's 30-40-30
// rule", AAPG Bulletin 84, 2000).
func onAverage(s *perron.Slot) float64 { return 0.3*s.Wait.Low + 0.4*s.Wait.Mid + 0.3*s.Wait.High }

// bestMoments are up to three stretches of today that are left and in which the wait
// is short, soonest first. When it stays quiet there is nothing to advise. Rate
// is what the yard can take, in vehicles per minute.
func bestMoments(quarters []perron.Slot, origin, midnight time.Time, site *perron.Site, rate float64) []perron.Moment {
	var left []perron.Slot
	worst, least := 0.0, math.Inf(1)
	for _, s := range quarters {
		p, open := site.Hours.At(s.Start)
		if !open || s.Start.Before(origin) || !s.Start.Before(midnight) || s.Level.Rank() == 0 {
			continue
		}
		worst = math.Max(worst, onAverage(&s))
		inside := s.Start.Add(time.Duration(s.Wait.High * float64(time.Minute)))
		if s.Start.After(p.End.Add(-beforeEnd)) || inside.After(p.End.Add(-spareTime)) || s.Late > lateRisk {
			continue
		}
		left = append(left, s)
		least = math.Min(least, onAverage(&s))
	}
	if worst < worthwhile || len(left) == 0 || worst-least < 5 {
		return []perron.Moment{}
	}
	good := math.Max(5, least+0.2*(worst-least))
	var found []perron.Moment
	for i := 0; i < len(left); {
		if onAverage(&left[i]) > good {
			i++
			continue
		}
		m := perron.Moment{Start: left[i].Start, Wait: left[i].Wait}
		n := 0
		for ; i < len(left) && onAverage(&left[i]) <= good && n < longestMoment; i++ {
			if n > 0 && left[i].Start.Sub(left[i-1].Start) > slotMinutes*time.Minute {
				break
			}
			m.End = left[i].Start.Add(slotMinutes * time.Minute)
			m.Room = append(m.Room, math.Round(math.Max(0, rate*slotMinutes-left[i].Arrivals.Mid)*10)/10)
			if left[i].Wait.Mid > m.Wait.Mid {
				m.Wait = left[i].Wait
			}
			n++
		}
		found = append(found, m)
	}
	slices.SortStableFunc(found, func(a, b perron.Moment) int {
		switch {
		case a.Wait.Mid < b.Wait.Mid-1:
			return -1
		case b.Wait.Mid < a.Wait.Mid-1:
			return 1
		}
		return a.Start.Compare(b.Start)
	})
	out := []perron.Moment{}
	for _, m := range found {
		clash := slices.ContainsFunc(out, func(o perron.Moment) bool {
			return m.Start.Before(o.End.Add(timeApart)) && o.Start.Before(m.End.Add(timeApart))
		})
		if !clash && len(out) < momentsKept {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b perron.Moment) int { return a.Start.Compare(b.Start) })
	return out
}
