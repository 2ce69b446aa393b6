package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

const (
	backlogEvents = 50_000
	backlogRate   = 10 // live passages a second of the other gateway
)

// backlog has two gateways at one yard. One was cut off for the last 24 hours
// and comes back with 50,000 events, while vehicles go on passing the other
// one. It takes the time from reconnect until the last event is acknowledged,
// and for each live passage the time from its own stamp to the first state that
// counts it: before the reconnect, and from then until a while after.
func (b *bench) backlog(ctx context.Context) error {
	password := filepath.Join(b.dir, "backlog-password")
	if err := os.WriteFile(password, []byte("of the one who looks on\n"), 0o600); err != nil {
		return err
	}
	config := filepath.Join(b.dir, "backlog.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `data_dir: %s
listen: {http: "127.0.0.1:0", metrics: ""}
broker: {embedded: {listen: "127.0.0.1:0", service_password_file: %s}}
sites:
  - id: yard
    name: Yard
    bays: 30
    gateways: [g-1, g-2]
    gates: [{id: main, name: Main, sensors: [main-in, main-out]}, {id: side, name: Side, sensors: [side-in]}]
    hours: {weekly: %s}
`, filepath.Join(b.dir, "backlog"), password, week), 0o600); err != nil {
		return err
	}
	p, err := b.start("perrondrukte", "serve", "--config", config)
	if err != nil {
		return err
	}
	defer p.stop()
	s := &server{process: p, config: config}
	if s.broker, err = s.logged(ctx, "broker listens", logs.Address); err != nil {
		return err
	}

	gateway := func(n int, sensor string, passages int, from time.Time, gap time.Duration, speed float64, shift string) (write func(url string) (string, error), err error) {
		csv, err := b.csv(fmt.Sprintf("backlog-%d", n), passages, from, gap)
		if err != nil {
			return nil, err
		}
		secret, err := exec.CommandContext(ctx, filepath.Join(b.bin, "perrondrukte"), "gateway", "add", "--config", config, "--secret-only", "yard", fmt.Sprintf("g-%d", n)).Output()
		if err != nil {
			return nil, fmt.Errorf("gateway add: %w", err)
		}
		path := filepath.Join(b.dir, fmt.Sprintf("backlog-g-%d.yaml", n))
		return func(url string) (string, error) {
			return path, os.WriteFile(path, fmt.Appendf(nil, `site: yard
gateway: g-%d
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay: {file: %s, speed: %g, shift: %s, time: {column: t, layout: "2006-01-02T15:04:05.000Z07:00", zone: UTC}, sensor: {value: %s}, kind: {value: in}}
`, n, strings.TrimSuffix(path, ".yaml"), url, strings.TrimSpace(string(secret)), csv, speed, shift, sensor), 0o600)
		}, nil
	}
	// The link is cut: nobody listens there.
	const day = 24 * time.Hour
	cut, err := gateway(1, "main-in", backlogEvents, time.Now().Add(-day), day/backlogEvents, 0, "keep")
	if err != nil {
		return err
	}
	first, err := cut("127.0.0.1:1")
	if err != nil {
		return err
	}
	g, err := b.start("perron-gateway", "run", "--config", first)
	if err != nil {
		return err
	}
	_, err = g.logged(ctx, "the source has come to its end; what it gave is being sent", "")
	g.stop()
	if err != nil {
		return err
	}

	seen := &states{}
	if err := seen.watch(ctx, s.broker); err != nil {
		return err
	}
	defer seen.stop()
	calm := 10 * time.Second
	n := backlogRate * int(calm/time.Second) * 6
	live, err := gateway(2, "side-in", n, time.Now(), time.Second/backlogRate, 1, "now")
	if err != nil {
		return err
	}
	second, err := live(s.broker)
	if err != nil {
		return err
	}
	g2, err := b.start("perron-gateway", "run", "--config", second)
	if err != nil {
		return err
	}
	defer g2.stop()
	if !sleep(ctx, calm) {
		return ctx.Err()
	}
	if _, err := cut(s.broker); err != nil {
		return err
	}
	g1, err := b.start("perron-gateway", "run", "--once", "--config", first)
	if err != nil {
		return err
	}
	defer g1.stop()
	if _, err := g1.logged(ctx, "connected to the broker", ""); err != nil {
		return err
	}
	reconnect := time.Now()
	if _, err := g1.logged(ctx, "gateway stopped; everything is stored by the server", ""); err != nil {
		return err
	}
	drained := time.Since(reconnect)
	if !sleep(ctx, calm) {
		return ctx.Err()
	}
	until := time.Now().Add(-time.Second) // what passed later may not be counted yet
	g2.stop()
	seen.stop()
	p.stop()

	edges, err := b.edges(ctx, "backlog", "side-in")
	if err != nil {
		return err
	}
	var before, during []time.Duration
	for k, edge := range edges {
		if edge.After(until) {
			break
		}
		took, ok := seen.first(k + 1)
		switch {
		case !ok:
			return fmt.Errorf("passage %d of %d is in no state", k+1, len(edges))
		case edge.Before(reconnect.Add(-time.Second)):
			before = append(before, took.Sub(edge))
		default:
			during = append(during, took.Sub(edge))
		}
	}
	slices.Sort(before)
	slices.Sort(during)
	b.report(fmt.Sprintf("from reconnect to drained, %d events of 24 h", backlogEvents), "< 2 min", "%s", drained.Round(10*time.Millisecond))
	b.report(fmt.Sprintf("pulse to state of another gateway of the yard, %d/s, before", backlogRate), "", "p50 %s, p99 %s, max %s",
		quantile(before, 0.5), quantile(before, 0.99), quantile(before, 1))
	b.report("  from the reconnect until 10 s after the drain", "p99 < 1 s", "p50 %s, p99 %s, max %s",
		quantile(during, 0.5), quantile(during, 0.99), quantile(during, 1))
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// states are the live states of the yard as they were published.
type states struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	seen []stateSeen
}

type stateSeen struct {
	side int // passages at gate side
	at   time.Time
}

// watch connects to the broker as one of the service.
func (s *states) watch(ctx context.Context, addr string) error {
	c, err := broker.NewClient(broker.ClientConfig{
		URL: "tcp://" + addr, ClientID: "service.bench", Username: "service", Password: "of the one who looks on",
	})
	if err != nil {
		return err
	}
	c.Subscribe(broker.BusynessTopic("yard"), func(m broker.Message) {
		at := time.Now()
		busy, err := broker.DecodeBusyness(m.Payload)
		if err != nil {
			return // a state that is missing makes the next one count
		}
		for _, g := range busy.Gates {
			if g.Gate == "side" {
				s.mu.Lock()
				s.seen = append(s.seen, stateSeen{g.InToday, at})
				s.mu.Unlock()
			}
		}
	})
	ctx, s.cancel = context.WithCancel(ctx)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = c.Run(ctx) // returns nil
	}()
	for !c.Connected() {
		if !sleep(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

func (s *states) stop() {
	s.cancel()
	<-s.done
}

// first is when a state first counted n passages.
func (s *states) first(n int) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if one.side >= n {
			return one.at, true
		}
	}
	return time.Time{}, false
}
