package modbus

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/counter"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// noteEvery is how often is noted that nothing has passed. After a restart
	// it bounds the time over which the passages of the gap are spread; each note
	// is a write to the card.
	noteEvery = 5 * time.Minute
	// tellEvery is how often is logged that a counter still cannot be read, for
	// another reason than before.
	tellEvery = 5 * time.Minute
	// mergeWithin is how close gaps of the same kind are told as one.
	mergeWithin = time.Minute
)

// A book keeps what all counters have counted, and sees to it that what is on
// disk is the same as what was handed over. It is safe for concurrent use.
type book struct {
	now    func() time.Time
	synced func() *bool
	log    *slog.Logger
	sink   gateway.Sink

	mu      sync.Mutex // held until the sink has the events, so that positions stay in order
	entries []*entry
}

// An entry is one counter in the book.
type entry struct {
	Counter
	silentAfter time.Duration
	rule        counter.Counter
	state       counter.State
	noted       time.Time // when the state was last handed over
	gap         bool      // it could not be read since
	untimed     bool      // state is from before a restart, by a clock that may have been wrong
	answered    time.Time // when it was last read; when it was first asked, before
	wrong       string    // why it cannot be read, as logged last
	told        time.Time // when that was
	refused     bool      // the device answers, but not with a value
	gaps        []perron.CounterGap
}

// position is what is on disk, as JSON.
type position struct {
	// Modbus is the version of the format.
	Modbus   int              `json:"modbus"`
	Counters map[string]saved `json:"counters"`
}

const formatVersion = 1

type saved struct {
	counter.State
	// Register has to be the same for the state to mean anything.
	Register string `json:"register"`
	// Synced says that the clock was right when the state was noted.
	Synced bool                `json:"synced,omitempty"`
	Gaps   []perron.CounterGap `json:"gaps,omitempty"`
}

func newBook(now func() time.Time, synced func() *bool, log *slog.Logger) *book {
	return &book{now: now, synced: synced, log: log}
}

func (b *book) add(c Counter, silentAfter time.Duration) *entry {
	e := &entry{Counter: c, silentAfter: silentAfter, rule: counter.Counter{Bits: c.Bits, MinHeadway: c.MinHeadway}}
	b.entries = append(b.entries, e)
	return e
}

func (b *book) clockRight() bool {
	if b.synced == nil {
		return false
	}
	ok := b.synced()
	return ok != nil && *ok
}

// open takes up what an earlier run left.
func (b *book) open(sink gateway.Sink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sink = sink
	now := b.now()
	var p position
	if text := sink.Position(); text != nil {
		if err := json.Unmarshal(text, &p); err != nil || p.Modbus != formatVersion {
			b.log.Warn("the outbox holds the position of another source; the counters are counted from their next values on")
			p = position{}
		}
	}
	right := b.clockRight()
	for _, e := range b.entries {
		e.answered = now
		s, ok := p.Counters[e.name()]
		switch {
		case !ok:
			continue
		case s.Register != e.register():
			b.log.Warn("the counter is another register than before; it is counted from its next value on", logs.Sensor, e.Sensor, logs.Was, s.Register, logs.Is, e.register())
			continue
		}
		e.state, e.gap, e.noted, e.gaps = s.State, true, now, s.Gaps
		e.untimed = !s.Synced || !right || s.At.After(now)
		if len(e.gaps) > perron.MaxGaps {
			e.gaps = e.gaps[len(e.gaps)-perron.MaxGaps:]
		}
	}
	for _, e := range b.entries {
		b.report(e.Sensor)
	}
}

// close notes how far the counters are, so that after a planned restart the gap
// is short. It is no loss when that fails.
func (b *book) close(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.entries, func(e *entry) bool { return e.state.Known() && !e.untimed }) {
		if err := b.sink.Events(ctx, nil, b.position()); err != nil && ctx.Err() == nil {
			b.log.Warn("the counters cannot be noted at the end", logs.Error, err)
		}
	}
}

