package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// lookEvery is how often the clocks are looked at.
	lookEvery = time.Second
	// keepShift is when what is known of this boot's clock is written again:
	// when it has changed by this much, or is this old.
	keepShift    = time.Second
	keepShiftFor = 6 * time.Hour
	// off is how long a gateway may not have run without that being an outage: a
	// restart for a new version is none.
	off = 90 * time.Second
	// tellOutages is for how long an outage is in the status.
	tellOutages = 48 * time.Hour
)

// A timekeeper knows the time, tells the outbox what is needed to correct
// stamps that were made before, and when the gateway was not running.
type timekeeper struct {
	clock  *clock.Clock
	device bool // the clock is one that can be wrong
	boot   string
	box    *outbox.Outbox
	log    *slog.Logger

	mu      sync.Mutex
	started clock.Stamp
	up      time.Duration // since boot, at the start
	settled bool          // started is right
	judged  bool          // whether there was an outage before the start is known
	first   bool          // no gateway has run with this outbox before
}

// newTimekeeper takes the clock that the configuration names, which knows as
// little as the outbox does of it.
func newTimekeeper(cfg *Config, box *outbox.Outbox, log *slog.Logger) *timekeeper {
	k := &timekeeper{box: box, log: log, boot: cfg.Boot, device: cfg.ReadClock != nil}
	lived := box.Lived()
	k.first = lived.Time.IsZero()
	if k.device {
		c := clock.Config{Read: cfg.ReadClock, Logger: log}
		c.Shift, c.ShiftAt = box.Clock()
		if c.Floor = lived.Floor; lived.Boot == cfg.Boot {
			c.FloorAt = lived.Up
		}
		k.clock = clock.New(c)
	} else {
		k.clock = clock.Plain(cfg.Now)
	}
	k.started, k.up, _ = k.clock.State()
	return k
}

// life is the sign of life that the outbox keeps.
func (k *timekeeper) life() outbox.Life {
	now, up, _ := k.clock.State()
	return outbox.Life{Boot: k.boot, Up: up, Time: now.Time, Unsure: now.Unsure, Floor: k.clock.Floor()}
}

// run keeps an eye on the clock.
func (k *timekeeper) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := k.check(ctx); err != nil && ctx.Err() == nil {
			k.log.Error("what is known of the clock cannot be kept", logs.Error, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *timekeeper) check(ctx context.Context) error {
	shift, at, known := k.clock.Known()
	if known && k.device {
		kept, keptAt := k.box.Clock()
		if d := time.Duration(shift - kept); kept == 0 || d > keepShift || d < -keepShift || at-keptAt > keepShiftFor {
			if err := k.box.SetClock(ctx, shift, at); err != nil {
				return err
			}
		}
	}
	if o, ok := k.outage(); ok {
		k.log.Warn("the gateway was off", logs.From, o.From.Format(time.RFC3339), logs.Until, o.Until.Format(time.RFC3339))
		return k.box.AddOutage(ctx, o) // waits while the disk takes nothing, so without k.mu
	}
	return nil
}

// outage says once, as soon as the clock is sure, for how long the gateway was off
// before it was started; ok is false when it was not.
func (k *timekeeper) outage() (o outbox.Outage, ok bool) {
	now, up, _ := k.clock.State()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Unsure {
		return o, false
	}
	if !k.settled {
		k.started.Time, k.settled = now.Time.Add(k.up-up), true
	}
	if k.judged {
		return o, false
	}
	k.judged = true
	lived := k.box.Lived()
	if k.first {
		return o, false
	}
	from := lived.Time
	if lived.Boot == k.boot && k.boot != "" {
		from = k.started.Time.Add(lived.Up - k.up) // whatever the clock said then
	}
	return outbox.Outage{From: from.UTC(), Until: k.started.Time}, k.started.Time.Sub(from) > off
}

// tell fills in what a status says of times.
func (k *timekeeper) tell(st *perron.GatewayStatus) {
	now, _, synced := k.clock.State()
	st.At = now.Time
	if k.device {
		st.ClockSynced = synced
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	st.Started = k.started.Time
	if k.first {
		return
	}
	st.Outages = []perron.Outage{}
	for _, o := range k.box.Outages() {
		if now.Time.Sub(o.Until) < tellOutages {
			st.Outages = append(st.Outages, o)
		}
	}
}

// right is a time as it was at the device, by what is known of its clock now.
func (k *timekeeper) right(t time.Time) time.Time {
	if t.IsZero() || !k.device {
		return t.Round(0).UTC()
	}
	return k.clock.Stamp(t).Time
}
