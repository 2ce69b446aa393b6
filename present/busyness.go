package present

import (
	"errors"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// errNoNumber says that the estimator has answered with what is no number.
var errNoNumber = errors.New("the estimate is not a number")

// Busyness is what is known and shown at now. With an error, which is one of the
// estimator, nothing is known.
func (s *Site) Busyness(now time.Time) (perron.Busyness, error) {
	measured := s.measuredAt()
	// The estimate holds for the instant up to which everything is known. To
	// carry it on through a silence would take missing events for an empty yard.
	at := measured
	if s.newest.After(at) {
		at = s.newest
	}
	if at.IsZero() || at.After(now) {
		at = now
	}
	est, err := tidy(s.estimator.Estimate(at))
	est.At = now
	closure := s.closure
	if !closure.Holds(now) {
		closure = nil
	}
	b := perron.Busyness{
		Site: s.site.ID, Estimate: est, Quality: perron.Measured, Level: perron.Unknown, Trend: perron.Steady,
		TypicalLevel: s.typical(now), Closure: closure, Notice: s.notice, Doubts: s.doubts(now),
	}
	if !est.Recounted.IsZero() {
		b.Quality = perron.Corrected
	}
	s.believe(&b)
	for i, g := range s.site.Gates {
		c := s.day.gateCount(i, now)
		c.Gate = g.ID
		b.Gates = append(b.Gates, c)
	}
	if err == nil && !measured.IsZero() {
		b.MeasuredAt, b.StaleAt = measured, measured.Add(s.cfg.StaleAfter)
	}
	period, open := s.site.Hours.At(now)
	if open && closure == nil && !b.StaleAt.Before(now) {
		g := s.grader.Grade(now, &b.Estimate, period.End, s.outlook.Forecast)
		b.Band, b.Level, b.Trend = g.Band, g.Level, g.Trend
	} else {
		s.grader.Forget()
	}
	s.stale = b.StaleAt
	return b.AsOf(s.site, now), err
}

// Nothing is the state of a site of which nothing is known but what staff did and
// what is doubted.
func (s *Site) Nothing(now time.Time, doubts ...perron.Doubt) perron.Busyness {
	b := perron.Busyness{
		Site: s.site.ID, Estimate: perron.Estimate{At: now}, Quality: perron.QualityUnknown, Level: perron.Unknown, Trend: perron.Steady,
		TypicalLevel: s.typical(now), Closure: s.closure, Notice: s.notice, Doubts: doubts,
	}
	return b.AsOf(s.site, now)
}

// believe adds what the estimate rests on, and a doubt when counters drift.
func (s *Site) believe(b *perron.Busyness) {
	e, ok := s.estimator.(Believer)
	if !ok {
		return
	}
	belief := e.Belief()
	b.Belief = &belief
	drift := func(kind perron.DoubtKind, c perron.CounterBelief) {
		if !c.DriftSince.IsZero() {
			b.Doubts = append(b.Doubts, perron.Doubt{Kind: kind, Since: c.DriftSince, Part: c.Missed})
		}
	}
	drift(perron.DoubtEntries, belief.Entries)
	drift(perron.DoubtExits, belief.Exits)
}

func (s *Site) typical(now time.Time) perron.Level {
	if level, ok := s.outlook.Typical[perron.Quarter.Start(now)]; ok && level != "" {
		return level
	}
	return perron.Unknown
}

// tidy rounds an estimate to what is worth sending. What is no number becomes 0,
// with an error: then nothing is known.
func tidy(e perron.Estimate) (_ perron.Estimate, err error) {
	for _, v := range []*float64{
		&e.OnSite.Low, &e.OnSite.Mid, &e.OnSite.High, &e.Queue.Low, &e.Queue.Mid, &e.Queue.High,
		&e.Wait.Low, &e.Wait.Mid, &e.Wait.High, &e.EntryRate,
	} {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			*v, err = 0, errNoNumber
		}
		*v = math.Round(*v*100) / 100
	}
	return e, err
}
