package collector

import (
	"context"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// The past is learned again when it has been quiet for a while, or when it
	// has been changing for long.
	refitQuiet  = 20 * time.Second
	refitApart  = time.Minute
	refitAnyway = 10 * time.Minute
	refitCost   = 20 // times its duration between two

	// atNight is when what was late has come in, as far as it will soon: then the
	// day before is learned from and scored.
	atNight = perron.TimeOfDay(3 * 60)
)

// A forecasting makes the forecast of one site, once a minute. It alone uses the
// forecaster.
type forecasting struct {
	d          *desk
	forecaster Forecaster
	history    *sampling

	fitted  perron.Date // the last nightly fit
	fits    int
	fitAt   elapsed // the last
	fitTook time.Duration
	// remembered is until when the forecaster was given the samples.
	remembered time.Time
	savedFor   time.Time // quarter that a forecast was saved for
	weatherIs  int       // the revision of the weather that the forecaster has
	borrowed   int       // the revision of the patterns that it has
}

func newForecasting(d *desk, history *sampling) *forecasting {
	return &forecasting{d: d, forecaster: d.c.cfg.NewForecaster(d.Site), history: history}
}

func (f *forecasting) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.d.ready:
	}
	civil := f.d.c.cfg.Civil
	f.forecast(ctx, civil()) // the first does not wait for the minute
	for {
		minute := time.NewTimer(f.d.c.untilMinute())
		select {
		case <-ctx.Done():
			minute.Stop()
			return
		case <-f.d.board.known:
			// A forecast that knew nothing of the present is not left standing.
			minute.Stop()
		case <-minute.C:
		}
		f.forecast(ctx, civil())
	}
}

func (f *forecasting) storeFailed(ctx context.Context, call string, err error) {
	if ctx.Err() == nil {
		f.d.c.storeFailed(f.d.ID, call, err)
	}
}

// forecast looks ahead, publishes what it sees, and saves it once a quarter.
func (f *forecasting) forecast(ctx context.Context, now time.Time) {
	f.refit(ctx, now)
	samples := f.history.of(ctx, now)
	current := perron.Quarter.Start(now)
	today := perron.DateOf(now)
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	recent, err := f.d.c.cfg.Store.Counts(call, store.CountQuery{
		Site: f.d.ID, From: today.AddDays(-1).Start(), To: current, Step: perron.Quarter,
	})
	if err != nil {
		f.storeFailed(ctx, "read recent counts", err)
		return
	}
	f.weather()
	f.borrow()
	began := f.d.c.elapsed()
	b := f.d.board.asOf(now)
	origin := now.Truncate(time.Minute).UTC()
	ahead := f.forecaster.Forecast(origin, recent, known(&b))
	ahead.Site, ahead.Origin, ahead.Score = f.d.ID, origin, f.d.score.Load()
	ahead.Measured = present.Measured(f.d.Site, today, recent, samples, current)
	typical := make(map[time.Time]perron.Level)
	for q, n := current, 0; n < 3; q, n = perron.Quarter.Next(q), n+1 {
		if s, ok := f.forecaster.Typical(q); ok {
			typical[q] = s.Level
		}
	}
	f.d.c.metrics.forecast.Observe(f.d.c.elapsed().since(began).Seconds())
	f.d.inbox.put(func(n *news) { n.outlook = &present.Outlook{Forecast: &ahead, Typical: typical} })

	payload, err := broker.EncodeForecast(ahead)
	if err != nil {
		f.d.c.log.Error("forecast cannot be sent", logs.Site, f.d.ID, logs.Error, err)
		return
	}
	f.d.Publish(broker.Message{Topic: broker.ForecastTopic(f.d.ID), Payload: payload, Retained: true})
	if current.Equal(f.savedFor) {
		return
	}
	if err := f.d.c.cfg.Store.SaveForecast(call, ahead); err != nil {
		f.storeFailed(ctx, "save forecast", err)
		return
	}
	f.savedFor = current
}

