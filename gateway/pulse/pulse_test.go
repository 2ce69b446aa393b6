package pulse

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// play runs a script against a machine: "A+" and "A-" are edges half a second
// apart, "A=+" is a level that was read, and "30s" lets that much more time go
// by. It returns "kind@seconds" for each event.
func play(t *testing.T, m *Machine, script string) string {
	t.Helper()
	var got []string
	note := func(events []perron.Event) {
		for _, e := range events {
			got = append(got, fmt.Sprintf("%s@%g", e.Kind, e.Time.Sub(start).Seconds()))
		}
	}
	now := start
	for _, word := range strings.Fields(script) {
		if d, err := time.ParseDuration(word); err == nil {
			now = now.Add(d)
			note(m.Advance(now))
			continue
		}
		now = now.Add(500 * time.Millisecond)
		events, err := m.Edge(Edge{
			Input: strings.ToLower(word[:1]), Time: now,
			Active: strings.HasSuffix(word, "+"), Known: strings.Contains(word, "="),
		})
		if err != nil {
			t.Fatal(err)
		}
		note(events)
	}
	return strings.Join(got, " ")
}

func lane(t *testing.T, s Sensor) *Machine {
	t.Helper()
	s.ID, s.Type, s.Inputs, s.Direction = "lane-1", Pairs, []string{"a", "b"}, perron.In
	m, err := New([]Input{{ID: "a"}, {ID: "b"}}, []Sensor{s})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The cases of a lane with two loops. Steps are half a second apart, MaxGap is
// three seconds.
func TestPair(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"A-B: onto the site", "A+ B+ A- B-", "in@2"},
		{"B-A: off the site", "B+ A+ B- A-", "out@2"},
		{"loops farther apart than the vehicle is long", "A+ A- B+ B-", "in@2"},
		{"far apart, too slow to be one vehicle", "A+ A- 4s B+ B- 4s", ""},
		{"back-out from the first loop", "A+ A- 4s", ""},
		{"back-out from both loops", "A+ B+ B- A- 4s", ""},
		{"back-out, then another drives out at once", "A+ B+ B- A- B+ A+ B- A-", "out@4"},
		{"hesitates on both loops, then goes on", "A+ B+ B- B+ A- B-", "in@3"},
		{"hesitates past the first loop, then goes on", "A+ B+ A- A+ A- B-", "in@3"},
		{"reverses after it has left the first loop", "A+ B+ A- A+ B- A- 4s", ""},
		{"tailgating: two vehicles, one behind the other", "A+ B+ A- A+ B- B+ A- B-", "in@2.5 in@4"},
		{"tailgating: the second waits on the first loop", "A+ B+ A- A+ B- 60s B+ A- B-", "in@2.5 in@64"},
		{"tailgating: three vehicles", "A+ B+ A- A+ B- B+ A- A+ B- B+ A- B-", "in@2.5 in@4.5 in@6"},
		{"tailgating, loops far apart", "A+ A- B+ A+ B- A- B+ B-", "in@2.5 in@4"},
		{"tailgating out", "B+ A+ B- B+ A- A+ B- A-", "out@2.5 out@4"},
		{"one in, then one out", "A+ B+ A- B- B+ A+ B- A-", "in@2 out@4"},
		{"A stuck: B counts alone, and A is trusted again when it is free", "A+ 31m B+ B- B+ B- A- A+ B+ A- B-", "in@1861.5 in@1862.5 in@1865"},
		{"B stuck: A counts alone", "B+ 31m A+ A-", "in@1861.5"},
		{"both stuck: nothing is counted", "A+ B+ 31m B- A- A+ B+ A- B-", "in@1864"},
		{"standing on both loops in the queue is not stuck before its limit", "A+ B+ 29m A- B-", "in@1742"},
		{"a vehicle stands there at the start", "A=+ B=- B+ A- B- A+ B+ A- B-", "in@4.5"},
		{"an edge was lost, the levels are read again", "A+ B+ A=- B=- A+ B+ A- B-", "in@4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := lane(t, Sensor{})
			got := play(t, m, c.script)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s (-want +got)\n%s", c.script, d)
			}
		})
	}
}

