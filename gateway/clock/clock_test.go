package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// device is a machine whose clocks a test moves.
type device struct {
	truth  time.Time
	off    time.Duration // of the wall clock
	boot   time.Time     // when it was started
	synced bool
}

var noon = time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)

func (d *device) read() Reading {
	synced := d.synced
	return Reading{Wall: d.truth.Add(d.off), Boot: d.truth.Sub(d.boot), Synced: &synced}
}

// stamp is that of something that happened a moment ago.
func (d *device) stamp(c *Clock, ago time.Duration) Stamp { return c.Stamp(d.read().Wall.Add(-ago)) }

// Whatever the wall clock does while it is not synchronised, the stamps of a boot
// come right by the shift that is known in the end.
func TestStampsComeRight(t *testing.T) {
	d := &device{truth: noon, boot: noon.Add(-time.Minute), off: time.Unix(60, 0).Sub(noon)}
	c := New(Config{Read: d.read})
	type event struct {
		Stamp
		truth time.Time
	}
	var events []event
	see := func() { events = append(events, event{d.stamp(c, 3*time.Second), d.truth.Add(-3 * time.Second)}) }
	see()
	if y := events[0].Time.Year(); y != 1970 || !events[0].Unsure {
		t.Fatalf("stamp %+v", events[0])
	}
	for _, off := range []time.Duration{-5 * time.Hour, 7 * time.Hour, -time.Second, 0} {
		d.truth, d.off = d.truth.Add(10*time.Minute), off
		see()
		if !events[len(events)-1].Unsure {
			t.Errorf("with the clock off by %v a stamp is sure", off)
		}
	}
	d.truth, d.off, d.synced = d.truth.Add(time.Minute), 0, true
	shift, _, known := c.Known()
	if !known {
		t.Fatal("the shift of a synchronised clock is not known")
	}
	for i, e := range events {
		if got := e.Time.Add(time.Duration(shift - e.Shift)); !got.Equal(e.truth) {
			t.Errorf("event %d is corrected to %v, want %v", i, got, e.truth)
		}
	}
}

// Once the shift of a boot is known, a clock that loses its synchronisation and
// is then set by hours either way moves no stamp; slewing and a leap second are
// followed while it is synchronised.
func TestJumpsAreNotBelieved(t *testing.T) {
	d := &device{truth: noon, boot: noon.Add(-time.Hour), synced: true}
	c := New(Config{Read: d.read})
	check := func(what string, want time.Time, unsure bool) {
		t.Helper()
		if s := d.stamp(c, 0); !s.Time.Equal(want) || s.Unsure != unsure {
			t.Errorf("%s: %v, unsure %v; want %v, %v", what, s.Time, s.Unsure, want, unsure)
		}
	}
	check("synchronised", noon, false)
	for range 100 { // 500 ppm
		d.truth, d.off = d.truth.Add(time.Second), d.off+500*time.Microsecond
		check("slewed", d.truth.Add(d.off), false)
	}
	d.off -= time.Second
	check("leap second", d.truth.Add(d.off), false)
	d.off, d.synced = 0, true
	check("synchronised again", d.truth, false)
	for _, off := range []time.Duration{-3 * time.Hour, 4 * time.Hour, -50 * 365 * 24 * time.Hour} {
		d.truth, d.off, d.synced = d.truth.Add(time.Minute), off, false
		check("set without synchronisation", d.truth, false)
	}
	d.truth = d.truth.Add(GoodFor)
	check("a week later", d.truth, true)
	d.off, d.synced = 2*time.Second, true
	check("synchronised at last", d.truth.Add(2*time.Second), false)
}

// What was known of the boot before the program was started again is still
// known, and a clock that is behind what was seen is not believed.
func TestWhatWasKnown(t *testing.T) {
	d := &device{truth: noon, boot: noon.Add(-time.Hour), off: 3 * time.Hour}
	c := New(Config{Read: d.read, Shift: noon.UnixNano() - int64(time.Hour), ShiftAt: time.Hour})
	if s := d.stamp(c, time.Minute); s.Unsure || !s.Time.Equal(noon.Add(-time.Minute)) {
		t.Errorf("with the shift of the boot: %+v", s)
	}
	d = &device{truth: noon, boot: noon.Add(-time.Minute), off: time.Unix(60, 0).Sub(noon)}
	floor := noon.Add(-time.Hour)
	c = New(Config{Read: d.read, Floor: floor})
	if s := d.stamp(c, 0); !s.Unsure || !s.Time.Equal(floor.Add(time.Minute)) {
		t.Errorf("behind the floor: %+v", s)
	}
	d.truth = d.truth.Add(time.Second)
	if s := d.stamp(c, 0); !s.Time.Equal(floor.Add(time.Minute+time.Second)) || !c.Floor().Equal(s.Time) {
		t.Errorf("a second later: %+v", s)
	}
}

// The real clocks agree with the ones that Go has.
func TestDevice(t *testing.T) {
	a := Device()
	b := Device()
	if d := b.Wall.Sub(a.Wall) - (b.Boot - a.Boot); d > time.Second || d < -time.Second {
		t.Errorf("wall clock and time since boot drift apart by %v", d)
	}
	p := Plain(time.Now)
	at := time.Now()
	if s := p.Stamp(at); s.Unsure || s.Time.Sub(at).Abs() > time.Second {
		t.Errorf("stamp %+v of %v", s, at)
	}
}

func TestPretend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"offset": "-3h", "synced": false, "boot": "first"}`)
	p, err := Pretend(path)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{Read: p.Read})
	truth := time.Now().Round(0)
	s := c.Stamp(truth.Add(p.Offset()))
	if !s.Unsure || !s.Time.Equal(truth.Add(-3*time.Hour)) {
		t.Errorf("stamp %+v of %v", s, truth)
	}
	write(`{"off`) // half written
	if p.Offset() != -3*time.Hour {
		t.Error("a file that is being written is believed")
	}
	write(`{"offset": "0s", "synced": true, "boot": "second"}`)
	if got := p.Offset(); got != 0 {
		t.Errorf("offset %s after the file was changed", got)
	}
	shift, _, known := c.Known()
	if got := s.Time.Add(time.Duration(shift - s.Shift)); !known || !got.Equal(truth) || p.BootID() != "first" {
		t.Errorf("corrected to %v, want %v; boot %s", got, truth, p.BootID())
	}
	if _, err := Pretend(path + "x"); err == nil {
		t.Error("a file that is not there is read")
	}
}
