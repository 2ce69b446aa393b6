package embedded

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users accept a password that is the user name and a question mark.
type users struct {
	mu      sync.Mutex
	revoked map[string]bool
	// certified asks for a certificate beside the password.
	certified bool
}

func (u *users) Authenticate(l Login) (Principal, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.Password != l.Username+"?" || u.revoked[l.Username] {
		return Principal{}, errors.New("wrong password")
	}
	if u.certified && (l.Certificate == nil || l.Certificate.Subject.CommonName != l.Username) {
		return Principal{}, errors.New("no certificate of its own")
	}
	if site, gateway, ok := strings.Cut(l.Username, "/"); ok && site != "service" {
		return Principal{Site: site, Gateway: gateway}, nil
	}
	return Principal{Service: true}, nil
}

func (u *users) revoke(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.revoked = map[string]bool{name: true}
}

type rig struct {
	*Broker
	t     *testing.T
	ctx   context.Context
	users *users
	url   string
	wg    sync.WaitGroup
}

func start(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, users: &users{}}
	cfg := Config{Listen: "127.0.0.1:0", Credentials: r.users, Logger: testLog(t)}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	r.Broker, r.url = b, "tcp://"+b.Addr()
	if cfg.TLS != nil {
		r.url = "tls://" + b.Addr()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	r.wg.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); r.wg.Wait() })
	return r
}

// client connects as user; got receives what arrives for the filters.
func (r *rig) client(user string, got chan broker.Message, change func(*broker.ClientConfig), filters ...string) *broker.Client {
	r.t.Helper()
	cfg := broker.ClientConfig{
		URL: r.url, ClientID: user, Username: user, Password: user + "?", Logger: testLog(r.t),
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond, PublishTimeout: patience,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := broker.NewClient(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range filters {
		c.Subscribe(f, func(m broker.Message) {
			select {
			case got <- m:
			default:
				r.t.Errorf("no room for a message on %s", m.Topic)
			}
		})
	}
	r.wg.Go(func() {
		if err := c.Run(r.ctx); err != nil {
			r.t.Errorf("client %s: %v", user, err)
		}
	})
	return c
}

// up waits until the client stands.
func (r *rig) up(c *broker.Client) *broker.Client {
	r.t.Helper()
	within(r.t, "connected", c.Connected)
	return c
}

// refused waits until the broker has refused for the reason, and then says
// whether the client is in.
func (r *rig) refused(reason string, n float64) {
	r.t.Helper()
	within(r.t, "refused for "+reason, func() bool {
		return testutil.ToFloat64(r.metrics.refused.WithLabelValues(reason)) >= n
	})
}

// patience is how long a test waits for what is bound to come; a busy machine
// may take its time.
const patience = 2 * time.Minute

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s within %v", what, patience)
		}
	}
}

func receive(t *testing.T, got <-chan broker.Message) broker.Message {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return broker.Message{}
	}
}

