package collector

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// showApart and showCost keep a busy site from being shown all the time:
	// that much time lies between two times, and that many times what one
	// takes. The first after a pause comes at once.
	showApart = 25 * time.Millisecond
	showCost  = 4
	// tickEvery is how often the state is shown anyway.
	tickEvery = 15 * time.Second
	// repeatAfter is when a state is sent again although nothing but its times
	// has changed.
	repeatAfter = 5 * time.Second

	// A day is gone through again this long after the last time, or that many
	// times what it took. When only the order was a little off it can wait.
	replayApart = 500 * time.Millisecond
	replayCost  = 10
	healApart   = 10 * time.Second

	// An outbox that is emptied brings late events for a while. The samples are
	// made again when it has been quiet for mendQuiet, or else once in mendApart,
	// and never for more than a part 1/mendCost of the time.
	mendQuiet = 3 * time.Second
	mendApart = time.Minute
	mendCost  = 20
	// mendLoaded is when holes from before the start are filled: after all
	// gateways have said how they are.
	mendLoaded = 45 * time.Second
)

// A site moves things in and out of the present of one site: from the inbox and
// the store, to the board and the broker. Its run goroutine owns what does not say
// otherwise.
type site struct {
	*desk
	actions *actionLog
	learner Learner // nil: estimators learn nothing of earlier days
	// turned is when run last went round; 0 while it waits for the store.
	turned atomic.Int64

	// commits is held for reading while something is stored and told, and for
	// writing while today is read from the store, so that an event is either
	// read or told, and never both.
	commits sync.RWMutex
	loaded  bool // guarded by commits
	// known is up to where the events of an outbox were read, guarded by commits.
	// A store without transactions may hold some that it has not settled and that
	// come again.
	known map[outbox]uint64

	config     present.Config
	present    *present.Site
	agenda     agenda
	showFrom   elapsed // not before
	replayFrom elapsed
	replayTook time.Duration
	mendFrom   elapsed
	untold     bool            // the store may hold what nobody told
	last       perron.Busyness // published
	sent       elapsed         // when
}

// An outbox is what sequence numbers belong to.
type outbox struct{ gateway, epoch string }

func newSite(c *core, s *perron.Site, silent map[string]time.Duration) *site {
	out := &site{desk: newDesk(c, s), actions: newActionLog()}
	c.metrics.panics.WithLabelValues(s.ID) // stands at 0: an alarm sees the first one, too
	fresh := func() present.Estimator { return c.cfg.NewEstimator(s) }
	if c.cfg.NewLearner != nil {
		out.learner = c.cfg.NewLearner(s)
		fresh = out.learner.New
	}
	stale := s.StaleAfter
	if stale <= 0 {
		stale = c.cfg.StaleAfter
	}
	out.config = present.Config{Site: s, NewEstimator: fresh, StaleAfter: stale, Silent: silent}
	out.present = present.New(out.config)
	return out
}

// Together does something that stores and then tells the present of it, while
// the present does not read the store.
func (s *site) Together(do func() error) error {
	s.commits.RLock()
	defer s.commits.RUnlock()
	return do()
}

// Stored takes in what a commit has stored, within Together.
func (s *site) Stored(b *store.Batch, res store.Result) {
	gateway, known := b.Gateway, s.known[outbox{b.Gateway, b.Epoch}]
	skip := min(res.Duplicate, len(b.Entries))
	entries := b.Entries[skip:]
	now := s.c.cfg.Civil()
	today := perron.DateOf(now)
	start, learned := today.Start(), today.AddDays(-s.c.cfg.HistoryDays).Start()
	unsure := present.Loss{Gateway: gateway, Kind: perron.DoubtTimes}
	var newest time.Time
	var events []perron.Event
	for i := range entries {
		e := &entries[i]
		if e.SetAside != "" {
			continue
		}
		if e.Unsure && perron.DateOf(e.Time) == today {
			if unsure.Count == 0 || e.Time.Before(unsure.At) {
				unsure.At = e.Time
			}
			unsure.Count++
		}
		switch {
		case !e.Time.Before(start):
			if s.loaded && b.First+uint64(skip+i) > known { // otherwise it is still to be read, or was
				events = append(events, e.Event)
			}
			if e.Time.After(newest) {
				newest = e.Time
			}
		case !e.Time.Before(learned) && e.Kind.Passage():
			s.past.change(s.c.elapsed())
		}
	}
	s.inbox.put(func(n *news) {
		n.events = append(n.events, events...)
		if newest.After(n.newest[gateway]) {
			if n.newest == nil {
				n.newest = make(map[string]time.Time)
			}
			n.newest[gateway] = newest
		}
		if !s.loaded {
			return
		}
		for _, loss := range []present.Loss{
			{Gateway: gateway, Kind: perron.DoubtLost, At: now, Count: res.Lost},
			{Gateway: gateway, Kind: perron.DoubtSetAside, At: now, Count: uint64(res.SetAside)},
			unsure,
		} {
			if loss.Count > 0 {
				n.losses = append(n.losses, loss)
			}
		}
	})
}

