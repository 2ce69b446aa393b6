// Package embedded is the MQTT broker inside the server, for an installation
// without one of its own. It knows the contract of package broker and allows
// nothing else:
//
//   - A gateway logs in with the user name "{site}/{gateway}" and its secret. It
//     may publish its own events, counters and status, by its last will too, and
//     read its own acknowledgements. It may not subscribe with a wildcard.
//   - A service, our own collector or API node, may do everything.
//   - The client id must be the user name: sessions are resumed, and taken
//     over, by client id alone. A service may add "." and a word, because
//     several of them share one credential.
//   - A second gateway with the name of one that is connected, and answers, is
//     refused; it does not take over.
//   - MQTT 3.1.1 only. What version 5 adds (topic aliases, delayed wills, session
//     expiry) is not used, and every one of them is a way around a limit.
//
// Retained messages and sessions live in memory. After a restart gateways
// publish their status and the collector the state of its sites as soon as
// they are connected again, so nothing is missing for longer than that takes.
package embedded

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Principal is who a client has proved to be.
type Principal struct {
	// Site and Gateway name a gateway; its user name must be "{Site}/{Gateway}".
	Site, Gateway string
	// Service marks our own collector or API, which may do everything. Its user
	// name must be one that no gateway bears.
	Service bool
}

// A Login is what a client shows of itself.
type Login struct {
	Username, Password string
	// Certificate is the one that the client has proved to hold, verified against
	// the authorities in Config.TLS; nil without one.
	Certificate *x509.Certificate
}

// Credentials tell who a client is. Authenticate must be safe for concurrent
// use and compare secrets in constant time. Its error is logged as the reason
// of a refusal; the client learns only that it is refused.
type Credentials interface {
	Authenticate(Login) (Principal, error)
}

// Config of a broker. Limits that are zero get the default beside them.
type Config struct {
	Listen      string      // host:port; port 0 takes a free one
	TLS         *tls.Config // nil for plain TCP
	Credentials Credentials
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil for no metrics

	MaxClients     int           // 1000 clients logged in; a few more connections may be waiting to log in
	MaxPacket      uint32        // bytes; broker.MaxMessage and 1 KiB
	MaxInflight    uint16        // 1024 messages sent to a client and not confirmed; more are dropped
	MaxPending     int32         // 1024 messages waiting to be written to a client; more are dropped
	ReceiveMaximum uint16        // 64 unconfirmed messages that a client may send at once
	SessionExpiry  time.Duration // 10 min that the session of an absent client is kept
	MaxKeepAlive   time.Duration // 5 min; a client must promise to be heard within that time
	LoginTimeout   time.Duration // 10 s from connection to CONNECT
	AliveWithin    time.Duration // 2 s for a gateway to show that it is there when another comes with its name
}

// A Broker is an MQTT broker.
type Broker struct {
	cfg      Config
	server   *mochi.Server
	listener *listener
	metrics  *metrics
	running  atomic.Bool
	stopping atomic.Bool
}

