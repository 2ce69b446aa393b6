package collector

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// minApart and costApart keep a busy site from being computed all the time:
	// that much time lies between two computations, and that many times what one
	// takes. The first after a pause comes at once.
	minApart  = 25 * time.Millisecond
	costApart = 4
	// tickEvery is how often the state is computed and published anyway.
	tickEvery = 15 * time.Second

	// An event that is this little behind the newest is taken in at once, as if
	// it came now: gateways are never quite even. What that does to the estimate
	// is healed later. An event that is further behind calls for a rebuild.
	slightly = 2 * time.Second

	minRebuildApart = 500 * time.Millisecond
	minHealApart    = 10 * time.Second
	rebuildCost     = 10 // times the cost of a rebuild between two
)

// A live is the present of one site. Its run goroutine owns all fields but
// those that say otherwise.
type live struct {
	c       *Collector
	site    *perron.Site
	sensors map[string]int // gate of each sensor, negative for queue loops
	learner Learner        // nil: estimators learn nothing of earlier days
	out     *retained
	nudge   chan struct{} // staff did something
	wake    chan struct{} // the inbox has something
	ready   chan struct{} // closed when the first state has been computed
	once    sync.Once     // closes ready
	found   chan struct{} // what was unknown is known
	// turned is when run last went round, counted from when the collector was made;
	// 0 while it waits for the store.
	turned  atomic.Int64
	actions *actionLog

	// commits is held for reading while a batch is committed and delivered, and
	// for writing while today is read from the store, so that an event is either
	// read or delivered, and never both.
	commits sync.RWMutex
	loaded  bool // guarded by commits
	// known is up to where the events of an outbox were read, guarded by commits.
	// A store without transactions may hold some that it has not settled and that
	// come again.
	known map[outbox]uint64

	mu      sync.Mutex
	in      inbox         // guarded by mu
	view    view          // guarded by mu
	outlook outlook       // guarded by mu
	score   *perron.Score // guarded by mu; what it points to does not change
	changed history       // guarded by mu
	mended  mended        // guarded by mu
	// failures are the panics of a day, none when its Count is 0; guarded by mu.
	failures perron.Doubt

	day      *day
	est      Estimator
	newest   time.Time // of what est has seen
	gateways map[string]*gatewayState
	losses   map[lossKey]*perron.Doubt
	recounts []perron.Action // of today, in order of time
	closures []perron.Action // closings and reopenings, in order of time
	closure  *perron.Closure
	notice   *perron.Notice
	started  time.Time

	mending mending

	show  display // what hysteresis needs to know of what was shown
	pace  pace
	dirty bool
	last  perron.Busyness // published
	drift [2]bool         // entries and exits are missed, as was logged
	sent  time.Time       // when, by the machine's clock
}

// pace says when what is due may be done, by the machine's clock.
type pace struct {
	tick, compute time.Time
	rebuild       time.Time // not before
	urgent        bool      // a rebuild is due
	heal          time.Time // a rebuild is due then, unless zero
	rebuildTook   time.Duration
}

// An inbox is what other goroutines have for the live state.
type inbox struct {
	events   []perron.Event
	newest   map[string]time.Time // by gateway
	losses   []store.Loss
	statuses []heardStatus
	actions  []perron.Action
	acted    bool // actions is set
	looked   bool // the outlook is new
	learned  bool // estimators know more than before
}

// An outbox is what sequence numbers belong to.
type outbox struct{ gateway, epoch string }

type heardStatus struct {
	perron.GatewayStatus
	heard time.Time
	// device says that this is of a device that reports counts, which has
	// doubts of its own.
	device bool
	doubts []perron.Doubt
}

// A view is what the slower loop sees of the live state.
type view struct {
	busyness perron.Busyness
	computed time.Time
}

// An outlook is what the slower loop tells the live state.
type outlook struct {
	forecast *perron.Forecast
	typical  map[time.Time]perron.Level // by quarter
}

// history says that the past has changed and wants to be learned again.
type history struct {
	yes bool
	at  time.Time // last, by the machine's clock
}

type lossKey struct {
	gateway string
	kind    perron.DoubtKind
	epoch   string // of an outbox that is gone
}

