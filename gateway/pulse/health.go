package pulse

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A sensor chatters when, within the window, noise comes chatterRatio times as
// often as events and at least chatterMin times.
const (
	window       = time.Minute
	chatterMin   = 60
	chatterRatio = 20
)

// A signal flickers when it breaks off for flickerGap or less, or comes for
// flickerPulse or less where it usually lasts for a flickerUsual: neither is a
// vehicle's doing. Counting detectors give nothing but short pulses, and one
// vehicle of several has a gap behind it, so that the sensor chatters when over
// some flickerMemory pulses one in five is flicker, until one in ten is.
const (
	flickerGap    = 200 * time.Millisecond
	flickerPulse  = 150 * time.Millisecond
	flickerUsual  = time.Second
	flickerMemory = 30
	flickerBegin  = 0.2
	flickerEnd    = 0.1
)

// flicker is how often a signal is broken.
type flicker struct {
	active   bool
	on, off  time.Time // last changes
	widths   [flickerMemory]time.Duration
	ended    int // pulses that went into widths
	pulses   int
	share    float64                                 // of the pulses that flicker, the newest most
	counted  bool                                    // the pulse that is on is known to flicker
	last     [flickerMemory * flickerBegin]time.Time // of those that flicker
	broken   int                                     // that went into last
	chatters bool
	since    time.Time // of chatters: the first of those that make up the share
}

// change takes in a level. Of a repeated one, only the first counts.
func (f *flicker) change(active bool, at time.Time) {
	if active == f.active {
		return
	}
	if f.active = active; active {
		since := at.Sub(f.off)
		f.counted = since >= 0 && since <= flickerGap
		f.on = at
		f.pulses++
		f.note(f.counted, at)
		return
	}
	f.off = at
	if f.on.IsZero() {
		return
	}
	width := at.Sub(f.on)
	if !f.counted && width >= 0 && width <= flickerPulse && f.usual() >= flickerUsual {
		f.share += 1. / flickerMemory
		f.weigh(f.on, true)
	}
	f.widths[f.ended%flickerMemory] = width
	f.ended++
}

