package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/perrondrukte/perrondrukte/api"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/simulated"
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

// demoVisits is the mean number of vehicles on a Saturday. Poort gets more
// than it can take, Buiten and Haven do not.
var demoVisits = map[string]float64{"poort": 760, "buiten": 520, "haven": 640}

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
	begin, err := demoStart(c.Start, c.Speed, time.Now(), cfg.PerronSites())
	if err != nil {
		return err
	}
	clock := shiftedClock(begin, c.Speed)
	if shift := time.Until(begin).Round(time.Minute); shift != 0 {
		logger.Info("the demo's clock is set to " + begin.In(perron.Amsterdam).Format("Monday 2 January 2006, 15:04") +
			"; --start now uses the real time")
	}

	a, err := openApp(e.ctx, cfg, clock, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	yards := make([]*simulate.Yard, len(a.sites))
	for i, s := range a.sites {
		yards[i] = &simulate.Yard{Site: s, Seed: c.Seed, Visits: demoVisits[s.ID]}
	}
	if err := addDemoUser(e.ctx, a); err != nil {
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

// demoStart reads --start. A demo that is started at night would only show
// closed gates, so auto moves it to the busiest time of a Saturday, and at a
// speed to a quarter before the first perron opens.
func demoStart(text string, speed float64, now time.Time, sites []*perron.Site) (time.Time, error) {
	switch text {
	case "now":
		return now, nil
	case "auto":
		for _, s := range sites {
			if p, open := s.Hours.At(now); open && speed == 1 && now.Add(15*time.Minute).Before(p.End) {
				return now, nil
			}
		}
		day := perron.DateOf(now).AddDays(-1)
		for day.Weekday() != time.Saturday || perron.HolidayOn(day).Public() {
			day = day.AddDays(-1)
		}
		if speed == 1 {
			return day.At(12*60 + 15), nil
		}
		begin := day.End()
		for _, s := range sites {
			for _, p := range s.Hours.Periods(day) {
				if p.Start.Before(begin) {
					begin = p.Start
				}
			}
		}
		return begin.Add(-15 * time.Minute), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, perron.Amsterdam); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--start %q is not a local time like 2026-06-13T10:30, nor now or auto", text)
}

// shiftedClock runs from the given time on, so many times as fast as the real
// one.
func shiftedClock(begin time.Time, speed float64) timepiece {
	origin := time.Now()
	return timepiece{speed: speed, now: func() time.Time {
		return begin.Add(time.Duration(speed * float64(time.Since(origin)))).UTC().Round(0)
	}}
}

func makeHistory(ctx context.Context, a *app, yards []*simulate.Yard, weeks int) error {
	began, shown := time.Now(), time.Now()
	h := &history{store: a.store, now: a.now, report: func(part float64) {
		if time.Since(shown) > time.Second {
			shown = time.Now()
			a.logger.Info(fmt.Sprintf("making history: %.0f %%", 100*part))
		}
	}}
	a.logger.Info(fmt.Sprintf("making %d weeks of history for %d perrons", weeks, len(yards)))
	since, err := h.since(ctx, yards, weeks, a.now())
	if err != nil {
		return err
	}
	n, err := h.fill(ctx, yards, weeks, a.now())
	if err != nil {
		return err
	}
	a.logger.Info("making the forecasts that would have been made in it")
	forecasts, err := h.lookBack(ctx, yards, since, a.now())
	if err != nil {
		return err
	}
	// What went by meanwhile; the gateways take over from here.
	h.report = func(float64) {}
	more, err := h.fill(ctx, yards, weeks, a.now())
	if err != nil {
		return err
	}
	a.logger.Info(fmt.Sprintf("made %d events of history, and %d forecasts as they would have been made then, in %.1f s",
		n+more, forecasts, time.Since(began).Seconds()))
	return nil
}

func addDemoUser(ctx context.Context, a *app) error {
	hash, err := api.HashPassword(demoPassword)
	if err != nil {
		return fmt.Errorf("hash the password: %w", err)
	}
	if err := setUser(ctx, a.accounts, demoUser, hash, "admin"); err != nil {
		return fmt.Errorf("add user %q: %w", demoUser, err)
	}
	return nil
}

// addSimulatedGateway connects a real gateway over MQTT whose sensors are
// those of a simulated yard.
func (a *app) addSimulatedGateway(ctx context.Context, y *simulate.Yard) error {
	site, name := y.Site.ID, y.Site.Gateways[0]
	secret, err := issueGateway(ctx, a.accounts, site, name)
	if err != nil {
		return err
	}
	user := site + "/" + name
	logger := quiet(a.logger)
	will, err := gateway.Will(site, name)
	if err != nil {
		return err
	}
	link, err := broker.NewClient(broker.ClientConfig{
		URL: "tcp://" + a.broker.Addr(), ClientID: user, Username: user, Password: secret,
		Will: will, Logger: logger,
	})
	if err != nil {
		return fmt.Errorf("connect gateway %s: %w", user, err)
	}
	loops := make([]string, len(y.Site.QueueLoops))
	for i, l := range y.Site.QueueLoops {
		loops[i] = l.Sensor
	}
	inputs, sensors := simulated.Wire([]string{"main-in"}, []string{"main-out"}, loops)
	day := func(d perron.Date) []perron.Event { return y.Day(d).Events }
	g, err := gateway.New(ctx, gateway.Config{
		Site: site, Gateway: name, Version: versionText(),
		DataDir: filepath.Join(a.cfg.DataDir, name),
		Inputs:  inputs, Sensors: sensors,
		Source: simulated.New(day, sensors, a.now, a.speed, logger),
		Link:   link, Now: a.now, Logger: logger,
		StatusEvery: time.Duration(float64(30*time.Second) / a.speed),
	})
	if err != nil {
		return fmt.Errorf("start gateway %s: %w", user, err)
	}
	a.parts = append(a.parts, part{"link of " + user, link.Run}, part{"gateway " + user, g.Run})
	return nil
}

// quiet keeps the lines of the demo's gateways to what matters.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(atLeast{l.Handler(), slog.LevelWarn}) }

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
