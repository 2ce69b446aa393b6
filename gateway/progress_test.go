package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// deaf is a source whose reader hangs.
type deaf struct{ asked, opened chan struct{} }

func (d *deaf) Run(ctx context.Context, _ Sink) error { <-ctx.Done(); return ctx.Err() }
func (d *deaf) Settle(ctx context.Context)            { <-ctx.Done() }
func (d *deaf) Opened() <-chan struct{}               { close(d.asked); return d.opened }

// A gateway is ready when its inputs are open, and a watchdog hears of edges
// that are not read.
func TestReadyAndProgress(t *testing.T) {
	d := &deaf{asked: make(chan struct{}), opened: make(chan struct{})}
	g := runGateway(t, Config{Source: d, Link: &fakeLink{t: t, offline: true}})
	<-d.asked
	select {
	case <-g.Ready():
		t.Error("it is ready although its inputs are not open")
	default:
	}
	close(d.opened)
	<-g.Ready() // although there is no link
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := g.Ping(ctx); err == nil || !strings.Contains(err.Error(), "edges are not read") {
		t.Errorf("Ping: %v", err)
	}
}

// A pulse that has not lasted long enough when the gateway is told to stop is
// waited for.
func TestLastPulseCounts(t *testing.T) {
	link := &fakeLink{t: t}
	dir := t.TempDir()
	seen := make(chan struct{})
	g := runGateway(t, Config{
		DataDir: dir, Link: link,
		Inputs:  []pulse.Input{{ID: "a", Debounce: 30 * time.Millisecond}},
		Sensors: []pulse.Sensor{{ID: "main-in", Type: pulse.Pulse, Inputs: []string{"a"}, Direction: perron.In}},
		Source: sourceFunc(func(ctx context.Context, s Sink) error {
			err := s.Edge(ctx, pulse.Edge{Input: "a", Time: time.Now(), Active: true})
			close(seen)
			<-ctx.Done()
			return err
		}),
	})
	<-seen
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	runGateway(t, Config{DataDir: dir, Link: link, Source: sourceFunc(func(context.Context, Sink) error { return nil })})
	wait(t, "the pulse is sent", func() bool { return len(link.events()) == 1 })
}

// A status holds so many sensors as fit, and none that ails is left out for one
// that is well.
func TestManySensors(t *testing.T) {
	st := perron.GatewayStatus{Site: "poort", Gateway: "gate-1"}
	for i := range 1000 {
		s := perron.SensorStatus{Sensor: fmt.Sprintf("s-%d", i), Health: perron.SensorOK}
		if i%10 == 9 {
			s.Health = perron.SensorStuck
		}
		st.Sensors = append(st.Sensors, s)
	}
	fit(&st)
	stuck := 0
	for _, s := range st.Sensors {
		if s.Health == perron.SensorStuck {
			stuck++
		}
	}
	if len(st.Sensors) != broker.MaxSensors || st.Omitted != 1000-broker.MaxSensors || stuck != 100 || st.Sensors[0].Sensor != "s-0" {
		t.Errorf("%d sensors, of which %d are stuck; %d left out", len(st.Sensors), stuck, st.Omitted)
	}
	if _, err := broker.EncodeStatus(st); err != nil {
		t.Error(err)
	}
}
