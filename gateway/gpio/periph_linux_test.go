package gpio

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// counter counts edges.
type counter struct {
	gateway.Sink // of which no more is used
	n            atomic.Int64
	known        chan struct{} // closed when the level is known
}

func (c *counter) Blind(string)                                            {}
func (c *counter) Report(string, perron.SensorHealth, []perron.CounterGap) {}

func (c *counter) Edge(_ context.Context, e pulse.Edge) error {
	if e.Known {
		close(c.known)
	} else {
		c.n.Add(1)
	}
	return nil
}

// How many edges the fallback misses at each rate, on a simulated chip whose
// line GPIO17 is moved by writing to a file. It is run by make hil, in a
// virtual machine, and writes its figures for it.
func TestPeriphFallbackOnChip(t *testing.T) {
	pull, report := os.Getenv("PERRON_HIL_PULL"), os.Getenv("PERRON_HIL_REPORT")
	if pull == "" {
		t.Skip("there is no simulated chip here; it is tried in a virtual machine by: make hil")
	}
	f, err := os.OpenFile(pull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pins, err := find([]Input{{ID: "a", Pin: "GPIO17", Pull: PullUp, ActiveLow: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := &counter{known: make(chan struct{})}
	ended := make(chan error)
	go func() { ended <- watchPin(ctx, pins[0].Input, pins[0].line, c, time.Now) }()
	<-c.known

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var begin unix.Timespec
	sleep := func(until time.Duration) { // from begin
		at := unix.NsecToTimespec(begin.Nano() + int64(until))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
			continue
		}
	}
	missed := make(map[string]int)
	for _, train := range []struct {
		name   string
		pulses int
		period time.Duration
	}{
		{"1 Hz", 5, time.Second},
		{"10 Hz", 50, time.Second / 10},
		{"100 Hz", 200, time.Second / 100},
		{"900 Hz", 900, time.Second / 900},
		{"flat out", 500, 0},
	} {
		before := c.n.Load()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &begin); err != nil {
			t.Fatal(err)
		}
		for i := range train.pulses {
			for half, word := range []string{"pull-down", "pull-up"} {
				if train.period > 0 {
					sleep(time.Duration(2*i+half) * train.period / 2)
				}
				if _, err := unix.Pwrite(int(f.Fd()), []byte(word), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(3 * glance) // it looks for itself when no edge comes
		missed[train.name] = 2*train.pulses - int(c.n.Load()-before)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, rate := range []string{"1 Hz", "10 Hz", "100 Hz"} {
		if missed[rate] != 0 {
			t.Errorf("at %s %d edges are missing", rate, missed[rate])
		}
	}
	text, err := json.Marshal(missed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
