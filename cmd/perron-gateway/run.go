package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/cmd/internal/systemd"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

type runCmd struct {
	logs.Flags
	Config string `required:"" placeholder:"FILE" help:"The gateway's YAML file."`
	Once   bool   `help:"Stop when the recording is finished and everything is acknowledged."`
	// TestClock makes the clock wrong in the way that a file says: see
	// docs/adr/0010-doubt-the-clock.md.
	TestClock string `hidden:"" placeholder:"FILE"`
}

func (c *runCmd) Run(e *env) error {
	log := c.Logger(e.stderr)
	g, err := config.LoadGateway(c.Config)
	if err != nil {
		return err
	}
	p, err := newParts(g, time.Now, log)
	if err != nil {
		return err
	}
	shown, err := newCredential(&g.Broker, log)
	if err != nil {
		return err
	}
	link, err := newLink(g, shown, log)
	if err != nil {
		return err
	}
	cfg := gateway.Config{
		Site: string(g.Site), Gateway: string(g.Gateway), Version: versionText(),
		DataDir: g.DataDir, MaxOutbox: int64(g.Outbox.MaxSize),
		Inputs: p.inputs, Sensors: p.sensors, Source: p.source,
		Link: link, StatusEvery: g.StatusEvery.D(), ClockWait: g.Clock.Wait.D(), Boot: clock.BootID(), Logger: log,
	}
	switch {
	case c.TestClock != "":
		wrong, err := clock.Pretend(c.TestClock)
		if err != nil {
			return err
		}
		cfg.Source = gateway.Through(p.source, func(s gateway.Sink) gateway.Sink { return misdatedSink{s, wrong} })
		cfg.ReadClock, cfg.Boot = wrong.Read, wrong.BootID()
	case p.ownTimes:
		cfg.ClockSynced = clock.KernelSynced
	default:
		cfg.ReadClock = clock.Device
	}
	gw, err := gateway.New(e.ctx, cfg)
	if err != nil {
		return err
	}

	// The link outlives the gateway, whose last message says that it is off.
	linkCtx, stopLink := context.WithCancel(context.WithoutCancel(e.ctx))
	defer stopLink()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var wg sync.WaitGroup
	var linkErr error
	wg.Go(func() {
		if linkErr = link.Run(linkCtx); linkErr != nil {
			cancel()
		}
	})
	wg.Go(func() { shown.watch(ctx, c.Config, link.Renew) })
	wg.Go(func() { systemd.Watch(ctx, gw.Ready(), gw.Ping, log) })
	wg.Go(func() { showSelf(ctx, socketOf(g), gw, log) })
	if c.Once {
		wg.Go(func() {
			untilIdle(ctx, gw)
			cancel()
		})
	}
	err = gw.Run(ctx)
	cancel()
	stopLink()
	wg.Wait()
	if err = errors.Join(err, linkErr); err != nil {
		return fmt.Errorf("gateway %s: %w", g.Username(), err)
	}
	if gw.Idle() {
		log.Info("gateway stopped; everything is stored by the server")
	} else {
		log.Info("gateway stopped; what is not acknowledged is on disk")
	}
	return nil
}

// misdatedSink takes times of a clock that is wrong.
type misdatedSink struct {
	gateway.Sink
	clock *clock.Pretended
}

func (m misdatedSink) Edge(ctx context.Context, e pulse.Edge) error {
	e.Time = e.Time.Add(m.clock.Offset())
	return m.Sink.Edge(ctx, e)
}

func (m misdatedSink) Events(ctx context.Context, events []perron.Event, position []byte) error {
	off := m.clock.Offset()
	for i := range events {
		events[i].Time = events[i].Time.Add(off)
	}
	return m.Sink.Events(ctx, events, position)
}

func untilIdle(ctx context.Context, gw *gateway.Gateway) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && !gw.Idle() {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
