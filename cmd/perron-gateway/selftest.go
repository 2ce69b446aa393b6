package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/perron"
)

type selftestCmd struct {
	Config string        `required:"" placeholder:"FILE" help:"The gateway's YAML file."`
	For    time.Duration `help:"How long every input or counter is looked at." default:"2s"`
}

// What is fit, and what is just good to know.
const (
	linkPatience = 10 * time.Second
	// slowSync is how long a write may take that has to be on the disk. More is a
	// card that is worn out, or none for this use.
	slowSync = 500 * time.Millisecond
	// enoughRoom is what the outbox needs besides its own limit.
	enoughRoom = 16 << 20
	// A certificate should be renewed a month before its end; this late,
	// somebody has to look.
	certificateSoon = 14 * 24 * time.Hour
)

// A report says what was found, line by line.
type report struct {
	w   io.Writer
	bad int
	err error
}

func (r *report) line(mark, format string, args ...any) {
	if _, err := fmt.Fprintf(r.w, "  %-5s %s\n", mark, fmt.Sprintf(format, args...)); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *report) head(what string) {
	if _, err := fmt.Fprintln(r.w, what); err != nil && r.err == nil {
		r.err = err
	}
}
func (r *report) ok(format string, args ...any)   { r.line("ok", format, args...) }
func (r *report) note(format string, args ...any) { r.line("note", format, args...) }

// finding says what the examination of a driver found.
func (r *report) finding(f gateway.Finding) {
	switch f.Grade {
	case gateway.Good:
		r.ok("%s", f.Text)
	case gateway.Note:
		r.note("%s", f.Text)
	default:
		r.wrong("%s", f.Text)
	}
}

func (r *report) wrong(format string, args ...any) {
	r.bad++
	r.line("WRONG", format, args...)
}

func (c *selftestCmd) Run(e *env) error {
	g, err := config.LoadGateway(c.Config)
	if err != nil {
		return err
	}
	p, err := newParts(g, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r := &report{w: e.stdout}
	service, err := serviceView(e.ctx, g)
	if err != nil {
		r.note("%v", err)
	}
	r.head("wiring")
	c.wiring(e.ctx, r, g, p, service)
	r.head("clock")
	testClock(r, p)
	r.head("disk")
	testDisk(r, g, service)
	r.head("link")
	testLink(e.ctx, r, g, service)
	switch {
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case r.err != nil:
		return r.err
	case r.bad == 1:
		return errors.New("not fit: one thing is wrong")
	case r.bad > 1:
		return fmt.Errorf("not fit: %d things are wrong", r.bad)
	}
	r.head("fit: wiring, clock, disk and link")
	return r.err
}

// serviceView is what the gateway that runs beside this says; nil without one.
func serviceView(ctx context.Context, g *config.Gateway) (*gateway.View, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var seen *gateway.View
	done := errors.New("done")
	err := lookAt(ctx, socketOf(g), func(v gateway.View) error {
		seen = &v
		return done
	})
	if err == errNoService || err == done {
		err = nil
	}
	return seen, err
}

func (c *selftestCmd) wiring(ctx context.Context, r *report, g *config.Gateway, p parts, service *gateway.View) {
	if service != nil {
		for _, s := range service.Sensors {
			if s.Health != perron.SensorOK && s.Health != perron.SensorFinished {
				r.wrong("sensor %s: the running gateway calls it %s since %s", s.Sensor, s.Health, s.Since.Format(time.RFC3339))
			}
		}
	}
	examiner, ok := p.source.(gateway.Examiner)
	if !ok {
		r.note("the driver %s has no wiring to test; perron-gateway watch shows what it sees", g.Source.Driver)
		return
	}
	for _, f := range examiner.Examine(ctx, c.For, service) {
		r.finding(f)
	}
}

func testClock(r *report, p parts) {
	off, ok := clock.MaxError()
	sayClock(r, clock.KernelSynced(), off, ok, p.ownTimes)
}

// sayClock says what the kernel thinks of the clock, and how far off it may be
// if that is known.
func sayClock(r *report, synced *bool, off time.Duration, known, ownTimes bool) {
	switch {
	case synced == nil:
		r.note("the kernel does not say whether it is synchronised")
	case !*synced && ownTimes:
		r.note("it is not synchronised, but this driver's events have times of their own")
	case !*synced:
		r.wrong("it is not synchronised: it says %s UTC; let the device reach a time server (UDP port 123), then: timedatectl", time.Now().UTC().Format(time.DateTime))
	case known:
		r.ok("synchronised, at most %s off", short(off))
	default:
		r.ok("synchronised")
	}
}

func testDisk(r *report, g *config.Gateway, service *gateway.View) {
	if err := os.MkdirAll(g.DataDir, 0o750); err != nil {
		r.wrong("%v", err)
		return
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(g.DataDir, &fs); err != nil {
		r.wrong("room in %s: %v", g.DataDir, err)
	} else {
		free := int64(fs.Bavail) * int64(fs.Bsize)
		held := int64(0)
		if service != nil {
			held = service.FileBytes
		}
		switch want := int64(g.Outbox.MaxSize); {
		case free+held < enoughRoom:
			r.wrong("only %s are free in %s", size(free), g.DataDir)
		case free+held < want+enoughRoom:
			r.note("%s are free in %s: less than outbox.max_size, %s; a long time without a link would fill it", size(free), g.DataDir, size(want))
		default:
			r.ok("%s are free in %s, enough for an outbox of %s", size(free), g.DataDir, size(want))
		}
	}
	took, err := syncTime(g.DataDir)
	switch {
	case err != nil:
		r.wrong("%s cannot be written to: %v", g.DataDir, err)
	case took > slowSync:
		r.wrong("it takes %s until something written is on the disk, more than %s: replace the card", short(took), short(slowSync))
	default:
		r.ok("something written is on the disk after %s", short(took))
	}
	if service != nil && !service.Status.FailingSince.IsZero() {
		r.wrong("the running gateway cannot write its outbox since %s", service.Status.FailingSince.Format(time.RFC3339))
	}
	if service != nil && service.Status.Dropped > 0 {
		r.note("the running gateway has dropped %d events for want of room", service.Status.Dropped)
	}
}

// syncTime is how long a small write takes until it is on the disk: the median
// of some.
func syncTime(dir string) (_ time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".selftest-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	took := make([]time.Duration, 5)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func testLink(ctx context.Context, r *report, g *config.Gateway, service *gateway.View) {
	ctx, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	cfg, err := linkConfig(g, slog.New(slog.DiscardHandler))
	if err != nil {
		r.wrong("%v", err)
		return
	}
	u, err := url.Parse(g.Broker.URL) // the configuration was checked
	if err != nil {
		r.wrong("%v", err)
		return
	}
	secure := slices.Contains([]string{"ssl", "tls", "mqtts"}, u.Scheme)
	port := u.Port()
	if port == "" {
		if port = "1883"; secure {
			port = "8883"
		}
	}
	host := u.Hostname()
	if net.ParseIP(host) == nil {
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			r.wrong("the name %s is not found: %v; look at the device's name server", host, err)
			return
		}
		r.ok("%s is %s", host, strings.Join(addrs, ", "))
	}
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		r.wrong("no TCP connection: %v; look at the network, at the firewall, and whether the server runs", err)
		return
	}
	defer conn.Close()
	r.ok("TCP port %s answers after %s", port, short(time.Since(began)))
	switch {
	case secure:
		if !testTLS(ctx, r, conn, cfg.TLS, host) {
			return
		}
	default:
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			r.note("the connection is not encrypted: want ssl:// in broker.url")
		}
	}
	testLogin(ctx, r, g, cfg, service)
}

