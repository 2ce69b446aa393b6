package collector

import (
	"context"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// maxUnsaved is how many samples wait for a store that is away: a day.
	maxUnsaved = 1500

	// The past is learned again when it has been quiet for a while, or when it
	// has been changing for long.
	refitQuiet   = 20 * time.Second
	refitApart   = time.Minute
	refitAnyway  = 10 * time.Minute
	refitCost    = 20 // times its duration between two
	refitNightly = perron.TimeOfDay(3 * 60)
)

// A keeper does for one site what takes longer, once a minute: it keeps the
// history of samples and makes the forecast. It alone uses the forecaster.
type keeper struct {
	l          *live
	forecaster Forecaster

	date    perron.Date     // of samples
	samples []perron.Sample // of today, saved or not
	read    bool            // samples holds what the store has
	unsaved []perron.Sample

	fitted   perron.Date // the last nightly fit
	fittedAt time.Time   // by the machine's clock; zero before the first
	fitTook  time.Duration
	// remembered is until when the forecaster was given the samples.
	remembered time.Time
	savedFor   time.Time // quarter that a forecast was saved for
	weatherIs  int       // the revision of the weather that the forecaster has
	borrowed   int       // the revision of the patterns that it has
}

func newKeeper(l *live) *keeper {
	return &keeper{l: l, forecaster: l.c.cfg.NewForecaster(l.site)}
}

func (k *keeper) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-k.l.ready:
	}
	// The first forecast does not wait for the minute. A sample does, so that
	// samples lie on a grid.
	k.forecast(ctx, k.l.c.cfg.Now())
	for {
		now := k.l.c.cfg.Now()
		minute := time.NewTimer(k.l.c.real(now.Truncate(time.Minute).Add(time.Minute).Sub(now)))
		select {
		case <-ctx.Done():
			minute.Stop()
			return
		case <-k.l.found:
			// A forecast that knew nothing of the present is not left standing.
			minute.Stop()
		case <-minute.C:
			k.sample(ctx, k.l.c.cfg.Now())
		}
		k.forecast(ctx, k.l.c.cfg.Now())
	}
}

func (k *keeper) storeFailed(call string, err error) { k.l.c.storeFailed(k.l.site.ID, call, err) }

// sample adds the state of the minute to the history, when it is known and the
// site is open, or would be but for staff.
func (k *keeper) sample(ctx context.Context, now time.Time) {
	k.today(ctx, now)
	k.mend()
	b := k.l.present(now)
	if k.l.site.Hours.Open(now) && isKnown(&b) {
		s := perron.Sample{Estimate: b.Estimate, Level: b.Level, Quality: b.Quality}
		s.At = now.Truncate(time.Minute).UTC()
		k.samples = mergeSamples(k.samples, []perron.Sample{s})
		k.unsaved = mergeSamples(k.unsaved, []perron.Sample{s})
		if n := len(k.unsaved) - maxUnsaved; n > 0 {
			k.unsaved = slices.Delete(k.unsaved, 0, n)
			k.l.c.metrics.storeErrors.WithLabelValues("samples given up").Add(float64(n))
		}
	}
	if len(k.unsaved) == 0 {
		return
	}
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := k.l.c.cfg.Store.SaveSamples(call, k.l.site.ID, k.unsaved); err != nil {
		if ctx.Err() == nil {
			k.storeFailed("save samples", err)
		}
		return
	}
	k.unsaved = k.unsaved[:0]
}

// today makes sure that samples are those of the day of now.
func (k *keeper) today(ctx context.Context, now time.Time) {
	date := perron.DateOf(now)
	if date != k.date {
		k.date, k.samples, k.read = date, nil, false
	}
	if k.read {
		return
	}
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stored, err := k.l.c.cfg.Store.Samples(call, k.l.site.ID, date.Start(), date.End())
	if err != nil {
		if ctx.Err() == nil {
			k.storeFailed("read samples", err)
		}
		return
	}
	k.samples, k.read = stored, true
	for _, s := range k.unsaved {
		if perron.DateOf(s.At) == date {
			k.samples = mergeSamples(k.samples, []perron.Sample{s})
		}
	}
}

