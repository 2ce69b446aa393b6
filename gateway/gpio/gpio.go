// Package gpio is a source of edges from the inputs of a device.
//
// periph finds the chips, the pin by its name, and sets the pin's pull. The
// edges are read by a small reader of the kernel's GPIO character device,
// version 2 (https://docs.kernel.org/userspace-api/gpio/chardev.html), because
// periph's edges come without what counting needs: the kernel's timestamp, and
// the number of each edge, which shows when some were lost. The kernel keeps
// 1024 edges of a line for the reader instead of 16, and debounces them where
// it can.
//
// Where that reader does not work, periph's own edges are used. Times are then
// those of reading, and it cannot be noticed when edges are lost; the gateway's
// status says so.
package gpio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A Pull is a resistor inside the device.
type Pull string

// The pulls.
const (
	PullUp   Pull = "up"
	PullDown Pull = "down"
	PullNone Pull = "none"
)

// An Input is a pin and how it is wired.
type Input struct {
	ID string
	// Pin is its name in the kernel, like GPIO17, or chip and offset, like
	// gpiochip0-17, for a pin without a name.
	Pin       string
	Pull      Pull
	ActiveLow bool // a vehicle pulls the pin to ground
	Debounce  time.Duration
}

// Source reads inputs.
type Source struct {
	inputs []Input
	now    func() time.Time
	log    *slog.Logger
	doors  doorbell
	opened chan struct{}
}

var (
	_ gateway.Source   = (*Source)(nil)
	_ gateway.Settler  = (*Source)(nil)
	_ gateway.Opener   = (*Source)(nil)
	_ gateway.Examiner = (*Source)(nil)
)

// New makes a source; the pins are opened by Run. The times of edges have
// now's monotonic reading, if it has one.
func New(inputs []Input, now func() time.Time, log *slog.Logger) (*Source, error) {
	var errs []error
	for i, in := range inputs {
		switch in.Pull {
		case PullUp, PullDown, PullNone:
		default:
			errs = append(errs, fmt.Errorf("input %s: pull %q: want up, down or none", in.ID, in.Pull))
		}
		if slices.ContainsFunc(inputs[:i], func(o Input) bool { return o.Pin == in.Pin }) {
			errs = append(errs, fmt.Errorf("input %s: pin %s is used twice", in.ID, in.Pin))
		}
	}
	if len(inputs) == 0 {
		errs = append(errs, errors.New("no inputs"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("gpio: %w", err)
	}
	return &Source{inputs: inputs, now: now, log: log, opened: make(chan struct{})}, nil
}

// Run reads the inputs until ctx ends or one of them cannot be read any more.
func (s *Source) Run(ctx context.Context, sink gateway.Sink) error {
	pins, err := find(s.inputs)
	if err != nil {
		return err
	}
	// Each input is read by the better reader if that can be opened.
	var kernel []*line
	var periph []*pin
	defer func() {
		for _, l := range kernel {
			l.close()
		}
	}()
	for _, p := range pins {
		if err := p.setPull(); err != nil {
			return err
		}
		l, err := openLine(p)
		switch {
		case err == nil:
			kernel = append(kernel, l)
			s.log.Info("input is read from the kernel's line events", logs.Input, p.ID, logs.Pin, p.Pin, logs.Chip, p.chip.Path(), logs.Debounced, l.settled)
		case errors.Is(err, errBusy):
			return err
		default:
			s.log.Warn("the kernel's line events cannot be read; falling back", logs.Input, p.ID, logs.Pin, p.Pin, logs.Error, err)
			periph = append(periph, p)
		}
	}
	close(s.opened)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	run := func(f func() error) {
		wg.Go(func() { cancel(f()) }) // it ends when ctx does, or with an error
	}
	if len(kernel) > 0 {
		run(func() error { return readLines(ctx, kernel, sink, s.now, &s.doors) })
	}
	for _, p := range periph {
		run(func() error { return watchPin(ctx, p.Input, p.line, sink, s.now) })
	}
	<-ctx.Done()
	wg.Wait()
	return context.Cause(ctx)
}

// Opened is closed when all inputs are open; from then on no edge is missed.
func (s *Source) Opened() <-chan struct{} { return s.opened }

// Settle returns once the sink has every edge that the kernel had when it was
// called, or there is nobody who reads them any more.
func (s *Source) Settle(ctx context.Context) { s.doors.ring(ctx) }

// errBusy means that a pin is somebody else's.
var errBusy = errors.New("is in use")

// A pin is an input that was found.
type pin struct {
	Input
	chip *gpioioctl.GPIOChip
	line *gpioioctl.GPIOLine
}

// start lets periph look for chips, once a process.
var start = sync.OnceValue(func() error {
	_, err := driverreg.Init()
	return err
})

func find(inputs []Input) ([]*pin, error) {
	if err := start(); err != nil {
		return nil, fmt.Errorf("gpio: %w", err)
	}
	if len(gpioioctl.Chips) == 0 {
		return nil, errors.New("gpio: no chip /dev/gpiochip* can be opened: is this a device with pins, and may this user open them (group gpio)?")
	}
	var pins []*pin
	var errs []error
	for _, in := range inputs {
		p := findPin(in, gpioioctl.Chips)
		if p == nil {
			errs = append(errs, fmt.Errorf("gpio: input %s: there is no pin %s; there are %s", in.ID, in.Pin, names(gpioioctl.Chips)))
			continue
		}
		pins = append(pins, p)
	}
	return pins, errors.Join(errs...)
}

var byOffset = regexp.MustCompile(`^(gpiochip\d+)-(\d+)$`)

func findPin(in Input, chips []*gpioioctl.GPIOChip) *pin {
	for _, c := range chips {
		if l := c.ByName(in.Pin); l != nil {
			return &pin{in, c, l}
		}
	}
	if m := byOffset.FindStringSubmatch(in.Pin); m != nil {
		n, err := strconv.Atoi(m[2])
		for _, c := range chips {
			if c.Name() == m[1] && err == nil && n < c.LineCount() {
				return &pin{in, c, c.ByNumber(n)}
			}
		}
	}
	return nil
}

func names(chips []*gpioioctl.GPIOChip) string {
	var all []string
	for _, c := range chips {
		for _, l := range c.Lines() {
			if l.Name() != "" {
				all = append(all, l.Name())
			}
		}
		all = append(all, fmt.Sprintf("%s-0 to %s-%d", c.Name(), c.Name(), c.LineCount()-1))
	}
	if len(all) > 60 {
		all = append(all[:60], "…")
	}
	return strings.Join(all, ", ")
}

var pulls = map[Pull]gpio.Pull{PullUp: gpio.PullUp, PullDown: gpio.PullDown, PullNone: gpio.Float}

// setPull makes the pin an input with its pull, and lets go of it.
func (p *pin) setPull() error {
	owner := p.line.Consumer()
	if err := p.line.In(pulls[p.Pull], gpio.NoEdge); err != nil {
		// periph wraps the kernel's errors as text only.
		if strings.Contains(err.Error(), "busy") {
			return p.busy(owner)
		}
		return fmt.Errorf("gpio: input %s: set pin %s to input with pull %s: %w", p.ID, p.Pin, p.Pull, err)
	}
	p.line.Close()
	return nil
}

func (p *pin) busy(owner string) error {
	if owner == "" {
		owner = "something"
	}
	return fmt.Errorf("gpio: input %s: pin %s %w by %s; if that is the gateway's service, stop it first: systemctl stop perron-gateway", p.ID, p.Pin, errBusy, owner)
}