func newLive(c *Collector, site *perron.Site) *live {
	l := &live{
		c: c, site: site, sensors: make(map[string]int), out: newRetained(site.ID),
		nudge: make(chan struct{}, 1), wake: make(chan struct{}, 1), ready: make(chan struct{}), found: make(chan struct{}, 1),
		actions:  newActionLog(),
		gateways: make(map[string]*gatewayState), losses: make(map[lossKey]*perron.Doubt),
	}
	if c.cfg.NewLearner != nil {
		l.learner = c.cfg.NewLearner(site)
	}
	for _, loop := range site.QueueLoops {
		l.sensors[loop.Sensor] = -1
	}
	for i, g := range site.Gates {
		for _, s := range g.Sensors {
			l.sensors[s] = i
		}
	}
	for _, g := range site.Gateways {
		l.gateways[g] = &gatewayState{silent: silentAfter}
	}
	return l
}

func (l *live) gateOf(sensor string) int {
	if gate, ok := l.sensors[sensor]; ok {
		return gate
	}
	return -1 // a sensor that was configured once
}

// receive puts something into the inbox.
func (l *live) receive(put func(*inbox)) {
	l.mu.Lock()
	put(&l.in)
	l.mu.Unlock()
	poke(l.wake)
}

// deliver hands on what a commit has stored. The caller holds commits.
func (l *live) deliver(b *store.Batch, res store.Result) {
	gateway, known := b.Gateway, l.known[outbox{b.Gateway, b.Epoch}]
	skip := min(res.Duplicate, len(b.Entries))
	entries := b.Entries[skip:]
	now := l.c.cfg.Now()
	today := perron.DateOf(now)
	start, learned := today.Start(), today.AddDays(-l.c.cfg.HistoryDays).Start()
	unsure := store.Loss{Gateway: gateway, Kind: perron.DoubtTimes}
	l.mu.Lock()
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
			if l.loaded && b.First+uint64(skip+i) > known { // otherwise it is still to be read, or was
				l.in.events = append(l.in.events, e.Event)
			}
			if l.in.newest == nil {
				l.in.newest = make(map[string]time.Time)
			}
			if e.Time.After(l.in.newest[gateway]) {
				l.in.newest[gateway] = e.Time
			}
		case !e.Time.Before(learned) && e.Kind.Passage():
			l.changed = history{yes: true, at: time.Now()}
		}
	}
	if l.loaded {
		for _, loss := range []store.Loss{
			{Gateway: gateway, Kind: perron.DoubtLost, At: now, Count: res.Lost},
			{Gateway: gateway, Kind: perron.DoubtSetAside, At: now, Count: uint64(res.SetAside)},
			unsure,
		} {
			if loss.Count > 0 {
				l.in.losses = append(l.in.losses, loss)
			}
		}
	}
	l.mu.Unlock()
	poke(l.wake)
}

