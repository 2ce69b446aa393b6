package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// fakeLink is a broker and a collector in one, whose faults a test chooses.
type fakeLink struct {
	t      *testing.T
	handle func(broker.Message)
	up     func()

	mu       sync.Mutex
	offline  bool
	mute     bool                      // the collector acknowledges nothing
	fault    func(broker.Message) what // of a batch on its way
	epoch    string
	acked    uint64
	lost     uint64
	got      []perron.Event
	batches  int
	statuses []perron.GatewayStatus
}

type what int

const (
	arrives what = iota
	vanishes
	arrivesUnconfirmed // the PUBACK is lost
	ackVanishes
)

func (l *fakeLink) Subscribe(filter string, handle func(broker.Message)) {
	if filter != "perron/v1/poort/gate-1/ack" {
		l.t.Errorf("subscribed to %s", filter)
	}
	l.handle = handle
}
func (l *fakeLink) OnUp(f func()) { l.up = f }

func (l *fakeLink) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.offline
}

func (l *fakeLink) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *fakeLink) Publish(ctx context.Context, m broker.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offline {
		return broker.ErrOffline
	}
	topic, err := broker.ParseTopic(m.Topic)
	if err != nil || topic.Site != "poort" || topic.Gateway != "gate-1" {
		l.t.Errorf("published to %s", m.Topic)
	}
	if topic.Leaf == broker.LeafStatus {
		st, err := broker.DecodeStatus(m.Payload)
		if err != nil || !m.Retained {
			l.t.Errorf("status %s, retained %v: %v", m.Payload, m.Retained, err)
		}
		l.statuses = append(l.statuses, st)
		return nil
	}
	fate := arrives
	if l.fault != nil {
		fate = l.fault(m)
	}
	if fate == vanishes {
		return nil
	}
	b, err := broker.DecodeEvents(m.Payload)
	if err != nil {
		l.t.Errorf("batch does not decode: %v", err)
		return nil
	}
	l.batches++
	if b.Epoch != l.epoch {
		l.epoch, l.acked = b.Epoch, 0
	}
	// What a collector does: see store.Place.
	next := l.acked + 1
	if b.Floor > next {
		l.lost += b.Floor - next
		next = b.Floor
	}
	if b.First <= next && !l.mute {
		skip := min(next-b.First, uint64(len(b.Events)))
		l.got = append(l.got, b.Events[skip:]...)
		l.acked = max(next-1, b.First+uint64(len(b.Events))-1)
	}
	if fate != ackVanishes && !l.mute {
		payload, err := broker.Ack{Epoch: l.epoch, Acked: l.acked}.Encode()
		if err != nil {
			l.t.Error(err)
		}
		l.handle(broker.Message{Topic: broker.AckTopic("poort", "gate-1"), Payload: payload})
	}
	if fate == arrivesUnconfirmed {
		return broker.ErrNoAck
	}
	return nil
}

// sourceFunc is a source from a function.
type sourceFunc func(context.Context, Sink) error

func (f sourceFunc) Run(ctx context.Context, s Sink) error { return f(ctx, s) }

type running struct {
	*Gateway
	t    *testing.T
	stop func() error
}

