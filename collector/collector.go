// Package collector turns what gateways send into what is stored and shown.
//
// Each gateway has a worker: it decodes batches, judges every event, commits
// in one transaction and only then acknowledges. What was sent twice changes
// nothing and is acknowledged again; what came too early is not stored, and the
// repeated acknowledgement tells the gateway where to go on.
//
// Each site has a live state: the events since the last night, in the order of
// their own time, run through an estimator. It is rebuilt when events come
// late, and from the store when the collector starts, so that a restart needs
// no message to know today. Beside it a slower loop keeps the history of
// samples, makes the forecast, and learns from the past again when that has
// changed.
//
// Lock order: live.commits before live.mu.
package collector

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// A Store keeps events, actions, samples and forecasts. Errors that are
// [store.ErrFull] or [store.ErrUnavailable] are tried again.
type Store interface {
	Commit(ctx context.Context, b store.Batch) (store.Result, error)
	Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error]
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
	SaveSamples(ctx context.Context, site string, samples []perron.Sample) error
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	SaveForecast(ctx context.Context, f perron.Forecast) error
	Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error)
	Losses(ctx context.Context, site string, from, to time.Time) ([]store.Loss, error)
	store.LossStore
	store.ReadingStore
}

// A Link is a connection to the broker.
type Link interface {
	// Subscribe is called before the link runs. Handlers only enqueue.
	Subscribe(filter string, handle func(broker.Message))
	Publish(ctx context.Context, m broker.Message) error
}

// An Estimator follows one site. A fresh one has an empty yard. Events and
// recounts come in the order of their time; Estimate may be asked at any
// time and changes nothing that a later event depends on.
type Estimator interface {
	Observe(e perron.Event)
	Recount(at time.Time, vehicles int)
	Estimate(now time.Time) perron.Estimate
}

// A Forecaster looks ahead at one site. History and recent are counts a
// quarter of an hour, gates summed; quarters without a passage may be missing
// and the running quarter is not among them. The estimate given to Forecast has
// a zero At when nothing is known of the present.
type Forecaster interface {
	Refit(history []perron.Count)
	Forecast(origin time.Time, recent []perron.Count, now perron.Estimate) perron.Forecast
	Typical(at time.Time) (perron.Slot, bool)
}

// A Rememberer is a [Forecaster] that makes use of how long the queue was. It is
// given what the store has before it learns from the past, each sample once.
type Rememberer interface {
	Remember(samples []perron.Sample)
}

// A Believer is an [Estimator] that says what its estimate rests on.
type Believer interface {
	Belief() perron.Belief
}

// A Learner makes estimators of one site that know what closed days have
// taught. It is safe for concurrent use.
type Learner interface {
	// New is a fresh estimator.
	New() Estimator
	// Learn takes in a closed day that an estimator of New has gone through; days
	// come in their order.
	Learn(day Estimator)
}

// A Meteorologist is a [Forecaster] that makes use of the weather, past and
// coming. It is given what is new before it learns and before it looks ahead.
type Meteorologist interface {
	Weather(hours []perron.Weather)
}

// A Neighbour is a [Forecaster] that lends what is usual at its site to those
// that have little history, and borrows from others.
type Neighbour interface {
	Pattern() (perron.Pattern, bool)
	Borrow(patterns []perron.Pattern)
}

// Weather knows that of the sites: all hours that are known of one when they
// are newer than a revision, 0 at first, and the revision that they are.
type Weather interface {
	Hours(site string, since int) (hours []perron.Weather, revision int)
}

// A Scorer compares forecasts with what came. Truth is what was measured from
// the start of a day until to; Forecast then scores what a forecast said of
// those days. It is used by one goroutine.
type Scorer interface {
	Truth(from, to time.Time, counts []perron.Count, samples []perron.Sample)
	Forecast(f *perron.Forecast)
	Score(now time.Time) perron.Score
}

