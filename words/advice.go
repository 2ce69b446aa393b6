package words

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A SiteNow is what is known of one site at one instant.
type SiteNow struct {
	Site     *perron.Site
	Busyness perron.Busyness
	Forecast *perron.Forecast // nil when there is none
	// Own is the one best moment that this visitor is told, empty when there is
	// none for them; nil tells everybody the same.
	Own []perron.Moment
}

// advised are the moments that this visitor is told.
func (s *SiteNow) advised() []perron.Moment {
	if s.Own != nil {
		return s.Own
	}
	return s.Forecast.Best
}

const (
	// worthwhile is the difference, in minutes of waiting, from which an advice
	// is worth its line.
	worthwhile = 10.0
	// laterAtMost bounds how far ahead it is suggested to wait for.
	laterAtMost = 5 * time.Hour
)

// Advice is one sentence across sites when it helps, else empty. First:
// another site that is much faster now. Second, when every site that can be
// visited has a queue: the first moment today at which the wait is likely to be
// shorter. Only fresh measurements count.
func (l *Language) Advice(sites []SiteNow, now time.Time) string {
	var best, worst *SiteNow
	open := 0
	for i := range sites {
		s := &sites[i]
		if s.Busyness.Level.Rank() == 0 {
			continue
		}
		open++
		if best == nil || s.Busyness.Wait.Mid < best.Busyness.Wait.Mid {
			best = s
		}
		if worst == nil || s.Busyness.Wait.Mid > worst.Busyness.Wait.Mid {
			worst = s
		}
	}
	if open == 0 {
		return ""
	}
	if diff := worst.Busyness.Wait.Mid - best.Busyness.Wait.Mid; diff >= worthwhile {
		return l.T("advice.faster", "Name", best.Site.Name, "Other", worst.Site.Name,
			"Minutes", int(math.Floor(diff/5))*5)
	}
	if best.Busyness.Wait.Mid < worthwhile {
		return ""
	}
	var at perron.Moment
	var where *SiteNow
	for i := range sites {
		s := &sites[i]
		if s.Busyness.Level.Rank() == 0 || s.Forecast == nil {
			continue
		}
		for _, m := range s.advised() {
			if !m.Start.After(now) || m.Start.Sub(now) > laterAtMost || best.Busyness.Wait.Mid-m.Wait.Mid < worthwhile {
				continue
			}
			// What is said to be shorter must be so by its longest wait, too, as it is told.
			if math.Ceil(m.Wait.High/5)*5 > best.Busyness.Wait.Mid {
				continue
			}
			if where == nil || m.Start.Before(at.Start) {
				at, where = m, s
			}
		}
	}
	if where == nil {
		return ""
	}
	return l.T("advice.later", "Name", where.Site.Name, "Time", l.Clock(at.Start), "Wait", l.WaitRange(at.Wait))
}

// BestToday says the best moment that is left today, or nothing.
func (l *Language) BestToday(s *SiteNow, now time.Time) string {
	moments := s.MomentsLeft(now)
	if len(moments) > 0 && s.Own != nil {
		if moments = s.Own; len(moments) == 0 {
			return "" // all that has room is given away
		}
	}
	if len(moments) == 0 {
		if anyTime(s, now) {
			return l.T("best.any")
		}
		return ""
	}
	return l.Moment(moments[0], s.Busyness.ClosesAt, now)
}

// NoMoments says why there are no best moments.
func (l *Language) NoMoments(s *SiteNow, now time.Time) string {
	switch {
	case s.Busyness.Level == perron.Unknown:
		return l.T("best.unknown")
	case s.Busyness.Level.Rank() == 0 || s.Busyness.Closure != nil:
		return l.T("best.over")
	case anyTime(s, now):
		return l.T("best.anytime", "Minutes", int(worthwhile))
	case !foreseen(s, now):
		return l.T("best.nothing")
	}
	return l.T("best.none")
}

// foreseen says whether anything is expected of the rest of today.
func foreseen(s *SiteNow, now time.Time) bool {
	return s.Forecast != nil && slices.ContainsFunc(s.Forecast.Quarters, func(q perron.Slot) bool {
		return q.Open && q.Start.After(now) && perron.DateOf(q.Start) == perron.DateOf(now) && q.Level != perron.Unknown
	})
}

// anyTime says whether the wait is short now and for as long as the site is
// open today, so that no moment is better than another.
func anyTime(s *SiteNow, now time.Time) bool {
	b := &s.Busyness
	if s.Forecast == nil || b.Closure != nil || b.Level.Rank() == 0 || b.Wait.Mid >= worthwhile {
		return false
	}
	known := false
	for _, q := range s.Forecast.Quarters {
		if !q.Open || perron.DateOf(q.Start) != perron.DateOf(now) || q.Level == perron.Late {
			continue
		}
		if q.Level.Rank() == 0 || q.Wait.Mid >= worthwhile {
			return false
		}
		known = true
	}
	return known
}

// MomentsLeft are the best moments that have not passed, none for a site that
// is closed or closing, or is not measured.
func (s *SiteNow) MomentsLeft(now time.Time) []perron.Moment {
	if s.Forecast == nil || s.Busyness.Closure != nil || s.Busyness.Level == perron.Late || s.Busyness.Level == perron.Unknown {
		return nil
	}
	var out []perron.Moment
	for _, m := range s.Forecast.Best {
		if m.End.After(now) && perron.DateOf(m.Start) == perron.DateOf(now) {
			out = append(out, m)
		}
	}
	return out
}

// Moment says when: "na 15:30", "15:30–16:15" or "nu, tot 12:00".
func (l *Language) Moment(m perron.Moment, closes, now time.Time) string {
	toTheEnd := !closes.IsZero() && !m.End.Before(closes)
	switch {
	case !m.Start.After(now) && toTheEnd:
		return l.T("best.nowrest")
	case !m.Start.After(now):
		return l.T("best.now", "To", l.Clock(m.End))
	case toTheEnd:
		return l.T("best.after", "Time", l.Clock(m.Start))
	}
	return l.Span(m.Start, m.End)
}