// nothing wants no message that was published before: the next one that arrives
// is one that c publishes to the topic now.
func nothing(t *testing.T, got <-chan broker.Message, c *broker.Client, topic string) {
	t.Helper()
	publish(t, c, topic, "a mark", false)
	for m := receive(t, got); string(m.Payload) != "a mark"; m = receive(t, got) {
		t.Errorf("a message that should not be there: %+v", m)
	}
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func publish(t *testing.T, c *broker.Client, topic, payload string, retained bool) {
	t.Helper()
	if err := c.Publish(t.Context(), broker.Message{Topic: topic, Payload: []byte(payload), Retained: retained}); err != nil {
		t.Fatal(err)
	}
}

func TestGatewayAndServiceMeet(t *testing.T) {
	r := start(t, nil)
	got := make(chan broker.Message, 10)
	acks := make(chan broker.Message, 10)
	collector := r.up(r.client("service/collector", got, func(c *broker.ClientConfig) { c.ClientID += ".1" }, broker.EventsFilter, broker.StatusFilter))
	pi := r.up(r.client("poort/pi-1", acks, nil, broker.AckTopic("poort", "pi-1")))

	publish(t, pi, broker.EventsTopic("poort", "pi-1"), "batch", false)
	if m := receive(t, got); string(m.Payload) != "batch" || m.Topic != "perron/v1/poort/pi-1/events" || m.Retained {
		t.Errorf("got %+v", m)
	}
	publish(t, collector, broker.AckTopic("poort", "pi-1"), "ack", false)
	if m := receive(t, acks); string(m.Payload) != "ack" {
		t.Errorf("got %+v", m)
	}

	// Retained states wait for whoever comes later; events never do.
	publish(t, pi, broker.StatusTopic("poort", "pi-1"), "status", true)
	publish(t, pi, broker.EventsTopic("poort", "pi-1"), "again", true)
	// The library confirms a message before it has passed it on; with the next
	// one confirmed, those before are through.
	publish(t, pi, broker.CountersTopic("poort", "pi-1"), "1", false)
	late := make(chan broker.Message, 10)
	r.up(r.client("perrondrukte", late, func(c *broker.ClientConfig) { c.ClientID += ".api" }, broker.StatusFilter, broker.EventsFilter))
	if m := receive(t, late); string(m.Payload) != "status" || !m.Retained {
		t.Errorf("got %+v", m)
	}
	nothing(t, late, pi, broker.StatusTopic("poort", "pi-1"))
}

// TestManyRetainedMessages connects clients that want several filters, while
// retained messages wait for the first of them.
func TestManyRetainedMessages(t *testing.T) {
	r := start(t, nil)
	source := r.up(r.client("service/source", nil, nil))
	const retained = 40
	for i := range retained {
		publish(t, source, broker.StatusTopic("poort", fmt.Sprintf("pi-%d", i)), "status", true)
	}
	for i := range 20 {
		got := make(chan broker.Message, 2*retained)
		c, err := broker.NewClient(broker.ClientConfig{
			URL: r.url, ClientID: fmt.Sprintf("service/late.%d", i), Username: "service/late", Password: "service/late?",
			Logger: testLog(t), MinBackoff: time.Minute, // so that a refusal is not smoothed over
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{broker.StatusFilter, broker.EventsFilter, broker.ActionsFilter} {
			c.Subscribe(f, func(m broker.Message) { got <- m })
		}
		r.wg.Go(func() { _ = c.Run(r.ctx) })
		r.up(c)
		for range retained {
			receive(t, got)
		}
	}
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	r := start(t, nil)
	const n = 2000
	got := make(chan broker.Message, n)
	r.up(r.client("perrondrukte", got, nil, broker.EventsFilter))
	pi := r.up(r.client("poort/pi-1", nil, nil))
	for i := range n {
		publish(t, pi, broker.EventsTopic("poort", "pi-1"), fmt.Sprint(i), false)
	}
	for i := range n {
		if m := receive(t, got); string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
}

func TestHostileClientsStayOut(t *testing.T) {
	for _, c := range []struct {
		name, user, reason string
		change             func(*broker.ClientConfig)
	}{
		{"wrong password", "poort/pi-1", "credentials", func(c *broker.ClientConfig) { c.Password = "x" }},
		{"no password", "poort/pi-1", "credentials", func(c *broker.ClientConfig) { c.Password = "" }},
		{"name with a wildcard", "+/pi-1", "credentials", nil},
		{"name with a third part", "poort/pi-1/x", "credentials", nil},
		{"session of another gateway", "poort/pi-1", "client_id", func(c *broker.ClientConfig) { c.ClientID = "poort/pi-2" }},
		{"session beside its own", "poort/pi-1", "client_id", func(c *broker.ClientConfig) { c.ClientID = "poort/pi-1.x" }},
		{"service as a gateway", "perrondrukte", "client_id", func(c *broker.ClientConfig) { c.ClientID = "poort/pi-1" }},
		{"will for another gateway", "poort/pi-1", "will", func(c *broker.ClientConfig) {
			c.Will = &broker.Message{Topic: broker.StatusTopic("poort", "pi-2"), Payload: []byte("{}")}
		}},
		{"will as a state", "poort/pi-1", "will", func(c *broker.ClientConfig) {
			c.Will = &broker.Message{Topic: broker.BusynessTopic("poort"), Payload: []byte("{}"), Retained: true}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, nil)
			evil := r.client(c.user, nil, c.change)
			r.refused(c.reason, 2) // it tries again and stays out
			if evil.Connected() {
				t.Error("it is in")
			}
		})
	}
}

func TestForeignTopicsAreRefused(t *testing.T) {
	r := start(t, nil)
	got := make(chan broker.Message, 100)
	r.up(r.client("perrondrukte", got, nil, "#"))
	pi := r.up(r.client("poort/pi-1", nil, nil))
	for i, topic := range []string{
		broker.EventsTopic("poort", "pi-2"), broker.EventsTopic("buiten", "pi-1"), broker.StatusTopic("buiten", "pi-1"),
		broker.AckTopic("poort", "pi-1"), broker.BusynessTopic("poort"), broker.ActionsTopic("poort"), "anything", "perron/v1/poort/pi-1/events/x",
	} {
		// A refused publish costs the connection. The client may be told a moment
		// before it takes itself for disconnected; the next one is not sent then.
		within(t, "refused for publish to "+topic, func() bool {
			r.up(pi)
			err := pi.Publish(t.Context(), broker.Message{Topic: topic, Payload: []byte("x")})
			if !errors.Is(err, broker.ErrOffline) {
				t.Errorf("publish to %s: %v, want %v", topic, err, broker.ErrOffline)
			}
			return testutil.ToFloat64(r.metrics.refused.WithLabelValues("publish")) >= float64(i+1)
		})
	}
	nothing(t, got, r.up(pi), broker.EventsTopic("poort", "pi-1"))
	for i, filter := range []string{
		"#", "+/v1/poort/pi-1/ack", broker.AckTopic("poort", "+"), broker.AckTopic("poort", "pi-2"), broker.EventsTopic("poort", "pi-1"),
		broker.StatusFilter, "$share/g/" + broker.AckTopic("poort", "pi-1"), "$SYS/#",
	} {
		name := fmt.Sprintf("pi-%d", i) // those before keep trying
		evil := r.client("buiten/"+name, nil, nil, filter)
		if strings.HasPrefix(filter, "$share") {
			continue // the library drops the connection for it
		}
		r.refused("subscribe", float64(i+1))
		if evil.Connected() {
			t.Errorf("a subscription to %s is granted", filter)
		}
		r.Disconnect("buiten", name)
	}
}

func TestRevokedGatewayIsOut(t *testing.T) {
	r := start(t, nil)
	got := make(chan broker.Message, 10)
	r.up(r.client("perrondrukte", got, nil, broker.StatusFilter))
	pi := r.up(r.client("poort/pi-1", nil, func(c *broker.ClientConfig) {
		c.Will = &broker.Message{Topic: broker.StatusTopic("poort", "pi-1"), Payload: []byte("gone"), Retained: true}
	}))
	r.users.revoke("poort/pi-1")
	r.Disconnect("poort", "pi-1")
	if m := receive(t, got); string(m.Payload) != "gone" {
		t.Errorf("got %+v, want the last will", m)
	}
	r.refused("credentials", 1)
	if pi.Connected() {
		t.Error("it is still in")
	}
	r.Disconnect("poort", "pi-1") // not there any more: nothing happens
}

func TestTakeoverDoesNotReportOffline(t *testing.T) {
	// The first does not listen, and so does not show that it is there.
	r := start(t, func(c *Config) { c.AliveWithin = 50 * time.Millisecond })
	got := make(chan broker.Message, 10)
	aside := make(chan broker.Message, 10)
	r.up(r.client("perrondrukte", got, nil, broker.StatusFilter))
	r.up(r.client("service/watcher", aside, nil, supersededTopic))
	will := func(c *broker.ClientConfig) {
		c.Will = &broker.Message{Topic: broker.StatusTopic("poort", "pi-1"), Payload: []byte("gone"), Retained: true}
		c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour // the first does not fight back
	}
	first := r.up(r.client("poort/pi-1", nil, will))
	second := r.up(r.client("poort/pi-1", nil, will))
	within(t, "thrown out", func() bool { return !first.Connected() })
	publish(t, second, broker.StatusTopic("poort", "pi-1"), "here", true)
	if m := receive(t, got); string(m.Payload) != "here" {
		t.Errorf("got %s, want only the new connection's status", m.Payload)
	}
	receive(t, aside) // what the first one has left
	nothing(t, got, second, broker.StatusTopic("poort", "pi-1"))
}

func TestClientComesBackAfterBrokerRestart(t *testing.T) {
	b, err := New(Config{Listen: "127.0.0.1:0", Credentials: &users{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()

	r := start(t, nil) // gives contexts and clients; its own broker is not used
	r.url = "tcp://" + b.Addr()
	got := make(chan broker.Message, 10)
	ups := make(chan struct{}, 10)
	c, err := broker.NewClient(broker.ClientConfig{
		URL: r.url, ClientID: "perrondrukte", Username: "perrondrukte", Password: "perrondrukte?",
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Subscribe("x/+", func(m broker.Message) { got <- m })
	c.OnUp(func() { ups <- struct{}{} })
	r.wg.Go(func() { _ = c.Run(r.ctx) })
	<-ups
	publish(t, c, "x/1", "before", false)
	receive(t, got)

	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	within(t, "offline", func() bool { return !c.Connected() })
	if err := c.Publish(t.Context(), broker.Message{Topic: "x/1"}); !errors.Is(err, broker.ErrOffline) {
		t.Errorf("publish without a broker: %v", err)
	}
	again, err := New(Config{Listen: b.Addr(), Credentials: &users{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Listen(); err != nil {
		t.Fatal(err)
	}
	r.wg.Go(func() { _ = again.Run(r.ctx) })
	<-ups
	publish(t, c, "x/2", "after", false)
	if m := receive(t, got); string(m.Payload) != "after" {
		t.Errorf("got %+v", m)
	}
}

func TestPublishEndsWithTheConnection(t *testing.T) {
	// A broker that accepts everything and confirms nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	conns := make(chan net.Conn, 1)
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{0x20, 2, 0, 0}) // CONNACK
		conns <- conn
		_, _ = io.Copy(io.Discard, conn)
	})
	ctx, cancel := context.WithCancel(context.Background())
	c, err := broker.NewClient(broker.ClientConfig{URL: "tcp://" + l.Addr().String(), ClientID: "x", PublishTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _ = c.Run(ctx) })
	within(t, "connected", c.Connected)
	if err := c.Publish(t.Context(), broker.Message{Topic: "x"}); !errors.Is(err, broker.ErrNoAck) {
		t.Errorf("without a PUBACK: %v, want %v", err, broker.ErrNoAck)
	}
	result := make(chan error, 1)
	short, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Publish(short, broker.Message{Topic: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	_ = l.Close()
	wg.Go(func() { result <- c.Publish(context.Background(), broker.Message{Topic: "x"}) })
	_ = (<-conns).Close()
	if err := <-result; err == nil {
		t.Error("a publish on a lost connection succeeds")
	}
	cancel()
	wg.Wait()
}

func TestTLS(t *testing.T) {
	cert, pool := selfSigned(t)
	r := start(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	r.up(r.client("poort/pi-1", nil, func(c *broker.ClientConfig) { c.TLS = &tls.Config{RootCAs: pool} }))
	var log record
	stranger := r.client("poort/pi-2", nil, func(c *broker.ClientConfig) {
		c.TLS, c.Logger = &tls.Config{RootCAs: x509.NewCertPool()}, log.logger(t)
	})
	within(t, "refused by the client", log.has("certificate signed by unknown authority"))
	if stranger.Connected() {
		t.Error("a client trusts a certificate that it cannot verify")
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// raw speaks MQTT by hand, for what no library would send.
func (r *rig) raw(packet ...byte) (answer []byte) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write(packet)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer, err = io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		r.t.Error("the broker keeps the connection")
	}
	return answer
}

func connect(level byte, keepAlive byte, user string) []byte {
	str := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	body := append(str("MQTT"), level, 0xC2, 0, keepAlive)
	if level == 5 {
		body = append(body, 0)
	}
	body = append(body, str(user)...)
	body = append(body, str(user)...)
	body = append(body, str(user+"?")...)
	return append([]byte{0x10, byte(len(body))}, body...)
}

func TestRawHostility(t *testing.T) {
	r := start(t, nil)
	hasty := start(t, func(c *Config) { c.LoginTimeout = 20 * time.Millisecond })
	t.Run("version 5", func(t *testing.T) {
		if a := r.raw(connect(5, 10, "poort/pi-1")...); len(a) < 4 || a[3] == 0 {
			t.Errorf("answer % x, want a refusal", a)
		}
		r.refused("protocol", 1)
	})
	t.Run("version 3.1", func(t *testing.T) {
		if a := r.raw(connect(3, 10, "poort/pi-1")...); len(a) >= 4 && a[3] == 0 {
			t.Errorf("answer % x, want a refusal", a)
		}
	})
	t.Run("no keep-alive", func(t *testing.T) {
		if a := r.raw(connect(4, 0, "poort/pi-1")...); len(a) < 4 || a[3] == 0 {
			t.Errorf("answer % x, want a refusal", a)
		}
		r.refused("keep_alive", 1)
	})
	t.Run("says nothing", func(t *testing.T) { hasty.raw() })
	t.Run("not MQTT", func(t *testing.T) { hasty.raw([]byte("GET / HTTP/1.1\r\n\r\n")...) })
	t.Run("huge", func(t *testing.T) {
		// CONNECT, then a publish that announces 200 MB.
		a := r.raw(append(connect(4, 10, "poort/pi-1"), 0x30, 0xff, 0xff, 0xff, 0x5f)...)
		if len(a) < 4 || a[3] != 0 {
			t.Errorf("answer % x, want a CONNACK and then the end", a)
		}
	})
}

func TestTooManyConnections(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := start(t, func(c *Config) { c.MaxClients = 1; c.Registerer = reg })
	r.up(r.client("poort/pi-1", nil, nil))
	second := r.client("poort/pi-2", nil, nil)
	for range 40 {
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	r.refused("too_many", 1)
	if second.Connected() {
		t.Error("a client above the limit is in")
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n < 9 {
		t.Errorf("%d metrics, error %v", n, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{Listen: ":0"}); err == nil {
		t.Error("no credentials, no error")
	}
	if _, err := New(Config{Credentials: &users{}}); err == nil {
		t.Error("no address, no error")
	}
	r := start(t, nil)
	taken, err := New(Config{Listen: r.Addr(), Credentials: &users{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.Listen(); err == nil || !strings.Contains(err.Error(), r.Addr()) {
		t.Errorf("listening on a taken address: %v", err)
	}
}
