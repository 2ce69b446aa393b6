// Package clock tells when something happened on a device whose clock cannot be
// trusted: one without a battery starts in 1970, is set by hours, is slewed and
// takes leap seconds.
//
// Two clocks are read together: the wall clock, which may be set, and the time
// since the device was started, which only goes on. Their difference is the
// shift. Once the kernel says that the wall clock is synchronised, the shift of
// this boot is known, and with it the right time of everything that was seen
// since the boot, whatever the wall clock said at that moment. Until then a
// stamp comes with its shift, so that it can be corrected later.
package clock

import (
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A Reading is what a device's clocks say at one instant.
type Reading struct {
	// Wall is the clock that may be set. If it has a monotonic reading, so
	// should the times that are given to Stamp.
	Wall time.Time
	// Boot is the time since the device was started, sleep included
	// (CLOCK_BOOTTIME).
	Boot time.Duration
	// Synced says whether the kernel takes Wall for synchronised; nil when it
	// cannot be asked, and then Wall is believed.
	Synced *bool
}

// A Stamp says when something happened.
type Stamp struct {
	Time time.Time // UTC
	// Unsure says that the clock was not synchronised. If it becomes so within
	// this boot, the right time is Time + (the shift then - Shift).
	Unsure bool
	// Shift is Time less the time since boot, in nanoseconds since 1970.
	Shift int64
}

// GoodFor is how long a clock that is not synchronised any more is still
// believed. A quartz may be off by 50 millionths: half a minute in a week.
const GoodFor = 7 * 24 * time.Hour

// jump is how far the clocks may drift apart within one look at them without
// being called a jump.
const jump = time.Second

// Config says what a clock has to go by. All but Read may be left out.
type Config struct {
	Read func() Reading
	// Shift is that of this boot, as it was known before this program was
	// started, and ShiftAt the time since boot when it was last known to be
	// right; 0 when it was not.
	Shift   int64
	ShiftAt time.Duration
	// Floor is a time that is certainly over, FloorAt the time since boot when it
	// was, 0 for one before: a clock that is not synchronised and behind it is
	// certainly wrong.
	Floor   time.Time
	FloorAt time.Duration
	Logger  *slog.Logger
}

// A Clock is safe for concurrent use.
type Clock struct {
	read  func() Reading
	floor int64 // the lowest shift that is not certainly wrong
	log   *slog.Logger

	mu       sync.Mutex
	known    bool // shift is that of a synchronised clock
	shift    int64
	at       time.Duration // since boot, when shift was last right
	last     int64         // shift of the last reading, for the log
	everRead bool
	told     bool // that the clock is behind the floor
}

// New makes a clock.
func New(cfg Config) *Clock {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Clock{read: cfg.Read, log: cfg.Logger, floor: math.MinInt64}
	if !cfg.Floor.IsZero() {
		c.floor = cfg.Floor.UnixNano() - int64(cfg.FloorAt)
	}
	if cfg.Shift != 0 {
		c.known, c.shift, c.at = true, cfg.Shift, cfg.ShiftAt
	}
	return c
}

// Plain is a clock that is always right.
func Plain(now func() time.Time) *Clock {
	began := now()
	return New(Config{Read: func() Reading {
		t := now()
		return Reading{Wall: t, Boot: t.Sub(began)}
	}})
}

// shiftOf is the wall clock less the time since boot.
func shiftOf(r Reading) int64 { return r.Wall.UnixNano() - int64(r.Boot) }

// reading reads the clocks and works out the shift to go by.
func (c *Clock) reading() (r Reading, shift int64, unsure bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.read()
	raw := shiftOf(r)
	if d := time.Duration(raw - c.last); c.everRead && (d > jump || d < -jump) {
		c.log.Warn("the device's clock was set", logs.Shift, d.Round(time.Millisecond), logs.To, r.Wall.UTC().Format(time.RFC3339), logs.Synced, Synced(r))
	}
	c.last, c.everRead = raw, true
	switch {
	case r.Synced == nil:
		return r, raw, false
	case *r.Synced:
		if !c.known {
			c.log.Info("the device's clock is synchronised", logs.At, r.Wall.UTC().Format(time.RFC3339))
		}
		c.known, c.shift, c.at = true, raw, r.Boot
		return r, raw, false
	case c.known:
		// Whoever set the clock meanwhile knew less than the last synchronisation.
		return r, c.shift, r.Boot-c.at > GoodFor
	}
	if raw < c.floor {
		// A clock that was stopped goes on where it was, at best.
		if !c.told {
			c.told = true
			c.log.Warn("the device's clock is certainly wrong", logs.At, r.Wall.UTC().Format(time.RFC3339),
				logs.NotBefore, time.Unix(0, c.floor+int64(r.Boot)).UTC().Format(time.RFC3339))
		}
		raw = c.floor
	}
	return r, raw, true
}

// Synced says whether a reading is that of a synchronised clock, in a word.
func Synced(r Reading) string {
	switch {
	case r.Synced == nil:
		return "unknown"
	case *r.Synced:
		return "yes"
	}
	return "no"
}

// Stamp says when a time was: one that Reading.Wall had, or would have had.
func (c *Clock) Stamp(at time.Time) Stamp { return c.Stamps([]time.Time{at})[0] }

// Stamps says so of several times by one look at the clocks: all are sure, or
// none, and all have the same shift.
func (c *Clock) Stamps(at []time.Time) []Stamp {
	r, shift, unsure := c.reading()
	stamps := make([]Stamp, len(at))
	for i, t := range at {
		// Through the monotonic readings, if there are any.
		since := r.Boot - r.Wall.Sub(t)
		stamps[i] = Stamp{Time: time.Unix(0, shift+int64(since)).UTC(), Unsure: unsure, Shift: shift}
	}
	return stamps
}

// Now is the best that is known of the time, in UTC.
func (c *Clock) Now() time.Time {
	r, shift, _ := c.reading()
	return time.Unix(0, shift+int64(r.Boot)).UTC()
}

// Floor is a time that is certainly over: the time itself where it is sure, or
// what has gone by since it was.
func (c *Clock) Floor() time.Time {
	r, shift, unsure := c.reading()
	if unsure {
		if shift = c.floor; shift == math.MinInt64 {
			return time.Time{}
		}
	}
	return time.Unix(0, shift+int64(r.Boot)).UTC()
}

// State is what is known now: the stamp of this instant, the time since boot,
// and what the kernel says of the clock, nil when it says nothing.
func (c *Clock) State() (now Stamp, boot time.Duration, synced *bool) {
	r, shift, unsure := c.reading()
	return Stamp{Time: time.Unix(0, shift+int64(r.Boot)).UTC(), Unsure: unsure, Shift: shift}, r.Boot, r.Synced
}

// Known is the shift of this boot once the clock was synchronised in it, and
// the time since boot when it last was.
func (c *Clock) Known() (shift int64, at time.Duration, known bool) {
	c.reading()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shift, c.at, c.known
}
