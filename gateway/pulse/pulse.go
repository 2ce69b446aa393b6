// Package pulse turns what contacts and inductive loops do into passages and
// presences. It is pure: edges and instants go in, events come out. It does no
// I/O, starts no goroutine and reads no clock.
//
// An edge first has to last for the debounce time of its input. What is left
// are changes of level, and each sensor makes its own sense of them: a pulse
// sensor counts a vehicle for each pulse, a presence sensor reports on and off,
// and a pair of loops tells which way a vehicle went (see [Pair]).
//
// Times may carry a monotonic clock reading, and should: durations are then
// right although the wall clock is set in between.
package pulse

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// An Edge is a change of level at an input.
type Edge struct {
	Input  string
	Time   time.Time
	Active bool // the level after the edge
	// Known marks the level as it was read at the start or after edges were
	// lost. Nothing passed because of it.
	Known bool
	// Settled says that the driver has seen to the debounce of this edge.
	Settled bool
}

// An Input is one contact or loop detector.
type Input struct {
	ID string
	// Debounce is how long a level must last to be believed.
	Debounce time.Duration
}

// A Type of sensor.
type Type string

const (
	// Pulse is a contact that closes once for each vehicle.
	Pulse Type = "pulse"
	// Pairs are two loops that a vehicle crosses one after the other.
	Pairs Type = "pair"
	// Presence is a loop that is on for as long as something is on it.
	Presence Type = "presence"
)

// A Sensor is what the rest of the world knows by its id.
type Sensor struct {
	ID     string
	Type   Type
	Inputs []string // two for a pair, else one
	// Direction of a pulse, or of a vehicle that goes from Inputs[0] to
	// Inputs[1]: perron.In or perron.Out. A presence has none.
	Direction perron.Kind
	// MinHeadway is the shortest time between the fronts of two vehicles in the
	// same direction. What comes sooner is the same vehicle, with its trailer
	// for instance.
	MinHeadway time.Duration
	// MaxGap is the longest that a vehicle is between the loops of a pair
	// without touching either; 0 is [DefaultMaxGap].
	MaxGap time.Duration
	// StuckAfter is how long an input may be active before the sensor is called
	// stuck; 0 is [DefaultStuckAfter].
	StuckAfter time.Duration
}

// What is used for a zero in a Sensor.
const (
	DefaultMaxGap     = 3 * time.Second
	DefaultStuckAfter = 30 * time.Minute
)

// A Machine interprets the edges of one gateway. It is not safe for concurrent
// use.
type Machine struct {
	inputs  []*input
	byID    map[string]*input
	sensors []*sensor
	byName  map[string]*sensor
	out     []perron.Event
	course  course // of ready-made events
	judge   func(Judged)
}

// A Verdict says what a sensor made of what it saw.
type Verdict string

// The verdicts beside those that are the kind of an event.
const (
	SameVehicle Verdict = "same vehicle" // too soon after the one before
	TurnedBack  Verdict = "turned back"  // it left the way it came
	OneLoopOnly Verdict = "one loop"
	Unclear     Verdict = "unclear" // edges do not fit: one was lost, or it is no vehicle
)

// Judged is a verdict, for an installer's eyes.
type Judged struct {
	At      time.Time
	Sensor  string
	Verdict Verdict
}

// Tell has every verdict told from now on. The function must not call the
// machine.
func (m *Machine) Tell(f func(Judged)) { m.judge = f }

func (m *Machine) tell(s *sensor, at time.Time, v Verdict) {
	if m.judge != nil {
		m.judge(Judged{at, s.ID, v})
	}
}

type input struct {
	Input
	active  bool      // the level that is believed
	since   time.Time // when it became so
	known   bool      // any level has been seen
	pending bool      // the level is !active since pendingAt, not yet believed
	at      time.Time // pendingAt
	faulty  bool
	edges   uint64
	width   time.Duration // of the last pulse
	users   []user
	flicker flicker
}

type user struct {
	sensor *sensor
	index  int // in Sensor.Inputs
}

type sensor struct {
	Sensor
	inputs []*input
	pair   *Pair
	passed [2]time.Time // front of the last vehicle counted, by direction
	shown  perron.Kind  // last presence reported
	judged time.Time    // when health was last made up
	beside time.Time    // last passage that the others were told of
	health health
}