// Lost takes in a loss that was saved, within Together.
func (s *site) Lost(l store.Loss) {
	s.inbox.put(func(n *news) { n.losses = append(n.losses, lossOf(l)) })
}

func lossOf(l store.Loss) present.Loss {
	out := present.Loss{Gateway: l.Gateway, Kind: l.Kind, At: l.At, Count: l.Count, Withdrawn: l.Withdrawn}
	if l.Kind == perron.DoubtOutbox {
		out.Outbox = l.Reason
	}
	return out
}

func (s *site) run(ctx context.Context) {
	if !s.load(ctx) {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.turned.Store(int64(s.c.elapsed()))
		if perron.DateOf(s.c.cfg.Civil()) != s.present.Date() && !s.turn(ctx) {
			return
		}
		if s.tell(); s.untold && !s.load(ctx) {
			return
		}
		wait := s.work(ctx)
		if ctx.Err() != nil {
			return
		}
		s.once.Do(func() { close(s.ready) })
		timer.Reset(max(wait, time.Millisecond))
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.wake:
		case <-timer.C:
		}
	}
}

// load reads today from the store, until that succeeds or ctx ends.
func (s *site) load(ctx context.Context) bool {
	s.turned.Store(0)
	err := pace.Insist(ctx, func(err error) { s.c.storeFailed(s.ID, "read today", err) }, func() error { return s.read(ctx) })
	return err == nil
}

func (s *site) read(ctx context.Context) error {
	s.commits.Lock()
	defer s.commits.Unlock()
	s.loaded = false
	// Reading a day takes tens of milliseconds; a store that hangs must not hold
	// up the commits for ever.
	call, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := s.c.cfg.Civil()
	today := perron.DateOf(now)
	stored, err := s.c.cfg.Store.Losses(call, s.ID, today.Start(), today.End())
	if err != nil {
		return fmt.Errorf("read losses: %w", err)
	}
	losses := make([]present.Loss, len(stored))
	for i, l := range stored {
		losses[i] = lossOf(l)
	}
	if _, err := s.actions.read(call, s.desk, true); err != nil {
		return err
	}
	known := make(map[outbox]uint64)
	var began elapsed
	records := func(yield func(perron.Record, error) bool) {
		s.records(call, today, known)(yield)
		began = s.c.elapsed() // to go through the day, which costs what it will cost again
	}
	if err := s.present.Load(now, records, losses, s.actions.sorted(), stopped(ctx)); err != nil {
		return err
	}
	// What was told before is among what was read.
	s.inbox.put(func(n *news) { n.events, n.losses, n.newest = nil, nil, nil })
	s.loaded, s.known, s.untold = true, known, false
	s.present.Calls() // all is to be shown, and mended when gateways have spoken
	s.agenda = agenda{}
	s.mendFrom = 0
	s.agenda.at(tick, s.c.elapsed())
	s.wantMend(mendLoaded)
	s.replayed(began)
	return nil
}