func (l *live) run(ctx context.Context) {
	l.started = l.c.cfg.Now()
	if !l.load(ctx) {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.turned.Store(int64(time.Since(l.c.began)))
		if perron.DateOf(l.c.cfg.Now()) != l.day.date && !l.turn(ctx) {
			return
		}
		if ctx.Err() != nil {
			return
		}
		l.take()
		wait := l.work(ctx)
		l.once.Do(func() { close(l.ready) })
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// load reads today from the store, until that succeeds or ctx ends.
func (l *live) load(ctx context.Context) bool {
	l.turned.Store(0)
	wait := minRetry
	for {
		err := l.read(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		l.c.storeFailed(l.site.ID, "read today", err)
		if !pause(ctx, wait) {
			return false
		}
		wait = min(2*wait, maxRetry)
	}
}

func (l *live) read(ctx context.Context) error {
	l.commits.Lock()
	defer l.commits.Unlock()
	l.loaded = false
	alive := ctx
	// Reading a day takes tens of milliseconds; a store that hangs must not hold
	// up the commits for ever.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now := l.c.cfg.Now()
	d := newDay(perron.DateOf(now), len(l.site.Gates))
	newest := make(map[string]time.Time)
	known := make(map[outbox]uint64)
	for rec, err := range l.c.cfg.Store.Events(ctx, l.site.ID, d.start, d.end.Add(perron.MaxAhead)) {
		if err != nil {
			return err
		}
		d.keep(rec.Event, false)
		d.count(rec.Event, l.gateOf(rec.Sensor))
		if rec.Time.After(newest[rec.Gateway]) {
			newest[rec.Gateway] = rec.Time
		}
		id := outbox{rec.Gateway, rec.Epoch}
		known[id] = max(known[id], rec.Seq)
	}
	losses, err := l.c.cfg.Store.Losses(ctx, l.site.ID, d.start, d.end)
	if err != nil {
		return fmt.Errorf("read losses: %w", err)
	}
	if _, err := l.actions.read(ctx, l, true); err != nil {
		return err
	}
	l.mu.Lock()
	// What was delivered before is among what was read.
	l.in.events, l.in.losses, l.in.newest = nil, nil, nil
	l.mu.Unlock()
	l.day, l.loaded, l.known = d, true, known
	for gateway, t := range newest {
		l.reported(gateway, t, now)
	}
	clear(l.losses)
	for _, loss := range losses {
		l.lose(loss)
	}
	l.act(l.actions.sorted())
	l.rebuild(alive)
	// The samples that were not taken while nobody collected.
	l.mending = mending{}
	l.mend(mendLoaded)
	return nil
}

// turn begins a new day.
func (l *live) turn(ctx context.Context) bool {
	if perron.DateOf(l.c.cfg.Now()) != l.day.date.AddDays(1) {
		return l.load(ctx) // the clock has jumped
	}
	l.take() // what is in the inbox may be of the day that ends
	l.day = l.day.next(l.gateOf)
	l.mending = mending{}
	clear(l.losses)
	for _, g := range l.gateways {
		g.base, g.off, g.notes = baseOf(&g.status), time.Time{}, nil
	}
	l.act(l.actions.sorted())
	l.rebuild(ctx)
	return true
}

// take takes in what is in the inbox.
func (l *live) take() {
	l.mu.Lock()
	in := l.in
	l.in = inbox{}
	l.mu.Unlock()
	now := l.c.cfg.Now()
	for _, s := range in.statuses {
		l.gateways[s.Gateway].hear(s, now)
		l.dirty = true
	}
	for gateway, t := range in.newest {
		l.reported(gateway, t, now)
	}
	for _, loss := range in.losses {
		l.lose(loss)
		l.dirty = true
	}
	if in.learned {
		l.pace.urgent = true
	}
	if in.acted {
		l.act(in.actions)
		l.dirty = true
	}
	for _, e := range in.events {
		if now.Sub(e.Time) > lagging && !e.Time.Before(l.day.start) {
			l.lag(e.Time)
		}
		l.observe(e)
	}
	l.dirty = l.dirty || in.looked || len(in.events) > 0
}

// observe takes in one event of today.
func (l *live) observe(e perron.Event) {
	if e.Time.Before(l.day.start) {
		return // of the day that has just ended
	}
	l.day.count(e, l.gateOf(e.Sensor))
	behind := l.newest.Sub(e.Time)
	l.day.keep(e, behind > 0)
	switch {
	case behind <= 0:
		l.newest = e.Time
	case behind <= slightly || l.day.full:
		// The day is no longer whole when it is full, and so cannot be gone
		// through again.
		e.Time = l.newest
		if l.pace.heal.IsZero() {
			l.pace.heal = time.Now().Add(max(minHealApart, 2*rebuildCost*l.pace.rebuildTook))
		}
	default:
		l.pace.urgent = true
		return
	}
	l.est.Observe(e)
}

func (l *live) newEstimator() Estimator {
	if l.learner != nil {
		return l.learner.New()
	}
	return l.c.cfg.NewEstimator(l.site)
}

// rebuild runs a fresh estimator through the day.
func (l *live) rebuild(ctx context.Context) {
	began := time.Now()
	l.day.merge()
	l.est = l.newEstimator()
	l.newest = time.Time{}
	recounts := l.recounts
	until := func(t time.Time) {
		for len(recounts) > 0 && recounts[0].At.Before(t) {
			l.est.Recount(recounts[0].At, recounts[0].Vehicles)
			l.newest = recounts[0].At
			recounts = recounts[1:]
		}
	}
	for i, e := range l.day.events {
		if i%1000 == 0 && ctx.Err() != nil {
			return // nobody will ask, and a long day takes seconds
		}
		until(e.Time)
		l.est.Observe(e)
		l.newest = e.Time
	}
	until(l.day.end.Add(24 * time.Hour))
	took := time.Since(began)
	l.pace.rebuildTook = took
	l.pace.rebuild = time.Now().Add(max(minRebuildApart, rebuildCost*took))
	l.pace.urgent, l.pace.heal = false, time.Time{}
	l.dirty = true
	l.c.metrics.rebuilds.WithLabelValues(l.site.ID).Inc()
	l.c.metrics.rebuild.Observe(took.Seconds())
}

// act takes in what staff did, all of it in order.
func (l *live) act(actions []perron.Action) {
	l.closure, l.notice, l.closures = nil, nil, nil
	var recounts []perron.Action
	for _, a := range perron.Effective(actions) {
		switch a.Kind {
		case perron.Close:
			l.closure = &perron.Closure{Since: a.At, Reason: a.Text, Until: a.Until}
			l.closures = append(l.closures, a)
		case perron.Reopen:
			l.closure = nil
			l.closures = append(l.closures, a)
		case perron.Announce:
			l.notice = &perron.Notice{ID: a.ID, At: a.At, Text: a.Text}
		case perron.Withdraw:
			l.notice = nil
		case perron.Recount:
			if !a.At.Before(l.day.start) && a.At.Before(l.day.end) {
				recounts = append(recounts, a)
			}
		}
	}
	same := func(a, b perron.Action) bool { return a.ID == b.ID }
	old := l.recounts
	l.recounts = recounts
	switch n := len(old); {
	case l.est == nil || slices.EqualFunc(old, recounts, same):
	case len(recounts) == n+1 && slices.EqualFunc(old, recounts[:n], same) && recounts[n].At.After(l.newest):
		l.est.Recount(recounts[n].At, recounts[n].Vehicles)
		l.newest = recounts[n].At
	default:
		// Staff look at the screen to see their correction.
		l.pace.urgent, l.pace.rebuild = true, time.Time{}
	}
}

// lose notes events that are lost or set aside.
func (l *live) lose(loss store.Loss) {
	key := lossKey{gateway: loss.Gateway, kind: loss.Kind}
	if loss.Kind == perron.DoubtOutbox {
		// More may become known of it, and then it comes again.
		key.epoch = loss.Reason
		if delete(l.losses, key); loss.Withdrawn || loss.At.Before(l.day.start) {
			return
		}
	}
	d := l.losses[key]
	if d == nil {
		d = &perron.Doubt{Kind: loss.Kind, Gateway: loss.Gateway, Since: loss.At}
		l.losses[key] = d
	}
	if loss.At.Before(d.Since) {
		d.Since = loss.At
	}
	d.Count += loss.Count
}

// work does what is due and returns how long nothing is.
func (l *live) work(ctx context.Context) time.Duration {
	now := time.Now()
	if l.pace.urgent && !now.Before(l.pace.rebuild) || !l.pace.heal.IsZero() && !now.Before(l.pace.heal) {
		if l.day.full {
			if n, ok := l.c.rare.Allow("full " + l.site.ID); ok {
				l.c.log.Error("too many events today to rebuild the live state", "site", l.site.ID, "times", n)
			}
			l.pace.urgent, l.pace.heal = false, time.Time{}
		} else {
			l.rebuild(ctx)
			if ctx.Err() != nil {
				return 0 // half a day would be published
			}
		}
		now = time.Now()
	}
	tick := !now.Before(l.pace.tick)
	if l.dirty && !now.Before(l.pace.compute) || tick {
		l.compute(tick)
		l.dirty = false
		took := time.Since(now)
		l.c.metrics.recompute.Observe(took.Seconds())
		now = time.Now()
		l.pace.compute = now.Add(max(minApart, costApart*took))
		if tick {
			l.pace.tick = now.Add(l.c.real(min(tickEvery, l.boundary())))
		}
	}
	if l.mending.wanted && !l.pace.urgent && !now.Before(l.mending.due) {
		l.mendNow()
		now = time.Now()
	}
	due := l.pace.tick
	earlier := func(t time.Time) {
		if t.Before(due) {
			due = t
		}
	}
	if l.dirty {
		earlier(l.pace.compute)
	}
	if l.pace.urgent {
		earlier(l.pace.rebuild)
	}
	if !l.pace.heal.IsZero() {
		earlier(l.pace.heal)
	}
	if l.mending.wanted && !l.pace.urgent {
		earlier(l.mending.due)
	}
	return max(due.Sub(now), time.Millisecond)
}

// boundary is how long it takes until the site opens or closes, a closure ends,
// or a day or hour begins: then the state must change at once.
func (l *live) boundary() time.Duration {
	now := l.c.cfg.Now()
	next := perron.Hour.Next(now)
	if p, ok := l.site.Hours.At(now); ok {
		if p.End.Before(next) {
			next = p.End
		}
	} else if p, ok := l.site.Hours.Next(now); ok && p.Start.Before(next) {
		next = p.Start
	}
	if c := l.closure; c.Holds(now) && !c.Until.IsZero() && c.Until.Before(next) {
		next = c.Until
	}
	return max(next.Sub(now), time.Millisecond)
}