// present is the live state as it must be shown now.
func (l *live) present(now time.Time) perron.Busyness {
	l.mu.Lock()
	v := l.view
	l.mu.Unlock()
	return v.busyness.AsOf(l.site, now)
}

// forecast looks ahead, publishes what it sees, and saves it once a quarter.
func (k *keeper) forecast(ctx context.Context, now time.Time) {
	k.refit(ctx, now)
	k.today(ctx, now)
	current := perron.Quarter.Start(now)
	today := perron.DateOf(now)
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	recent, err := k.l.c.cfg.Store.Counts(call, store.CountQuery{
		Site: k.l.site.ID, From: today.AddDays(-1).Start(), To: current, Step: perron.Quarter,
	})
	if err != nil {
		if ctx.Err() == nil {
			k.storeFailed("read recent counts", err)
		}
		return
	}
	k.weather()
	k.borrow()
	began := time.Now()
	b := k.l.present(now)
	f := k.forecaster.Forecast(now.Truncate(time.Minute).UTC(), recent, known(&b))
	f.Site, f.Origin = k.l.site.ID, now.Truncate(time.Minute).UTC()
	f.Measured = k.measured(recent, today, current)
	typical := make(map[time.Time]perron.Level)
	for q, n := current, 0; n < 3; q, n = perron.Quarter.Next(q), n+1 {
		if s, ok := k.forecaster.Typical(q); ok {
			typical[q] = s.Level
		}
	}
	k.l.c.metrics.forecast.Observe(time.Since(began).Seconds())
	k.l.mu.Lock()
	f.Score = k.l.score
	k.l.outlook = outlook{&f, typical}
	k.l.in.looked = true
	k.l.mu.Unlock()
	poke(k.l.wake)

	payload, err := broker.EncodeForecast(f)
	if err != nil {
		k.l.c.log.Error("forecast cannot be sent", "site", k.l.site.ID, "error", err)
		return
	}
	k.l.out.put(broker.Message{Topic: broker.ForecastTopic(k.l.site.ID), Payload: payload, Retained: true})
	if current.Equal(k.savedFor) {
		return
	}
	if err := k.l.c.cfg.Store.SaveForecast(call, f); err != nil {
		if ctx.Err() == nil {
			k.storeFailed("save forecast", err)
		}
		return
	}
	k.savedFor = current
}

// isKnown says whether a state rests on a fresh measurement.
func isKnown(b *perron.Busyness) bool {
	return b.Quality == perron.Measured || b.Quality == perron.Corrected
}