// known is the present as a forecast may rest on it: nothing when the state is
// unknown, and no wait and no queue while the site is closed.
func known(b *perron.Busyness) perron.Estimate {
	if !present.Known(b) {
		return perron.Estimate{}
	}
	e := b.Estimate
	if b.Level == perron.Closed {
		e.Wait, e.Queue, e.AtLeast = perron.Interval{}, perron.Interval{}, false
	}
	return e
}

// refit learns from the past: at the start, each night, and when late data has
// changed it.
func (f *forecasting) refit(ctx context.Context, now time.Time) {
	c := f.d.c
	today, night := perron.DateOf(now), perron.TimeOfDayOf(now) >= atNight
	changed, at := f.d.past.state()
	began := c.elapsed()
	since := began.since(f.fitAt)
	switch {
	case f.fits == 0:
	case today != f.fitted && night:
	case changed && since >= max(refitApart, refitCost*f.fitTook) && (began.since(at) >= refitQuiet || since >= refitAnyway):
	default:
		return
	}
	f.d.past.set(false)
	call, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	past, err := c.cfg.Store.Counts(call, store.CountQuery{
		Site: f.d.ID, From: today.AddDays(-c.cfg.HistoryDays).Start(), To: perron.Quarter.Start(now), Step: perron.Quarter,
	})
	if err != nil {
		f.d.past.set(true)
		f.storeFailed(ctx, "read history", err)
		return
	}
	f.remember(call, today, now.Truncate(time.Minute)) // the sample of this minute may not be saved yet
	f.weather()
	f.forecaster.Refit(past)
	f.lend()
	f.fits++
	f.fitAt = c.elapsed()
	f.fitTook = f.fitAt.since(began)
	if night {
		f.fitted = today
	}
	c.metrics.refit.Observe(f.fitTook.Seconds())
	c.log.Info("learned from the past", logs.Site, f.d.ID, logs.Quarters, len(past), logs.Took, f.fitTook.Round(time.Millisecond))
}

// remember gives a forecaster that wants them the samples that it does not have
// yet. It learns without those that cannot be read, and gets them next time.
func (f *forecasting) remember(ctx context.Context, today perron.Date, now time.Time) {
	r, ok := f.forecaster.(Rememberer)
	if !ok {
		return
	}
	from := today.AddDays(-f.d.c.cfg.HistoryDays).Start()
	if f.remembered.After(from) {
		from = f.remembered
	}
	for from.Before(now) {
		to := week(from, now)
		samples, err := f.d.c.cfg.Store.Samples(ctx, f.d.ID, from, to)
		if err != nil {
			f.storeFailed(ctx, "read samples", err)
			return
		}
		r.Remember(samples)
		from, f.remembered = to, to
	}
}

// week is the end of the piece of a history that is read at once: of seven days,
// but not beyond the end.
func week(from, end time.Time) time.Time {
	if to := perron.DateOf(from).AddDays(7).Start(); to.Before(end) {
		return to
	}
	return end
}

// lend makes what the forecaster has learned known to the other sites.
func (f *forecasting) lend() {
	if n, ok := f.forecaster.(Neighbour); ok {
		if p, ok := n.Pattern(); ok {
			f.d.c.patterns.put(f.d.ID, p)
		}
	}
}

// borrow gives the forecaster what is new of the other sites.
func (f *forecasting) borrow() {
	n, ok := f.forecaster.(Neighbour)
	if !ok {
		return
	}
	list, revision := f.d.c.patterns.others(f.d.ID, f.borrowed)
	if revision != f.borrowed {
		f.borrowed = revision
		n.Borrow(list)
	}
}

// weather gives the forecaster what is new of the weather.
func (f *forecasting) weather() {
	m, ok := f.forecaster.(Meteorologist)
	if !ok || f.d.c.cfg.Weather == nil {
		return
	}
	hours, revision := f.d.c.cfg.Weather.Hours(f.d.ID, f.weatherIs)
	if revision != f.weatherIs {
		f.weatherIs = revision
		m.Weather(hours)
	}
}