// testTLS shakes hands and says how long the certificate is good for.
func testTLS(ctx context.Context, r *report, conn net.Conn, cfg *tls.Config, host string) bool {
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	cfg = cfg.Clone()
	cfg.ServerName = host
	client := tls.Client(conn, cfg)
	if err := client.HandshakeContext(ctx); err != nil {
		r.wrong("no TLS: %v", broker.Explain(err, ""))
		return false
	}
	state := client.ConnectionState()
	soonest := state.PeerCertificates[0].NotAfter
	for _, c := range state.VerifiedChains[0] {
		if c.NotAfter.Before(soonest) {
			soonest = c.NotAfter
		}
	}
	left := time.Until(soonest)
	days := int(left.Hours() / 24)
	if left < certificateSoon {
		r.wrong("TLS: the server's certificate ends in %d days, on %s: renew it", days, soonest.Format(time.DateOnly))
	} else {
		r.ok("TLS: the server's certificate is good for %d days", days)
	}
	return true
}

// testLogin logs in and subscribes to the acks, unless the running gateway does:
// a second client of its name would be a rival.
func testLogin(ctx context.Context, r *report, g *config.Gateway, cfg broker.ClientConfig, service *gateway.View) {
	topic := broker.AckTopic(string(g.Site), string(g.Gateway))
	if service != nil {
		switch {
		case !service.Connected:
			r.wrong("the running gateway is not connected; its log says why: journalctl -u perron-gateway")
		case service.Acked.IsZero() && service.Status.Waiting > 0 && service.Status.ClockSynced != nil && !*service.Status.ClockSynced:
			r.note("the running gateway is logged in; %d events wait for the clock, for as long as clock.wait says", service.Status.Waiting)
		case service.Acked.IsZero() && service.Status.Waiting > 0:
			r.wrong("the running gateway is logged in, but the server acknowledges nothing: %d events wait", service.Status.Waiting)
		default:
			r.ok("the running gateway is logged in and reads %s; %d events wait", topic, service.Status.Waiting)
		}
		return
	}
	cfg.Will = nil
	if err := broker.Try(ctx, cfg, topic); err != nil {
		hint := "is the password the one that perrondrukte gateway add gave out last?"
		if strings.Contains(err.Error(), "subscribe") {
			hint = "the broker has to let a gateway read its own acks"
		}
		r.wrong("the server refuses %s: %v; %s", g.Username(), err, hint)
		return
	}
	r.ok("%s is logged in and may read %s", g.Username(), topic)
}
