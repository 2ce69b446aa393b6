package demo

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	lookBackDays  = 35 // 28 that are scored and the week in which the first of them is forecast
	lookBackLearn = 56 // days that the forecasts of a day rest on
)

// LookBack makes the forecasts that would have been made in the simulated past,
// each with what was known at its origin and nothing later, so that the demo's
// forecasts have a past to be scored by: every hour while a site is open, one
// before it opens and one in the evening. Days before from are left alone.
func (h *History) LookBack(ctx context.Context, yards []*simulate.Yard, from []time.Time, until time.Time) (made int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	counts := make([]int, len(yards))
	for i, y := range yards {
		g.Go(func() (err error) {
			if counts[i], err = h.lookBackAt(ctx, y.Site, from[i], until); err != nil {
				return fmt.Errorf("look back at %s: %w", y.Site.ID, err)
			}
			return nil
		})
	}
	err = g.Wait()
	for _, n := range counts {
		made += n
	}
	return made, err
}

func (h *History) lookBackAt(ctx context.Context, site *perron.Site, from, until time.Time) (made int, err error) {
	today := perron.DateOf(until)
	first := today.AddDays(-lookBackDays)
	if d := perron.DateOf(from); first.Before(d) {
		first = d
	}
	learn := first.AddDays(-lookBackLearn).Start()
	counts, err := h.store.Counts(ctx, store.CountQuery{Site: site.ID, From: learn, To: until, Step: perron.Quarter})
	if err != nil {
		return 0, err
	}
	samples, err := h.store.Samples(ctx, site.ID, learn, until)
	if err != nil {
		return 0, err
	}
	err = forecast.Replay(site, counts, samples, first, until, func(f perron.Forecast) error {
		if f.Origin.Before(from) {
			return nil
		}
		made++
		return h.store.SaveForecast(ctx, f)
	})
	return made, err
}
