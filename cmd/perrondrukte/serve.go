package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/perrondrukte/perrondrukte/cmd/internal/systemd"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// configFlag names the server's configuration.
type configFlag struct {
	Config string `required:"" placeholder:"FILE" help:"Server configuration (YAML)."`
}

func (c *configFlag) openAccounts(ctx context.Context) (Accounts, error) {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return nil, err
	}
	return openAccounts(ctx, cfg)
}

type serveCmd struct {
	configFlag
	logs.Flags
	HTTP      string   `name:"http" placeholder:"HOST:PORT" help:"Listen here instead of at listen.http."`
	Metrics   string   `placeholder:"HOST:PORT" help:"Answer /metrics here instead of at listen.metrics."`
	Roles     []string `placeholder:"ROLE" help:"Take on these roles instead of the configured ones: broker, collector, api."`
	Collector string   `placeholder:"INDEX/OF" help:"Serve the sites of this collector, like 0/3, instead of those by the configured collectors."`
}

func (c *serveCmd) Run(e *env) error {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	if c.HTTP != "" {
		cfg.Listen.HTTP = c.HTTP
	}
	if c.Metrics != "" {
		cfg.Listen.Metrics = c.Metrics
	}
	if len(c.Roles) > 0 {
		cfg.Roles = nil
		for _, r := range c.Roles {
			cfg.Roles = append(cfg.Roles, config.Role(r))
		}
	}
	if c.Collector != "" {
		if cfg.Collectors, err = config.ParseCollectors(c.Collector); err != nil {
			return fmt.Errorf("--collector: %w", err)
		}
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	logger := c.Logger(e.stderr)
	a, err := openApp(e.ctx, cfg, realClock, logger)
	if err != nil {
		return err
	}
	if a.server != nil {
		logger.Info("open " + siteURL(a.server.Addr()))
	}
	a.parts = append(a.parts, part{"watchdog", func(ctx context.Context) error {
		systemd.Watch(ctx, nil, a.alive, logger)
		<-ctx.Done()
		return nil
	}})
	err = a.Run(e.ctx)
	logger.Info("stopped")
	return errors.Join(err, a.Close())
}

// siteURL is what to type into a browser for a listening address.
func siteURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

type checkConfigCmd struct {
	File string `arg:"" help:"Server configuration (YAML)."`
}

func (c *checkConfigCmd) Run(e *env) error {
	cfg, err := config.LoadServer(c.File)
	if err != nil {
		return err
	}
	names := make([]string, len(cfg.Sites))
	for i, s := range cfg.Sites {
		names[i] = s.Name
	}
	_, err = fmt.Fprintf(e.stdout, "%s is right: %d sites (%s).\n", c.File, len(names), strings.Join(names, ", "))
	return err
}
