package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/api"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/demo"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

type demoCmd struct {
	logs.Flags
	HTTP    string  `name:"http" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to show the website (${default})."`
	DataDir string  `placeholder:"DIR" help:"Keep the data here; without it nothing is left behind."`
	Start   string  `default:"auto" placeholder:"TIME" help:"Set the clock of the demo: a local time like 2026-06-13T10:30, now for the real time, or auto, which is now while a perron is open and last Saturday at 12:15 otherwise, or just before it opens when --speed is more than 1."`
	Speed   float64 `default:"1" placeholder:"N" help:"Let the clock of the demo run N times as fast, up to 60: a day passes in minutes (${default})."`
	Weeks   int     `default:"9" help:"Weeks of simulated history (${default})."`
	Seed    uint64  `default:"1" help:"Another seed is another weather (${default})."`
}

// The demo's own account. It listens on loopback unless told otherwise, and
// the password is printed.
const (
	demoUser     = "demo"
	demoPassword = "demo-perron"
)

func (c *demoCmd) Run(e *env) (err error) {
	if c.Weeks < 0 || c.Weeks > 260 {
		return fmt.Errorf("--weeks %d: want 0 to 260", c.Weeks)
	}
	if c.Speed < 1 || c.Speed > 60 {
		return fmt.Errorf("--speed %g: want 1 to 60", c.Speed)
	}
	logger := c.Logger(e.stderr)
	cfg := config.Almere()
	cfg.Listen.HTTP = c.HTTP
	cfg.Listen.Metrics = "" // a second demo must not find its address taken
	cfg.Broker.Embedded.Listen = "127.0.0.1:0"
	if cfg.DataDir = c.DataDir; c.DataDir == "" {
		if cfg.DataDir, err = os.MkdirTemp("", "perrondrukte-demo-"); err != nil {
			return fmt.Errorf("make a folder for the data: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.DataDir)) }()
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	started := time.Now()
	begin, err := demo.Begin(c.Start, c.Speed, started, cfg.PerronSites())
	if err != nil {
		return fmt.Errorf("--start %w", err)
	}
	clock := timepiece{speed: c.Speed, now: demo.Clock(begin, c.Speed, func() time.Duration { return time.Since(started) })}
	if shift := time.Until(begin).Round(time.Minute); shift != 0 {
		logger.Info("the demo's clock is set to " + begin.In(perron.Amsterdam).Format("Monday 2 January 2006, 15:04") +
			"; --start now uses the real time")
	}

	a, err := openApp(e.ctx, cfg, clock, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	yards := demo.Yards(a.sites, c.Seed)
	if err := access.SetUser(e.ctx, a.accounts, demoUser, demoPassword, api.RoleAdmin); err != nil {
		return err
	}
	if err := makeHistory(e.ctx, a, yards, c.Weeks); err != nil {
		return err
	}
	for _, y := range yards {
		if err := a.addSimulatedGateway(e.ctx, y); err != nil {
			return err
		}
	}
	url := siteURL(a.server.Addr())
	fmt.Fprintf(e.stdout, `
  Three recycling perrons are running.

    residents   %[1]s
    staff       %[1]s/staff      (log in as %[2]s with the password %[3]s)
    planners    %[1]s/planner
    API         %[1]s/api/openapi.json

  Stop with Ctrl-C.

`, url, demoUser, demoPassword)
	return a.Run(e.ctx)
}

// makeHistory makes the demo's past, and says how far it is once a second.
func makeHistory(ctx context.Context, a *app, yards []*simulate.Yard, weeks int) error {
	began, shown := time.Now(), time.Now()
	tick := func() bool {
		due := time.Since(shown) > time.Second
		if due {
			shown = time.Now()
		}
		return due
	}
	a.logger.Info(fmt.Sprintf("making %d weeks of history for %d perrons", weeks, len(yards)))
	events, forecasts, err := demo.NewHistory(a.store, a.now, a.logger).Make(ctx, yards, weeks, tick)
	if err != nil {
		return err
	}
	a.logger.Info(fmt.Sprintf("made %d events of history, and %d forecasts as they would have been made then, in %.1f s",
		events, forecasts, time.Since(began).Seconds()))
	return nil
}

// addSimulatedGateway connects a gateway whose sensors are those of a simulated
// yard.
func (a *app) addSimulatedGateway(ctx context.Context, y *simulate.Yard) error {
	site, name := y.Site.ID, y.Site.Gateways[0]
	secret, err := access.Issue(ctx, a.accounts, site, name)
	if err != nil {
		return err
	}
	link, g, err := demo.NewGateway(ctx, demo.GatewayConfig{
		Yard: y, Version: versionText(), Broker: "tcp://" + a.broker.Addr(), Password: secret,
		DataDir: filepath.Join(a.cfg.DataDir, name), Now: a.now, Speed: a.speed, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	user := site + "/" + name
	a.parts = append(a.parts, part{"link of " + user, link.Run}, part{"gateway " + user, g.Run})
	return nil
}
