package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
)

var (
	// ErrOffline means that there is no connection, or that it was lost before
	// the broker confirmed. The message may have arrived all the same.
	ErrOffline = errors.New("not connected to the broker")
	// ErrNoAck means that the broker did not confirm in time. The message may
	// have arrived all the same.
	ErrNoAck = errors.New("no confirmation by the broker")
)

// A Message is a payload on a topic.
type Message struct {
	Topic   string
	Payload []byte
	// Retained asks the broker to keep the message for later subscribers; on a
	// received message it says that this is such a kept one.
	Retained bool
}

// ClientConfig says which broker to use and how.
type ClientConfig struct {
	// URL of the broker: tcp://host:1883 or mqtt://, or with TLS tls://host:8883,
	// ssl:// or mqtts://.
	URL string
	// ClientID must be the Username at the embedded broker; see broker/embedded.
	ClientID, Username, Password string
	// TLS is used with a TLS scheme; nil verifies the host by the system's roots.
	TLS *tls.Config
	// Login, where there is one, is asked before each connection and takes the
	// place of Password and TLS, so that what was replaced is used without a
	// restart. An error counts as a failed attempt.
	Login func() (Login, error)
	// Will is published by the broker when the connection breaks.
	Will *Message
	// KeepSession asks the broker to keep what comes while the client is away, and
	// all that was not done with; see [Client.Consume]. The ClientID must then be
	// the same each time. It is not for the broker inside the server, for the
	// reason at subscribe.
	KeepSession bool
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil for no metrics

	// The following have defaults.
	KeepAlive      time.Duration // 15 s; silence of 1.5 times as long is a lost connection
	ConnectTimeout time.Duration // 10 s, for dialling, TLS and CONNACK together
	PublishTimeout time.Duration // 10 s until a PUBACK
	MinBackoff     time.Duration // 250 ms
	MaxBackoff     time.Duration // 30 s
}

// A Login is what a client shows to the broker beside its name.
type Login struct {
	Password string
	TLS      *tls.Config // as in [ClientConfig]
}

// A Client keeps a connection to a broker: it connects again with exponential
// backoff and jitter whenever the connection is lost, and subscribes anew each
// time.
//
// Sessions are clean, unless KeepSession asks for another. What the broker would
// keep for an absent client is worth nothing within the contract: batches are
// resent until the collector acknowledges them, acks are repeated, and states
// are retained. A kept session would only deliver old duplicates first, and hold
// memory for clients that never return. It is for brokers of others, whose
// messages come once.
//
// Messages reach their handlers in the order in which the broker sent them,
// one at a time, and so a handler must not block; it only enqueues. (The MQTT
// library's unordered mode starts a goroutine a message. Batches then overtake
// each other, each of which looks like a gap and costs a resend, and an old
// state can replace a newer one.)
type Client struct {
	cfg     ClientConfig
	broker  *url.URL
	secure  bool
	log     *slog.Logger
	rare    *rarely.Limiter
	metrics *clientMetrics

	subscriptions []subscription
	up            []func()
	started       atomic.Bool
	conn          atomic.Pointer[connection]
	renew         chan struct{}  // capacity 1: connect anew
	running       sync.WaitGroup // publishes and OnUp calls
	mu            sync.Mutex     // orders running.Add before running.Wait
	stopped       bool
}

type subscription struct {
	filter string
	handle func(m Message, done func())
}

// A connection is one life of the link. The library's client cannot be used
// again after a disconnect, so there is a new one each time.
type connection struct {
	mqtt mqtt.Client
	lost chan struct{} // closed when the connection is no more
}

