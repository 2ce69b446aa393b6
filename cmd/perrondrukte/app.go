package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/api"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/collector"
	"github.com/perrondrukte/perrondrukte/collector/learner"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store/influx"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
	"github.com/perrondrukte/perrondrukte/weather"
)

// An app is the service, or some of its roles, put together from a
// configuration.
type app struct {
	cfg      *config.Server
	sites    []*perron.Site
	now      func() time.Time
	speed    float64 // seconds of now a real second
	logger   *slog.Logger
	registry *prometheus.Registry

	store    Store
	accounts Accounts
	broker   *embedded.Broker // nil when it is external or another process
	certs    *certs.Files     // nil when our broker does without TLS
	secret   string           // password of our own processes at the broker
	server   *api.Server      // nil without the role api
	metrics  *metricsServer   // nil without an address for it
	parts    []part
	checks   []func(context.Context) error // of progress
}

// A timepiece tells the time. Only a demo's goes faster than a second a second.
type timepiece struct {
	now   func() time.Time
	speed float64
}

var realClock = timepiece{now: time.Now, speed: 1}

// openApp opens what the configuration names and listens, so that every
// address is known when it returns; nothing runs yet. The caller closes the
// app, also after an error of Run.
func openApp(ctx context.Context, cfg *config.Server, c timepiece, logger *slog.Logger) (_ *app, err error) {
	a := &app{cfg: cfg, sites: cfg.PerronSites(), now: c.now, speed: c.speed, logger: logger, registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.accounts, err = openAccounts(ctx, cfg); err != nil {
		return nil, err
	}
	if a.cfg.HasRole(config.RoleCollector) || a.cfg.HasRole(config.RoleAPI) {
		if a.store, err = openStore(ctx, cfg, a.registry); err != nil {
			return nil, err
		}
	}
	if err := a.addBroker(); err != nil {
		return nil, err
	}
	if err := a.addCollector(); err != nil {
		return nil, err
	}
	if err := a.addAPI(); err != nil {
		return nil, err
	}
	a.addMetrics()
	return a, nil
}

// Run blocks until ctx ends or a part fails.
func (a *app) Run(ctx context.Context) error { return runParts(ctx, a.parts) }

// Close closes the files. Nothing may run any more.
func (a *app) Close() error {
	var errs []error
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.accounts != nil {
		errs = append(errs, a.accounts.Close())
	}
	return errors.Join(errs...)
}

// openAccounts is the first to use the data folder, and makes it.
func openAccounts(ctx context.Context, cfg *config.Server) (Accounts, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	accounts, err := sqlite.OpenAccounts(ctx, cfg.AccountsPath())
	if err != nil {
		return nil, fmt.Errorf("open the accounts: %w", err)
	}
	return accounts, nil
}

func openStore(ctx context.Context, cfg *config.Server, registerer prometheus.Registerer) (s Store, err error) {
	switch in := cfg.Store.Influx; {
	case in != nil:
		token, tokenErr := in.ReadToken()
		if tokenErr != nil {
			return nil, tokenErr
		}
		s, err = influx.Open(ctx, influx.Config{URL: in.URL, Token: token, Org: in.Org, Bucket: in.Bucket, Registerer: registerer})
	case cfg.Store.SQLite != nil:
		s, err = sqlite.Open(ctx, cfg.SQLitePath(), sqlite.Options{Registerer: registerer})
	default:
		err = errors.New("nothing opens what is configured")
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}

// addBroker starts a broker of our own unless an external one is configured.
func (a *app) addBroker() (err error) {
	if a.cfg.Broker.Embedded == nil {
		a.secret, err = a.cfg.Broker.ReadPassword()
		return err
	}
	if a.secret, err = a.cfg.Broker.Embedded.ReadServicePassword(); err != nil {
		return err
	}
	if a.secret == "" {
		a.secret, _ = access.NewSecret()
	}
	guard := access.GuardConfig{Credentials: a.accounts, Service: sha256.Sum256([]byte(a.secret)), Logger: a.logger}
	var secure *tls.Config
	if c := a.cfg.Broker.Embedded.TLS; c != nil {
		if a.certs, err = certs.OpenFiles(c.CertFile, c.KeyFile, a.cfg.AuthorityPath(), time.Now, a.logger); err != nil {
			return fmt.Errorf("broker.embedded.tls: %w", err)
		}
		secure, guard.Certified = a.certs.Server(), c.RequireClientCertificates
	}
	doorman := access.NewGuard(guard)
	a.broker, err = embedded.New(embedded.Config{
		Listen:      a.cfg.Broker.Embedded.Listen,
		TLS:         secure,
		Credentials: brokerCredentials{doorman},
		Logger:      a.logger,
		Registerer:  a.registry,
	})
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	if err := a.broker.Listen(); err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	a.logger.Info("broker listens", logs.Address, a.broker.Addr())
	a.parts = append(a.parts, part{"broker", a.broker.Run}, part{"credentials", doorman.Watch(a.broker.Disconnect)})
	return a.addExpiry()
}

// brokerCredentials tell our own broker who a client is.
type brokerCredentials struct{ guard *access.Guard }

// Authenticate implements embedded.Credentials.
func (b brokerCredentials) Authenticate(l embedded.Login) (embedded.Principal, error) {
	c, err := b.guard.Identify(l.Username, l.Password, l.Certificate)
	return embedded.Principal{Site: c.Site, Gateway: c.Gateway, Service: c.Service}, err
}

// addExpiry watches how long certificates are still valid.
func (a *app) addExpiry() error {
	var shown func() *x509.Certificate
	if a.certs != nil {
		shown = a.certs.Leaf
	}
	e := access.NewExpiry(a.accounts, shown, a.logger)
	if err := a.registry.Register(e); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	a.parts = append(a.parts, part{"certificates", e.Run})
	return nil
}

// client makes a connection of our own to the broker.
func (a *app) client(role config.Role) (*broker.Client, error) {
	url, user := a.cfg.Broker.URL, a.cfg.Broker.Username
	name := access.ServicePrefix + string(role)
	tls, err := clientTLS(a.cfg.Broker.CAFile)
	if err != nil {
		return nil, err
	}
	if a.broker != nil {
		url, user = "tcp://"+a.broker.Addr(), name
		if a.certs != nil {
			url, tls = "ssl://"+a.broker.Addr(), a.certs.Own()
		}
	} else {
		// Two processes of one role must not push each other off the broker. A
		// client id that begins with the user name is what our own broker asks for.
		suffix, _ := access.NewSecret()
		name = cmp.Or(user, access.ServiceUser) + "." + string(role) + "." + strings.Trim(suffix[:8], "-_")
	}
	c, err := broker.NewClient(broker.ClientConfig{
		URL: url, ClientID: name, Username: user, Password: a.secret, TLS: tls, Logger: a.logger.With(logs.Role, role),
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"role": string(role)}, a.registry),
	})
	if err != nil {
		return nil, fmt.Errorf("connect the %s to the broker: %w", role, err)
	}
	return c, nil
}