func (b *book) position() []byte {
	p := position{Modbus: formatVersion, Counters: make(map[string]saved)}
	right := b.clockRight()
	for _, e := range b.entries {
		if e.state.Known() {
			s := e.state
			s.At = s.At.Round(0).UTC()
			p.Counters[e.name()] = saved{s, e.register(), right && !e.untimed, e.gaps}
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers, words and times of this century
	}
	return text
}

func (e *entry) reading(value uint64, at time.Time) counter.Reading {
	return counter.Reading{Value: value, At: at, Gap: e.gap, Untimed: e.untimed}
}

// odd says whether a value is one to ask for twice.
func (b *book) odd(e *entry, value uint64, answered time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, step := e.rule.Step(e.state, e.reading(value, answered))
	return step.Kind.Odd()
}

// record counts what a value says. It fails only when the gateway is stopping;
// nothing has been counted then.
//
// What passes the device after it has looked, and before its answer is here, is
// in the next value. So from one value to the next it is the time from the
// question to the other's answer.
func (b *book) record(ctx context.Context, e *entry, value uint64, asked, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := *e
	r := e.reading(value, at)
	var step counter.Step
	e.state, step = e.rule.Step(e.state, r)
	e.state.At = asked
	// The wall clock may have been set since the last reading: what lies between
	// is measured by the monotonic one.
	end, begin := at.Round(0).UTC(), time.Time{}
	if !step.From.IsZero() {
		begin = end.Add(-step.To.Sub(step.From))
	}
	long := begin.IsZero() || end.Sub(begin) > e.silentAfter
	if step.Kind != counter.First && (step.Doubt || long && step.Delta > 0) {
		e.remember(perron.CounterGap{Kind: string(step.Kind), From: begin, To: end, Counted: step.Delta, Refused: step.Refused, Missed: step.Doubt})
	}
	e.gap, e.untimed, e.answered, e.refused = false, false, at, false
	if step.Kind != counter.Same || step.Doubt || was.untimed || at.Sub(e.noted) >= noteEvery {
		e.noted = at
		var events []perron.Event
		if step.Delta > 0 {
			events = make([]perron.Event, 0, step.Delta)
			for t := range step.Times() {
				// With the monotonic reading, by which the sink corrects the stamps of a
				// clock that is wrong.
				events = append(events, perron.Event{Time: at.Add(t.Sub(end)), Sensor: e.Sensor, Kind: e.Kind})
			}
		}
		if err := b.sink.Events(ctx, events, b.position()); err != nil {
			*e = was
			return err
		}
	}
	b.tell(e, &was, step)
	b.report(e.Sensor)
	return nil
}

// tell logs what is worth it.
func (b *book) tell(e, was *entry, step counter.Step) {
	if was.wrong != "" {
		e.wrong = ""
		b.log.Info("the counter can be read again", logs.Sensor, e.Sensor, logs.Unit, e.Unit, logs.Value, e.state.Value, logs.Counted, step.Delta)
	}
	differs := func(level slog.Level, what string) {
		b.log.Log(context.Background(), level, what, logs.Sensor, e.Sensor, logs.Unit, e.Unit,
			logs.Was, was.state.Value, logs.Is, e.state.Value, logs.Counted, step.Delta)
	}
	switch step.Kind {
	case counter.First:
		b.log.Info("the counter is counted from here on", logs.Sensor, e.Sensor, logs.Unit, e.Unit, logs.Value, e.state.Value)
	case counter.Wrapped:
		differs(slog.LevelInfo, "the counter went round")
	case counter.Reset:
		differs(slog.LevelWarn, "the counter began at zero again; vehicles may be missing")
	case counter.Back:
		differs(slog.LevelError, "the counter is lower than before, and did not begin at zero; it is counted from here on")
	case counter.Jump:
		differs(slog.LevelError, "the counter is higher than can have passed; that is not counted")
	}
}

// remember adds a gap, or makes the last one longer.
func (e *entry) remember(g perron.CounterGap) {
	gaps := slices.Clone(e.gaps) // the old ones are the sink's
	if n := len(gaps); n > 0 {
		last := &gaps[n-1]
		if between := g.To.Sub(last.To); last.Kind == g.Kind && last.Missed == g.Missed && between >= 0 && between < mergeWithin {
			last.To = g.To
			last.Counted += g.Counted
			last.Refused += g.Refused
			e.gaps = gaps
			return
		}
	}
	gaps = append(gaps, g)
	e.gaps = gaps[max(0, len(gaps)-perron.MaxGaps):]
}

// failed notes that a counter could not be read. Refused says that its device
// answered, but not with a value.
func (b *book) failed(e *entry, err error, refused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.gap, e.refused = true, refused
	// The text has the port of a connection in it, so it is new each time.
	if now := b.now(); e.wrong == "" || e.wrong != err.Error() && now.Sub(e.told) > tellEvery {
		e.wrong, e.told = err.Error(), now
		b.log.Warn("the counter cannot be read; the connection is made anew", logs.Sensor, e.Sensor, logs.Unit, e.Unit, logs.Error, err)
	}
	b.report(e.Sensor)
}

// revise lets time go by for the entries of a bus.
func (b *book) revise(entries []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if e.gap {
			b.report(e.Sensor)
		}
	}
}

// report tells the sink how a sensor does. It may have two counters.
func (b *book) report(sensor string) {
	health := perron.SensorOK
	var gaps []perron.CounterGap
	now := b.now()
	for _, e := range b.entries {
		if e.Sensor != sensor {
			continue
		}
		gaps = append(gaps, e.gaps...)
		switch {
		case !e.gap || health == perron.SensorSilent:
		case now.Sub(e.answered) >= e.silentAfter && !e.refused:
			health = perron.SensorSilent
		case e.refused:
			health = perron.SensorFault
		}
	}
	slices.SortStableFunc(gaps, func(a, b perron.CounterGap) int { return cmp.Compare(a.To.UnixNano(), b.To.UnixNano()) })
	b.sink.Report(sensor, health, gaps[max(0, len(gaps)-perron.MaxGaps):])
}
