package pulse

import (
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
}

func (h *health) event(e perron.Event) {
	h.events++
	h.passes++
	if e.Time.After(h.last) {
		h.last = e.Time
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

// judge weighs what is known of a sensor; the worst is what it is called.
func (s *sensor) judge(now time.Time) {
	s.judged = now
	verdict := perron.SensorOK
	if s.health.finished {
		verdict = perron.SensorFinished
	}
	if s.health.chatters {
		verdict = perron.SensorChatter
	}
	for _, in := range s.inputs {
		if in.active && now.Sub(in.since) >= s.StuckAfter {
			verdict = perron.SensorStuck
		}
	}
	for _, in := range s.inputs {
		if in.faulty {
			verdict = perron.SensorFault
		}
	}
	if s.health.told != "" && s.health.told != perron.SensorOK {
		verdict = s.health.told
	}
	if verdict != s.health.now {
		s.health.now, s.health.since = verdict, now
	}
}

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
		u.sensor.judge(at)
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
func (m *Machine) Expect(id string, now time.Time) { m.expect(id, now) }

func (m *Machine) expect(id string, now time.Time) *sensor {
	s := m.byName[id]
	if s == nil {
		s = &sensor{Sensor: Sensor{ID: id}}
		m.sensors = append(m.sensors, s)
		m.byName[id] = s
		s.judge(now)
	}
	return s
}

// Report notes what is known of a sensor whose events come ready-made: its
// health, and the gaps in what it counted, which are the machine's from then on.
func (m *Machine) Report(id string, health perron.SensorHealth, gaps []perron.CounterGap, now time.Time) {
	s := m.expect(id, now)
	s.health.told, s.health.gaps = health, gaps
	s.judge(now)
}

// Observe notes events that reached the gateway ready-made. A sensor that was
// not heard of before is added.
func (m *Machine) Observe(events []perron.Event, now time.Time) {
	for _, e := range events {
		s := m.expect(e.Sensor, now)
		if !e.Kind.Passage() {
			s.shown = e.Kind
		}
		s.health.event(e)
	}
}

// Finish notes that the source has come to its end.
func (m *Machine) Finish(now time.Time) {
	for _, s := range m.sensors {
		s.health.finished = true
		s.judge(now)
	}
}
