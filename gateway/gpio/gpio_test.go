package gpio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"periph.io/x/conn/v3/gpio"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// recorder is a sink that writes down what it is told, and stops its source
// after a number of entries.
type recorder struct {
	said   []string
	at     []time.Time
	stopAt int
	stop   func()
}

func (r *recorder) say(at time.Time, format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
	r.at = append(r.at, at)
	if len(r.said) == r.stopAt {
		r.stop()
	}
}

func (r *recorder) Edge(_ context.Context, e pulse.Edge) error {
	sign := "-"
	if e.Active {
		sign = "+"
	}
	if e.Known {
		sign = fmt.Sprintf("=%v", e.Active)
	}
	if e.Settled {
		sign += " settled"
	}
	r.say(e.Time, "%s%s", e.Input, sign)
	return nil
}

func (r *recorder) Events(context.Context, []perron.Event, []byte) error {
	return errors.New("events from a source of edges")
}
func (r *recorder) Position() []byte            { return nil }
func (r *recorder) Lost(input string, n uint64) { r.say(time.Time{}, "%s lost %d", input, n) }

func (r *recorder) Blind(input string)                                      { r.say(time.Time{}, "%s blind", input) }
func (r *recorder) Report(string, perron.SensorHealth, []perron.CounterGap) {}
func (r *recorder) Fault(input string, _ error)                             { r.say(time.Time{}, "%s fault", input) }

// fakePin is a pin as periph has them.
type fakePin struct {
	level gpio.Level
	pull  gpio.Pull
	edges chan gpio.Level
}

func (p *fakePin) In(pull gpio.Pull, edge gpio.Edge) error {
	if edge != gpio.BothEdges || p.edges == nil {
		return errors.New("no edges here")
	}
	p.pull = pull
	return nil
}

func (p *fakePin) Read() gpio.Level { return p.level }

func (p *fakePin) WaitForEdge(timeout time.Duration) bool {
	select {
	case p.level = <-p.edges:
		return true
	case <-time.After(timeout):
		return false
	}
}

// The fallback tells edges from the level, that it is blind, and an edge whose
// level was gone before it could be read.
func TestPeriphFallback(t *testing.T) {
	p := &fakePin{level: gpio.High, edges: make(chan gpio.Level)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := &recorder{stopAt: 6, stop: cancel}
	go func() {
		for _, l := range []gpio.Level{gpio.Low, gpio.High, gpio.High} {
			select {
			case p.edges <- l:
			case <-ctx.Done():
			}
		}
	}()
	in := Input{ID: "a", Pin: "GPIO17", Pull: PullUp, ActiveLow: true}
	if err := watchPin(ctx, in, p, rec, time.Now); err != nil {
		t.Fatal(err)
	}
	want := []string{"a blind", "a=false", "a+", "a-", "a+", "a-"}
	if d := cmp.Diff(want, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
	if p.pull != gpio.PullUp {
		t.Errorf("pull is %v", p.pull)
	}
	if err := watchPin(ctx, in, &fakePin{}, rec, time.Now); err == nil {
		t.Error("a pin without edges was taken")
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New([]Input{{ID: "a", Pin: "GPIO17", Pull: "strong"}, {ID: "b", Pin: "GPIO17", Pull: PullUp}}, time.Now, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), `pull "strong"`) || !strings.Contains(err.Error(), "GPIO17 is used twice") {
		t.Errorf("got %v", err)
	}
	if _, err := New(nil, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no inputs were taken")
	}
}

// On a machine without pins there is one sentence, and no panic.
func TestNoPins(t *testing.T) {
	if _, err := os.Stat("/dev/gpiochip0"); err == nil {
		t.Skip("this machine has pins")
	}
	s, err := New([]Input{{ID: "a", Pin: "GPIO17", Pull: PullUp}}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), &recorder{}); err == nil || !strings.Contains(err.Error(), "gpiochip") {
		t.Errorf("got %v", err)
	}
}