// records are the events of a day and of what may lie ahead of it. Those that
// were seen are noted.
func (s *site) records(ctx context.Context, d perron.Date, known map[outbox]uint64) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		for rec, err := range s.c.cfg.Store.Events(ctx, s.ID, d.Start(), d.End().Add(perron.MaxAhead)) {
			if err == nil {
				id := outbox{rec.Gateway, rec.Epoch}
				known[id] = max(known[id], rec.Seq)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// stopped says whether a context has ended.
func stopped(ctx context.Context) func() bool { return func() bool { return ctx.Err() != nil } }

// turn begins a new day. It says whether the site goes on.
func (s *site) turn(ctx context.Context) bool {
	if perron.DateOf(s.c.cfg.Civil()) != s.present.Date().AddDays(1) {
		return s.load(ctx) // the clock has jumped
	}
	s.tell() // what is in the inbox may be of the day that ends
	began := s.c.elapsed()
	if err := s.present.Turn(s.actions.sorted(), stopped(ctx)); err != nil {
		return false
	}
	s.agenda.done(mend)
	s.mendFrom = 0
	s.replayed(began)
	return true
}

// tell tells the present what is in the inbox.
func (s *site) tell() {
	n := s.inbox.empty()
	now := s.c.cfg.Civil()
	s.untold = s.untold || n.untold
	for _, status := range n.statuses {
		s.present.Hear(status, now)
	}
	for gateway, t := range n.newest {
		s.present.Reported(gateway, t, now)
	}
	for _, loss := range n.losses {
		s.present.Lose(loss)
	}
	if n.learned {
		s.present.Learned()
	}
	if n.acted {
		s.present.Act(n.actions)
	}
	for _, e := range n.events {
		s.present.Observe(e, now)
	}
	if n.outlook != nil {
		s.present.LookAhead(*n.outlook)
	}
	if n.score != nil {
		s.present.Score(n.score)
	}
	if f := s.failure.get(); f.Count > 0 {
		s.present.Fail(f)
	}
	s.heed(s.present.Calls())
}

// heed puts what the present calls for on the agenda.
func (s *site) heed(c present.Calls) {
	now := s.c.elapsed()
	if c.Show {
		s.agenda.by(show, max(now, s.showFrom))
	}
	switch c.Replay {
	case present.AtOnce:
		s.agenda.by(replay, now)
	case present.Soon:
		s.agenda.by(replay, max(now, s.replayFrom))
	case present.Some:
		s.agenda.by(replay, now.plus(max(healApart, 2*replayCost*s.replayTook)))
	}
	if c.Mend {
		s.wantMend(mendQuiet)
	}
}

// wantMend calls for samples to be made again when it has been quiet for a while.
func (s *site) wantMend(quiet time.Duration) {
	now := s.c.elapsed()
	if !s.agenda.has(mend) {
		s.mendFrom = max(s.mendFrom, now)
	}
	s.agenda.at(mend, min(max(s.mendFrom, now.plus(quiet)), s.mendFrom.plus(mendApart)))
}

// work does what is due and returns how long nothing is.
func (s *site) work(ctx context.Context) time.Duration {
	for t := range tasks {
		now := s.c.elapsed()
		if !s.agenda.isDue(t, now) {
			continue
		}
		s.agenda.done(t)
		switch t {
		case replay:
			s.replay(ctx)
			if ctx.Err() != nil {
				return 0 // half a day would be shown
			}
		case tick, show:
			s.agenda.done(show)
			s.show(t == tick)
		case mend:
			s.mend()
		}
		s.heed(s.present.Calls())
	}
	return s.agenda.idle(s.c.elapsed())
}

// replay lets the present go through the day again.
func (s *site) replay(ctx context.Context) {
	began := s.c.elapsed()
	switch err := s.present.Replay(stopped(ctx)); {
	case errors.Is(err, present.ErrFull):
		if n, ok := s.c.rare.Allow("full " + s.ID); ok {
			s.c.log.Error("too many events today to go through them again", logs.Site, s.ID, logs.Times, n)
		}
	case err == nil:
		s.replayed(began)
	}
}

// replayed notes that the day was gone through.
func (s *site) replayed(began elapsed) {
	now := s.c.elapsed()
	s.replayTook = now.since(began)
	s.replayFrom = now.plus(max(replayApart, replayCost*s.replayTook))
	s.agenda.done(replay)
	s.c.metrics.rebuilds.WithLabelValues(s.ID).Inc()
	s.c.metrics.rebuild.Observe(s.replayTook.Seconds())
}

// show puts the state of now on the board, and publishes it if it says something
// new, or in any case with force.
func (s *site) show(force bool) {
	began := s.c.elapsed()
	now := s.c.cfg.Civil()
	b, err := s.present.Busyness(now)
	if err != nil {
		if n, ok := s.c.rare.Allow("estimate " + s.ID); ok {
			s.c.log.Error("nothing can be said of a site", logs.Site, s.ID, logs.Error, err, logs.Times, n)
		}
	}
	s.board.show(b)
	s.measure(&b)
	if force || began.since(s.sent) >= repeatAfter || !reflect.DeepEqual(timeless(b), timeless(s.last)) {
		s.publish(b)
	}
	done := s.c.elapsed()
	took := done.since(began)
	s.c.metrics.recompute.Observe(took.Seconds())
	s.showFrom = done.plus(max(showApart, showCost*took))
	if force {
		s.agenda.at(tick, done.plus(s.c.lasts(max(min(tickEvery, s.present.Due(now).Sub(now)), time.Millisecond))))
	}
}

func (s *site) publish(b perron.Busyness) {
	payload, err := broker.EncodeBusyness(b)
	if err != nil {
		s.c.log.Error("state cannot be sent", logs.Site, s.ID, logs.Error, err)
		return
	}
	s.last, s.sent = b, s.c.elapsed()
	s.out.put(broker.Message{Topic: broker.BusynessTopic(s.ID), Payload: payload, Retained: true})
}

// timeless is a state without what changes all the time.
func timeless(b perron.Busyness) perron.Busyness {
	b.At, b.MeasuredAt, b.StaleAt = time.Time{}, time.Time{}, time.Time{}
	return b
}

// measure sets the metrics by a state, and logs when counters begin to miss more
// than they used to, or no longer do.
func (s *site) measure(b *perron.Busyness) {
	m := s.c.metrics
	m.recomputes.WithLabelValues(s.ID).Inc()
	m.loggedEvents.WithLabelValues(s.ID).Set(float64(s.present.Events()))
	if !b.MeasuredAt.IsZero() {
		m.measuredAt.WithLabelValues(s.ID).Set(float64(b.MeasuredAt.UnixMilli()) / 1000)
	}
	if b.Belief == nil {
		return
	}
	var was perron.Belief
	if s.last.Belief != nil {
		was = *s.last.Belief
	}
	for _, c := range []struct {
		of       string
		now, was perron.CounterBelief
	}{{"entries", b.Belief.Entries, was.Entries}, {"exits", b.Belief.Exits, was.Exits}} {
		m.missed.WithLabelValues(s.ID, c.of).Set(c.now.Missed)
		switch drifts, drifted := !c.now.DriftSince.IsZero(), !c.was.DriftSince.IsZero(); {
		case drifts && !drifted:
			s.c.log.Warn("counters miss clearly more than they used to", logs.Site, s.ID, logs.Of, c.of, logs.Missed, c.now.Missed, logs.Usual, c.now.Usual)
		case !drifts && drifted:
			s.c.log.Info("counters miss as much as they used to again", logs.Site, s.ID, logs.Of, c.of)
		}
	}
}

// mend lets the present make samples again, and leaves them for whoever keeps
// them.
func (s *site) mend() {
	began := s.c.elapsed()
	m, err := s.present.Mend(s.c.cfg.Civil())
	if err != nil {
		return // the day is full, which replay has said
	}
	now := s.c.elapsed()
	took := now.since(began)
	s.mendFrom = now.plus(max(mendApart, mendCost*took))
	s.c.metrics.mend.Observe(took.Seconds())
	if len(m.Samples) > 0 {
		s.board.leave(m)
	}
}

// renew lets go of a present that failed, with everything that may have made it
// fail, and shows the site as unknown. What is stored is read again when run
// begins anew; gateways say every half minute how they are.
func (s *site) renew() {
	s.turned.Store(0)
	s.commits.Lock()
	s.loaded = false
	s.inbox.empty()
	s.commits.Unlock()
	failed := s.present
	s.present = present.New(s.config) // whatever becomes of the last words of the old one
	s.present.Score(s.score.Load())
	b := failed.Nothing(s.c.cfg.Civil(), s.failure.get())
	s.board.show(b)
	s.publish(b)
}
