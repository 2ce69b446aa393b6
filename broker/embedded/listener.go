package embedded

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/system"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
)

// listener accepts connections for the library. Its own listener gives a
// connection unlimited time to log in, accepts any number of them, stops for
// good when file descriptors run out, and does not close those that have not
// logged in.
type listener struct {
	tcp     net.Listener
	tls     *tls.Config
	login   time.Duration
	most    int
	log     *slog.Logger
	metrics *metrics
	refused *rarely.Limiter

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	served sync.WaitGroup
}

func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return "mqtt" }
func (l *listener) Address() string         { return l.tcp.Addr().String() }
func (l *listener) Protocol() string        { return "tcp" }

// Serve accepts until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	pause := 5 * time.Millisecond
	for {
		conn, err := l.tcp.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, say: that passes.
			l.log.Error("accept a connection", logs.Error, err, logs.RetryIn, pause)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		if !l.add(conn) {
			l.metrics.refused.WithLabelValues("too_many").Inc()
			_ = conn.Close()
			continue
		}
		go l.serve(conn, establish)
	}
}

func (l *listener) serve(conn net.Conn, establish listeners.EstablishFn) {
	defer l.remove(conn)
	defer func() {
		// Packets come from anybody. A parser that trips over one must not take
		// the collector and the website in this process along.
		if p := recover(); p != nil {
			l.log.Error("broker connection panicked", logs.Address, conn.RemoteAddr().String(), logs.Panic, p, logs.Stack, string(debug.Stack()))
			_ = conn.Close()
		}
	}()
	// The library sets its own deadline once it has read the CONNECT.
	_ = conn.SetDeadline(time.Now().Add(l.login))
	served := conn
	if l.tls != nil {
		secure := tls.Server(conn, l.tls)
		if err := secure.HandshakeContext(context.Background()); err != nil { // bounded by the deadline
			l.noHandshake(conn, err)
			linger(conn)
			return
		}
		served = secure
	}
	if err := establish(l.ID(), served); err != nil {
		l.log.Debug("broker connection ended", logs.Address, conn.RemoteAddr().String(), logs.Error, err)
	}
}

// linger lets the client read why it is refused: a connection that is closed
// with something unread is reset, and the reason is lost with it.
func linger(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, tcp, 16<<10) // it is the end in any case
	}
}

// noHandshake says why a client did not get as far as to say its name.
func (l *listener) noHandshake(conn net.Conn, err error) {
	l.metrics.refused.WithLabelValues("tls").Inc()
	var words, who string
	var wrong *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError
	switch {
	case errors.As(err, &wrong) && len(wrong.UnverifiedCertificates) > 0:
		leaf := wrong.UnverifiedCertificates[0]
		who = clip(strings.ToValidUTF8(leaf.Subject.CommonName, "?"))
		words = "its certificate was not issued by this server"
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			words = "its certificate expired on " + leaf.NotAfter.UTC().Format("2 January 2006")
			if time.Now().Before(leaf.NotBefore) {
				words = "its certificate is not valid before " + leaf.NotBefore.UTC().Format("2 January 2006")
			}
		}
	case errors.As(err, &remote) && remote.Op == "remote error":
		words = "it does not accept the broker's certificate"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		l.log.Debug("broker connection ended before TLS was agreed on", logs.Address, conn.RemoteAddr().String(), logs.Error, err)
		return
	default:
		words = "it does not speak the same TLS"
	}
	if n, ok := l.refused.Allow(words + " " + who); ok {
		l.log.Warn("broker refused a client: "+words, logs.Certificate, who, logs.Address, conn.RemoteAddr().String(), logs.Error, err, logs.Times, n)
	}
}

func (l *listener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= l.most {
		return false
	}
	l.conns[conn] = struct{}{}
	l.served.Add(1)
	return true
}

func (l *listener) remove(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
	l.served.Done()
}

// Close ends all connections, those that are not logged in too, and waits for
// them. In MQTT 3.1.1 a broker has no packet to say goodbye with.
func (l *listener) Close(listeners.CloseFn) {
	_ = l.tcp.Close()
	l.mu.Lock()
	l.closed = true
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.served.Wait()
}

// quiet passes the library's errors on and turns the rest, which it would log
// for each lost connection and with whole packets, into debug lines without
// them.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, lowered(level))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, lowered(r.Level), r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "pk" && a.Key != "packet" {
			out.AddAttrs(a)
		}
		return true
	})
	return q.Handler.Handle(ctx, out)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

func lowered(level slog.Level) slog.Level {
	if level < slog.LevelError {
		return slog.LevelDebug
	}
	return level
}

type metrics struct {
	refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, info *system.Info) *metrics {
	name := func(s string) string { return prometheus.BuildFQName("perrondrukte", "broker", s) }
	m := &metrics{refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: name("refused_total"), Help: "Connections, publishes and subscriptions refused.",
	}, []string{"reason"})}
	if reg == nil {
		return m
	}
	gauge := func(s, help string, v *int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name(s), Help: help},
			func() float64 { return float64(atomic.LoadInt64(v)) })
	}
	counter := func(s, help string, v *int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name(s), Help: help},
			func() float64 { return float64(atomic.LoadInt64(v)) })
	}
	reg.MustRegister(
		m.refused,
		gauge("clients", "Clients that are logged in.", &info.ClientsConnected),
		gauge("retained", "Retained messages.", &info.Retained),
		gauge("inflight", "Messages sent and not confirmed.", &info.Inflight),
		counter("received_messages_total", "Messages received.", &info.MessagesReceived),
		counter("sent_messages_total", "Messages sent.", &info.MessagesSent),
		counter("dropped_messages_total", "Messages dropped because a client read too slowly.", &info.MessagesDropped),
		counter("dropped_inflight_total", "Messages dropped because a client confirmed too slowly.", &info.InflightDropped),
		counter("received_bytes_total", "Bytes received.", &info.BytesReceived),
		counter("sent_bytes_total", "Bytes sent.", &info.BytesSent),
	)
	return m
}
