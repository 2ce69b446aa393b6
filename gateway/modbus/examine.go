package modbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/simonvetter/modbus"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/perron"
)

// Examine asks each counter twice, d apart, buses at the same time. A serial line
// bears one user only, so beside the running gateway it asks nothing, and says
// what that has counted.
func (s *Source) Examine(ctx context.Context, d time.Duration, running *gateway.View) []gateway.Finding {
	if running != nil {
		return counted(running)
	}
	var wg sync.WaitGroup
	of := make([][]answer, len(s.buses))
	for i, b := range s.buses {
		wg.Go(func() { of[i] = b.examine(ctx, d) })
	}
	wg.Wait()
	var out []gateway.Finding
	for _, a := range slices.Concat(of...) {
		out = append(out, a.finding(d))
	}
	return out
}

// counted is what the running gateway has counted.
func counted(running *gateway.View) []gateway.Finding {
	out := []gateway.Finding{{Grade: gateway.Note, Text: "the running gateway asks the counters; to ask them from here, stop it first"}}
	for _, s := range running.Sensors {
		if s.Health == perron.SensorOK {
			out = append(out, gateway.Finding{
				Grade: gateway.Good,
				Text:  fmt.Sprintf("sensor %s: the running gateway counted %d in and %d out since its start", s.Sensor, s.In, s.Out),
			})
		}
	}
	return out
}

// An answer is what was seen of a counter.
type answer struct {
	Counter
	bus string // its URL
	// err is why it cannot be read, and hint what to look at then, if that is
	// known; the rest is as far as it got.
	err  error
	hint string
	// value is what it showed at the end, counted how many more than at the
	// beginning, and took how long the slower of the two answers took.
	value   uint64
	counted uint64
	took    time.Duration
}

// finding says what was seen in a while.
func (a *answer) finding(d time.Duration) gateway.Finding {
	table := "holding"
	if a.Input {
		table = "input"
	}
	name := fmt.Sprintf("sensor %s, %s: unit %d, %s register %d on %s", a.Sensor, a.Kind, a.Unit, table, a.Address, a.bus)
	say := func(g gateway.Grade, format string, args ...any) gateway.Finding {
		return gateway.Finding{Grade: g, Text: name + ": " + fmt.Sprintf(format, args...)}
	}
	switch {
	case a.err != nil && a.hint != "":
		return say(gateway.Wrong, "%v; look at %s", a.err, a.hint)
	case a.err != nil:
		return say(gateway.Wrong, "%v", a.err)
	case float64(a.counted) > gateway.ChatterRate*d.Seconds():
		return say(gateway.Wrong, "went from %d to %d in %s, which no gate does: another register, the halves in the wrong order (first), or a contact that chatters",
			a.value-a.counted, a.value, d)
	}
	return say(gateway.Good, "shows %d, counted %d in %s, answers in %s", a.value, a.counted, d, a.took.Round(100*time.Microsecond))
}

func (b *bus) examine(ctx context.Context, d time.Duration) []answer {
	defer b.close()
	out := make([]answer, len(b.entries))
	ask := func(again bool) {
		for i, e := range b.entries {
			a := &out[i]
			a.Counter, a.bus = e.Counter, b.URL
			if a.err != nil {
				continue
			}
			if a.err = ctx.Err(); a.err != nil {
				continue
			}
			before := a.value
			value, asked, answered, err := b.read(e)
			if err != nil {
				a.err, a.hint = err, b.hint(err)
				b.close()
				b.pause(ctx)
				continue
			}
			a.value, a.took = value, max(a.took, answered.Sub(asked))
			if again { // it may have gone round
				a.counted = (value - before) & (1<<e.Bits - 1)
			}
		}
	}
	ask(false)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	ask(true)
	return out
}

// hint is what to look at after an error.
func (b *bus) hint(err error) string {
	wiring := "the unit's number, and whether it has power"
	if strings.HasPrefix(b.URL, "rtu://") {
		wiring += "; speed, parity and stop bits; whether A and B are swapped, and the line has its two terminators"
	}
	for _, known := range []struct {
		err  error
		hint string
	}{
		{modbus.ErrIllegalDataAddress, "the address: here it is that of the request, from 0, where manuals often begin at 1, 30001 or 40001"},
		{modbus.ErrIllegalFunction, "whether the value is in a holding or an input register"},
		{modbus.ErrRequestTimedOut, wiring},
		{modbus.ErrGWTargetFailedToRespond, wiring},
		{modbus.ErrBadCRC, wiring},
		{modbus.ErrShortFrame, wiring},
	} {
		if errors.Is(err, known.err) {
			return known.hint
		}
	}
	return ""
}
