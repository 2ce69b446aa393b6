// Package collector turns what gateways send into what is stored and shown, and
// moves it: what is concluded from it is said in package present.
//
// Package [intake] takes in what devices send: it stores, acknowledges and tells
// the site. Each [site] then has an inbox, of which one goroutine tells the pure
// present of the site; what that says goes onto a board and to the broker. At the
// start, and when the clock jumps, the day is read from the store, so that a
// restart needs no message to know today. Slower loops look at the board: one keeps
// the history of samples, one makes the forecast, one scores earlier forecasts, one
// lets estimators learn from closed days. They meet at the site's [desk], and what
// they find out comes back through the inbox.
//
// Lock order: site.commits before the locks of the desk, of which no two are held
// at once.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector/intake"
	"github.com/perrondrukte/perrondrukte/internal/pace"
)

// A Collector serves the sites of its configuration.
type Collector struct {
	*core
	sites   map[string]*site
	intake  *intake.Intake
	running atomic.Bool
}

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
	if cfg.Civil == nil {
		cfg.Civil = time.Now
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
	c := &Collector{core: newCore(cfg), sites: make(map[string]*site)}
	silent := make(map[string]map[string]time.Duration)
	for _, d := range cfg.Devices {
		if silent[d.Site] == nil {
			silent[d.Site] = make(map[string]time.Duration)
		}
		silent[d.Site][d.Gateway] = d.SilentAfter()
	}
	in := intake.Config{
		Elsewhere: cfg.Elsewhere, Devices: cfg.Devices, Networks: cfg.Networks,
		Store: cfg.Store, Link: cfg.Link, Civil: cfg.Civil, Failed: c.storeFailed,
		Guard:  c.guardIntake,
		Logger: cfg.Logger, Registerer: cfg.Registerer,
	}
	for _, s := range cfg.Sites {
		own := newSite(c.core, s, silent[s.ID])
		c.sites[s.ID] = own
		in.Sites = append(in.Sites, intake.Site{Site: s, Present: own})
	}
	var err error
	if c.intake, err = intake.New(in); err != nil {
		return nil, err
	}
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
	for _, s := range c.sites {
		start := func(part string, run, failed func()) {
			wg.Go(func() { c.guard(ctx, s.desk, part, run, failed) })
		}
		start("present", func() { s.run(ctx) }, s.renew)
		start("publish", func() { s.out.run(ctx, c.core) }, nil)
		start("actions", func() { s.actions.watch(ctx, s.desk) }, nil)
		history := newSampling(s.desk)
		start("samples", func() { history.run(ctx) }, nil)
		start("forecast", func() { newForecasting(s.desk, history).run(ctx) }, nil)
		if s.learner != nil {
			l := &learning{d: s.desk, learner: s.learner}
			start("learn", func() { l.run(ctx) }, nil)
		}
		if c.cfg.NewScorer != nil {
			start("score", func() { newScoring(s.desk).run(ctx) }, nil)
		}
	}
	wg.Go(func() { c.intake.Run(ctx) })
	wg.Wait()
	return nil
}

// guardIntake does a part of the work of a site's intake, or of that of a network.
// What it stored and did not tell because it failed, the present has to read.
func (c *Collector) guardIntake(ctx context.Context, id, part string, run func()) {
	s := c.sites[id]
	if s == nil {
		c.guard(ctx, nil, part, run, nil)
		return
	}
	c.guard(ctx, s.desk, part, run, func() { s.inbox.put(func(n *news) { n.untold = true }) })
}

func (c *Collector) onAction(m broker.Message) {
	t, err := broker.ParseTopic(m.Topic)
	s := c.sites[t.Site]
	if err != nil || s == nil {
		c.intake.Refuse(t, m.Topic, err)
		return
	}
	// The store holds the truth; that something happened is all that counts.
	pace.Poke(s.actions.nudge)
}

// stuckAfter is how long the present of a site may take for one turn, which
// comes every 15 seconds at the latest and takes milliseconds.
const stuckAfter = time.Minute

// Alive says which site's present does not turn any more; a watchdog asks.
// One that waits for the store is alive: starting again does not help against
// that.
func (c *Collector) Alive() error {
	for id, s := range c.sites {
		at := elapsed(s.turned.Load())
		if at == 0 {
			continue
		}
		if d := c.elapsed().since(at); d > stuckAfter {
			return fmt.Errorf("the present of %s has not turned for %v", id, d.Round(time.Second))
		}
	}
	return nil
}
