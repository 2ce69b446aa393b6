package collector

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
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

// A scoring scores the forecasts of one site: of the last weeks at the start, a
// day at a time; of each day again in the night after it; and of today every
// hour. It works off the store, and in between it rests nine times as long as
// it has worked.
type scoring struct {
	d      *desk
	scorer Scorer
	done   perron.Date // the last day that is scored for good
	worse  bool
}

func newScoring(d *desk) *scoring { return &scoring{d: d, scorer: d.c.cfg.NewScorer(d.Site)} }

func (s *scoring) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.d.ready:
	}
	for wait := pace.MinRetry; ; {
		err := s.score(ctx)
		if ctx.Err() != nil {
			return
		}
		rest := s.d.c.lasts(scoreEvery)
		if err != nil {
			s.d.c.storeFailed(s.d.ID, "score forecasts", err)
			rest, wait = wait, min(2*wait, scoreEvery)
		} else {
			wait = pace.MinRetry
		}
		if !pace.Pause(ctx, rest) {
			return
		}
	}
}

// score scores what was not scored yet.
func (s *scoring) score(ctx context.Context) error {
	now := s.d.c.cfg.Civil()
	today := perron.DateOf(now)
	yesterday := today.AddDays(-1)
	from, origins := today, today.AddDays(-lookAhead)
	switch {
	case s.done == (perron.Date{}):
		from = today.AddDays(-scoreDays)
		origins = from
	case s.done.Before(yesterday) && perron.TimeOfDayOf(now) >= atNight:
		// By now what was late has come in, as far as it will soon.
		from = s.done
		origins = from.AddDays(-farthest)
	case s.done.Before(yesterday):
		from = yesterday
		origins = from.AddDays(-lookAhead)
	}
	if err := s.truth(ctx, from.Start(), perron.Quarter.Start(now)); err != nil {
		return err
	}
	for d := origins; !today.Before(d); d = d.AddDays(1) {
		began := s.d.c.elapsed()
		call, cancel := context.WithTimeout(ctx, readTimeout)
		forecasts, err := s.d.c.cfg.Store.Forecasts(call, s.d.ID, d.Start(), d.End())
		cancel()
		if err != nil {
			return err
		}
		for i := range forecasts {
			s.scorer.Forecast(&forecasts[i])
		}
		took := s.d.c.elapsed().since(began)
		s.d.c.metrics.scoring.Observe(took.Seconds())
		if !pace.Pause(ctx, scoreCost*took) {
			return ctx.Err()
		}
	}
	if s.done == (perron.Date{}) || perron.TimeOfDayOf(now) >= atNight {
		s.done = yesterday
	}
	s.tell(now)
	return nil
}

// truth reads what was measured.
func (s *scoring) truth(ctx context.Context, from, to time.Time) error {
	began := s.d.c.elapsed()
	site, db := s.d.ID, s.d.c.cfg.Store
	call, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	counts, err := db.Counts(call, store.CountQuery{Site: site, From: from, To: to, Step: perron.Quarter})
	if err != nil {
		return err
	}
	var samples []perron.Sample
	for at := from; at.Before(to); {
		until := week(at, to)
		some, err := db.Samples(call, site, at, until)
		if err != nil {
			return err
		}
		samples = append(samples, some...)
		at = until
	}
	s.scorer.Truth(from, to, counts, samples)
	took := s.d.c.elapsed().since(began)
	s.d.c.metrics.scoring.Observe(took.Seconds())
	if !pace.Pause(ctx, scoreCost*took) {
		return ctx.Err()
	}
	return nil
}

// tell hands the score on: to the forecast that is published next, to staff,
// to the metrics, and to the log when forecasts have become worse or better.
func (s *scoring) tell(now time.Time) {
	d := s.d
	score := s.scorer.Score(now)
	d.score.Store(&score)
	d.inbox.put(func(n *news) { n.score = &score })
	pace.Poke(d.board.known) // the forecast is published with it now, and not in a minute
	m := d.c.metrics
	for _, h := range score.Horizons {
		horizon := strconv.Itoa(h.UpTo/60) + "h"
		for of, a := range map[string]perron.Accuracy{"arrivals": h.Arrivals, "wait": h.Wait} {
			m.scored.WithLabelValues(d.ID, of, horizon).Set(float64(a.N))
			for gauge, v := range map[*prometheus.GaugeVec]float64{m.mae: a.MAE, m.pinball: a.Pinball, m.coverage: a.Coverage} {
				if a.N == 0 {
					gauge.DeleteLabelValues(d.ID, of, horizon) // nothing is not an error of 0
					continue
				}
				gauge.WithLabelValues(d.ID, of, horizon).Set(v)
			}
		}
	}
	worse := !score.WorseSince.IsZero()
	value := 0.0
	if worse {
		value = 1
	}
	m.worse.WithLabelValues(d.ID).Set(value)
	switch {
	case worse && !s.worse:
		d.c.log.Warn("forecasts have become clearly worse than they were", logs.Site, d.ID)
	case !worse && s.worse:
		d.c.log.Info("forecasts are as good as they were again", logs.Site, d.ID)
	}
	s.worse = worse
}
