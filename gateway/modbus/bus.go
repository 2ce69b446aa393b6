package modbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/simonvetter/modbus"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// maxRest is how long at most a unit that gave no answer is left alone, if
// SilentAfter is not less. While it is asked the others on its bus wait.
const maxRest = 15 * time.Second

// A bus asks the counters on one connection, one after the other.
type bus struct {
	Bus
	book    *book
	client  *modbus.ModbusClient
	opened  bool
	serial  bool // an answer does not say what it answers
	entries []*entry
	units   map[uint8]*unit
}

// A unit is one device on a bus.
type unit struct {
	failed int // times in a row
	rest   time.Time
}

var parities = map[Parity]uint{ParityNone: modbus.PARITY_NONE, ParityEven: modbus.PARITY_EVEN, ParityOdd: modbus.PARITY_ODD, "": modbus.PARITY_NONE}

func newBus(cfg Bus, k *book, log *slog.Logger) (*bus, error) {
	b := &bus{Bus: cfg, book: k, serial: !strings.HasPrefix(cfg.URL, "tcp://"), units: make(map[uint8]*unit)}
	parity, ok := parities[cfg.Parity]
	if !ok {
		return nil, fmt.Errorf("parity %q: want none, even or odd", cfg.Parity)
	}
	var err error
	b.client, err = modbus.NewClient(&modbus.ClientConfiguration{
		URL: cfg.URL, Speed: uint(cfg.Speed), DataBits: 8, Parity: parity, StopBits: uint(cfg.StopBits), Timeout: cfg.Timeout,
		Logger: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	})
	if err != nil {
		return nil, err
	}
	for _, c := range cfg.Counters {
		switch {
		case !perron.ValidID(c.Sensor):
			return nil, fmt.Errorf("sensor %q is not a valid id", c.Sensor)
		case !c.Kind.Passage():
			return nil, fmt.Errorf("sensor %s: kind %q: want in or out", c.Sensor, c.Kind)
		case c.Bits != 16 && c.Bits != 32:
			return nil, fmt.Errorf("sensor %s: %d bits: want 16 or 32", c.Sensor, c.Bits)
		case int(c.Address)+c.Bits/16 > 1<<16:
			return nil, fmt.Errorf("sensor %s: %d bits at address %d end beyond the last register", c.Sensor, c.Bits, c.Address)
		}
		for _, e := range k.entries {
			if e.name() == c.name() {
				return nil, fmt.Errorf("sensor %s has two counters for %s", c.Sensor, c.Kind)
			}
		}
		b.entries = append(b.entries, k.add(c, cfg.SilentAfter))
		b.units[c.Unit] = new(unit)
	}
	return b, nil
}

// run asks until ctx ends.
func (b *bus) run(ctx context.Context) error {
	defer b.close()
	tick := time.NewTicker(b.Every)
	defer tick.Stop()
	for {
		for _, e := range b.entries {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if u := b.units[e.Unit]; time.Now().Before(u.rest) {
				continue
			}
			if err := b.poll(ctx, e); err != nil {
				return err
			}
		}
		b.book.revise(b.entries)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poll asks one counter. The error is that of the gateway stopping.
func (b *bus) poll(ctx context.Context, e *entry) error {
	value, asked, answered, err := b.read(e)
	if err == nil && b.book.odd(e, value, answered) {
		// Once more, on a new connection: a device may be interrupted between two
		// registers, and on a serial line the value may be another counter's.
		b.close()
		b.pause(ctx)
		value, asked, answered, err = b.read(e)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	u := b.units[e.Unit]
	if err != nil {
		b.close()
		u.rest = time.Now().Add(max(b.Every, min(b.Every<<min(u.failed, 10), b.SilentAfter, maxRest)))
		u.failed++
		b.book.failed(e, err, answers(err))
		b.pause(ctx)
		return nil
	}
	*u = unit{}
	return b.book.record(ctx, e, value, asked, answered)
}

// read asks for a value, which was current at some instant between the question
// and the answer.
func (b *bus) read(e *entry) (value uint64, asked, answered time.Time, err error) {
	if !b.opened {
		if err := b.client.Open(); err != nil {
			return 0, asked, answered, fmt.Errorf("open %s: %w", b.URL, err)
		}
		b.opened = true
	}
	if err := b.client.SetUnitId(e.Unit); err != nil {
		return 0, asked, answered, err
	}
	table := modbus.HOLDING_REGISTER
	if e.Input {
		table = modbus.INPUT_REGISTER
	}
	asked = b.book.now()
	words, err := b.client.ReadRegisters(e.Address, uint16(e.Bits/16), table)
	answered = b.book.now()
	if err != nil {
		return 0, asked, answered, fmt.Errorf("read unit %d at %s: %w", e.Unit, b.URL, err)
	}
	if e.LowFirst && len(words) == 2 {
		words[0], words[1] = words[1], words[0]
	}
	for _, w := range words {
		value = value<<16 | uint64(w)
	}
	return value, asked, answered, nil
}

func (b *bus) close() {
	if !b.opened {
		return
	}
	b.opened = false
	if err := b.client.Close(); err != nil {
		b.book.log.Debug("the connection does not close", logs.Bus, b.URL, logs.Error, err)
	}
}

// pause lets an answer that comes late come to nobody.
func (b *bus) pause(ctx context.Context) {
	if !b.serial {
		return
	}
	timer := time.NewTimer(b.Timeout)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// answers says whether an error is what a device said, as opposed to none at
// all. A converter that cannot reach a device answers in its place.
func answers(err error) bool {
	for _, said := range []error{
		modbus.ErrIllegalFunction, modbus.ErrIllegalDataAddress, modbus.ErrIllegalDataValue,
		modbus.ErrServerDeviceFailure, modbus.ErrServerDeviceBusy, modbus.ErrAcknowledge, modbus.ErrMemoryParityError,
	} {
		if errors.Is(err, said) {
			return true
		}
	}
	return false
}
