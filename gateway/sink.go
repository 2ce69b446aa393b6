package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// sink interprets edges and puts events into the outbox.
type sink struct {
	box     *outbox.Outbox
	now     func() time.Time
	times   *timekeeper
	log     *slog.Logger
	metrics *metrics
	woken   chan struct{} // the machine's deadline may have changed
	settle  func(ctx context.Context)

	order sync.Mutex // held until events are in the outbox, so that they stay in order

	mu       sync.Mutex // of what follows, never held while waiting
	machine  *pulse.Machine
	finished bool
	faults   map[string]string // by input, as logged
	blind    bool
	trace    *Trace
}

var _ Sink = (*sink)(nil)

func newSink(m *pulse.Machine, box *outbox.Outbox, now func() time.Time, times *timekeeper, log *slog.Logger, metrics *metrics) *sink {
	return &sink{
		box: box, now: now, times: times, log: log, metrics: metrics, machine: m, trace: NewTrace(m),
		woken: make(chan struct{}, 1), settle: func(context.Context) {}, faults: make(map[string]string),
	}
}

func (s *sink) Edge(ctx context.Context, e pulse.Edge) error {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.trace.Edge(e)
	events, err := s.machine.Edge(e)
	events = slices.Clone(events)
	delete(s.faults, e.Input)
	s.tellChanges()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.metrics.edges.WithLabelValues(e.Input).Inc()
	poke(s.woken)
	return s.put(ctx, events, nil)
}

func (s *sink) Events(ctx context.Context, events []perron.Event, position []byte) error {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.machine.Observe(events, s.now())
	s.trace.Events(events)
	s.tellChanges()
	s.mu.Unlock()
	return s.put(ctx, events, position)
}

func (s *sink) put(ctx context.Context, events []perron.Event, position []byte) error {
	if len(events) == 0 && position == nil {
		return nil
	}
	if err := s.append(ctx, events, position); err != nil {
		return err
	}
	s.metrics.count(events)
	return nil
}

// append gives the events their stamps. The machine's times are those of a clock
// that may be set at any moment, but they have a monotonic reading, so that it
// does not matter when.
func (s *sink) append(ctx context.Context, events []perron.Event, position []byte) error {
	if !s.times.device {
		for i := range events {
			events[i].Time = events[i].Time.Round(0).UTC()
		}
		return s.box.Append(ctx, events, position)
	}
	if len(events) == 0 {
		return s.box.Append(ctx, nil, position)
	}
	at := make([]time.Time, len(events))
	for i := range events {
		at[i] = events[i].Time
	}
	// One look for all: what goes into the outbox in two parts, of which the
	// second has the position, would come again if the power went in between.
	stamps := s.times.clock.Stamps(at)
	for i := range events {
		events[i].Time = stamps[i].Time
	}
	if stamps[0].Unsure {
		return s.box.AppendUnsure(ctx, events, stamps[0].Shift, position)
	}
	return s.box.Append(ctx, events, position)
}

func (s *sink) Position() []byte { return s.box.Position() }

func (s *sink) Lost(input string, n uint64) {
	s.log.Error("what came could not be kept; vehicles may be missing", logs.Input, input, logs.Lost, n)
	s.box.Lost(n)
}

func (s *sink) Fault(input string, err error) {
	s.mu.Lock()
	s.machine.Fault(input, s.now())
	known := s.faults[input] == err.Error()
	s.faults[input] = err.Error()
	s.mu.Unlock()
	if !known {
		s.log.Error("an input cannot be read", logs.Input, input, logs.Error, err)
	}
}

func (s *sink) Blind(input string) {
	s.log.Warn("it cannot be noticed when edges of this input are lost", logs.Input, input)
	s.mu.Lock()
	s.blind = true
	s.mu.Unlock()
}

func (s *sink) Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine.Report(sensor, health, gaps, s.now())
}

func (s *sink) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.machine.Finish(s.now())
}

func (s *sink) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished
}

func (s *sink) sensors() (sensors []perron.SensorStatus, blind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sensors = s.machine.Sensors()
	for i := range sensors {
		sensors[i].Since, sensors[i].Last = s.times.right(sensors[i].Since), s.times.right(sensors[i].Last)
	}
	return sensors, s.blind
}

// grace is how much later than due the machine is told: an edge that was due
// before it may just be on its way from the kernel.
const grace = 2 * time.Millisecond

// run lets time go by for the machine.
func (s *sink) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		case <-timer.C:
			if err := s.advance(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("events cannot be kept", logs.Error, err)
			}
		}
		s.mu.Lock()
		at, ok := s.machine.Deadline()
		s.mu.Unlock()
		timer.Stop()
		if ok {
			timer.Reset(max(at.Sub(s.now())+grace, grace))
		}
	}
}

// lastWait is how long the end waits for a pulse to have lasted long enough.
const lastWait = 100 * time.Millisecond

// close does what is due soon after the last edge, once the source has ended.
func (s *sink) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for end := s.now().Add(lastWait); ; {
		s.mu.Lock()
		at, ok := s.machine.Deadline()
		events := slices.Clone(s.machine.Advance(s.now()))
		s.mu.Unlock()
		if err := s.put(ctx, events, nil); err != nil {
			s.log.Error("the last events cannot be kept", logs.Error, err)
			return
		}
		wait := at.Sub(s.now())
		if !ok || wait > lastWait || !s.now().Before(end) {
			return
		}
		time.Sleep(max(wait, time.Millisecond))
	}
}

// advance lets the machine know that it is now, and that all edges until now
// have been seen: after a process was stopped, or a disk was slow, edges from
// before the deadline may still wait in the kernel.
func (s *sink) advance(ctx context.Context) error {
	now := s.now()
	s.settle(ctx)
	if ctx.Err() != nil {
		return nil
	}
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	events := slices.Clone(s.machine.Advance(now))
	s.tellChanges()
	s.mu.Unlock()
	return s.put(ctx, events, nil)
}