// Config of a collector.
type Config struct {
	Sites []*perron.Site
	// Elsewhere are the sites of other collectors, whose messages are none of
	// this one's business.
	Elsewhere []*perron.Site
	// Devices are the gateways that say how much they counted, and Networks where
	// the uplinks of some of them come from.
	Devices       []Device
	Networks      []Network
	Store         Store
	Link          Link
	NewEstimator  func(*perron.Site) Estimator
	NewForecaster func(*perron.Site) Forecaster
	NewLearner    func(*perron.Site) Learner // in place of NewEstimator, which may be nil then
	NewScorer     func(*perron.Site) Scorer  // nil: forecasts are not scored
	Now           func() time.Time           // time.Now by default
	// Speed is how fast Now goes, in seconds a real second; 0 is 1. More than
	// that is for demonstrations.
	Speed float64
	// StaleAfter is how long a state stays valid after the sensors last reported
	// everything; 5 minutes by default.
	StaleAfter time.Duration
	// Weather is that of the sites; nil where there is none.
	Weather Weather
	// HistoryDays is how much of the past the forecast learns from; 180 by default.
	HistoryDays int
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil for no metrics
}

// A Collector serves the sites of its configuration.
type Collector struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	rare    *rarely.Limiter
	sites   map[string]*live
	workers map[gatewayKey]*worker
	order   []*worker
	tellers map[gatewayKey]*teller
	intakes []*intake
	// elsewhere are the ids of the sites of other collectors.
	elsewhere map[string]bool
	patterns  patterns
	running   atomic.Bool
	began     time.Time
}

type gatewayKey struct{ site, gateway string }

// New subscribes and starts nothing; messages wait until Run.
func New(cfg Config) (*Collector, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("collector without a store")
	case cfg.Link == nil:
		return nil, errors.New("collector without a link")
	case cfg.NewEstimator == nil && cfg.NewLearner == nil || cfg.NewForecaster == nil:
		return nil, errors.New("collector without an estimator or a forecaster")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Speed <= 0 {
		cfg.Speed = 1
	}
	if cfg.StaleAfter <= 0 {
		cfg.StaleAfter = 5 * time.Minute
	}
	if cfg.HistoryDays <= 0 {
		cfg.HistoryDays = 180
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Collector{
		cfg: cfg, log: cfg.Logger, metrics: newMetrics(cfg.Registerer), rare: rarely.New(time.Minute),
		began: time.Now(),
		sites: make(map[string]*live), workers: make(map[gatewayKey]*worker), elsewhere: make(map[string]bool),
		tellers: make(map[gatewayKey]*teller),
	}
	for _, site := range cfg.Elsewhere {
		c.elsewhere[site.ID] = true
	}
	tells := make(map[gatewayKey]bool)
	for _, d := range cfg.Devices {
		tells[gatewayKey{d.Site, d.Gateway}] = true
	}
	for _, site := range cfg.Sites {
		if c.sites[site.ID] != nil {
			return nil, fmt.Errorf("site %q is configured twice", site.ID)
		}
		l := newLive(c, site)
		c.sites[site.ID] = l
		for _, gateway := range site.Gateways {
			key := gatewayKey{site.ID, gateway}
			if c.workers[key] != nil {
				return nil, fmt.Errorf("gateway %q is configured twice at site %q", gateway, site.ID)
			}
			if tells[key] {
				continue // it sends no batches
			}
			w := newWorker(c, l, gateway)
			c.workers[key] = w
			c.order = append(c.order, w)
		}
	}
	if err := c.addDevices(cfg.Devices, cfg.Networks); err != nil {
		return nil, err
	}
	cfg.Link.Subscribe(broker.CountersFilter, c.onCounters)
	cfg.Link.Subscribe(broker.EventsFilter, c.onEvents)
	cfg.Link.Subscribe(broker.StatusFilter, c.onStatus)
	cfg.Link.Subscribe(broker.ActionsFilter, c.onAction)
	return c, nil
}

// Run collects until ctx ends and waits for what it started. It returns nil;
// a store that fails is asked again.
func (c *Collector) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("collector runs already")
	}
	var wg sync.WaitGroup
	start := func(l *live, part string, run func()) {
		wg.Go(func() { c.guard(ctx, l, part, run) })
	}
	for _, l := range c.sites {
		start(l, partLive, func() { l.run(ctx) })
		start(l, "publish", func() { l.out.run(ctx, c) })
		start(l, "actions", func() { l.watchActions(ctx) })
		start(l, "forecast", func() { newKeeper(l).run(ctx) })
		if l.learner != nil {
			start(l, "learn", func() { l.study(ctx) })
		}
		if c.cfg.NewScorer != nil {
			start(l, "score", func() { newJudge(l).run(ctx) })
		}
	}
	for _, w := range c.order {
		start(w.live, "gateway "+w.gateway, func() { w.run(ctx) })
		start(w.live, "gateway "+w.gateway, func() { w.acks.run(ctx, w) })
	}
	for _, d := range c.tellers {
		start(d.live, "device "+d.Gateway, func() { d.run(ctx) })
	}
	for _, in := range c.intakes {
		start(nil, "network "+in.ID, func() { in.run(ctx) })
	}
	wg.Wait()
	return nil
}

