package collector

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// scoreDays is how far back forecasts are scored when the collector starts:
	// nothing of the scores is kept but the forecasts themselves. It is four weeks
	// that say what is usual, one that may be worse, and two in which to find
	// since when.
	scoreDays = 49
	// farthest is how many days before a day the first forecasts of it were made.
	farthest = 7
	// scoreEvery is how often today's forecasts are scored, and scoreCost how
	// many times as long as a piece of the work takes nothing is done after it.
	scoreEvery = time.Hour
	scoreCost  = 9
	// lookAhead is how old the forecasts are that count for today, until the
	// night scores all of them.
	lookAhead = 2
)

// A judge scores the forecasts of one site: of the last weeks at the start, a
// day at a time; of each day again in the night after it; and of today every
// hour. It works off the store, and in between it rests nine times as long as
// it has worked.
type judge struct {
	l      *live
	scorer Scorer
	done   perron.Date // the last day that is scored for good
	worse  bool
}

func newJudge(l *live) *judge { return &judge{l: l, scorer: l.c.cfg.NewScorer(l.site)} }

func (j *judge) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-j.l.ready:
	}
	for wait := minRetry; ; {
		err := j.score(ctx)
		if ctx.Err() != nil {
			return
		}
		rest := j.l.c.real(scoreEvery)
		if err != nil {
			j.l.c.storeFailed(j.l.site.ID, "score forecasts", err)
			rest, wait = wait, min(2*wait, scoreEvery)
		} else {
			wait = minRetry
		}
		if !pause(ctx, rest) {
			return
		}
	}
}

// score scores what was not scored yet.
func (j *judge) score(ctx context.Context) error {
	now := j.l.c.cfg.Now()
	today := perron.DateOf(now)
	yesterday := today.AddDays(-1)
	from, origins := today, today.AddDays(-lookAhead)
	switch {
	case j.done == (perron.Date{}):
		from = today.AddDays(-scoreDays)
		origins = from
	case j.done.Before(yesterday) && perron.TimeOfDayOf(now) >= refitNightly:
		// By now what was late has come in, as far as it will soon.
		from = j.done
		origins = from.AddDays(-farthest)
	case j.done.Before(yesterday):
		from = yesterday
		origins = from.AddDays(-lookAhead)
	}
	if err := j.truth(ctx, from.Start(), perron.Quarter.Start(now)); err != nil {
		return err
	}
	for d := origins; !today.Before(d); d = d.AddDays(1) {
		began := time.Now()
		call, cancel := context.WithTimeout(ctx, readTimeout)
		forecasts, err := j.l.c.cfg.Store.Forecasts(call, j.l.site.ID, d.Start(), d.End())
		cancel()
		if err != nil {
			return err
		}
		for i := range forecasts {
			j.scorer.Forecast(&forecasts[i])
		}
		took := time.Since(began)
		j.l.c.metrics.scoring.Observe(took.Seconds())
		if !pause(ctx, scoreCost*took) {
			return ctx.Err()
		}
	}
	if j.done == (perron.Date{}) || perron.TimeOfDayOf(now) >= refitNightly {
		j.done = yesterday
	}
	j.tell(now)
	return nil
}

// truth reads what was measured.
func (j *judge) truth(ctx context.Context, from, to time.Time) error {
	began := time.Now()
	site, db := j.l.site.ID, j.l.c.cfg.Store
	call, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	counts, err := db.Counts(call, store.CountQuery{Site: site, From: from, To: to, Step: perron.Quarter})
	if err != nil {
		return err
	}
	var samples []perron.Sample
	const days = 7 // at once
	for at := from; at.Before(to); {
		until := perron.DateOf(at).AddDays(days).Start()
		if until.After(to) {
			until = to
		}
		some, err := db.Samples(call, site, at, until)
		if err != nil {
			return err
		}
		samples = append(samples, some...)
		at = until
	}
	j.scorer.Truth(from, to, counts, samples)
	took := time.Since(began)
	j.l.c.metrics.scoring.Observe(took.Seconds())
	if !pause(ctx, scoreCost*took) {
		return ctx.Err()
	}
	return nil
}

// tell hands the score on: to the forecast that is published next, to staff,
// to the metrics, and to the log when forecasts have become worse or better.
func (j *judge) tell(now time.Time) {
	l := j.l
	score := j.scorer.Score(now)
	l.mu.Lock()
	l.score = &score
	l.in.looked = true
	l.mu.Unlock()
	poke(l.wake)
	poke(l.found) // the forecast is published with it now, and not in a minute
	m := l.c.metrics
	for _, h := range score.Horizons {
		horizon := strconv.Itoa(h.UpTo/60) + "h"
		for of, a := range map[string]perron.Accuracy{"arrivals": h.Arrivals, "wait": h.Wait} {
			m.scored.WithLabelValues(l.site.ID, of, horizon).Set(float64(a.N))
			for gauge, v := range map[*prometheus.GaugeVec]float64{m.mae: a.MAE, m.pinball: a.Pinball, m.coverage: a.Coverage} {
				if a.N == 0 {
					gauge.DeleteLabelValues(l.site.ID, of, horizon) // nothing is not an error of 0
					continue
				}
				gauge.WithLabelValues(l.site.ID, of, horizon).Set(v)
			}
		}
	}
	worse := !score.WorseSince.IsZero()
	value := 0.0
	if worse {
		value = 1
	}
	m.worse.WithLabelValues(l.site.ID).Set(value)
	switch {
	case worse && !j.worse:
		l.c.log.Warn("forecasts have become clearly worse than they were", "site", l.site.ID)
	case !worse && j.worse:
		l.c.log.Info("forecasts are as good as they were again", "site", l.site.ID)
	}
	j.worse = worse
}
