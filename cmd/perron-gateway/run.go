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
)

type runCmd struct {
	logging
	Config string `required:"" help:"The gateway's YAML file."`
	Once   bool   `help:"Stop when the recording is finished and everything is acknowledged."`
}

func (c *runCmd) Run(e *env) error {
	log := c.logger(e.stderr)
	g, err := config.LoadGateway(c.Config)
	if err != nil {
		return err
	}
	p, err := newParts(g, time.Now, log)
	if err != nil {
		return err
	}
	link, err := newLink(g, log)
	if err != nil {
		return err
	}
	gw, err := gateway.New(e.ctx, gateway.Config{
		Site: string(g.Site), Gateway: string(g.Gateway), Version: versionText(),
		DataDir: g.DataDir, MaxOutbox: int64(g.Outbox.MaxSize),
		Inputs: p.inputs, Sensors: p.sensors, Source: p.source,
		Link: link, StatusEvery: g.StatusEvery.D(), ClockSynced: gateway.ClockSynced, Logger: log,
	})
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
	wg.Go(func() { systemd.Watch(ctx, gw.Ping, log) })
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
