package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// stalled is a source whose later edges wait in the kernel until they are asked
// for.
type stalled struct{ asked chan chan struct{} }

func (s *stalled) Settle(ctx context.Context) {
	done := make(chan struct{})
	select {
	case s.asked <- done:
		<-done
	case <-ctx.Done():
	}
}

func (s *stalled) Run(ctx context.Context, sink Sink) error {
	at := time.Now()
	cross := func(input string) error {
		for _, active := range []bool{true, false} {
			if err := sink.Edge(ctx, pulse.Edge{Input: input, Time: at, Active: active}); err != nil {
				return err
			}
			at = at.Add(5 * time.Millisecond)
		}
		return nil
	}
	if err := cross("outer"); err != nil {
		return err
	}
	for first := true; ; first = false {
		select {
		case done := <-s.asked:
			var err error
			if first {
				err = cross("inner")
			}
			close(done)
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A vehicle whose edges were in time is counted, although the gateway hears of
// the second loop after its patience has come to an end.
func TestStalledSourceIsWaitedFor(t *testing.T) {
	link := &fakeLink{t: t}
	runGateway(t, Config{
		Link:    link,
		Inputs:  []pulse.Input{{ID: "outer"}, {ID: "inner"}},
		Sensors: []pulse.Sensor{{ID: "lane", Type: pulse.Pairs, Inputs: []string{"outer", "inner"}, Direction: perron.In, MaxGap: 50 * time.Millisecond}},
		Source:  &stalled{asked: make(chan chan struct{})},
	})
	wait(t, "the vehicle is counted", func() bool { n := 0; link.set(func() { n = len(link.got) }); return n == 1 })
	link.set(func() {
		if e := link.got[0]; e.Sensor != "lane" || e.Kind != perron.In {
			t.Errorf("got %+v", e)
		}
	})
}