// known is the present as a forecast may rest on it: nothing when the state is
// unknown, and no wait and no queue while the site is closed.
func known(b *perron.Busyness) perron.Estimate {
	if !isKnown(b) {
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
func (k *keeper) refit(ctx context.Context, now time.Time) {
	l := k.l
	today := perron.DateOf(now)
	l.mu.Lock()
	changed := l.changed
	l.mu.Unlock()
	since := time.Since(k.fittedAt)
	switch {
	case k.fittedAt.IsZero():
	case today != k.fitted && perron.TimeOfDayOf(now) >= refitNightly:
	case changed.yes && since >= max(refitApart, refitCost*k.fitTook) &&
		(time.Since(changed.at) >= refitQuiet || since >= refitAnyway):
	default:
		return
	}
	l.mu.Lock()
	l.changed.yes = false
	l.mu.Unlock()
	began := time.Now()
	call, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	past, err := l.c.cfg.Store.Counts(call, store.CountQuery{
		Site: l.site.ID, From: today.AddDays(-l.c.cfg.HistoryDays).Start(), To: perron.Quarter.Start(now), Step: perron.Quarter,
	})
	if err != nil {
		l.mu.Lock()
		l.changed.yes = true
		l.mu.Unlock()
		if ctx.Err() == nil {
			k.storeFailed("read history", err)
		}
		return
	}
	k.remember(call, today, now)
	k.weather()
	k.forecaster.Refit(past)
	k.lend()
	k.fitTook = time.Since(began)
	k.fittedAt = time.Now()
	if perron.TimeOfDayOf(now) >= refitNightly {
		k.fitted = today
	}
	l.c.metrics.refit.Observe(k.fitTook.Seconds())
	l.c.log.Info("learned from the past", "site", l.site.ID, "quarters", len(past), "took", k.fitTook.Round(time.Millisecond))
}

// remember gives a forecaster that wants them the samples that it does not have
// yet. It learns without those that cannot be read, and gets them next time.
func (k *keeper) remember(ctx context.Context, today perron.Date, now time.Time) {
	f, ok := k.forecaster.(Rememberer)
	if !ok {
		return
	}
	const days = 7 // at once
	from := later(k.remembered, today.AddDays(-k.l.c.cfg.HistoryDays).Start())
	for from.Before(now) {
		to := perron.DateOf(from).AddDays(days).Start()
		if to.After(now) {
			to = now
		}
		samples, err := k.l.c.cfg.Store.Samples(ctx, k.l.site.ID, from, to)
		if err != nil {
			if ctx.Err() == nil {
				k.storeFailed("read samples", err)
			}
			return
		}
		f.Remember(samples)
		from, k.remembered = to, to
	}
}

// measured is today as it was, a quarter at a time, until the running one.
func (k *keeper) measured(counts []perron.Count, today perron.Date, until time.Time) []perron.Slot {
	arrivals := make(map[int64]int, len(counts))
	for _, c := range counts {
		arrivals[c.Start.Unix()] += c.In
	}
	var slots []perron.Slot
	rest := k.samples
	for start := today.Start(); start.Before(until); start = perron.Quarter.Next(start) {
		end := perron.Quarter.Next(start)
		for len(rest) > 0 && rest[0].At.Before(start) {
			rest = rest[1:]
		}
		n := 0
		for n < len(rest) && rest[n].At.Before(end) {
			n++
		}
		slots = append(slots, k.slot(start, rest[:n], arrivals[start.Unix()]))
		rest = rest[n:]
	}
	return slots
}

// slot is one quarter as it was.
func (k *keeper) slot(start time.Time, samples []perron.Sample, in int) perron.Slot {
	s := perron.Slot{
		Start: start, Minutes: 15, Open: k.l.site.Hours.Open(start),
		Arrivals: perron.Exactly(float64(in)), Level: perron.Unknown, Basis: perron.Measured,
	}
	var onSite, wait [3][]float64
	closed := 0
	for _, m := range samples {
		if m.Level == perron.Closed {
			closed++
			continue
		}
		for i, v := range [3]float64{m.OnSite.Low, m.OnSite.Mid, m.OnSite.High} {
			onSite[i] = append(onSite[i], v)
		}
		for i, v := range [3]float64{m.Wait.Low, m.Wait.Mid, m.Wait.High} {
			wait[i] = append(wait[i], v)
		}
	}
	switch {
	case !s.Open || closed > len(wait[1]):
		s.Level = perron.Closed
	case len(wait[1]) == 0:
		s.Basis = perron.QualityUnknown // open, and nobody knows how it was
	default:
		s.OnSite = perron.Interval{Low: median(onSite[0]), Mid: median(onSite[1]), High: median(onSite[2])}
		s.Wait = perron.Interval{Low: median(wait[0]), Mid: median(wait[1]), High: median(wait[2])}
		load := 0.0
		if k.l.site.Bays > 0 {
			load = s.OnSite.Mid / float64(k.l.site.Bays)
		}
		s.Level = perron.LevelOf(s.Wait.Mid, load)
	}
	return s
}

// median of a list that is not empty, which it sorts.
func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
