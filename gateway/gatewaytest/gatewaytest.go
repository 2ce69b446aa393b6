// Package gatewaytest is what the tests of drivers have in common: a sink that
// keeps what it got and can be waited for, the contract of a source, and on
// Linux a serial line.
package gatewaytest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// Seen is what a sink got until now, in the order in which it came.
type Seen struct {
	Edges    []pulse.Edge
	Events   []perron.Event
	Position []byte                         // the last
	Health   map[string]perron.SensorHealth // by sensor, as last reported
	Gaps     map[string][]perron.CounterGap // by sensor, as last reported
	Faults   map[string]string              // by input
	Lost     map[string]uint64              // edges, by input
	Blind    map[string]bool                // by input
}

// A Recorder is a sink that keeps what it got. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	seen    Seen
	fail    error
	held    chan struct{} // closed on release; nil when nothing is held
	changed chan struct{} // closed when something comes
}

var _ gateway.Sink = (*Recorder)(nil)

// NewRecorder makes one that has got nothing. Position is what an earlier run
// has stored; nil for a first one.
func NewRecorder(position []byte) *Recorder {
	return &Recorder{changed: make(chan struct{}), seen: Seen{
		Position: position,
		Health:   make(map[string]perron.SensorHealth),
		Gaps:     make(map[string][]perron.CounterGap),
		Faults:   make(map[string]string),
		Lost:     make(map[string]uint64),
		Blind:    make(map[string]bool),
	}}
}

// Fail lets Edge and Events fail with err from now on, as they do when the
// gateway stops; nil lets them work again.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Hold lets Edge and Events block from now on until it is released, as they do
// while the disk takes nothing.
func (r *Recorder) Hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(chan struct{})
	r.held = held
	return sync.OnceFunc(func() { close(held) })
}

// Seen is what has come until now.
func (r *Recorder) Seen() Seen {
	seen, _ := r.snapshot()
	return seen
}

// Wait returns as soon as done likes what has come. There is no limit but that
// of the test binary, as a busy machine is no fault; shortly before it, the test
// fails with what has come.
func (r *Recorder) Wait(t *testing.T, done func(Seen) bool) Seen {
	t.Helper()
	late, stop := patience(t)
	defer stop()
	for {
		seen, changed := r.snapshot()
		if done(seen) {
			return seen
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("this is all that came: %+v", seen)
		}
	}
}

// patience ends shortly before the time of the test binary does, if ever.
func patience(t *testing.T) (late <-chan time.Time, stop func()) {
	end, ok := t.Deadline()
	if !ok {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(end) - 5*time.Second)
	return timer.C, func() { timer.Stop() }
}

// Until looks again and again until it is so. It is for what tells nobody when
// it changes, and has no limit of its own, as [Recorder.Wait] has none.
func Until(t *testing.T, what string, so func() bool) {
	t.Helper()
	late, stop := patience(t)
	defer stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (r *Recorder) snapshot() (Seen, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen
	s.Edges, s.Events, s.Position = slices.Clone(s.Edges), slices.Clone(s.Events), slices.Clone(s.Position)
	s.Health, s.Gaps = maps.Clone(s.Health), maps.Clone(s.Gaps)
	s.Faults, s.Lost, s.Blind = maps.Clone(s.Faults), maps.Clone(s.Lost), maps.Clone(s.Blind)
	return s, r.changed
}

// note changes what has come, and wakes who waits.
func (r *Recorder) note(change func(*Seen)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.seen)
	close(r.changed)
	r.changed = make(chan struct{})
}

// takes waits while the recorder is held, and is why nothing is taken, if so.
func (r *Recorder) takes(ctx context.Context) error {
	r.mu.Lock()
	held := r.held
	r.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(ctx.Err(), r.fail)
}

// Edge keeps an edge.
func (r *Recorder) Edge(ctx context.Context, e pulse.Edge) error {
	if err := r.takes(ctx); err != nil {
		return err
	}
	r.note(func(s *Seen) { s.Edges = append(s.Edges, e) })
	return nil
}

// Events keeps events, and the position if there is one.
func (r *Recorder) Events(ctx context.Context, events []perron.Event, position []byte) error {
	if err := r.takes(ctx); err != nil {
		return err
	}
	r.note(func(s *Seen) {
		s.Events = append(s.Events, events...)
		if position != nil {
			s.Position = slices.Clone(position)
		}
	})
	return nil
}

// Position is the last that was kept.
func (r *Recorder) Position() []byte { return r.Seen().Position }

// Lost adds up.
func (r *Recorder) Lost(input string, n uint64) { r.note(func(s *Seen) { s.Lost[input] += n }) }

// Fault keeps the last one of an input.
func (r *Recorder) Fault(input string, err error) {
	r.note(func(s *Seen) { s.Faults[input] = err.Error() })
}

// Blind keeps which inputs are.
func (r *Recorder) Blind(input string) { r.note(func(s *Seen) { s.Blind[input] = true }) }

// Report keeps the last one of a sensor.
func (r *Recorder) Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap) {
	r.note(func(s *Seen) { s.Health[sensor], s.Gaps[sensor] = health, gaps })
}

// Run runs a source until stop is called, or the test ends, which checks the
// contract: Run returns, with the context's error or none, and what it delivered
// was whole.
func Run(t *testing.T, source gateway.Source, r *Recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, r) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run was stopped, and ended with %v", err)
		}
		for _, e := range r.Seen().Events {
			if e.Time.IsZero() || !perron.ValidID(e.Sensor) || !e.Kind.Valid() {
				t.Errorf("an event is not whole: %+v", e)
			}
		}
	})
	t.Cleanup(stop)
	return stop
}