// New checks what it is given and returns a machine that has seen nothing.
// The error names every fault.
func New(inputs []Input, sensors []Sensor) (*Machine, error) {
	m := &Machine{byID: make(map[string]*input), byName: make(map[string]*sensor)}
	var errs []error
	for _, i := range inputs {
		if m.byID[i.ID] != nil {
			errs = append(errs, fmt.Errorf("input %q is there twice", i.ID))
			continue
		}
		in := &input{Input: i}
		m.inputs = append(m.inputs, in)
		m.byID[i.ID] = in
	}
	for _, s := range sensors {
		if err := m.add(s); err != nil {
			errs = append(errs, fmt.Errorf("sensor %q: %w", s.ID, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Machine) add(cfg Sensor) error {
	if !perron.ValidID(cfg.ID) {
		return errors.New("want 1 to 32 lower-case letters, digits and hyphens")
	}
	if m.byName[cfg.ID] != nil {
		return errors.New("is there twice")
	}
	want := 1
	if cfg.Type == Pairs {
		want = 2
	}
	if len(cfg.Inputs) != want {
		return fmt.Errorf("%d inputs: a %s has %d", len(cfg.Inputs), cfg.Type, want)
	}
	if cfg.MaxGap <= 0 {
		cfg.MaxGap = DefaultMaxGap
	}
	if cfg.StuckAfter <= 0 {
		cfg.StuckAfter = DefaultStuckAfter
	}
	s := &sensor{Sensor: cfg}
	switch cfg.Type {
	case Presence:
	case Pulse, Pairs:
		if !cfg.Direction.Passage() {
			return fmt.Errorf("direction %q: want in or out", cfg.Direction)
		}
		if cfg.Type == Pairs {
			s.pair = NewPair(cfg.MaxGap)
		}
	default:
		return fmt.Errorf("type %q: want pulse, pair or presence", cfg.Type)
	}
	for i, id := range cfg.Inputs {
		in := m.byID[id]
		if in == nil {
			return fmt.Errorf("input %q is not configured", id)
		}
		if i > 0 && id == cfg.Inputs[0] {
			return fmt.Errorf("input %q is used for both loops", id)
		}
		in.users = append(in.users, user{s, i})
		s.inputs = append(s.inputs, in)
	}
	m.keep(s)
	return nil
}

// Edge takes in one edge and returns the events that it, or the time that has
// gone by until it, brings about. The slice is good until the next call.
func (m *Machine) Edge(e Edge) ([]perron.Event, error) {
	in := m.byID[e.Input]
	if in == nil {
		return nil, fmt.Errorf("edge of input %q, which is not configured", e.Input)
	}
	m.out = m.out[:0]
	m.advance(e.Time)
	in.edges++
	in.fault(e.Time, false)
	switch {
	case e.Known:
		in.pending = false
		if !in.known || in.active != e.Active {
			in.active, in.since = e.Active, e.Time
		}
		in.known = true
		m.level(in, e.Time, true)
	case e.Active == in.active:
		if in.pending { // it did not last
			in.pending = false
			in.noise(e.Time)
		}
	case in.pending:
	case in.Debounce <= 0 || e.Settled:
		m.believe(in, e.Time)
	default:
		in.pending, in.at = true, e.Time
	}
	return m.out, nil
}

// Advance lets time go by without an edge. Like Edge it returns events.
func (m *Machine) Advance(now time.Time) []perron.Event {
	m.out = m.out[:0]
	m.advance(now)
	return m.out
}

// advance does what is due at or before now, in the order in which it is due.
func (m *Machine) advance(now time.Time) {
	for {
		var first *input
		for _, in := range m.inputs {
			if in.pending && (first == nil || in.due().Before(first.due())) {
				first = in
			}
		}
		// A time far ahead of now means that a clock without monotonic reading
		// was set back: waiting for it could take hours.
		if first == nil || first.due().After(now) && first.at.Sub(now) < time.Second {
			break
		}
		m.timeouts(first.due())
		first.pending = false
		m.believe(first, first.at)
	}
	m.timeouts(now)
	for _, s := range m.sensors {
		if len(s.inputs) > 0 {
			s.health.tick(now)
			s.health.review(now)
			s.assess(now)
		}
	}
	if at := m.course.now(now); !at.IsZero() && !m.course.mixed {
		m.review(at)
	}
}

func (m *Machine) timeouts(now time.Time) {
	for _, s := range m.sensors {
		if s.pair == nil {
			continue
		}
		for i, in := range s.inputs {
			if in.active && !in.pending && now.Sub(in.since) >= s.StuckAfter {
				s.pair.Stuck(i)
			}
		}
		m.pass(s, s.pair.Advance(now))
	}
}

func (in *input) due() time.Time { return in.at.Add(in.Debounce) }

func (m *Machine) believe(in *input, at time.Time) {
	if in.active {
		in.width = at.Sub(in.since)
	}
	in.active, in.since, in.known = !in.active, at, true
	in.flicker.change(in.active, at)
	m.level(in, at, false)
}

// level tells the sensors of an input about its level.
func (m *Machine) level(in *input, at time.Time, known bool) {
	for _, u := range in.users {
		s := u.sensor
		switch {
		case s.Type == Presence:
			kind := perron.Off
			if in.active {
				kind = perron.On
			}
			if kind != s.shown {
				s.shown = kind
				m.emit(s, at, kind)
			}
		case s.Type == Pulse:
			if in.active && !known {
				m.pass(s, Passage{At: at, OK: true})
			}
		case known:
			s.pair.Reset(u.index, in.active)
		default:
			m.pass(s, s.pair.Edge(u.index, in.active, at))
		}
		s.assess(at)
	}
}

// pass counts a vehicle, unless it is the one that was just counted.
func (m *Machine) pass(s *sensor, p Passage) {
	if !p.OK {
		if p.Why != "" {
			m.tell(s, p.At, p.Why)
		}
		return
	}
	kind, i := s.Direction, 0
	if p.Reverse {
		kind, i = opposite(kind), 1
	}
	if last := s.passed[i]; !last.IsZero() && s.MinHeadway > 0 {
		if since := p.At.Sub(last); since >= 0 && since < s.MinHeadway {
			s.health.noise(p.At)
			m.tell(s, p.At, SameVehicle)
			return
		}
	}
	s.passed[i] = p.At
	m.emit(s, p.At, kind)
}

func opposite(k perron.Kind) perron.Kind {
	if k == perron.In {
		return perron.Out
	}
	return perron.In
}

func (m *Machine) emit(s *sensor, at time.Time, kind perron.Kind) {
	// The time keeps its monotonic reading, for who has to correct it.
	e := perron.Event{Time: at, Sensor: s.ID, Kind: kind}
	s.health.event(e)
	m.tell(s, at, Verdict(kind))
	m.beside(s, e)
	m.out = append(m.out, e)
}

// Deadline is when Advance has something to do if no edge comes first.
func (m *Machine) Deadline() (time.Time, bool) {
	var first time.Time
	add := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, in := range m.inputs {
		if in.pending {
			add(in.due())
		}
	}
	for _, s := range m.sensors {
		for _, in := range s.inputs {
			// What was due when the sensor was last judged is done.
			if at := in.since.Add(s.StuckAfter); in.active && at.After(s.judged) {
				add(at)
			}
		}
		if s.pair != nil {
			if t, ok := s.pair.Deadline(); ok {
				add(t)
			}
		}
		if s.health.noisy() {
			add(s.health.window.Add(window))
		}
		if s.health.looks {
			if at, ok := m.ours(s, s.health.looked.Add(lookEvery)); ok {
				add(at)
			}
		}
	}
	return first, !first.IsZero()
}

// ours is when, by our clock, a time of a sensor's events comes, if it does.
func (m *Machine) ours(s *sensor, at time.Time) (time.Time, bool) {
	if c := &m.course; len(s.inputs) == 0 {
		return c.at.Add(at.Sub(c.newest)), !c.ended && !c.mixed && !c.newest.IsZero()
	}
	return at, true
}

// Levels lists the inputs in the configured order, for an installer's eyes.
func (m *Machine) Levels() []Level {
	out := make([]Level, len(m.inputs))
	for i, in := range m.inputs {
		out[i] = Level{Input: in.ID, Known: in.known, Active: in.active, Since: in.since, Edges: in.edges, Fault: in.faulty, Width: in.width}
	}
	return out
}

// A Level is the state of one input.
type Level struct {
	Input  string
	Known  bool
	Active bool
	Since  time.Time
	Edges  uint64
	Fault  bool
	Width  time.Duration // of the last pulse, bounce left out; 0 before the first
}

// Sensors lists the state of every sensor: the configured ones in their order,
// then those that were only heard of.
func (m *Machine) Sensors() []perron.SensorStatus {
	out := make([]perron.SensorStatus, 0, len(m.sensors))
	for _, s := range m.sensors {
		st := s.health.status(s.ID)
		st.Active = slices.ContainsFunc(s.inputs, func(in *input) bool { return in.active }) || s.shown == perron.On
		out = append(out, st)
	}
	return out
}