func (a *app) addCollector() error {
	if !a.cfg.HasRole(config.RoleCollector) {
		return nil
	}
	link, err := a.client(config.RoleCollector)
	if err != nil {
		return err
	}
	var own, elsewhere []*perron.Site
	for _, s := range a.sites {
		if a.cfg.Collectors.Serves(s.ID) {
			own = append(own, s)
		} else {
			elsewhere = append(elsewhere, s)
		}
	}
	if share := a.cfg.Collectors; share != nil {
		a.logger.Info("this collector serves a part of the sites", logs.Index, share.Index, logs.Of, share.Of, logs.Sites, names(own))
	}
	report, err := a.addWeather(own)
	if err != nil {
		return err
	}
	counters, err := devices(a.cfg)
	if err != nil {
		return err
	}
	networks, links, err := a.networks(own)
	if err != nil {
		return err
	}
	c, err := collector.New(collector.Config{
		Weather: report,
		Sites:   own, Elsewhere: elsewhere, Devices: counters, Networks: networks, Store: a.store, Link: link,
		NewLearner:    func(s *perron.Site) collector.Learner { return learner.New(s) },
		NewForecaster: func(s *perron.Site) collector.Forecaster { return forecast.New(s) },
		NewScorer:     func(s *perron.Site) collector.Scorer { return forecast.NewScorer(s) },
		Civil:         a.now, Speed: a.speed, StaleAfter: time.Duration(a.cfg.StaleAfter), Logger: a.logger, Registerer: a.registry,
	})
	if err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	a.parts = append(a.parts, part{"collector's link", link.Run})
	a.parts = append(a.parts, links...)
	a.parts = append(a.parts, part{"collector", c.Run})
	a.checks = append(a.checks, func(context.Context) error { return c.Alive() })
	a.checkLink(link)
	return nil
}

// addWeather fetches the weather of the sites, where it is configured.
func (a *app) addWeather(sites []*perron.Site) (collector.Weather, error) {
	w := a.cfg.Weather
	if w == nil {
		return nil, nil
	}
	s, err := weather.New(weather.Config{
		Sites: sites, URL: w.URL, File: w.File, Every: w.Every.D(), CacheDir: a.cfg.DataDir,
		Now: a.now, Logger: a.logger, Registerer: a.registry,
	})
	if err != nil {
		return nil, fmt.Errorf("read the weather: %w", err)
	}
	a.parts = append(a.parts, part{"weather", s.Run})
	return s, nil
}

func names(sites []*perron.Site) string {
	ids := make([]string, len(sites))
	for i, s := range sites {
		ids[i] = s.ID
	}
	return strings.Join(ids, " ")
}

func (a *app) addAPI() error {
	if !a.cfg.HasRole(config.RoleAPI) {
		return nil
	}
	link, err := a.client(config.RoleAPI)
	if err != nil {
		return err
	}
	server, err := newServer(a, link)
	if err != nil {
		return err
	}
	if err := server.Listen(a.cfg.Listen.HTTP); err != nil {
		return fmt.Errorf("start the website: %w", err)
	}
	a.server = server
	a.logger.Info("website listens", logs.Address, server.Addr())
	a.parts = append(a.parts, part{"website's link", link.Run}, part{"website", server.Run})
	a.checks = append(a.checks, a.websiteAnswers)
	a.checkLink(link)
	return nil
}