func TestPairMergesTrailer(t *testing.T) {
	m := lane(t, Sensor{MinHeadway: 2 * time.Second})
	// The gap before the trailer looks like tailgating, but it comes too soon.
	if got, want := play(t, m, "A+ B+ A- A+ B- B+ A- B- 5s A+ B+ A- B-"), "in@2.5 in@11"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever the loops do, a lane ends up free when they do, and the next vehicle
// is counted.
func TestPairRecovers(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := lane(t, Sensor{})
		var script []string
		for range 1 + r.IntN(60) {
			script = append(script, []string{"A+", "A-", "B+", "B-", "1s", "4s", "31m"}[r.IntN(7)])
		}
		script = append(script, "A-", "B-", "10s")
		play(t, m, strings.Join(script, " "))
		if got := play(t, m, "2h A+ B+ A- B-"); got != "in@7202" {
			t.Fatalf("seed %d: after %v: %q", seed, script, got)
		}
	}
}

func TestPulse(t *testing.T) {
	const ms = time.Millisecond
	type edge struct {
		at     time.Duration
		active bool
	}
	for _, c := range []struct {
		name  string
		edges []edge
		want  []time.Duration // of the passages
	}{
		{"one pulse", []edge{{0, true}, {300 * ms, false}}, []time.Duration{0}},
		{"contact bounce on closing and opening", []edge{
			{0, true},
			{2 * ms, false},
			{3 * ms, true},
			{5 * ms, false},
			{6 * ms, true},
			{300 * ms, false},
			{302 * ms, true},
			{304 * ms, false},
		}, []time.Duration{6 * ms}},
		{"a spike that does not last", []edge{{0, true}, {4 * ms, false}}, nil},
		{"a pulse exactly as long as the debounce time", []edge{{0, true}, {10 * ms, false}}, []time.Duration{0}},
		{"sooner than the headway", []edge{{0, true}, {200 * ms, false}, {600 * ms, true}, {700 * ms, false}}, []time.Duration{0}},
		{"at the headway", []edge{{0, true}, {200 * ms, false}, {800 * ms, true}, {900 * ms, false}}, []time.Duration{0, 800 * ms}},
		{"the headway counts from the last vehicle counted", []edge{
			{0, true}, {100 * ms, false}, {500 * ms, true}, {600 * ms, false}, {900 * ms, true}, {1000 * ms, false},
		}, []time.Duration{0, 900 * ms}},
		{"an edge that repeats the level", []edge{{0, true}, {50 * ms, true}, {300 * ms, false}, {400 * ms, false}}, []time.Duration{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New([]Input{{ID: "a", Debounce: 10 * ms}},
				[]Sensor{{ID: "main-in", Type: Pulse, Inputs: []string{"a"}, Direction: perron.In, MinHeadway: 800 * ms}})
			if err != nil {
				t.Fatal(err)
			}
			var got []time.Duration
			note := func(events []perron.Event) {
				for _, e := range events {
					if e.Kind != perron.In || e.Sensor != "main-in" {
						t.Errorf("got %v", e)
					}
					got = append(got, e.Time.Sub(start))
				}
			}
			for _, e := range c.edges {
				events, err := m.Edge(Edge{Input: "a", Time: start.Add(e.at), Active: e.active})
				if err != nil {
					t.Fatal(err)
				}
				note(events)
			}
			note(m.Advance(start.Add(time.Minute)))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("passages (-want +got)\n%s", d)
			}
		})
	}
}