// onEvents puts a batch into the queue of its gateway. A full queue drops it;
// without an acknowledgement the gateway sends it again.
func (c *Collector) onEvents(m broker.Message) {
	w := c.worker(m)
	if w == nil {
		return
	}
	select {
	case w.queue <- m.Payload:
	default:
		w.metrics.dropped.Inc()
	}
}

func (c *Collector) onStatus(m broker.Message) {
	if t, err := broker.ParseTopic(m.Topic); err == nil {
		if d := c.tellers[gatewayKey{t.Site, t.Gateway}]; d != nil {
			c.onDeviceStatus(d, m)
			return
		}
	}
	w := c.worker(m)
	if w == nil {
		return
	}
	s, err := broker.DecodeStatus(m.Payload)
	if err == nil && (s.Site != w.live.site.ID || s.Gateway != w.gateway) {
		err = fmt.Errorf("status of %s/%s", s.Site, s.Gateway)
	}
	if err != nil {
		c.malformed(w, "status", err)
		return
	}
	if s.Online && !m.Retained && w.runs.returned(s.Started, time.Now()) {
		c.rival(w)
	}
	heard := c.cfg.Now()
	if m.Retained && s.At.Before(heard) {
		heard = s.At // it may have lain there for days
	}
	w.epochs.hear(&s, heard)
	w.live.receive(func(in *inbox) { in.statuses = append(in.statuses, heardStatus{GatewayStatus: s, heard: heard}) })
}

// onDeviceStatus takes in the last will of a device that reports counts. All
// else that is said of it we say ourselves.
func (c *Collector) onDeviceStatus(d *teller, m broker.Message) {
	s, err := broker.DecodeStatus(m.Payload)
	if err == nil && (s.Site != d.Site || s.Gateway != d.Gateway) {
		err = fmt.Errorf("status of %s/%s", s.Site, s.Gateway)
	}
	if err != nil {
		c.malformed(d.worker, "status", err)
		return
	}
	if s.Online || m.Retained || s.Epoch != "" || !s.At.IsZero() {
		return // a last will knows neither
	}
	d.offer(report{gone: true})
}

func (c *Collector) onAction(m broker.Message) {
	t, err := broker.ParseTopic(m.Topic)
	l := c.sites[t.Site]
	if err != nil || l == nil {
		c.refuse(t, m.Topic, err)
		return
	}
	// The store holds the truth; that something happened is all that counts.
	poke(l.nudge)
}

// worker finds the worker that a topic belongs to.
func (c *Collector) worker(m broker.Message) *worker {
	t, err := broker.ParseTopic(m.Topic)
	if err == nil {
		if w := c.workers[gatewayKey{t.Site, t.Gateway}]; w != nil {
			return w
		}
	}
	c.refuse(t, m.Topic, err)
	return nil
}

// refuse counts a message of a site or a gateway that is not configured. It is
// not acknowledged: its sender keeps what nobody has stored. A site of another
// collector is left to that one.
func (c *Collector) refuse(t broker.Topic, topic string, err error) {
	if err == nil && c.elsewhere[t.Site] {
		return
	}
	c.metrics.foreign.Inc()
	if n, ok := c.rare.Allow("foreign"); ok {
		if err == nil {
			err = errors.New("no such site or gateway is configured")
		}
		c.log.Warn("message refused", "topic", topic, "error", err, "times", n)
	}
}

// malformed counts a message that does not decode.
func (c *Collector) malformed(w *worker, what string, err error) {
	w.metrics.malformed.Inc()
	if n, ok := c.rare.Allow("malformed " + w.name()); ok {
		c.log.Warn("message does not decode", "site", w.live.site.ID, "gateway", w.gateway, "message", what, "error", err, "times", n)
	}
}

// poke wakes whoever reads c, once for any number of pokes.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// real is how long d of the clock takes.
func (c *Collector) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.cfg.Speed)
}

// pause waits and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// insist does something until it succeeds or ctx ends.
func (c *Collector) insist(ctx context.Context, name, what string, do func() error) error {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.storeFailed(name, what, err)
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return ctx.Err()
		}
	}
}
