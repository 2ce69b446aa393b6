package gpio

import (
	"context"
	"errors"
	"time"
)

// A Finding is what an examination found of an input.
type Finding struct {
	Input
	Chip string // where the pin was found; empty if it was not
	// Err is why it cannot be read; Busy says that somebody has it, and Owner who.
	Err   error
	Busy  bool
	Owner string
	// Active is the level at the end, Edges how many there were meanwhile, bounce
	// and all, and Lost those that the kernel could not keep.
	Active bool
	Edges  int
	Lost   int
	// PullSet says that the kernel has set the resistor that was asked for. Whether
	// the chip has one, the kernel does not say.
	PullSet bool
}

// Examine looks at each input by itself, all at the same time and for a while.
// Inputs that somebody else has are left alone.
func Examine(ctx context.Context, inputs []Input, d time.Duration) []Finding {
	out := make([]Finding, len(inputs))
	done := make(chan struct{})
	for i, in := range inputs {
		out[i].Input = in
		go func() {
			defer func() { done <- struct{}{} }()
			examine(ctx, &out[i], d)
		}()
	}
	for range inputs {
		<-done
	}
	return out
}

func examine(ctx context.Context, f *Finding, d time.Duration) {
	in := f.Input
	in.Debounce = 0 // to see what bounces
	pins, err := find([]Input{in})
	if err != nil {
		f.Err = err
		return
	}
	p := pins[0]
	f.Chip = p.chip.Path()
	// Setting the pull through periph would take the pin from nobody, but a
	// request of the kernel says in one step whether it is free.
	l, err := openLine(p)
	if errors.Is(err, errBusy) {
		f.Busy, f.Owner, f.Err = true, p.line.Consumer(), err
		return
	}
	if err != nil {
		f.Err = err
		return
	}
	defer l.close()
	f.PullSet = pullIs(p)
	f.watch(ctx, l, d)
}
