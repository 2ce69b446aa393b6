package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A plain source can do nothing but deliver.
type plain struct{}

func (plain) Run(ctx context.Context, s gateway.Sink) error {
	if err := s.Events(ctx, []perron.Event{{Time: time.Now(), Sensor: "main-in", Kind: perron.In}}, []byte("1")); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// An able source has every ability that a gateway makes use of while it runs.
type able struct {
	plain
	settled bool
	opened  chan struct{}
}

var (
	_ gateway.SensorLister = (*able)(nil)
	_ gateway.Settler      = (*able)(nil)
	_ gateway.Opener       = (*able)(nil)
)

func (a *able) Sensors() []string       { return []string{"main-in"} }
func (a *able) Settle(context.Context)  { a.settled = true }
func (a *able) Opened() <-chan struct{} { return a.opened }

// outwards turns passages round.
type outwards struct{ gateway.Sink }

func (o outwards) Events(ctx context.Context, events []perron.Event, position []byte) error {
	for i := range events {
		events[i].Kind = perron.Out
	}
	return o.Sink.Events(ctx, events, position)
}

// everything is what a gateway asks of a source while it runs.
type everything interface {
	gateway.Source
	gateway.SensorLister
	gateway.Settler
	gateway.Opener
}

func TestThroughKeepsAbilities(t *testing.T) {
	wrap := func(s gateway.Sink) gateway.Sink { return outwards{s} }
	a := &able{opened: make(chan struct{})}
	s, ok := gateway.Through(a, wrap).(everything)
	if !ok {
		t.Fatal("an ability is gone")
	}
	if ids := s.Sensors(); len(ids) != 1 || ids[0] != "main-in" {
		t.Errorf("sensors %v", ids)
	}
	if s.Settle(t.Context()); !a.settled {
		t.Error("the source was not asked to settle")
	}
	select {
	case <-s.Opened():
		t.Error("open before the source is")
	default:
	}
	close(a.opened)
	<-s.Opened()

	sink := gatewaytest.NewRecorder(nil)
	stop := gatewaytest.Run(t, s, sink)
	seen := sink.Wait(t, func(s gatewaytest.Seen) bool { return len(s.Events) == 1 })
	stop()
	if e := seen.Events[0]; e.Kind != perron.Out || string(seen.Position) != "1" {
		t.Errorf("the sink was not wrapped: %+v, position %q", e, seen.Position)
	}
}

// A source without abilities gets none that would hold anybody up.
func TestThroughAddsNothing(t *testing.T) {
	s, ok := gateway.Through(plain{}, func(s gateway.Sink) gateway.Sink { return s }).(everything)
	if !ok {
		t.Fatal("an ability is gone")
	}
	if ids := s.Sensors(); ids != nil {
		t.Errorf("sensors %v", ids)
	}
	s.Settle(t.Context())
	<-s.Opened()
}