// NewClient checks the configuration. Nothing is started before Run.
func NewClient(cfg ClientConfig) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("broker URL %q: %w", cfg.URL, err)
	}
	var port string
	c := &Client{log: cfg.Logger, rare: rarely.New(time.Minute), renew: make(chan struct{}, 1)}
	switch u.Scheme {
	case "tcp", "mqtt":
		port = "1883"
	case "tls", "ssl", "mqtts":
		port, c.secure = "8883", true
	default:
		return nil, fmt.Errorf("broker URL %q: scheme %q is not one of tcp, mqtt, tls, ssl, mqtts", u.Redacted(), u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("broker URL %q has no host", u.Redacted())
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.User != nil {
		return nil, fmt.Errorf("broker URL %q holds a user; use the username and password fields", u.Redacted())
	}
	if cfg.ClientID == "" {
		return nil, errors.New("broker client without a client id")
	}
	if cfg.Will != nil && len(cfg.Will.Payload) > MaxMessage {
		return nil, fmt.Errorf("last will of %d bytes is more than %d", len(cfg.Will.Payload), MaxMessage)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.KeepAlive, 15*time.Second)
	setDefault(&cfg.ConnectTimeout, 10*time.Second)
	setDefault(&cfg.PublishTimeout, 10*time.Second)
	setDefault(&cfg.MinBackoff, 250*time.Millisecond)
	setDefault(&cfg.MaxBackoff, 30*time.Second)
	if cfg.KeepAlive < time.Second || cfg.KeepAlive > 10*time.Minute {
		return nil, fmt.Errorf("keep-alive %v is not from 1s to 10m", cfg.KeepAlive)
	}
	c.cfg, c.broker = cfg, u
	c.metrics = newClientMetrics(cfg.Registerer, cfg.ClientID)
	return c, nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}

// Subscribe asks for a filter with QoS 1. It must be called before Run. The
// handler must only enqueue; it owns the payload.
func (c *Client) Subscribe(filter string, handle func(Message)) {
	if c.started.Load() {
		panic("broker: Subscribe after Run")
	}
	c.subscriptions = append(c.subscriptions, subscription{filter, func(m Message, done func()) {
		defer done()
		handle(m)
	}})
}

// handle gives a message to its handler. A panic there is an error of this
// program that a message of one sender has found: it ends neither the link nor
// the process. What is consumed stays with its broker then.
func (c *Client) handle(s subscription, m Message, done func()) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		c.metrics.panics.Inc()
		if n, ok := c.rare.Allow(s.filter); ok { // the sender may send it again and again
			c.log.Error("an error of this program ended the handling of a message",
				logs.Topic, m.Topic, logs.Bytes, len(m.Payload), logs.Error, fmt.Sprint(v), logs.Stack, string(debug.Stack()), logs.Times, n)
		}
	}()
	s.handle(m, done)
}

// Consume is Subscribe for messages that must not be lost: the broker keeps each
// of them until done is called, and sends it again on the next connection. It
// stops sending when too many are not done. Done may be called from any
// goroutine, at any time; on a connection that is gone it does nothing.
// Without KeepSession a message that is not done when the connection is lost is
// lost with it.
func (c *Client) Consume(filter string, handle func(m Message, done func())) {
	if c.started.Load() {
		panic("broker: Consume after Run")
	}
	c.subscriptions = append(c.subscriptions, subscription{filter, handle})
}

// OnUp asks for a call, in a goroutine of its own, whenever the connection
// stands and the subscriptions are made. It must be called before Run.
func (c *Client) OnUp(f func()) {
	if c.started.Load() {
		panic("broker: OnUp after Run")
	}
	c.up = append(c.up, f)
}

// Connected says whether the connection stands and the subscriptions are made.
func (c *Client) Connected() bool { return c.conn.Load() != nil }

// Renew gives the connection up in an orderly way and makes another one at once,
// with a new [Login]. Without a connection it hastens the next attempt.
func (c *Client) Renew() {
	select {
	case c.renew <- struct{}{}:
	default:
	}
}

// Run keeps the connection until ctx ends, then says goodbye, so that the last
// will is not sent, and waits for what it started. It returns nil.
func (c *Client) Run(ctx context.Context) error {
	if !c.started.CompareAndSwap(false, true) {
		return errors.New("broker client runs already")
	}
	defer func() {
		c.mu.Lock()
		c.stopped = true
		c.mu.Unlock()
		c.running.Wait()
	}()
	backoff := c.cfg.MinBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errRenew) {
			backoff = c.cfg.MinBackoff
			continue
		}
		// A connection that held for a while starts over; one that is accepted
		// and dropped at once keeps backing off.
		if time.Since(began) > c.cfg.MaxBackoff {
			backoff = c.cfg.MinBackoff
		}
		wait := backoff/2 + rand.N(backoff/2+1)
		backoff = min(2*backoff, c.cfg.MaxBackoff)
		c.log.Warn("no connection to the broker, trying again", logs.Broker, c.broker.Redacted(), logs.RetryIn, wait.Round(time.Millisecond), logs.Error, err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-c.renew:
			timer.Stop()
			backoff = c.cfg.MinBackoff
		case <-timer.C:
		}
	}
	return nil
}

// errRenew ends a connection that is to be replaced.
var errRenew = errors.New("connecting anew")

