// Package modbus is a source of passages from devices that count by themselves
// and are asked over Modbus: pulse counters on RS-485 (RTU), on Ethernet (TCP),
// or behind a converter that carries RTU frames over TCP.
//
// A register is asked again and again, and what it has counted in between
// becomes passages (see package counter for what that means when it goes round,
// or begins at zero). They are spread evenly over the time between the two
// readings: about a second while all is well. What a device counted while it
// could not be reached, or while the gateway was off, is counted afterwards; its
// time is then known only roughly, and the status says so.
//
// How far each register has been counted is committed to the outbox together
// with the passages that it led to. A gateway that is killed at any instant
// therefore goes on with the first passage that is not there yet.
//
// Each bus has one goroutine, which asks one thing at a time. After any error
// the connection is closed and opened anew. On a serial line that is more than
// tidiness: an RTU answer does not say what it is the answer to, and one that
// comes after its time would be taken for that of the next question. So the
// line is left alone for a while, and a value that looks odd is asked for twice.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Bus is a serial line, or a device or converter in the network, with what is
// asked there.
type Bus struct {
	// URL is rtu:///dev/ttyUSB0, tcp://host:502 or rtuovertcp://host:port.
	URL string
	// Speed in bits a second, Parity and StopBits are those of a serial line.
	Speed    int
	Parity   Parity
	StopBits int
	// Timeout is how long an answer may take; 0 is 500 ms.
	Timeout time.Duration
	// Every is how often each counter is asked; 0 is once a second.
	Every time.Duration
	// SilentAfter is how long a counter may give no answer before it is called
	// silent, and how long a gap has to be to be told; 0 is 10 s.
	SilentAfter time.Duration
	Counters    []Counter
}

// A Parity of a serial line.
type Parity string

// The parities.
const (
	ParityNone Parity = "none"
	ParityEven Parity = "even"
	ParityOdd  Parity = "odd"
)

// A Counter is a register, or two, that counts passages.
type Counter struct {
	Sensor string
	Kind   perron.Kind // perron.In or perron.Out
	Unit   uint8
	// Input says that it is an input register (function 4), not a holding
	// register (function 3).
	Input bool
	// Address is that in the request, from 0.
	Address uint16
	// Bits is 16, or 32 for two registers.
	Bits int
	// LowFirst says that the first of two registers is the lower half.
	LowFirst bool
	// MinHeadway is the shortest time between two passages; 0 is half a second.
	MinHeadway time.Duration
}

// name tells a counter from the others of a gateway.
func (c *Counter) name() string { return c.Sensor + "/" + string(c.Kind) }

// register says where the value is, for a note that has to fit it.
func (c *Counter) register() string {
	table, order := "holding", "high"
	if c.Input {
		table = "input"
	}
	if c.LowFirst {
		order = "low"
	}
	return fmt.Sprintf("%d/%s/%d/%d/%s", c.Unit, table, c.Address, c.Bits, order)
}

// MaxCounters is how many counters a gateway may have: their gaps have to fit
// into one status.
const MaxCounters = 64

// Source asks counters.
type Source struct {
	buses []*bus
	book  *book
}

var (
	_ gateway.Source       = (*Source)(nil)
	_ gateway.SensorLister = (*Source)(nil)
	_ gateway.Examiner     = (*Source)(nil)
)

// New checks the configuration; Run connects. The times of passages are now's
// and have its monotonic reading, if it has one. Synced says whether the clock
// is right; nil, or a nil result, is not known.
func New(buses []Bus, now func() time.Time, synced func() *bool, log *slog.Logger) (*Source, error) {
	s := &Source{book: newBook(now, synced, log)}
	var errs []error
	for _, cfg := range buses {
		if cfg.Timeout <= 0 {
			cfg.Timeout = 500 * time.Millisecond
		}
		if cfg.Every <= 0 {
			cfg.Every = time.Second
		}
		if cfg.SilentAfter <= 0 {
			cfg.SilentAfter = 10 * time.Second
		}
		b, err := newBus(cfg, s.book, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("bus %s: %w", cfg.URL, err))
			continue
		}
		s.buses = append(s.buses, b)
	}
	if n := len(s.book.entries); n == 0 || n > MaxCounters {
		errs = append(errs, fmt.Errorf("%d counters: want 1 to %d", n, MaxCounters))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("modbus: %w", err)
	}
	return s, nil
}

// Sensors names the sensors, sorted.
func (s *Source) Sensors() []string {
	var ids []string
	for _, e := range s.book.entries {
		ids = append(ids, e.Sensor)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Run asks the counters until ctx ends. A device that does not answer is no
// error. It returns once what is being asked has been answered or timed out,
// which to open a connection may take five seconds.
func (s *Source) Run(ctx context.Context, sink gateway.Sink) error {
	s.book.open(sink)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, b := range s.buses {
		wg.Go(func() { cancel(b.run(ctx)) }) // it ends when ctx does, or with an error
	}
	wg.Wait()
	s.book.close(ctx)
	return context.Cause(ctx)
}
