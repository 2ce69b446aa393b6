package web

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A siteNow is what is known of one site at one instant.
type siteNow struct {
	site     *perron.Site
	busyness perron.Busyness
	forecast *perron.Forecast // nil when there is none
	// own is the one best moment that this visitor is told, empty when there is
	// none for them; nil tells everybody the same.
	own []perron.Moment
}

// advised are the moments that this visitor is told.
func (s *siteNow) advised() []perron.Moment {
	if s.own != nil {
		return s.own
	}
	return s.forecast.Best
}

const (
	// worthwhile is the difference, in minutes of waiting, from which an advice
	// is worth its line.
	worthwhile = 10.0
	// laterAtMost bounds how far ahead it is suggested to wait for.
	laterAtMost = 5 * time.Hour
)

// advise is one sentence across sites when it helps, else empty. First:
// another site that is much faster now. Second, when every site that can be
// visited has a queue: the first moment today at which the wait is likely to be
// shorter. Only fresh measurements count.
func advise(w *words, sites []siteNow, now time.Time) string {
	var best, worst *siteNow
	open := 0
	for i := range sites {
		s := &sites[i]
		if s.busyness.Level.Rank() == 0 {
			continue
		}
		open++
		if best == nil || s.busyness.Wait.Mid < best.busyness.Wait.Mid {
			best = s
		}
		if worst == nil || s.busyness.Wait.Mid > worst.busyness.Wait.Mid {
			worst = s
		}
	}
	if open == 0 {
		return ""
	}
	if diff := worst.busyness.Wait.Mid - best.busyness.Wait.Mid; diff >= worthwhile {
		return w.T("advice.faster", "Name", best.site.Name, "Other", worst.site.Name,
			"Minutes", int(math.Floor(diff/5))*5)
	}
	if best.busyness.Wait.Mid < worthwhile {
		return ""
	}
	var at perron.Moment
	var where *siteNow
	for i := range sites {
		s := &sites[i]
		if s.busyness.Level.Rank() == 0 || s.forecast == nil {
			continue
		}
		for _, m := range s.advised() {
			if !m.Start.After(now) || m.Start.Sub(now) > laterAtMost || best.busyness.Wait.Mid-m.Wait.Mid < worthwhile {
				continue
			}
			// What is said to be shorter must be so by its longest wait, too, as it is told.
			if math.Ceil(m.Wait.High/5)*5 > best.busyness.Wait.Mid {
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
	return w.T("advice.later", "Name", where.site.Name, "Time", w.Clock(at.Start), "Wait", w.WaitRange(at.Wait))
}

// bestToday says the best moment that is left today, or nothing.
func bestToday(w *words, s *siteNow, now time.Time) string {
	moments := momentsLeft(s, now)
	if len(moments) > 0 && s.own != nil {
		if moments = s.own; len(moments) == 0 {
			return "" // all that has room is given away
		}
	}
	if len(moments) == 0 {
		if anyTime(s, now) {
			return w.T("best.any")
		}
		return ""
	}
	return w.Moment(moments[0], s.busyness.ClosesAt, now)
}

// noMoments says why there are no best moments.
func noMoments(w *words, s *siteNow, now time.Time) string {
	switch {
	case s.busyness.Level == perron.Unknown:
		return w.T("best.unknown")
	case s.busyness.Level.Rank() == 0 || s.busyness.Closure != nil:
		return w.T("best.over")
	case anyTime(s, now):
		return w.T("best.anytime", "Minutes", int(worthwhile))
	case !foreseen(s, now):
		return w.T("best.nothing")
	}
	return w.T("best.none")
}

// foreseen says whether anything is expected of the rest of today.
func foreseen(s *siteNow, now time.Time) bool {
	return s.forecast != nil && slices.ContainsFunc(s.forecast.Quarters, func(q perron.Slot) bool {
		return q.Open && q.Start.After(now) && perron.DateOf(q.Start) == perron.DateOf(now) && q.Level != perron.Unknown
	})
}

// anyTime says whether the wait is short now and for as long as the site is
// open today, so that no moment is better than another.
func anyTime(s *siteNow, now time.Time) bool {
	b := &s.busyness
	if s.forecast == nil || b.Closure != nil || b.Level.Rank() == 0 || b.Wait.Mid >= worthwhile {
		return false
	}
	known := false
	for _, q := range s.forecast.Quarters {
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

// momentsLeft are the best moments that have not passed, none for a site that
// is closed or closing, or is not measured.
func momentsLeft(s *siteNow, now time.Time) []perron.Moment {
	if s.forecast == nil || s.busyness.Closure != nil || s.busyness.Level == perron.Late || s.busyness.Level == perron.Unknown {
		return nil
	}
	var out []perron.Moment
	for _, m := range s.forecast.Best {
		if m.End.After(now) && perron.DateOf(m.Start) == perron.DateOf(now) {
			out = append(out, m)
		}
	}
	return out
}

// Moment says when: "na 15:30", "15:30–16:15" or "nu, tot 12:00".
func (w *words) Moment(m perron.Moment, closes, now time.Time) string {
	toTheEnd := !closes.IsZero() && !m.End.Before(closes)
	switch {
	case !m.Start.After(now) && toTheEnd:
		return w.T("best.nowrest")
	case !m.Start.After(now):
		return w.T("best.now", "To", w.Clock(m.End))
	case toTheEnd:
		return w.T("best.after", "Time", w.Clock(m.Start))
	}
	return w.T("best.between", "From", w.Clock(m.Start), "To", w.Clock(m.End))
}
