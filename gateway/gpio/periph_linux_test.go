package gpio

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/gpio"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// counter counts edges.
type counter struct {
	gateway.Sink // of which no more is used
	n            atomic.Int64
	lost         atomic.Uint64
	known        chan struct{} // closed when the level is known
	once         sync.Once
}

func newCounter() *counter { return &counter{known: make(chan struct{})} }

func (c *counter) Blind(string) {}

func (c *counter) Lost(_ string, n uint64) { c.lost.Add(n) }

func (c *counter) Edge(_ context.Context, e pulse.Edge) error {
	if !e.Known {
		c.n.Add(1)
	}
	c.once.Do(func() { close(c.known) })
	return nil
}

// How many edges each reader misses at each rate, on a simulated chip whose line
// GPIO17 is moved by writing to a file: ours, the fallback on periph, and no
// more than periph's own wait for an edge. It is run by make hil, in a virtual
// machine, and writes its figures for it, by reader and rate.
func TestReadersOnChip(t *testing.T) {
	pull, report := os.Getenv("PERRON_HIL_PULL"), os.Getenv("PERRON_HIL_REPORT")
	if pull == "" {
		t.Skip("there is no simulated chip here; it is tried in a virtual machine by: make hil")
	}
	f, err := os.OpenFile(pull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := Input{ID: "a", Pin: "GPIO17", Pull: PullUp, ActiveLow: true}
	ofContacts := map[string]bool{"1 Hz": true, "10 Hz": true, "100 Hz": true}
	missed := make(map[string]int)
	for _, reader := range []struct {
		name string
		run  func(ctx context.Context, p *pin, c *counter) error
	}{
		{"line events", func(ctx context.Context, p *pin, c *counter) error {
			l, err := openLine(p)
			if err != nil {
				return err
			}
			defer l.close()
			return readLines(ctx, []*line{l}, c, time.Now, &doorbell{})
		}},
		{"fallback", func(ctx context.Context, p *pin, c *counter) error {
			return watchPin(ctx, p.Input, p.line, c, time.Now)
		}},
		{"periph", func(ctx context.Context, p *pin, c *counter) error {
			if err := p.line.In(pulls[p.Pull], gpio.BothEdges); err != nil {
				return err
			}
			c.once.Do(func() { close(c.known) })
			for ctx.Err() == nil {
				if p.line.WaitForEdge(glance) {
					c.n.Add(1)
				}
			}
			return nil
		}},
	} {
		pins, err := find([]Input{in})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := newCounter()
		ended := make(chan error, 1)
		go func() { ended <- reader.run(ctx, pins[0], c) }()
		select {
		case <-c.known:
		case err := <-ended:
			t.Fatalf("%s: %v", reader.name, err)
		}
		for rate, n := range trains(t, f, c) {
			missed[reader.name+" "+rate] = n
			// What is lost has to be known to be, where we say so.
			if reader.name == "line events" && n != 0 {
				t.Errorf("%s: at %s %d edges are missing, %d are known to be", reader.name, rate, n, c.lost.Load())
			}
			if reader.name == "fallback" && n != 0 && ofContacts[rate] {
				t.Errorf("%s: at %s %d edges are missing", reader.name, rate, n)
			}
		}
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", reader.name, err)
		}
		pins[0].line.Close()
	}
	text, err := json.Marshal(missed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// trains plays pulses at every rate and returns how many edges are missing.
func trains(t *testing.T, f *os.File, c *counter) map[string]int {
	t.Helper()
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
		time.Sleep(3 * glance) // the fallback looks for itself when no edge comes
		missed[train.name] = 2*train.pulses - int(c.n.Load()-before)
	}
	return missed
}