// usual is the median width of the last pulses, 0 while there are few.
func (f *flicker) usual() time.Duration {
	n := min(f.ended, flickerMemory)
	if n < flickerMemory/3 {
		return 0
	}
	sorted := f.widths
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

func (f *flicker) note(broken bool, at time.Time) {
	f.share -= f.share / flickerMemory
	if broken {
		f.share += 1. / flickerMemory
	}
	f.weigh(at, broken)
}

func (f *flicker) weigh(at time.Time, broken bool) {
	if broken {
		f.last[f.broken%len(f.last)] = at
		f.broken++
	}
	if f.pulses >= flickerMemory/2 && f.share >= flickerBegin && !f.chatters {
		f.chatters, f.since = true, f.last[f.broken%len(f.last)]
	}
	if f.share < flickerEnd {
		f.chatters = false
	}
}

// enough events end a silence: a stray one does not.
const enough = 3

// health is what is known of one sensor.
type health struct {
	now      perron.SensorHealth // empty is ok
	since    time.Time
	last     time.Time
	events   uint64
	chatters bool
	finished bool
	told     perron.SensorHealth // by Report
	gaps     []perron.CounterGap

	window time.Time // start
	noises int       // within the window
	passes int

	flicker flicker // of ready-made presences
	habit   *habit  // nil when there are too many sensors
	looked  time.Time
	looks   bool // there is a habit, so that it is worth to look again
	alone   bool // by the habit, when it was last looked
	quiet   bool
	back    int // events since it was last silent
	changes []Change
}

func (h *health) event(e perron.Event) {
	h.events++
	h.passes++
	if e.Time.After(h.last) {
		h.last = e.Time
	}
	if h.back++; h.back >= enough {
		h.alone, h.quiet = false, false
	}
	if h.habit != nil {
		h.habit.event(e.Time)
	}
}

func (h *health) noise(at time.Time) {
	h.tick(at)
	h.noises++
	if h.noises >= chatterMin && h.noises >= chatterRatio*h.passes {
		h.chatters = true
	}
}

func (h *health) noisy() bool { return h.noises > 0 || h.chatters }

// tick closes the window when it is over.
func (h *health) tick(now time.Time) {
	if since := now.Sub(h.window); since >= 0 && since < window {
		return
	}
	h.chatters = h.noises >= chatterMin && h.noises >= chatterRatio*h.passes
	h.window, h.noises, h.passes = now, 0, 0
}

// review compares what has not happened with the habit.
func (h *health) review(now time.Time) {
	if h.habit == nil {
		return
	}
	if since := now.Sub(h.looked); since >= 0 && since < lookEvery {
		return
	}
	h.looked, h.looks = now, h.habit.known()
	h.habit.lapse(now)
	h.habit.tick(now)
	alone, quiet := h.habit.alone(now), h.habit.lack >= missing
	if alone || quiet {
		h.back = 0
	}
	h.alone, h.quiet = alone || h.alone, quiet || h.quiet
}

// heard is since when nothing is heard.
func (h *health) heard() time.Time {
	if h.habit == nil {
		return h.last
	}
	return later(h.last, h.habit.from)
}

// assess weighs what is known of a sensor; the worst is what it is called.
func (s *sensor) assess(now time.Time) {
	s.judged = now
	h := &s.health
	verdict, since := perron.SensorOK, now
	if h.finished {
		verdict = perron.SensorFinished
	}
	if h.quiet {
		verdict, since = perron.SensorQuiet, h.heard()
	}
	if h.alone {
		verdict, since = perron.SensorStuckOff, h.heard()
	}
	if h.chatters {
		verdict, since = perron.SensorChatter, h.window
	}
	if f := &h.flicker; f.chatters {
		verdict, since = perron.SensorChatter, f.since
	}
	for _, in := range s.inputs {
		if f := &in.flicker; f.chatters {
			verdict, since = perron.SensorChatter, f.since
		}
	}
	if on := h.flicker.on; s.shown == perron.On && len(s.inputs) == 0 && !on.IsZero() && now.Sub(on) >= DefaultStuckAfter {
		verdict, since = perron.SensorStuck, on
	}
	for _, in := range s.inputs {
		if in.active && now.Sub(in.since) >= s.StuckAfter {
			verdict, since = perron.SensorStuck, in.since
		}
	}
	for _, in := range s.inputs {
		if in.faulty {
			verdict, since = perron.SensorFault, now
		}
	}
	if h.told != "" && h.told != perron.SensorOK {
		verdict, since = h.told, now
	}
	if verdict == h.now {
		return
	}
	if from := h.now; from != "" && len(h.changes) < maxChanges {
		h.changes = append(h.changes, Change{s.ID, from, verdict, since.Round(0).UTC(), now.Round(0).UTC()})
	}
	h.now, h.since = verdict, since
}

// maxChanges bounds what nobody asks for.
const maxChanges = 1000

func (h *health) status(id string) perron.SensorStatus {
	st := perron.SensorStatus{Sensor: id, Health: h.now, Last: h.last, Events: h.events, Gaps: h.gaps}
	if st.Health == "" {
		st.Health = perron.SensorOK
	}
	if !h.since.IsZero() {
		st.Since = h.since
	}
	return st
}

func (in *input) noise(at time.Time) {
	for _, u := range in.users {
		u.sensor.health.noise(at)
	}
}

func (in *input) fault(at time.Time, faulty bool) {
	if in.faulty == faulty {
		return
	}
	in.faulty = faulty
	for _, u := range in.users {
		u.sensor.assess(at)
	}
}

// Fault notes that an input cannot be read. It is over with its next edge.
func (m *Machine) Fault(id string, at time.Time) {
	if in := m.byID[id]; in != nil {
		in.fault(at, true)
	}
}

// Expect adds a sensor that is not configured, because its events come
// ready-made.
func (m *Machine) Expect(id string) { m.expect(id) }

func (m *Machine) expect(id string) *sensor {
	s := m.byName[id]
	if s == nil {
		s = &sensor{Sensor: Sensor{ID: id}}
		m.keep(s)
	}
	return s
}

// keep adds a sensor.
func (m *Machine) keep(s *sensor) {
	if len(m.sensors) < maxHabits {
		s.health.habit = &habit{}
	}
	m.sensors = append(m.sensors, s)
	m.byName[s.ID] = s
}

// Report notes what is known of a sensor whose events come ready-made: its
// health, and the gaps in what it counted, which are the machine's from then on.
func (m *Machine) Report(id string, health perron.SensorHealth, gaps []perron.CounterGap, now time.Time) {
	s := m.expect(id)
	s.health.told, s.health.gaps = health, gaps
	s.assess(now)
}

// A course is the time of ready-made events. A recording's is its own: it goes
// on as ours does from the newest event on, or as its events do, so that a
// replay of last year is judged as if it were then.
type course struct {
	newest time.Time // zero before the first event
	at     time.Time // when it came, by our clock
	mixed  bool      // events do not come in the order of their times
	ended  bool
}

// disorder is how far behind the newest event another may be. From then on
// nobody can say what has not happened.
const disorder = 10 * time.Minute

// now is the time of the course at a time of ours.
func (c *course) now(now time.Time) time.Time {
	if c.ended || c.newest.IsZero() {
		return c.newest
	}
	return c.newest.Add(max(now.Sub(c.at), 0))
}

// Observe notes events that reached the gateway ready-made. A sensor that was
// not heard of before is added.
func (m *Machine) Observe(events []perron.Event, now time.Time) {
	c := &m.course
	for _, e := range events {
		s := m.expect(e.Sensor)
		switch {
		case c.newest.IsZero() || e.Time.After(c.newest):
			m.pause(e.Time)
			c.newest, c.at = e.Time, now
		case !c.mixed && c.newest.Sub(e.Time) > disorder:
			m.mix()
		}
		if !e.Kind.Passage() {
			s.shown = e.Kind
			if !c.mixed {
				s.health.flicker.change(e.Kind == perron.On, e.Time)
			}
		}
		s.health.event(e)
		m.beside(s, e)
		if !c.mixed {
			s.assess(c.newest)
		}
	}
}

// mix gives up to judge ready-made events by their times.
func (m *Machine) mix() {
	m.course.mixed = true
	for _, s := range m.sensors {
		if h := &s.health; len(s.inputs) == 0 {
			h.alone, h.quiet, h.chatters, h.flicker = false, false, false, flicker{}
			s.assess(m.course.newest)
		}
	}
}

// pause lets the time of ready-made events go by until the next of them, as if
// it had been waited for.
func (m *Machine) pause(until time.Time) {
	c := &m.course
	if c.newest.IsZero() || c.mixed {
		return
	}
	// Steps are from a fixed time on, so that few events do not make many.
	for at := c.newest.Truncate(lookEvery).Add(lookEvery); !at.After(until); at = at.Add(lookEvery) {
		if until.Sub(at) > 31*24*time.Hour {
			at = until.Add(-31 * 24 * time.Hour).Truncate(lookEvery)
		}
		m.review(at)
	}
}

// review judges the sensors that have ready-made events, at a time of theirs.
func (m *Machine) review(at time.Time) {
	for _, s := range m.sensors {
		if len(s.inputs) > 0 {
			continue
		}
		s.health.tick(at)
		s.health.review(at)
		s.assess(at)
	}
}

// beside lets the others know of a passage. What a disturbed sensor says does
// not tell what the traffic does, nor what comes twice in a moment.
func (m *Machine) beside(s *sensor, e perron.Event) {
	if !e.Kind.Passage() || s.health.now == perron.SensorChatter {
		return
	}
	if since := e.Time.Sub(s.beside); since >= 0 && since < 500*time.Millisecond {
		return
	}
	s.beside = e.Time
	at := hour(e.Time)
	for _, o := range m.sensors {
		switch h := o.health.habit; {
		case h == nil:
		case o == s:
			h.passage(e.Time, at)
		default:
			h.beside(at)
		}
	}
}

// Finish notes that the source has come to its end.
func (m *Machine) Finish(now time.Time) {
	m.course.ended = true
	for _, s := range m.sensors {
		s.health.finished = true
		if at := m.course.newest; len(s.inputs) == 0 && !at.IsZero() {
			now = at
		}
		s.assess(now)
	}
}

// A Change is a sensor whose health has become another.
type Change struct {
	Sensor   string
	From, To perron.SensorHealth
	// Since is when it began, and At when it was noticed, by the clock of the
	// sensor's events.
	Since, At time.Time
}

// Changes returns what has changed since it was last called.
func (m *Machine) Changes() []Change {
	var all []Change
	for _, s := range m.sensors {
		all = append(all, s.health.changes...)
		s.health.changes = s.health.changes[:0]
	}
	return all
}
