package gateway

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A backlog that drains for minutes, because the acks come as fast as the
// batches go, is no reason for a watchdog to end the gateway.
func TestAnswersWhileABacklogDrains(t *testing.T) {
	link := &fakeLink{t: t, offline: true}
	link.fault = func(broker.Message) what { time.Sleep(10 * time.Millisecond); return arrives }
	g := runGateway(t, Config{Source: feed(100_000), Link: link})
	wait(t, "everything waits in the outbox", g.sink.done)
	link.set(func() { link.offline = false })
	link.up()
	batches := func() (n int) { link.set(func() { n = link.batches }); return n }
	wait(t, "the backlog drains", func() bool { return batches() > 5 })
	if err := g.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := batches(); n > 50 {
		t.Errorf("answered after %d of 100 batches", n)
	}
}

// A card that lied about its last writes is as an old copy: the numbers that
// are given out again stand for other events at the collector, and those that
// come now may not pass for them.
func TestOldCopyLosesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, OutboxFile)
	link := &fakeLink{t: t}
	give := func(from, n int) sourceFunc {
		return func(ctx context.Context, s Sink) error { return s.Events(ctx, passages(from, n), nil) }
	}
	play := func(from, n int) {
		g := runGateway(t, Config{DataDir: dir, Source: give(from, n), Link: link})
		wait(t, "everything is acknowledged", g.Idle)
		if err := g.stop(); err != nil {
			t.Fatal(err)
		}
	}
	play(0, 100)
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	play(100, 20)
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}

	link.set(func() { link.offline = true })
	g := runGateway(t, Config{DataDir: dir, Source: give(1000, 30), Link: link})
	wait(t, "everything is in the outbox", g.sink.done)
	link.set(func() { link.offline = false })
	link.up()
	wait(t, "everything is acknowledged", g.Idle)
	var want []perron.Event
	want = append(append(want, passages(0, 120)...), passages(1000, 30)...)
	if d := cmp.Diff(want, link.got); d != "" {
		t.Errorf("events (-want +got)\n%.2000s", d)
	}
	if link.lost != 0 {
		t.Errorf("%d lost", link.lost)
	}
}
