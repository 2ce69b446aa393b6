package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/store"
)

// historyGateway is the gateway that simulated history is stored under; it is
// no gateway of any site, so nothing waits for word from it.
const historyGateway = "simulated-history"

// sampleEvery is the grid of the busyness history that is made up.
const sampleEvery = 5 * time.Minute

// A Store is what the past is written to.
type Store interface {
	Commit(ctx context.Context, b store.Batch) (store.Result, error)
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Extent(ctx context.Context, site string) (store.Extent, error)
	SaveSamples(ctx context.Context, site string, samples []perron.Sample) error
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	SaveForecast(ctx context.Context, f perron.Forecast) error
}

// A History fills a store with simulated past, day by day, as if it had been
// measured.
type History struct {
	store  Store
	now    func() time.Time
	logger *slog.Logger
}

// NewHistory makes a History; now is the demo's clock.
func NewHistory(s Store, now func() time.Time, logger *slog.Logger) *History {
	return &History{store: s, now: now, logger: logger}
}

// Make makes so many weeks of past for all yards, up to now: what was counted
// and estimated, and the forecasts that would have been made. It logs how far it
// is whenever tick, which is asked again and again, says so.
func (h *History) Make(ctx context.Context, yards []*simulate.Yard, weeks int, tick func() bool) (events, forecasts int, err error) {
	since, err := h.since(ctx, yards, weeks, h.now())
	if err != nil {
		return 0, 0, err
	}
	events, err = h.Fill(ctx, yards, weeks, h.now(), func(part float64) {
		if tick() {
			h.logger.Info(fmt.Sprintf("making history: %.0f %%", 100*part))
		}
	})
	if err != nil {
		return events, 0, err
	}
	h.logger.Info("making the forecasts that would have been made in it")
	forecasts, err = h.LookBack(ctx, yards, since, h.now())
	if err != nil {
		return events, forecasts, err
	}
	// What went by meanwhile; the gateways take over from here.
	more, err := h.Fill(ctx, yards, weeks, h.now(), func(float64) {})
	return events + more, forecasts, err
}

// Fill makes the past of all yards from weeks ago until the given time, side
// by side. What a kept store already has is left alone: only the time since
// its last event is filled. report is told how far it is, 0 to 1, one call at a
// time.
func (h *History) Fill(ctx context.Context, yards []*simulate.Yard, weeks int, until time.Time, report func(part float64)) (events int, err error) {
	var (
		mu    sync.Mutex
		parts = make([]float64, len(yards))
	)
	g, ctx := errgroup.WithContext(ctx)
	for i, y := range yards {
		g.Go(func() error {
			from, err := h.missing(ctx, y.Site.ID, weeks, until)
			if err != nil {
				return err
			}
			n, err := h.site(ctx, y, from, until, func(part float64) {
				mu.Lock()
				defer mu.Unlock()
				parts[i] = part / float64(len(yards))
				sum := 0.0
				for _, p := range parts {
					sum += p
				}
				report(min(1, sum))
			})
			if err != nil {
				return fmt.Errorf("make the history of %s: %w", y.Site.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			events += n
			return nil
		})
	}
	err = g.Wait()
	return events, err
}

// missing is from when on history is to be made.
func (h *History) missing(ctx context.Context, site string, weeks int, until time.Time) (time.Time, error) {
	from := perron.DateOf(until).AddDays(-7 * weeks).Start()
	extent, err := h.store.Extent(ctx, site)
	if err != nil {
		return from, fmt.Errorf("look for the history of %s: %w", site, err)
	}
	if extent.Last.After(from) {
		from = extent.Last.Add(time.Nanosecond)
	}
	return from, nil
}

// since is from when on Fill will make history, of each yard.
func (h *History) since(ctx context.Context, yards []*simulate.Yard, weeks int, until time.Time) ([]time.Time, error) {
	out := make([]time.Time, len(yards))
	for i, y := range yards {
		var err error
		if out[i], err = h.missing(ctx, y.Site.ID, weeks, until); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (h *History) site(ctx context.Context, y *simulate.Yard, from, until time.Time, report func(float64)) (int, error) {
	batch := store.Batch{
		Site: y.Site.ID, Gateway: historyGateway, Epoch: fmt.Sprintf("made-%d", until.UnixNano()),
		Floor: 1, First: 1, Received: h.now(),
	}
	const batchSize = 5000
	total := 0
	flush := func() error {
		if len(batch.Entries) == 0 {
			return nil
		}
		if _, err := h.store.Commit(ctx, batch); err != nil {
			return err
		}
		total += len(batch.Entries)
		batch.First += uint64(len(batch.Entries))
		batch.Entries = batch.Entries[:0]
		return nil
	}
	last := perron.DateOf(until)
	var learned occupancy.Experience
	for d := perron.DateOf(from); !last.Before(d); d = d.AddDays(1) {
		day := y.Day(d)
		kept := day.Events[:0]
		for _, e := range day.Events {
			if e.Time.Before(from) || !e.Time.Before(until) {
				continue
			}
			kept = append(kept, e)
			gate, _ := y.Site.GateOf(e.Sensor) // presences have none
			batch.Entries = append(batch.Entries, store.Entry{Event: e, Gate: gate})
		}
		if len(batch.Entries) >= batchSize {
			if err := flush(); err != nil {
				return total, err
			}
		}
		estimator := learned.New(y.Site)
		if err := h.store.SaveSamples(ctx, y.Site.ID, samples(estimator, y.Site, d, kept, from, until)); err != nil {
			return total, err
		}
		learned = learned.Learn(estimator)
		report(d.End().Sub(from).Seconds() / until.Sub(from).Seconds())
	}
	return total, flush()
}

// samples runs an estimator over one day's events, as the collector would
// have done live.
func samples(estimator *occupancy.Estimator, site *perron.Site, d perron.Date, events []perron.Event, from, until time.Time) []perron.Sample {
	var out []perron.Sample
	day := perron.NewReplay(estimator, events, nil)
	for _, p := range site.Hours.Periods(d) {
		grader := perron.Grader{Site: site}
		for t := p.Start; t.Before(p.End); t = t.Add(sampleEvery) {
			day.Until(t)
			if t.Before(from) || !t.Before(until) {
				continue
			}
			e := estimator.Estimate(t)
			out = append(out, perron.Sample{Estimate: e, Level: grader.Grade(t, &e, p.End, nil).Level, Quality: perron.Measured})
		}
	}
	return out
}
