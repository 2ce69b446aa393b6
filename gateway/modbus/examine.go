package modbus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/simonvetter/modbus"
)

// A Finding is what an examination found of a counter.
type Finding struct {
	Counter
	Bus string // its URL
	// Err is why it cannot be read, and Hint what to look at then, if that is
	// known; the rest is as far as it got.
	Err  error
	Hint string
	// Value is what it showed at the end, Counted how many more than at the
	// beginning, and Took how long the slower of the two answers took.
	Value   uint64
	Counted uint64
	Took    time.Duration
}

// Examine asks each counter twice, a while apart, buses at the same time. It
// stores nothing. A serial line must not have another user meanwhile, nor may
// Run be called before or after.
func (s *Source) Examine(ctx context.Context, d time.Duration) []Finding {
	var wg sync.WaitGroup
	of := make([][]Finding, len(s.buses))
	for i, b := range s.buses {
		wg.Go(func() { of[i] = b.examine(ctx, d) })
	}
	wg.Wait()
	var out []Finding
	for _, found := range of {
		out = append(out, found...)
	}
	return out
}

func (b *bus) examine(ctx context.Context, d time.Duration) []Finding {
	defer b.close()
	out := make([]Finding, len(b.entries))
	ask := func(again bool) {
		for i, e := range b.entries {
			f := &out[i]
			f.Counter, f.Bus = e.Counter, b.URL
			if f.Err != nil {
				continue
			}
			if f.Err = ctx.Err(); f.Err != nil {
				continue
			}
			before := f.Value
			value, asked, answered, err := b.read(e)
			if err != nil {
				f.Err, f.Hint = err, b.hint(err)
				b.close()
				b.pause(ctx)
				continue
			}
			f.Value, f.Took = value, max(f.Took, answered.Sub(asked))
			if again { // it may have gone round
				f.Counted = (value - before) & (1<<e.Bits - 1)
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
