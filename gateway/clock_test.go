package gateway

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/perron"
)

// device is a machine whose clocks a test moves. Its events are seen at the
// moment they are asked for.
type device struct {
	mu     sync.Mutex
	truth  time.Time
	off    time.Duration
	booted time.Time
	synced bool
	events chan perron.Event
	n      int
	want   []perron.Event
}

func newDevice(off time.Duration) *device {
	return &device{truth: start, off: off, booted: start.Add(-time.Minute), events: make(chan perron.Event, 100)}
}

func (d *device) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *device) read() clock.Reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	synced := d.synced
	return clock.Reading{Wall: d.truth.Add(d.off), Boot: d.truth.Sub(d.booted), Synced: &synced}
}

func (d *device) Run(ctx context.Context, s Sink) error {
	for {
		select {
		case e := <-d.events:
			if err := s.Events(ctx, []perron.Event{e}, nil); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pass lets n vehicles pass, a second apart, and returns once they are on disk.
func (d *device) pass(t *testing.T, g *running, n int) {
	t.Helper()
	before := g.box.State().Next
	for i := range n {
		d.mu.Lock()
		d.truth = d.truth.Add(time.Second)
		e := perron.Event{Time: d.truth, Sensor: fmt.Sprintf("gate-%d", d.n%3), Kind: perron.In}
		d.n++
		d.want = append(d.want, e)
		e.Time = e.Time.Add(d.off)
		d.mu.Unlock()
		d.events <- e
		wait(t, "the passage is in the outbox", func() bool { return g.box.State().Next == before+uint64(i)+1 })
	}
}

func (d *device) gateway(t *testing.T, dir, boot string, link *fakeLink, wait time.Duration) *running {
	return runGateway(t, Config{DataDir: dir, Source: d, Link: link, ReadClock: d.read, Boot: boot, ClockWait: wait, AckTimeout: 200 * time.Millisecond})
}

func (l *fakeLink) events() (out []perron.Event) {
	l.set(func() { out = append(out, l.got...) })
	return out
}

// A device that starts in 1970 and is set by hours, twice, before its clock is
// synchronised: every passage is sent with its right time, in order, once.
func TestUnsureStampsAreCorrected(t *testing.T) {
	t.Parallel() // it waits most of its time
	dir := t.TempDir()
	link := &fakeLink{t: t}
	d := newDevice(time.Unix(60, 0).Sub(start))
	g := d.gateway(t, dir, "boot-1", link, time.Hour)
	d.pass(t, g, 5)
	d.set(func() { d.off = -7 * time.Hour })
	d.pass(t, g, 5)
	// The program is started again in the same boot.
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = d.gateway(t, dir, "boot-1", link, time.Hour)
	d.set(func() { d.off = 5 * time.Hour })
	d.pass(t, g, 5)
	if n := len(link.events()); n != 0 {
		t.Fatalf("%d passages were sent before the clock was synchronised", n)
	}
	d.set(func() { d.off, d.synced = 0, true })
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	d.set(func() { d.off, d.synced = -2*time.Hour, false }) // it is known better by now
	d.pass(t, g, 5)
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	if diff := cmp.Diff(d.want, link.events()); diff != "" || link.lost != 0 {
		t.Errorf("%d lost; events (-want +got)\n%s", link.lost, diff)
	}
}

// A clock that does not become synchronised in time holds nothing up for ever;
// what a boot left that never was comes flagged, at once, and as right as can
// be: not before what was seen in the boot before.
func TestUnsureStampsAreFlagged(t *testing.T) {
	t.Parallel() // it waits most of its time
	dir := t.TempDir()
	link := &fakeLink{t: t}
	d := newDevice(0)
	d.synced = true
	g := d.gateway(t, dir, "boot-1", link, time.Hour)
	d.pass(t, g, 3)
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	last := d.truth

	boot := func() {
		d.truth = d.truth.Add(10 * time.Minute)
		d.booted, d.synced, d.off = d.truth, false, time.Unix(0, 0).Sub(d.truth)
	}
	d.set(boot)
	g = d.gateway(t, dir, "boot-2", link, time.Hour)
	d.pass(t, g, 4)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(link.events()); n != 3 {
		t.Fatalf("%d passages were sent, want 3", n)
	}
	d.set(boot)
	g = d.gateway(t, dir, "boot-3", link, time.Millisecond)
	d.pass(t, g, 2)
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	got := link.events()
	if len(got) != 9 || link.lost != 0 {
		t.Fatalf("%d passages, %d lost", len(got), link.lost)
	}
	for i, e := range got {
		want := d.want[i]
		if e.Sensor != want.Sensor || e.Unsure != (i >= 3) {
			t.Errorf("passage %d is %+v, was %+v", i, e, want)
		}
		if i < 3 && !e.Time.Equal(want.Time) || i >= 3 && (e.Time.Before(last) || e.Time.After(want.Time)) {
			t.Errorf("passage %d has time %v, was at %v", i, e.Time, want.Time)
		}
	}
	// Now it is synchronised: how long it was off is known, and by whom it was seen.
	d.set(func() { d.off, d.synced = 0, true })
	var st perron.GatewayStatus
	wait(t, "the outages are known", func() bool { st = g.Status(t.Context()); return len(st.Outages) > 0 })
	if !st.Started.Equal(d.booted) || st.ClockSynced == nil || !*st.ClockSynced {
		t.Errorf("started %v, want %v; synchronised %v", st.Started, d.booted, st.ClockSynced)
	}
	if o := st.Outages[len(st.Outages)-1]; !o.Until.Equal(d.booted) || o.From.After(o.Until) {
		t.Errorf("outage %+v", o)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	// Whoever starts it once more still knows.
	g = d.gateway(t, dir, "boot-3", link, time.Millisecond)
	if d := cmp.Diff(st.Outages, g.Status(t.Context()).Outages); d != "" {
		t.Errorf("after a restart (-want +got)\n%s", d)
	}
}

// A device that never knew the time, and is started again and again before it
// does, has stamps of 1970. They wait for however long, and when a time server
// is reached at last they are placed before the boot in which it was, each boot
// before the next, and flagged.
func TestTimelessStampsArePlaced(t *testing.T) {
	t.Parallel() // it waits most of its time
	dir := t.TempDir()
	link := &fakeLink{t: t}
	d := newDevice(0)
	const reboot = 40 * time.Second
	boot := func() {
		d.truth = d.truth.Add(reboot)
		d.booted, d.off = d.truth, time.Unix(0, 0).Sub(d.truth)
	}
	d.set(boot)
	g := d.gateway(t, dir, "boot-1", link, time.Millisecond)
	d.pass(t, g, 5)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	d.set(boot)
	g = d.gateway(t, dir, "boot-2", link, time.Millisecond)
	d.pass(t, g, 3)
	d.set(func() { d.off += time.Hour }) // somebody has set it
	d.pass(t, g, 1)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	d.set(boot)
	third := d.booted
	g = d.gateway(t, dir, "boot-3", link, time.Millisecond)
	d.pass(t, g, 2)
	wait(t, "a status says how many wait", func() bool { return g.Status(t.Context()).Waiting == 11 })
	if n := len(link.events()); n != 0 {
		t.Fatalf("%d passages were sent that nobody could count", n)
	}
	d.set(func() { d.off, d.synced = 0, true })
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	got := link.events()
	if len(got) != 11 || link.lost != 0 {
		t.Fatalf("%d passages, %d lost", len(got), link.lost)
	}
	for i, e := range got {
		want := d.want[i]
		early, late := time.Duration(0), time.Duration(0)
		switch {
		case i < 5:
			early, late = 0, 2*reboot
		case i < 9:
			early, late = 0, reboot
		}
		if off := e.Time.Sub(want.Time); e.Sensor != want.Sensor || e.Unsure != (i < 9) || off < early || off > late {
			t.Errorf("passage %d is %+v, %v after it was", i, e, off)
		}
		if i > 0 && e.Time.Before(got[i-1].Time) {
			t.Errorf("passage %d is before the one before it", i)
		}
	}
	if got[8].Time.After(third) {
		t.Errorf("the second boot ends at %v, the third began at %v", got[8].Time, third)
	}
	// From here on it knows that it cannot be 1970.
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	d.set(func() { boot(); d.synced = false })
	g = d.gateway(t, dir, "boot-4", link, time.Millisecond)
	d.pass(t, g, 1)
	wait(t, "everything is acknowledged", func() bool { return g.box.State().Waiting == 0 })
	if got := link.events(); len(got) != 12 || !got[11].Unsure || got[11].Time.Before(got[10].Time) {
		t.Errorf("%d passages, the last %+v", len(got), got[len(got)-1])
	}
}

// TestBatchHasOneLook has the clock become synchronised between the looks that
// a batch takes. Its events must not be put into the outbox in two parts: only
// the last would have the source's position, and what was before it would come
// again after a crash in between.
func TestBatchHasOneLook(t *testing.T) {
	looks := 0
	c := clock.New(clock.Config{Read: func() clock.Reading {
		looks++
		synced := looks%2 == 0
		return clock.Reading{Wall: start.Add(time.Duration(looks) * time.Hour), Boot: time.Duration(looks) * time.Second, Synced: &synced}
	}})
	for range 4 {
		stamps := c.Stamps([]time.Time{start, start.Add(time.Second), start.Add(2 * time.Second)})
		for i, s := range stamps {
			if s.Unsure != stamps[0].Unsure || s.Shift != stamps[0].Shift || s.Time.Sub(stamps[0].Time) != time.Duration(i)*time.Second {
				t.Errorf("stamp %d is %+v, the first %+v", i, s, stamps[0])
			}
		}
	}
	if looks != 4 {
		t.Errorf("%d looks for four batches", looks)
	}
}
