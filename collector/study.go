package collector

import (
	"cmp"
	"context"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// studyDays is how many past days estimators learn from at the start. Nothing
	// of what was learned is kept: the events are.
	studyDays = 21
	// studyCost is how many times as long as the study of a day nothing is
	// studied after it.
	studyCost = 9
	// studyRetry is how long a store that fails is left alone.
	studyRetry = 10 * time.Second
)

// study lets the learner go through the closed days: those of the last weeks
// at the start, oldest first, and each day in the night after it, when what was
// late has come in. Until then today is estimated from the starting guess; what
// was learned then goes through today again.
func (l *live) study(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.ready:
	}
	today := perron.DateOf(l.c.cfg.Now())
	next := today.AddDays(-studyDays)
	for {
		now := l.c.cfg.Now()
		closed := perron.DateOf(now)
		if closed != today && perron.TimeOfDayOf(now) < refitNightly {
			closed = closed.AddDays(-1) // yesterday waits for the night
		}
		for ; next.Before(closed); next = next.AddDays(1) {
			began := time.Now()
			err := l.studyDay(ctx, next)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				l.c.storeFailed(l.site.ID, "read a closed day", err)
				if !pause(ctx, studyRetry) {
					return
				}
				next = next.AddDays(-1) // and once more
				continue
			}
			took := time.Since(began)
			l.c.metrics.study.Observe(took.Seconds())
			if next.AddDays(1) == closed {
				l.receive(func(in *inbox) { in.learned = true })
			}
			if !pause(ctx, studyCost*took) {
				return
			}
		}
		if !pause(ctx, l.c.real(30*time.Minute)) {
			return
		}
	}
}

// studyDay runs a fresh estimator through a day and hands it to the learner.
func (l *live) studyDay(ctx context.Context, d perron.Date) error {
	if len(l.site.Hours.Periods(d)) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	actions, err := l.c.cfg.Store.Actions(ctx, l.site.ID, d.Start(), d.End())
	if err != nil {
		return err
	}
	var recounts []perron.Action
	for _, a := range perron.Effective(actions) {
		if a.Kind == perron.Recount {
			recounts = append(recounts, a)
		}
	}
	est := l.learner.New()
	n := 0
	for rec, err := range l.c.cfg.Store.Events(ctx, l.site.ID, d.Start(), d.End()) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		for len(recounts) > 0 && recounts[0].At.Before(rec.Time) {
			est.Recount(recounts[0].At, recounts[0].Vehicles)
			recounts = recounts[1:]
		}
		est.Observe(rec.Event)
		if n++; n >= maxDayEvents {
			return nil // a sensor that chatters teaches nothing
		}
	}
	if n > 0 {
		l.learner.Learn(est)
	}
	return nil
}
