package main

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
	lookBackDays  = 28
	lookBackLearn = 56 // days that the forecasts of a day rest on
)

// lookBack makes the forecasts that would have been made in the simulated past,
// each with what was known at its origin and nothing later, so that the demo's
// forecasts have a past to be scored by: every hour while a site is open, one
// before it opens and one in the evening. Days before from are left alone.
func (h *history) lookBack(ctx context.Context, yards []*simulate.Yard, from []time.Time, until time.Time) (made int, err error) {
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

func (h *history) lookBackAt(ctx context.Context, site *perron.Site, from, until time.Time) (made int, err error) {
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
	err = replayed(site, counts, samples, first, until, func(f perron.Forecast) error {
		if f.Origin.Before(from) {
			return nil
		}
		made++
		return h.store.SaveForecast(ctx, f)
	})
	return made, err
}

// replayed passes on the forecasts that would have been made from the start of
// a day until a time, each with what was known at its origin.
func replayed(site *perron.Site, counts []perron.Count, samples []perron.Sample, first perron.Date, until time.Time, each func(perron.Forecast) error) error {
	model := forecast.New(site)
	known, remembered := 0, 0 // of counts and samples
	for d := first; d.Start().Before(until); d = d.AddDays(1) {
		for known < len(counts) && counts[known].Start.Before(d.Start()) {
			known++
		}
		past := remembered
		for remembered < len(samples) && samples[remembered].At.Before(d.Start()) {
			remembered++
		}
		if known == 0 {
			continue // nothing to learn from yet
		}
		model.Remember(samples[past:remembered])
		model.Refit(counts[:known])
		upTo, at := known, remembered
		for _, origin := range origins(site, d) {
			if !origin.Before(until) {
				continue
			}
			quarter := perron.Quarter.Start(origin)
			for upTo < len(counts) && counts[upTo].Start.Before(quarter) {
				upTo++
			}
			for at < len(samples) && !samples[at].At.After(origin) {
				at++
			}
			var now perron.Estimate
			if at > 0 {
				now = samples[at-1].Estimate
			}
			if !site.Hours.Open(origin) {
				now = perron.Estimate{At: origin} // an empty yard
			}
			if err := each(model.Forecast(origin, counts[known:upTo], now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// origins are the instants of a day at which it looks ahead.
func origins(site *perron.Site, d perron.Date) (out []time.Time) {
	for _, p := range site.Hours.Periods(d) {
		for t := perron.Hour.Start(p.Start).Add(-time.Hour); t.Before(p.End); t = t.Add(time.Hour) {
			out = append(out, t)
		}
	}
	return append(out, d.At(20*60))
}
