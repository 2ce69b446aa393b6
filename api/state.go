package api

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
)

// publicState is what anyone may see of a site. Numbers are whole: a vehicle
// or a minute more or less is all that can be said, and fewer changes have to
// be told.
func publicState(b perron.Busyness, now time.Time) openapi.State {
	return stateOf(b, now, func(v float64) float64 { return math.Round(v) })
}

// staffState adds to that a decimal, the gates, the doubts and the gateways.
func staffState(b perron.Busyness, gateways []perron.GatewayStatus, now time.Time) openapi.State {
	s := stateOf(b, now, func(v float64) float64 { return math.Round(v*10) / 10 })
	s.Gates, s.Doubts, s.Gateways, s.Belief = b.Gates, b.Doubts, gateways, b.Belief
	return s
}

// stateOf leaves out what is not known instead of showing it as zero. b has
// been passed through AsOf.
func stateOf(b perron.Busyness, now time.Time, round func(float64) float64) openapi.State {
	s := openapi.State{
		Id: b.Site, Level: b.Level, Quality: b.Quality, TypicalLevel: b.TypicalLevel,
		MeasuredAt: instant(b.MeasuredAt), StaleAt: instant(b.StaleAt),
		ClosesAt: instant(b.ClosesAt), OpensAt: instant(b.OpensAt),
		Closure: b.Closure, Notice: b.Notice,
	}
	if s.TypicalLevel == "" {
		s.TypicalLevel = perron.Unknown
	}
	s.AgeSeconds = ageOf(s.MeasuredAt, now)
	interval := func(i perron.Interval) *perron.Interval {
		return &perron.Interval{Low: round(i.Low), Mid: round(i.Mid), High: round(i.High)}
	}
	if b.StaleAt.IsZero() || now.After(b.StaleAt) {
		// AsOf lets a closed site keep its last numbers; they are old all the same.
		if s.Quality != perron.Typical {
			s.Quality = perron.QualityUnknown
		}
		return s
	}
	visits := 0
	for _, g := range b.Gates {
		visits += g.InToday
	}
	s.OnSite, s.Visits = interval(b.OnSite), &visits
	if b.Level == perron.Closed {
		return s
	}
	band := b.Band
	s.Band, s.Wait, s.Queue = &band, interval(b.Wait), interval(b.Queue)
	s.AtLeast, s.Trend = b.AtLeast, b.Trend
	return s
}

// instant cuts to the millisecond, which is all that a page can use.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// ageOf is in whole seconds; a measurement by a clock that is ahead has age 0.
func ageOf(measured *time.Time, now time.Time) *int64 {
	if measured == nil {
		return nil
	}
	age := int64(max(0, now.Sub(*measured)) / time.Second)
	return &age
}