func runGateway(t *testing.T, cfg Config) *running {
	t.Helper()
	cfg.Site, cfg.Gateway = "poort", "gate-1"
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	g, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	r := &running{Gateway: g, t: t, stop: sync.OnceValue(func() error { cancel(); return <-ran })}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// wait polls until shortly before the test binary's own limit: a busy machine is
// no fault.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end, limited := t.Deadline()
	for ; !ok(); time.Sleep(2 * time.Millisecond) {
		if limited && time.Until(end) < 5*time.Second {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func passages(from, n int) []perron.Event {
	out := make([]perron.Event, n)
	for i := range out {
		// Thousands have equal stamps, as in a recording with whole seconds.
		out[i] = perron.Event{Time: start.Add(time.Duration((from+i)/3000) * time.Second), Sensor: fmt.Sprintf("gate-%d", (from+i)%5), Kind: perron.In}
	}
	return out
}

// feed gives total events in groups of 700, from the position on.
func feed(total int) sourceFunc {
	return func(ctx context.Context, s Sink) error {
		at, _ := binary.Uvarint(s.Position())
		for i := int(at); i < total; {
			n := min(700, total-i)
			if err := s.Events(ctx, passages(i, n), binary.AppendUvarint(nil, uint64(i+n))); err != nil {
				return err
			}
			i += n
		}
		return nil
	}
}

// Whatever happens on the way, every event arrives once and in order.
func TestEveryEventOnce(t *testing.T) {
	t.Parallel() // it waits most of its time
	const total = 60_000
	r := rand.New(rand.NewPCG(1, 2))
	link := &fakeLink{t: t}
	link.fault = func(broker.Message) what {
		switch r.IntN(12) {
		case 0:
			return vanishes
		case 1:
			return arrivesUnconfirmed
		case 2:
			return ackVanishes
		case 3: // the connection breaks, and stands again soon
			link.offline = true
			time.AfterFunc(3*time.Millisecond, func() {
				link.set(func() { link.offline = false })
				link.up()
			})
			return vanishes
		}
		return arrives
	}
	g := runGateway(t, Config{Source: feed(total), Link: link, AckTimeout: 20 * time.Millisecond, Registerer: prometheus.NewPedanticRegistry()})
	wait(t, "everything is acknowledged", g.Idle)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if link.lost != 0 || len(link.got) != total {
		t.Fatalf("%d of %d events arrived, %d lost", len(link.got), total, link.lost)
	}
	if d := cmp.Diff(passages(0, total), link.got); d != "" {
		t.Errorf("events (-want +got)\n%.2000s", d)
	}
	t.Logf("%d batches arrived for %d", link.batches, total/broker.MaxEvents)
}

func TestSendsEachBatchOnceWhenNothingIsLost(t *testing.T) {
	link := &fakeLink{t: t, offline: true}
	g := runGateway(t, Config{Source: feed(20_000), Link: link})
	wait(t, "everything waits in the outbox", func() bool { return g.sink.done() && g.box.State().Waiting == 20_000 })
	link.set(func() { link.offline = false })
	link.up()
	wait(t, "everything is acknowledged", g.Idle)
	// Twice 20: the connection may be noticed before the call of up, which sends again.
	if link.set(func() {}); link.batches > 40 || len(link.got) != 20_000 {
		t.Errorf("%d batches for %d events", link.batches, len(link.got))
	}
}

func TestSilentCollector(t *testing.T) {
	link := &fakeLink{t: t, mute: true}
	g := runGateway(t, Config{Source: feed(10_000), Link: link, AckTimeout: 10 * time.Millisecond, Window: 3})
	batches := func() (n int) { link.set(func() { n = link.batches }); return n }
	wait(t, "the window was sent three times", func() bool { return batches() >= 9 })
	if st := g.Status(t.Context()); st.Waiting != 10_000 || st.Next != 10_001 || !st.OldestWaiting.Equal(start) {
		t.Errorf("status: %+v", st)
	}
	link.set(func() { link.mute = false })
	wait(t, "everything is acknowledged", g.Idle)
	if len(link.got) != 10_000 {
		t.Errorf("%d events", len(link.got))
	}
}

// Events that were dropped for want of room are told as lost, and no other.
func TestDroppedEvents(t *testing.T) {
	t.Parallel() // it waits most of its time
	link := &fakeLink{t: t, offline: true}
	const total = 60_000
	g := runGateway(t, Config{
		MaxOutbox: 48 << 10, Link: link,
		Source: sourceFunc(func(ctx context.Context, s Sink) error {
			for i := 0; i < total; i += 100 {
				events := passages(i, 100)
				for j := range events {
					if j%3 == 1 { // not the very last: its loss shows with the next event
						events[j].Kind = perron.On
					}
				}
				if err := s.Events(ctx, events, nil); err != nil {
					return err
				}
			}
			return nil
		}),
	})
	wait(t, "the source is finished", func() bool { return g.sink.done() && g.box.State().Next == total+1 })
	s := g.box.State()
	if s.Dropped == 0 || s.Waiting+s.Dropped != total {
		t.Fatalf("waiting %d, dropped %d of %d", s.Waiting, s.Dropped, total)
	}
	link.set(func() { link.offline = false })
	link.up()
	wait(t, "everything is acknowledged", g.Idle)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if link.lost != s.Dropped || uint64(len(link.got)) != s.Waiting {
		t.Errorf("the collector has %d and knows of %d lost, want %d and %d", len(link.got), link.lost, s.Waiting, s.Dropped)
	}
}

func TestContinuesAfterRestart(t *testing.T) {
	dir := t.TempDir()
	link := &fakeLink{t: t}
	block := sourceFunc(func(ctx context.Context, s Sink) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := feed(7_000)(ctx, s); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	g := runGateway(t, Config{DataDir: dir, Source: block, Link: link})
	wait(t, "the first part is there", func() bool { n := 0; link.set(func() { n = len(link.got) }); return n == 7_000 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	last := link.statuses[len(link.statuses)-1]
	if last.Online || last.Waiting != 0 {
		t.Errorf("the last status of a gateway that stops: %+v", last)
	}
	g = runGateway(t, Config{DataDir: dir, Source: feed(9_000), Link: link})
	wait(t, "everything is acknowledged", g.Idle)
	if d := cmp.Diff(passages(0, 9_000), link.got); d != "" {
		t.Errorf("events (-want +got)\n%.2000s", d)
	}
}

// Edges become events with the time of the edge, on any clock.
func TestEdgesOnAShiftedClock(t *testing.T) {
	t.Parallel() // it waits most of its time
	link := &fakeLink{t: t}
	shift := time.Until(start)
	now := func() time.Time { return time.Now().Add(shift) }
	var at time.Time
	g := runGateway(t, Config{
		Link: link, Now: now,
		Inputs:  []pulse.Input{{ID: "a", Debounce: 5 * time.Millisecond}, {ID: "c", Debounce: 5 * time.Millisecond}},
		Sensors: []pulse.Sensor{{ID: "main-in", Type: pulse.Pulse, Inputs: []string{"a"}, Direction: perron.In}, {ID: "queue-1", Type: pulse.Presence, Inputs: []string{"c"}}},
		Source: sourceFunc(func(ctx context.Context, s Sink) error {
			at = now()
			if err := s.Edge(ctx, pulse.Edge{Input: "zz", Time: at}); err == nil {
				t.Error("an edge of an unknown input was taken")
			}
			s.Lost("a", 3)
			s.Fault("c", errors.New("cable cut"))
			if err := s.Edge(ctx, pulse.Edge{Input: "a", Time: at, Active: true}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}),
	})
	wait(t, "the passage is there", func() bool { n := 0; link.set(func() { n = len(link.got) }); return n == 1 })
	link.set(func() {
		want := perron.Event{Time: at.Round(0).UTC(), Sensor: "main-in", Kind: perron.In}
		if d := cmp.Diff(want, link.got[0]); d != "" {
			t.Errorf("passage (-want +got)\n%s", d)
		}
	})
	wait(t, "a status tells of it", func() bool {
		ok := false
		link.set(func() {
			for _, st := range link.statuses {
				ok = ok || st.LostEdges == 3 && len(st.Sensors) == 2 && st.Sensors[1].Health == perron.SensorFault &&
					st.Online && st.At.Sub(start) < time.Hour && st.Sensors[0].Active
			}
		})
		return ok
	})
	if err := g.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestSourceFailureEndsTheGateway(t *testing.T) {
	link := &fakeLink{t: t}
	g := runGateway(t, Config{Link: link, Source: sourceFunc(func(ctx context.Context, s Sink) error {
		if err := s.Events(ctx, passages(0, 5), nil); err != nil {
			return err
		}
		return errors.New("no such file")
	})})
	err := func() error { // Run ends by itself; stop only collects its result
		wait(t, "the outbox is closed", func() bool { return g.box.Append(t.Context(), nil, nil) != nil })
		return g.stop()
	}()
	if err == nil || err.Error() != "source: no such file" {
		t.Errorf("Run: %v", err)
	}
	g.stop = func() error { return nil }
}

func TestWillAndClock(t *testing.T) {
	m, err := Will("poort", "gate-1")
	if err != nil {
		t.Fatal(err)
	}
	st, err := broker.DecodeStatus(m.Payload)
	if err != nil || st.Online || !st.At.IsZero() || !m.Retained || m.Topic != "perron/v1/poort/gate-1/status" {
		t.Errorf("will %+v decodes to %+v, %v", m, st, err)
	}
	if _, err := New(t.Context(), Config{Site: "Poort", Gateway: "gate-1", DataDir: t.TempDir()}); err == nil {
		t.Error("a site with a capital letter was taken")
	}
}