func TestPresenceAndHealth(t *testing.T) {
	m, err := New([]Input{{ID: "c", Debounce: 10 * time.Millisecond}},
		[]Sensor{{ID: "queue-2", Type: Presence, Inputs: []string{"c"}, StuckAfter: 30 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	health := func() perron.SensorHealth { return m.Sensors()[0].Health }
	if got, want := play(t, m, "C=- C+ 1s C- 1s C+"), "off@0.5 on@1 off@2.5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	at, ok := m.Deadline()
	if want := start.Add(4*time.Second + 10*time.Millisecond); !ok || !at.Equal(want) {
		t.Errorf("deadline of the debounce: %v %v, want %v", at, ok, want)
	}
	if health() != perron.SensorOK || m.Sensors()[0].Active {
		t.Errorf("before the debounce time: %+v", m.Sensors()[0])
	}
	m.Advance(start.Add(10 * time.Second))
	at, ok = m.Deadline()
	if want := start.Add(4*time.Second + 30*time.Minute); !ok || !at.Equal(want) {
		t.Errorf("deadline of stuck: %v %v, want %v", at, ok, want)
	}
	m.Advance(at)
	if st := m.Sensors()[0]; st.Health != perron.SensorStuck || !st.Since.Equal(at.Add(-30*time.Minute)) || !st.Active {
		t.Errorf("after half an hour: %+v", st)
	}
	if at, ok := m.Deadline(); ok {
		t.Errorf("a deadline is left when all is done: %v", at)
	}
	m.Fault("c", at)
	if health() != perron.SensorFault {
		t.Errorf("input cannot be read: %s", health())
	}
	if at, ok := m.Deadline(); ok {
		t.Errorf("a faulty stuck sensor has a deadline: %v", at)
	}
	if _, err := m.Edge(Edge{Input: "c", Time: at.Add(time.Second), Active: false}); err != nil {
		t.Fatal(err)
	}
	m.Advance(at.Add(2 * time.Second))
	if health() != perron.SensorOK {
		t.Errorf("free again: %s", health())
	}
}

func TestChatter(t *testing.T) {
	m, err := New([]Input{{ID: "a", Debounce: 10 * time.Millisecond}},
		[]Sensor{{ID: "main-in", Type: Pulse, Inputs: []string{"a"}, Direction: perron.In}})
	if err != nil {
		t.Fatal(err)
	}
	now := start
	for range 100 {
		for _, active := range []bool{true, false} {
			now = now.Add(5 * time.Millisecond)
			if events, err := m.Edge(Edge{Input: "a", Time: now, Active: active}); err != nil || len(events) > 0 {
				t.Fatalf("spikes became %v, %v", events, err)
			}
		}
	}
	m.Advance(now.Add(time.Second))
	if st := m.Sensors()[0]; st.Health != perron.SensorChatter {
		t.Fatalf("after 100 spikes within a second: %+v", st)
	}
	for range 2 { // a whole window has to go by in peace
		at, ok := m.Deadline()
		if !ok {
			t.Fatal("no deadline to look again")
		}
		m.Advance(at)
	}
	if st := m.Sensors()[0]; st.Health != perron.SensorOK {
		t.Errorf("after a quiet minute: %+v", st)
	}
}

func TestClockSetBack(t *testing.T) {
	m, err := New([]Input{{ID: "a", Debounce: 10 * time.Millisecond}},
		[]Sensor{{ID: "main-in", Type: Pulse, Inputs: []string{"a"}, Direction: perron.In, MinHeadway: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	edge := func(at time.Time, active bool) {
		events, err := m.Edge(Edge{Input: "a", Time: at, Active: active})
		if err != nil {
			t.Fatal(err)
		}
		n += len(events)
	}
	edge(start, true)
	back := start.Add(-time.Hour)
	n += len(m.Advance(back.Add(20 * time.Millisecond)))
	edge(back.Add(time.Second), false)
	edge(back.Add(3*time.Second), true)
	n += len(m.Advance(back.Add(4 * time.Second)))
	if n != 2 {
		t.Errorf("%d passages of 2 around a clock that was set back", n)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New([]Input{{ID: "a"}, {ID: "a"}}, []Sensor{
		{ID: "Main", Type: Pulse, Inputs: []string{"a"}, Direction: perron.In},
		{ID: "one", Type: Pairs, Inputs: []string{"a"}, Direction: perron.In},
		{ID: "same", Type: Pairs, Inputs: []string{"a", "a"}, Direction: perron.In},
		{ID: "none", Type: Pulse, Inputs: []string{"z"}, Direction: perron.In},
		{ID: "way", Type: Pulse, Inputs: []string{"a"}, Direction: perron.On},
		{ID: "type", Type: "magic", Inputs: []string{"a"}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"a" is there twice`, `"Main"`, `"one": 1 inputs`, `"same": input "a" is used for both`, `"z" is not configured`, `direction "on"`, `type "magic"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in\n%v", want, err)
		}
	}
	if m := lane(t, Sensor{}); m != nil {
		if _, err := m.Edge(Edge{Input: "x"}); err == nil {
			t.Error("an edge of an unknown input was taken")
		}
	}
}
