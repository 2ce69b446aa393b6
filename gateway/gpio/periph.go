package gpio

import (
	"context"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// glance is how often the level is looked at when no edge comes: periph keeps
// 16 edges, and what comes on top goes unnoticed. (WaitForEdge takes 0 for
// ever, and returns at once for less.)
const glance = 500 * time.Millisecond

// periphPin is what is used of periph's pin.
type periphPin interface {
	In(pull gpio.Pull, edge gpio.Edge) error
	Read() gpio.Level
	WaitForEdge(timeout time.Duration) bool
}

var _ periphPin = gpio.PinIn(nil)

// watchPin delivers the edges of one pin as periph sees them, until ctx ends.
func watchPin(ctx context.Context, in Input, p periphPin, sink gateway.Sink, now func() time.Time) error {
	if err := p.In(pulls[in.Pull], gpio.BothEdges); err != nil {
		return fmt.Errorf("gpio: input %s: wait for edges of pin %s: %w", in.ID, in.Pin, err)
	}
	sink.Blind(in.ID)
	active := func() bool { return bool(p.Read()) != in.ActiveLow }
	level := active()
	if err := sink.Edge(ctx, pulse.Edge{Input: in.ID, Time: now(), Active: level, Known: true}); err != nil {
		return err
	}
	for ctx.Err() == nil {
		edge := p.WaitForEdge(glance)
		at := now()
		seen := active()
		switch {
		case seen != level:
			if err := sink.Edge(ctx, pulse.Edge{Input: in.ID, Time: at, Active: seen}); err != nil {
				return err
			}
		case edge:
			// There and back before the level was read: both edges, so that the
			// debounce sees them.
			for _, a := range []bool{!level, level} {
				if err := sink.Edge(ctx, pulse.Edge{Input: in.ID, Time: at, Active: a}); err != nil {
					return err
				}
			}
		}
		level = seen
	}
	return nil
}
