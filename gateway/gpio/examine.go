package gpio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
)

// Examine looks at each input by itself, all at the same time. Inputs that
// somebody else has are left alone; of those that the running gateway has, it
// is asked what it sees.
func (s *Source) Examine(ctx context.Context, d time.Duration, running *gateway.View) []gateway.Finding {
	seen := make([]inspection, len(s.inputs))
	var wg sync.WaitGroup
	for i, in := range s.inputs {
		seen[i].Input = in
		wg.Go(func() { seen[i].open(ctx, d) })
	}
	wg.Wait()
	out := make([]gateway.Finding, len(seen))
	for i := range seen {
		out[i] = seen[i].finding(d, running)
	}
	return out
}

// An inspection is what was seen of an input.
type inspection struct {
	Input
	chip string // where the pin was found; empty if it was not
	// err is why it cannot be read; busy says that somebody has it, and owner who.
	err   error
	busy  bool
	owner string
	// active is the level at the end, edges how many there were meanwhile, bounce
	// and all, and lost those that the kernel could not keep.
	active bool
	edges  int
	lost   int
	// pullSet says that the kernel has set the resistor that was asked for. Whether
	// the chip has one, the kernel does not say.
	pullSet bool
}

func (l *inspection) open(ctx context.Context, d time.Duration) {
	in := l.Input
	in.Debounce = 0 // to see what bounces
	pins, err := find([]Input{in})
	if err != nil {
		l.err = err
		return
	}
	p := pins[0]
	l.chip = p.chip.Path()
	// Setting the pull through periph would take the pin from nobody, but a
	// request of the kernel says in one step whether it is free.
	line, err := openLine(p)
	if errors.Is(err, errBusy) {
		l.busy, l.owner, l.err = true, p.line.Consumer(), err
		return
	}
	if err != nil {
		l.err = err
		return
	}
	defer line.close()
	l.pullSet = pullIs(p)
	l.watch(ctx, line, d)
}

// finding says what was seen in a while.
func (l *inspection) finding(d time.Duration, running *gateway.View) gateway.Finding {
	name := fmt.Sprintf("input %s (%s)", l.ID, l.Pin)
	say := func(g gateway.Grade, format string, args ...any) gateway.Finding {
		return gateway.Finding{Grade: g, Text: name + fmt.Sprintf(format, args...)}
	}
	level := "free"
	if l.active {
		level = "ACTIVE: a vehicle is there, or active: high and low are mixed up"
	}
	switch {
	case l.busy && running != nil:
		return l.inUse(running, say)
	case l.busy:
		owner := l.owner
		if owner == "" {
			owner = "something"
		}
		return say(gateway.Wrong, ": is in use by %s, which shows nothing of itself; if that is the gateway, it is of an older version or of another configuration", owner)
	case l.err != nil:
		return say(gateway.Wrong, ": %v", l.err)
	case l.lost > 0 || float64(l.edges) > gateway.ChatterRate*d.Seconds():
		return say(gateway.Wrong, ": chatters: %d edges in %s, and %d lost; a loose contact, or a cable without a shield", l.edges, d, l.lost)
	case !l.pullSet:
		return say(gateway.Wrong, ": the kernel has not set the pull %s that was asked for", l.Pull)
	}
	return say(gateway.Good, " on %s: present, pull %s, now %s, %d edges in %s", l.chip, l.Pull, level, l.edges, d)
}

// inUse is what the running gateway says of an input that it has.
func (l *inspection) inUse(running *gateway.View, say func(g gateway.Grade, format string, args ...any) gateway.Finding) gateway.Finding {
	for _, in := range running.Inputs {
		if in.Input != l.ID {
			continue
		}
		level := "free"
		switch {
		case in.Fault:
			return say(gateway.Wrong, ": the running gateway has it, and cannot read it")
		case in.Active:
			level = "ACTIVE for " + running.Now.Sub(in.Since).Round(100*time.Millisecond).String()
		}
		return say(gateway.Good, ": the running gateway has it: now %s, %d edges since its start", level, in.Edges)
	}
	return say(gateway.Wrong, ": is in use, but the running gateway does not know it: it runs with another configuration")
}