// session connects once and returns when the connection is gone.
func (c *Client) session(ctx context.Context) error {
	login := Login{Password: c.cfg.Password, TLS: c.cfg.TLS}
	if c.cfg.Login != nil {
		var err error
		if login, err = c.cfg.Login(); err != nil {
			c.metrics.failures.Inc()
			return err
		}
	}
	conn := &connection{lost: make(chan struct{})}
	lost := sync.OnceFunc(func() {
		// First, so that whoever is told that the connection is lost finds it gone.
		c.conn.CompareAndSwap(conn, nil)
		close(conn.lost)
	})
	var why atomic.Pointer[error]
	opts := mqtt.NewClientOptions().
		SetClientID(c.cfg.ClientID).
		SetUsername(c.cfg.Username).
		SetPassword(login.Password).
		SetProtocolVersion(4).
		SetCleanSession(!c.cfg.KeepSession).
		SetAutoAckDisabled(true). // handlers do it
		SetOrderMatters(true).    // see Client
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(c.cfg.KeepAlive).
		SetPingTimeout(c.cfg.KeepAlive / 2).
		SetConnectTimeout(c.cfg.ConnectTimeout).
		SetWriteTimeout(c.cfg.PublishTimeout).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			why.Store(&err)
			lost()
		})
	opts.Servers = []*url.URL{c.broker}
	if w := c.cfg.Will; w != nil {
		opts.SetBinaryWill(w.Topic, w.Payload, 1, w.Retained)
	}
	var handshake func() bool // ends the abort of the handshake by ctx
	opts.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		nc, err := c.dial(ctx, login.TLS)
		if err == nil {
			handshake = context.AfterFunc(ctx, func() { _ = nc.Close() })
		}
		return nc, err
	})
	conn.mqtt = mqtt.NewClient(opts)
	// Before the connection: of a kept session messages come at once.
	for _, s := range c.subscriptions {
		conn.mqtt.AddRoute(s.filter, func(_ mqtt.Client, m mqtt.Message) {
			c.metrics.received.Inc()
			c.handle(s, Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}, m.Ack)
		})
	}
	token := conn.mqtt.Connect()
	<-token.Done() // bounded by ConnectTimeout and ctx
	if handshake != nil && !handshake() {
		conn.mqtt.Disconnect(0)
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		c.metrics.failures.Inc()
		return fmt.Errorf("connect: %w", Explain(err, c.cfg.Username))
	}
	if err := c.subscribe(ctx, conn); err != nil {
		conn.mqtt.Disconnect(100)
		c.metrics.failures.Inc()
		return err
	}
	c.log.Info("connected to the broker", logs.Broker, c.broker.Redacted(), logs.Client, c.cfg.ClientID)
	c.metrics.connects.Inc()
	c.metrics.connected.Set(1)
	c.conn.Store(conn)
	for _, f := range c.up {
		c.goRunning(f)
	}

	select {
	case <-conn.lost:
		c.conn.Store(nil)
		c.metrics.connected.Set(0)
		if err := why.Load(); err != nil {
			return fmt.Errorf("connection lost: %w", Explain(*err, c.cfg.Username))
		}
		return errors.New("connection lost")
	case <-c.renew:
		c.leave(conn, lost)
		return errRenew
	case <-ctx.Done():
		c.leave(conn, lost)
		return ctx.Err()
	}
}

// leave says goodbye to the broker.
func (c *Client) leave(conn *connection, lost func()) {
	c.conn.Store(nil)
	c.metrics.connected.Set(0)
	// Disconnect sends the packet before it closes; the quiesce time only
	// bounds that. It fires no lost handler, so whoever waits for a PUBACK
	// is told here.
	conn.mqtt.Disconnect(500)
	lost()
}

func (c *Client) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	if !c.secure {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", c.broker.Host)
	}
	d := tls.Dialer{Config: config} // sets ServerName from the host when it is empty
	return d.DialContext(ctx, "tcp", c.broker.Host)
}

