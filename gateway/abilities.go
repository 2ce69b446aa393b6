package gateway

import (
	"context"
	"time"
)

// What follows are the optional abilities of a [Source], one purpose each. A
// driver asserts those that it has where it defines its source,
//
//	var _ gateway.Settler = (*Source)(nil)
//
// because a method with a slip in its name would otherwise be no error, and an
// ability that nobody asks for.

// A SensorLister names the sensors whose events it delivers ready-made, sorted,
// so that the status has them from the start. A sensor that only the data name
// appears with its first event.
type SensorLister interface {
	Sensors() []string
}

// A Settler has edges that may wait somewhere, in the kernel for instance.
// Settle returns once the sink has every edge that there was when it was called,
// or nobody reads them any more, or ctx has ended. Until then the gateway takes
// nothing for not having happened. A settler hands over what waits there before
// its Run returns.
type Settler interface {
	Settle(ctx context.Context)
}

// An Opener has to open something before it counts. Opened is closed when it
// has, and from then on nothing is missed; the gateway is not ready before.
type Opener interface {
	Opened() <-chan struct{}
}

// A Checker knows of faults that the configuration does not show by itself, such
// as a recording that does not fit it. Check is asked before the gateway runs,
// touches no hardware, and names every fault with what it is about.
type Checker interface {
	Check(ctx context.Context) error
}

// An Examiner looks at its wiring for an installer. Examine takes about d, keeps
// nothing, and disturbs nobody: running is what the gateway that runs beside it
// says of itself, nil when none does. It is called instead of Run.
type Examiner interface {
	Examine(ctx context.Context, d time.Duration, running *View) []Finding
}

// A Finding is one thing that an examination found, in words for an installer.
type Finding struct {
	Grade Grade
	// Text begins with what it is about, by the name it has in the configuration:
	// input a (GPIO17). One that is wrong says what to look at.
	Text string
}

// A Grade says whether a finding is good.
type Grade string

// The grades.
const (
	Good  Grade = "ok"
	Note  Grade = "note"  // good to know
	Wrong Grade = "wrong" // the device is not fit
)

// ChatterRate is how many edges or passages a second no gate has: whatever shows
// more of them chatters, or is not what it is taken for.
const ChatterRate = 10.0

// Through is a source whose sink is wrapped. It has the abilities that a gateway
// makes use of while it runs: a source that is embedded in another type would
// lose them without a word.
func Through(source Source, wrap func(Sink) Sink) Source { return &through{source, wrap} }

type through struct {
	Source
	wrap func(Sink) Sink
}

var (
	_ SensorLister = (*through)(nil)
	_ Settler      = (*through)(nil)
	_ Opener       = (*through)(nil)
)

func (t *through) Run(ctx context.Context, s Sink) error { return t.Source.Run(ctx, t.wrap(s)) }

func (t *through) Sensors() []string {
	if l, ok := t.Source.(SensorLister); ok {
		return l.Sensors()
	}
	return nil
}

func (t *through) Settle(ctx context.Context) {
	if s, ok := t.Source.(Settler); ok {
		s.Settle(ctx)
	}
}

func (t *through) Opened() <-chan struct{} {
	if o, ok := t.Source.(Opener); ok {
		return o.Opened()
	}
	return closed
}

// closed is what a source that opens nothing waits for.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
