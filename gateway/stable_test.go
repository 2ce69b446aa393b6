package gateway

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/perron"
)

// sentTimes are the times with which each number was ever sent.
type sentTimes struct {
	mu    sync.Mutex
	times map[uint64]map[perron.Event]bool
}

func (s *sentTimes) note(t *testing.T, m broker.Message) {
	b, err := broker.DecodeEvents(m.Payload)
	if err != nil {
		t.Error(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range b.Events {
		seq := b.First + uint64(i)
		if s.times[seq] == nil {
			s.times[seq] = make(map[perron.Event]bool)
		}
		s.times[seq][e] = true
	}
}

func (s *sentTimes) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// An event that was sent is the same whenever it is sent again, whatever became
// known of the clock meanwhile: the collector may have stored it half, in a
// store without transactions, and another time would be another event there.
func TestWhatWasSentStays(t *testing.T) {
	t.Parallel() // it waits most of its time
	dir := t.TempDir()
	link := &fakeLink{t: t}
	sent := sentTimes{times: make(map[uint64]map[perron.Event]bool)}
	link.fault = func(m broker.Message) what { sent.note(t, m); return arrives }
	d := newDevice(-7 * time.Hour)
	g := d.gateway(t, dir, "boot-1", link, time.Millisecond)
	link.set(func() { link.mute = true })
	d.pass(t, g, 3) // unsure
	wait(t, "three were sent", func() bool { return sent.len() == 3 })
	link.set(func() { link.offline = true })
	d.pass(t, g, 3) // never sent while they were
	d.set(func() { d.off, d.synced = 0, true })
	wait(t, "the clock is known", func() bool { s, _ := g.box.Clock(); return s != 0 })
	link.set(func() { link.offline = false })
	link.up()
	wait(t, "six were sent", func() bool { return sent.len() == 6 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	// It is found to be three seconds off.
	d.set(func() { d.off = 3 * time.Second })
	g = d.gateway(t, dir, "boot-1", link, time.Millisecond)
	d.pass(t, g, 1)
	link.set(func() { link.mute = false })
	link.up()
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	for seq, events := range sent.times {
		if len(events) != 1 {
			t.Errorf("event %d was sent as %v", seq, events)
		}
	}
	for i, e := range link.events() {
		if unsure := i < 3; e.Unsure != unsure || !unsure && i < 6 && !e.Time.Equal(d.want[i].Time) {
			t.Errorf("event %d is %+v, was %+v", i, e, d.want[i])
		}
	}
}

// A clock that was synchronised is not believed for ever, and what is stamped by
// it then says so.
func TestLongUnsynchronisedIsFlagged(t *testing.T) {
	link := &fakeLink{t: t}
	d := newDevice(0)
	d.synced = true
	g := d.gateway(t, t.TempDir(), "boot-1", link, time.Millisecond)
	d.pass(t, g, 2)
	wait(t, "the clock is known", func() bool { s, _ := g.box.Clock(); return s != 0 })
	d.set(func() { d.synced, d.truth = false, d.truth.Add(6*24*time.Hour) })
	d.pass(t, g, 2)
	d.set(func() { d.truth = d.truth.Add(2 * 24 * time.Hour) })
	d.pass(t, g, 2)
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	for i, e := range link.events() {
		if e.Unsure != (i >= 4) {
			t.Errorf("passage %d: %+v", i, e)
		}
	}
}

// What a status says of instants is right although the clock was set since it
// was known, as are the events.
func TestStatusTimesAreRight(t *testing.T) {
	link := &fakeLink{t: t}
	d := newDevice(0)
	d.synced = true
	g := runGateway(t, Config{
		DataDir: t.TempDir(), Source: d, Link: link, ReadClock: d.read, Boot: "boot-1",
		Now: func() time.Time { return d.read().Wall },
	})
	wait(t, "the clock is known", func() bool { s, _ := g.box.Clock(); return s != 0 })
	d.set(func() { d.off, d.synced = 5*time.Hour, false })
	payload, err := broker.Ack{Rival: true}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	link.handle(broker.Message{Topic: broker.AckTopic("poort", "gate-1"), Payload: payload})
	if st := g.Status(t.Context()); !st.Rival.Equal(d.truth) || !st.At.Equal(d.truth) {
		t.Errorf("at %v a rival since %v; both are %v", st.At, st.Rival, d.truth)
	}
}

// A disk that takes nothing keeps the note of an outage waiting, but not the
// status, which a watchdog asks for.
func TestStatusWaitsForNoDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), OutboxFile)
	d := newDevice(0)
	d.synced = true
	fill := func(boot string, n int, then func(context.Context, *outbox.Outbox)) {
		t.Helper()
		box, err := outbox.Open(t.Context(), file, outbox.Options{Boot: boot, Life: func() outbox.Life {
			return outbox.Life{Boot: boot, Time: start.Add(-time.Hour)}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := box.Append(t.Context(), passages(i, 1), nil); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		then(ctx, box)
		if err := box.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fill("boot-1", 1, func(ctx context.Context, box *outbox.Outbox) {
		go box.Run(ctx) //nolint:errcheck // Flush tells
		if err := box.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	})
	// Nobody takes what is put into the queue, which has one place left: that of
	// the clock's shift, before the outage.
	fill("boot-2", 63, func(ctx context.Context, box *outbox.Outbox) {
		k := newTimekeeper(&Config{ReadClock: d.read, Boot: "boot-2"}, box, slog.New(slog.DiscardHandler))
		var looked sync.WaitGroup
		ctx, cancel := context.WithCancel(ctx)
		looked.Go(func() {
			if err := k.check(ctx); ctx.Err() == nil {
				t.Errorf("the outage was noted: %v", err)
			}
		})
		wait(t, "the outage waits to be noted", func() bool { return len(box.Outages()) == 1 })
		told := make(chan perron.GatewayStatus, 1)
		go func() {
			var st perron.GatewayStatus
			k.tell(&st)
			told <- st
		}()
		wait(t, "the status is told", func() bool { return len(told) == 1 })
		if st := <-told; len(st.Outages) != 1 {
			t.Errorf("%+v", st)
		}
		cancel()
		looked.Wait()
	})
}
