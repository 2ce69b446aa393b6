package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A wrongClock is the clock of a gateway whose file the gateway reads: see
// docs/adr/0010-doubt-the-clock.md.
type wrongClock struct {
	path string

	mu     sync.Mutex
	offset time.Duration
	synced bool
	boot   int
	booted time.Time
}

func newWrongClock(dir, name string) (*wrongClock, error) {
	c := &wrongClock{path: filepath.Join(dir, name+"-clock.json"), synced: true}
	return c, c.write()
}

// set changes what the clock says, unless the device was started again since
// the given boot; 0 is any.
func (c *wrongClock) set(boot int, offset time.Duration, synced bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if boot != 0 && boot != c.boot {
		return nil
	}
	c.offset, c.synced = offset, synced
	return c.write()
}

// start is a boot with a clock that is not synchronised. The gateway does not
// run.
func (c *wrongClock) start(offset time.Duration) (boot int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot++
	c.booted = time.Now().UTC()
	c.offset, c.synced = offset, false
	return c.boot, c.write()
}

func (c *wrongClock) now() (boot int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boot
}

// write replaces the file at once.
func (c *wrongClock) write() error {
	b, err := json.Marshal(map[string]any{
		"offset": c.offset.String(), "synced": c.synced, "boot": fmt.Sprintf("boot-%d", c.boot), "booted": c.booted,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(c.path+".new", c.path)
}

// misset does to the clock of a gateway what a step says.
func (s *sequence) misset(g *yardGateway, st step) error {
	r := rand.New(rand.NewPCG(st.random, 0))
	switch st.fault {
	case clock1970:
		// The device is started anew, and reaches a time server after a while.
		off := -time.Since(time.Unix(0, 0)).Truncate(time.Second) + time.Duration(r.IntN(100))*time.Second
		g.turn.Lock()
		g.kill()
		boot, err := g.clock.start(off)
		if err == nil {
			err = g.again()
		}
		g.turn.Unlock()
		if err != nil {
			return err
		}
		s.pause(st.lasts)
		return g.clock.set(boot, 0, true)
	case clockJump:
		// Somebody sets it. The kernel does not take that for synchronised.
		hours := time.Duration(1+r.IntN(10)) * time.Hour
		if r.IntN(2) == 0 {
			hours = -hours
		}
		boot := g.clock.now()
		if err := g.clock.set(boot, hours+time.Duration(r.IntN(3600))*time.Second, false); err != nil {
			return err
		}
		s.pause(st.lasts)
		return g.clock.set(boot, 0, true)
	case clockSlew:
		// It was off by less than half a second and is made right little by little.
		left := time.Duration(100+r.IntN(400)) * time.Millisecond
		if r.IntN(2) == 0 {
			left = -left
		}
		const steps = 20
		for i := range steps + 1 {
			if err := g.clock.set(0, left*time.Duration(steps-i)/steps, true); err != nil {
				return err
			}
			s.pause(st.lasts / steps)
		}
		return nil
	default: // a leap second that the device is late to insert
		if err := g.clock.set(0, time.Second, true); err != nil {
			return err
		}
		s.pause(st.lasts)
		return g.clock.set(0, 0, true)
	}
}

// inOrder compares the records of a gateway whose clock was wrong with its
// recording. By their numbers they are in its order; their times are those of
// the recording, but for what a slewed clock is off by. Others must have been
// flagged, which the store counts by gateway.
func (g *yardGateway) inOrder(records []perron.Record, flagged uint64, slack time.Duration) (lost, doubled int, err error) {
	slices.SortFunc(records, func(a, b perron.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	epochs := make(map[string]bool)
	for _, r := range records {
		epochs[r.Epoch] = true
	}
	if n := len(records) - len(g.events); n != 0 || len(epochs) > 1 {
		return max(-n, 0), max(n, 0), fmt.Errorf("%s: %d records of %d epochs, want %d of one", g.name, len(records), len(epochs), len(g.events))
	}
	wrong := uint64(0)
	for i, r := range records {
		e := g.events[i]
		if r.Sensor != e.Sensor || r.Kind != e.Kind {
			return 1, 1, fmt.Errorf("%s: number %d is %s %s, in the recording it is %s %s", g.name, r.Seq, r.Sensor, r.Kind, e.Sensor, e.Kind)
		}
		if r.Time.Sub(e.Time).Abs() > slack {
			wrong++
		}
	}
	if wrong > flagged {
		return 0, 0, fmt.Errorf("%s: %d records have a wrong time, and only %d are flagged", g.name, wrong, flagged)
	}
	return 0, 0, nil
}
