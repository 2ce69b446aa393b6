package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// newLink is the connection to the broker.
func newLink(g *config.Gateway, shown *credential, log *slog.Logger) (*broker.Client, error) {
	cfg, err := linkConfig(g, log)
	if err != nil {
		return nil, err
	}
	cfg.Login = shown.Login
	return broker.NewClient(cfg)
}

// linkConfig says how to connect to the broker, with the gateway's last will and
// the credential of now.
func linkConfig(g *config.Gateway, log *slog.Logger) (cfg broker.ClientConfig, err error) {
	shown, err := newCredential(&g.Broker, log)
	if err != nil {
		return cfg, err
	}
	will, err := gateway.Will(string(g.Site), string(g.Gateway))
	if err != nil {
		return cfg, err
	}
	return broker.ClientConfig{
		URL: g.Broker.URL, ClientID: g.Username(), Username: g.Username(), Password: shown.login.Password, TLS: shown.login.TLS,
		Will: will, Logger: log,
	}, nil
}

// checkParts finds what is wrong with a configuration beyond its file.
func checkParts(ctx context.Context, g *config.Gateway) error {
	p, err := newParts(g, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if _, err := pulse.New(p.inputs, p.sensors); err != nil {
		return err
	}
	// Of what the file holds itself; other files may be on another machine.
	inline := config.GatewayBroker{CA: g.Broker.CA, Certificate: g.Broker.Certificate, Key: g.Broker.Key}
	if inline.Certificate == "" || inline.Key == "" {
		inline.Certificate, inline.Key = "", ""
	}
	if _, err := newCredential(&inline, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if checker, ok := p.source.(gateway.Checker); ok {
		return checker.Check(ctx)
	}
	return nil
}