// New checks the configuration. Nothing is opened before Listen.
func New(cfg Config) (*Broker, error) {
	if cfg.Credentials == nil {
		return nil, errors.New("embedded broker without credentials")
	}
	if cfg.Listen == "" {
		return nil, errors.New("embedded broker without an address to listen on")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.MaxClients, 1000)
	setDefault(&cfg.MaxPacket, broker.MaxMessage+1024)
	setDefault(&cfg.MaxInflight, 1024)
	setDefault(&cfg.MaxPending, 1024)
	setDefault(&cfg.ReceiveMaximum, 64)
	setDefault(&cfg.SessionExpiry, 10*time.Minute)
	setDefault(&cfg.MaxKeepAlive, 5*time.Minute)
	setDefault(&cfg.LoginTimeout, 10*time.Second)
	setDefault(&cfg.AliveWithin, 2*time.Second)
	if cfg.MaxClients < 0 || cfg.MaxPending < 0 || cfg.SessionExpiry < 0 || cfg.MaxKeepAlive < time.Second || cfg.LoginTimeout < 0 || cfg.AliveWithin < 0 {
		return nil, errors.New("embedded broker with a negative limit")
	}

	limits := mochi.NewDefaultServerCapabilities()
	limits.MaximumClients = int64(cfg.MaxClients)
	limits.MaximumPacketSize = cfg.MaxPacket
	limits.MaximumInflight = cfg.MaxInflight
	limits.MaximumClientWritesPending = cfg.MaxPending
	limits.ReceiveMaximum = cfg.ReceiveMaximum
	limits.MaximumSessionExpiryInterval = uint32(cfg.SessionExpiry / time.Second)
	// Zero is "never": the library's limit would also delete retained messages,
	// such as the state of a gateway that has long been silent.
	limits.MaximumMessageExpiryInterval = 0
	limits.TopicAliasMaximum = 0
	limits.SharedSubAvailable = 0
	limits.SubIDAvailable = 0
	limits.MaximumQos = 1
	limits.MinimumProtocolVersion = protocol311

	b := &Broker{cfg: cfg}
	b.server = mochi.New(&mochi.Options{
		Capabilities: limits,
		Logger:       slog.New(quiet{cfg.Logger.Handler()}),
		// The library stops the world to measure its memory each time it publishes
		// its $SYS topics, which it does every second unless told otherwise.
		SysTopicResendInterval:   300,
		ClientNetReadBufferSize:  4 << 10,
		ClientNetWriteBufferSize: 4 << 10,
	})
	b.metrics = newMetrics(cfg.Registerer, b.server.Info)
	if err := b.server.AddHook(&guard{broker: b, refused: rarely.New(time.Minute)}, nil); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return b, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Listen opens the address. Clients that connect are served once Run is
// called.
func (b *Broker) Listen() error {
	if b.listener != nil {
		return errors.New("embedded broker listens already")
	}
	l, err := net.Listen("tcp", b.cfg.Listen)
	if err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	b.listener = &listener{
		tcp: l, tls: b.cfg.TLS, refused: rarely.New(time.Minute), log: b.cfg.Logger, metrics: b.metrics,
		login: b.cfg.LoginTimeout, most: b.cfg.MaxClients + b.cfg.MaxClients/4 + 16,
		conns: make(map[net.Conn]struct{}),
	}
	if err := b.server.AddListener(b.listener); err != nil {
		_ = l.Close()
		return fmt.Errorf("embedded broker: %w", err)
	}
	return nil
}

// Addr is the host and port that the broker listens on; empty before Listen.
func (b *Broker) Addr() string {
	if b.listener == nil {
		return ""
	}
	return b.listener.Address()
}

// Run serves until ctx ends, then closes every connection and waits for what
// it started. It calls Listen unless that was done.
func (b *Broker) Run(ctx context.Context) error {
	if !b.running.CompareAndSwap(false, true) {
		return errors.New("embedded broker runs already")
	}
	if b.listener == nil {
		if err := b.Listen(); err != nil {
			return err
		}
	}
	if err := b.server.Serve(); err != nil {
		_ = b.listener.tcp.Close()
		return fmt.Errorf("embedded broker: %w", err)
	}
	<-ctx.Done()
	b.stopping.Store(true)
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("close embedded broker: %w", err)
	}
	return nil
}

// Disconnect ends the connection and the session of a gateway whose credential
// was revoked. Its last will is published. Revoke first: the gateway will try
// to connect again at once.
func (b *Broker) Disconnect(site, gateway string) {
	id := gatewayUser(site, gateway)
	cl, ok := b.server.Clients.Get(id)
	if !ok {
		return
	}
	cl.Stop(errRevoked)
	b.server.UnsubscribeClient(cl)
	b.server.Clients.Delete(id)
}

var errRevoked = errors.New("credential revoked")

func gatewayUser(site, gateway string) string { return site + "/" + gateway }

// consistent says whether a principal may bear the user name.
func (p Principal) consistent(username string) bool {
	if p.Service {
		return username != "" && p.Site == "" && p.Gateway == ""
	}
	return perron.ValidID(p.Site) && perron.ValidID(p.Gateway) && username == gatewayUser(p.Site, p.Gateway)
}