// subscribe asks for all filters in one packet, before anything is delivered.
// The broker inside the server (mochi 2.7.9) takes a packet identifier of the
// client for one of its own: it refuses a second SUBSCRIBE whose identifier
// happens to be that of a retained message it has just sent.
func (c *Client) subscribe(ctx context.Context, conn *connection) error {
	if len(c.subscriptions) == 0 {
		return nil
	}
	filters := make(map[string]byte, len(c.subscriptions))
	for _, s := range c.subscriptions {
		filters[s.filter] = 1 // QoS
	}
	timer := time.NewTimer(c.cfg.ConnectTimeout)
	defer timer.Stop()
again:
	token := conn.mqtt.SubscribeMultiple(filters, nil)
	select {
	case <-token.Done():
	case <-timer.C:
		return fmt.Errorf("subscribe: %w in %v", ErrNoAck, c.cfg.ConnectTimeout)
	case <-conn.lost:
		return fmt.Errorf("subscribe: %w", ErrOffline)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	// A refusal is not an error to the library; it stands in the SUBACK.
	t, ok := token.(*mqtt.SubscribeToken)
	if !ok {
		return fmt.Errorf("subscribe: the library answers with a %T", token)
	}
	granted := t.Result()
	for filter := range filters {
		switch code, ok := granted[filter]; {
		case code == identifierInUse:
			goto again // with the next identifier, until the time is over
		case !ok || code > 2:
			return fmt.Errorf("subscribe to %s: the broker refuses (code %#x)", filter, code)
		}
	}
	return nil
}

// identifierInUse is what the broker inside the server answers to a SUBSCRIBE
// whose identifier is that of a message which a kept session still has to
// deliver. A new connection begins with the same identifier each time.
const identifierInUse = 0x91

// Publish sends a message with QoS 1 and returns nil only after the broker has
// confirmed it on the connection that it was sent on. That says that the
// broker has it, not that anybody stored it. Without a connection it returns
// [ErrOffline] at once.
func (c *Client) Publish(ctx context.Context, m Message) error {
	if len(m.Payload) > MaxMessage {
		return fmt.Errorf("publish to %s: %d bytes are more than %d", m.Topic, len(m.Payload), MaxMessage)
	}
	err := c.publish(ctx, m)
	if err != nil {
		c.metrics.unpublished.Inc()
		return fmt.Errorf("publish to %s: %w", m.Topic, err)
	}
	c.metrics.published.Inc()
	return nil
}

func (c *Client) publish(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn := c.conn.Load()
	if conn == nil {
		return ErrOffline
	}
	// The library's Publish can block for as long as its write timeout when the
	// connection goes at that moment.
	sent := make(chan mqtt.Token, 1)
	if !c.goRunning(func() { sent <- conn.mqtt.Publish(m.Topic, 1, m.Retained, m.Payload) }) {
		return ErrOffline
	}
	timer := time.NewTimer(c.cfg.PublishTimeout)
	defer timer.Stop()
	var done <-chan struct{}
	var token mqtt.Token
	for {
		select {
		case token = <-sent:
			sent, done = nil, token.Done()
		case <-done:
			if err := token.Error(); err != nil {
				return fmt.Errorf("%w: %w", ErrOffline, err)
			}
			// A token also completes when its connection is lost. Whether the
			// PUBACK came before is unknown then, so it counts as not sent.
			if !conn.mqtt.IsConnectionOpen() {
				return ErrOffline
			}
			return nil
		case <-conn.lost:
			return ErrOffline
		case <-timer.C:
			return fmt.Errorf("%w in %v", ErrNoAck, c.cfg.PublishTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// goRunning starts f so that Run waits for it, unless Run is over.
func (c *Client) goRunning(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	c.running.Go(f)
	return true
}

type clientMetrics struct {
	connected                                prometheus.Gauge
	connects, failures                       prometheus.Counter
	published, unpublished, received, panics prometheus.Counter
}

func newClientMetrics(reg prometheus.Registerer, client string) *clientMetrics {
	// Several clients live in one process, each with its own id.
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{
			Namespace: "perrondrukte", Subsystem: "broker_client", Name: name, Help: help,
			ConstLabels: prometheus.Labels{"client": client},
		}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	m := &clientMetrics{
		connected:   prometheus.NewGauge(prometheus.GaugeOpts(opts("connected", "1 while the connection to the broker stands."))),
		connects:    counter("connects_total", "Connections made to the broker."),
		failures:    counter("connect_failures_total", "Attempts to connect or subscribe that failed."),
		published:   counter("published_total", "Messages that the broker confirmed."),
		unpublished: counter("unpublished_total", "Messages that the broker did not confirm."),
		received:    counter("received_total", "Messages received."),
		panics:      counter("panics_total", "Panics in the handling of a message, of which each is an error of this program."),
	}
	if reg != nil {
		reg.MustRegister(m.connected, m.connects, m.failures, m.published, m.unpublished, m.received, m.panics)
	}
	return m
}

// Try connects once, subscribes to a filter and leaves again. The error says
// what failed: the connection, the login, or the subscription. It is for asking
// whether a configuration works; no client may run under the same name.
func Try(ctx context.Context, cfg ClientConfig, filter string) error {
	c, err := NewClient(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var up atomic.Bool
	c.Subscribe(filter, func(Message) {})
	c.OnUp(func() {
		up.Store(true)
		cancel()
	})
	err = c.session(ctx)
	c.running.Wait()
	if up.Load() {
		return nil
	}
	return err
}
