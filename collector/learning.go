package collector

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
)

const (
	// learnDays is how many past days estimators learn from at the start. Nothing
	// of what was learned is kept: the events are.
	learnDays = 21
	// learnCost is how many times as long as learning from a day nothing is
	// learned after it.
	learnCost = 9
	// learnRetry is how long a store that fails is left alone.
	learnRetry = 10 * time.Second
	// learnLook is how often is looked whether a day has closed.
	learnLook = 30 * time.Minute
)

// A learning lets the estimators of a site learn from its closed days: those of
// the last weeks at the start, oldest first, and each day in the night after it.
// Until then today is estimated from the starting guess; what was learned then
// goes through today again.
type learning struct {
	d       *desk
	learner Learner
	next    perron.Date // to learn from
	begun   perron.Date // the last day that was gone through, or is
}

func (l *learning) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.d.ready:
	}
	c := l.d.c
	if l.next == (perron.Date{}) {
		l.next = perron.DateOf(c.cfg.Civil()).AddDays(-learnDays)
	}
	if l.next == l.begun {
		// Going through it ended in a panic, as it would again: it teaches nothing.
		l.next = l.next.AddDays(1)
		l.d.inbox.put(func(n *news) { n.learned = true }) // it may have been the last
	}
	first := perron.DateOf(c.cfg.Civil())
	for {
		closed := l.closed(first)
		for l.next.Before(closed) {
			l.begun = l.next
			began := c.elapsed()
			if err := l.day(ctx, l.next); err != nil {
				if ctx.Err() != nil {
					return
				}
				c.storeFailed(l.d.ID, "read a closed day", err)
				if !pace.Pause(ctx, learnRetry) {
					return
				}
				continue // once more
			}
			took := c.elapsed().since(began)
			c.metrics.study.Observe(took.Seconds())
			if l.next = l.next.AddDays(1); l.next == closed {
				l.d.inbox.put(func(n *news) { n.learned = true })
			}
			if !pace.Pause(ctx, learnCost*took) {
				return
			}
		}
		if !pace.Pause(ctx, c.lasts(learnLook)) {
			return
		}
	}
}

// closed is the day up to which days are learned from. That before the first day
// is at once, others when what was late has come in.
func (l *learning) closed(first perron.Date) perron.Date {
	now := l.d.c.cfg.Civil()
	today := perron.DateOf(now)
	if today != first && perron.TimeOfDayOf(now) < atNight {
		return today.AddDays(-1) // yesterday waits for the night
	}
	return today
}

// day lets the learner go through a day with a fresh estimator. A day with more
// events than a yard has, of which a sensor made some that chatters, teaches
// nothing.
func (l *learning) day(ctx context.Context, d perron.Date) error {
	if len(l.d.Hours.Periods(d)) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	actions, err := l.d.c.cfg.Store.Actions(ctx, l.d.ID, d.Start(), d.End())
	if err != nil {
		return err
	}
	var events []perron.Event
	for rec, err := range l.d.c.cfg.Store.Events(ctx, l.d.ID, d.Start(), d.End()) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if events = append(events, rec.Event); len(events) >= present.MaxEvents {
			return nil
		}
	}
	if len(events) == 0 {
		return nil
	}
	est := l.learner.New()
	err = present.GoThrough(est, events, perron.Effective(actions), stopped(ctx))
	if errors.Is(err, present.ErrStopped) {
		return ctx.Err()
	}
	l.learner.Learn(est)
	return nil
}
