package eval

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// A ForecastStore has what was forecast at a perron, and what came.
type ForecastStore interface {
	Extent(ctx context.Context, site string) (store.Extent, error)
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error)
}

const (
	// pastDays is how much is learned from before the first forecast.
	pastDays = 120
	// farthest is how many days before the first day that is scored the first
	// forecasts of it are made.
	farthest = 7
)

// A LookBack is how far off the forecasts of a perron were.
type LookBack struct {
	// First and Last are the days that are scored.
	First, Last perron.Date
	// Kept are the forecasts that were made then, and Remade those that the model
	// of this version makes of the same past, each with what was known at its time.
	Kept, Remade Scored
	// WeekBefore is how many vehicles in a quarter of an hour one is off by who
	// expects what came a week before; negative when there is no such week.
	WeekBefore float64
	// Fan is one of the days, to be drawn.
	Fan *Fan
}

// Scored is how many forecasts were scored, and the score.
type Scored struct {
	Forecasts int
	Score     perron.Score
}

// OfPerron scores the forecasts of the last days of a perron, up to so many as
// are given, and makes those of its past again as if it had not been known yet.
// drawn is the day of the fan: the last Saturday, or the last day that was open,
// when it is zero.
func OfPerron(ctx context.Context, s ForecastStore, site *perron.Site, days int, drawn perron.Date) (*LookBack, error) {
	extent, err := s.Extent(ctx, site.ID)
	if err != nil {
		return nil, err
	}
	if extent.First.IsZero() {
		return nil, fmt.Errorf("nothing was counted at %s yet", site.Name)
	}
	// The same days as the planner's page: up to the last quarter that is over.
	last := perron.DateOf(extent.Last)
	until := perron.Quarter.Start(extent.Last)
	first := last.AddDays(1 - days)
	if d := perron.DateOf(extent.First).AddDays(1); first.Before(d) {
		first = d
	}
	if !first.Before(last) {
		return nil, fmt.Errorf("%s was counted from %s to %s: want two whole days at least", site.Name, perron.DateOf(extent.First), last)
	}
	origins := first.AddDays(-farthest)
	learn := origins.AddDays(-pastDays).Start()
	counts, err := s.Counts(ctx, store.CountQuery{Site: site.ID, From: learn, To: until, Step: perron.Quarter})
	if err != nil {
		return nil, err
	}
	samples, err := s.Samples(ctx, site.ID, learn, until)
	if err != nil {
		return nil, err
	}
	day, err := fanDay(site, drawn, first, last)
	if err != nil {
		return nil, err
	}
	out := &LookBack{First: first, Last: last}
	made := forecast.NewScorer(site)
	made.Truth(first.Start(), until, counts, samples)
	for d := origins; !last.Before(d); d = d.AddDays(1) {
		kept, err := s.Forecasts(ctx, site.ID, d.Start(), d.End())
		if err != nil {
			return nil, err
		}
		for i := range kept {
			made.Forecast(&kept[i])
			out.Kept.Forecasts++
		}
	}
	remade := forecast.NewScorer(site)
	remade.Truth(first.Start(), until, counts, samples)
	arrivals, waits := perron.Came(learn, until, counts, samples)
	out.Fan = &Fan{site: site, day: day, arrivals: arrivals, waits: waits}
	err = forecast.Replay(site, counts, samples, origins, until, func(f perron.Forecast) error {
		out.Remade.Forecasts++
		remade.Forecast(&f)
		out.Fan.add(f)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	out.Kept.Score, out.Remade.Score = made.Score(extent.Last), remade.Score(extent.Last)
	out.WeekBefore = weekBefore(arrivals, first, last)
	return out, nil
}

// fanDay is the day that is drawn, before today: the one that was asked for, or
// the last Saturday, or the last day that was open.
func fanDay(site *perron.Site, asked, first, today perron.Date) (perron.Date, error) {
	if asked != (perron.Date{}) {
		if asked.Before(first) || !asked.Before(today) {
			return asked, &DayError{Asked: asked, First: first, Last: today.AddDays(-1)}
		}
		return asked, nil
	}
	var last perron.Date
	for d := first; d.Before(today); d = d.AddDays(1) {
		if len(site.Hours.On(d)) > 0 && (d.Weekday() == time.Saturday || last.Weekday() != time.Saturday || last == (perron.Date{})) {
			last = d
		}
	}
	if last == (perron.Date{}) {
		return last, fmt.Errorf("%s was not open from %s to %s", site.Name, first, today.AddDays(-1))
	}
	return last, nil
}

// A DayError means that the day that was asked for is none of those that can be
// drawn.
type DayError struct{ Asked, First, Last perron.Date }

func (e *DayError) Error() string {
	return fmt.Sprintf("day %s: want a date from %s to %s", e.Asked, e.First, e.Last)
}

// weekBefore is how far off one would be who expects what came a week before.
func weekBefore(arrivals map[int64]float64, first, today perron.Date) float64 {
	var off, n float64
	for at, came := range arrivals {
		start := time.Unix(at, 0)
		d := perron.DateOf(start)
		if d.Before(first) || today.Before(d) {
			continue
		}
		if before, ok := arrivals[d.AddDays(-7).At(perron.TimeOfDayOf(start)).Unix()]; ok {
			off += math.Abs(came - before)
			n++
		}
	}
	if n == 0 {
		return -1
	}
	return off / n
}
