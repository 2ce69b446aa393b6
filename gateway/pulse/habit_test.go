package pulse

import (
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// contacts is a machine with an entry and an exit that count.
func contacts(t *testing.T) *Machine {
	t.Helper()
	m, err := New([]Input{{ID: "a"}, {ID: "b"}}, []Sensor{
		{ID: "main-in", Type: Pulse, Inputs: []string{"a"}, Direction: perron.In},
		{ID: "main-out", Type: Pulse, Inputs: []string{"b"}, Direction: perron.Out},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// until lets time go by as a gateway does: it wakes the machine when it asks for
// it.
func until(t *testing.T, m *Machine, from, to time.Time) {
	t.Helper()
	m.Advance(from)
	for n := 0; ; n++ {
		at, ok := m.Deadline()
		if !ok || at.After(to) {
			m.Advance(to)
			return
		}
		if at.Before(from) || n > 100_000 {
			t.Fatalf("at %s there is a deadline at %s", from, at)
		}
		from = at
		m.Advance(at)
	}
}

func pulseAt(t *testing.T, m *Machine, input string, at time.Time) {
	t.Helper()
	for i, active := range []bool{true, false} {
		if _, err := m.Edge(Edge{Input: input, Time: at.Add(time.Duration(i) * 300 * time.Millisecond), Active: active}); err != nil {
			t.Fatal(err)
		}
	}
}

// visits lets twelve vehicles an hour in and out from nine to five.
func visits(t *testing.T, m *Machine, day perron.Date, inputs string) {
	t.Helper()
	last := day.At(9 * 60)
	for at := last; at.Before(day.At(17 * 60)); at = at.Add(5 * time.Minute) {
		until(t, m, last, at)
		for i, input := range inputs {
			if input != '-' {
				pulseAt(t, m, string(input), at.Add(time.Duration(i)*time.Second))
			}
		}
		last = at.Add(10 * time.Second)
	}
	until(t, m, last, day.AddDays(1).At(9*60))
}

func TestSilence(t *testing.T) {
	m := contacts(t)
	health := func(i int) perron.SensorStatus { return m.Sensors()[i] }
	sound := func(what string) {
		t.Helper()
		for i := range 2 {
			if st := health(i); st.Health != perron.SensorOK {
				t.Fatalf("%s: %+v", what, st)
			}
		}
		if all := m.Changes(); len(all) > 0 {
			t.Fatalf("%s: %+v", what, all)
		}
	}
	// 5 October 2026 is a Monday. Nobody comes on Sundays.
	day := perron.Date{Year: 2026, Month: time.October, Day: 5}
	week := func() {
		for ; day.Weekday() != time.Sunday; day = day.AddDays(1) {
			visits(t, m, day, "ab")
		}
		until(t, m, day.At(9*60), day.AddDays(1).At(9*60))
		day = day.AddDays(1)
	}
	week()
	week()
	sound("two weeks as any other")
	week()
	sound("the third week, with a habit")

	saved, err := m.Habits()
	if err != nil {
		t.Fatal(err)
	}
	visits(t, m, day, "--")
	for i := range 2 {
		if st := health(i); st.Health != perron.SensorQuiet || st.Since.After(day.At(9*60)) {
			t.Errorf("nobody on a Monday: %+v", st)
		}
	}
	for _, c := range m.Changes() {
		// Twelve an hour are expected from nine on, and one was on Saturday evening.
		if c.To != perron.SensorQuiet || c.At.Before(day.At(10*60+30)) || c.At.After(day.At(10*60+45)) {
			t.Errorf("nobody on a Monday: %+v", c)
		}
	}

	// A device that is started anew, with an exit that is dead.
	m = contacts(t)
	if err := m.Recall(saved); err != nil {
		t.Fatal(err)
	}
	visits(t, m, day, "a-")
	if st := health(1); st.Health != perron.SensorStuckOff {
		t.Errorf("only entries: %+v", st)
	}
	if st := health(0); st.Health != perron.SensorOK {
		t.Errorf("only entries: %+v", st)
	}
	// One stray pulse does not mend it, three do.
	at := day.AddDays(1).At(9 * 60)
	for n, want := range []perron.SensorHealth{perron.SensorStuckOff, perron.SensorStuckOff, perron.SensorOK} {
		pulseAt(t, m, "b", at.Add(time.Duration(n)*time.Minute))
		if st := health(1); st.Health != want {
			t.Errorf("after %d pulses: %+v", n+1, st)
		}
	}

	// Christmas is on a Friday: nobody is missed.
	m = contacts(t)
	if err := m.Recall(saved); err != nil {
		t.Fatal(err)
	}
	visits(t, m, perron.Date{Year: 2026, Month: time.December, Day: 25}, "--")
	sound("Christmas")
	visits(t, m, perron.Date{Year: 2027, Month: time.January, Day: 8}, "--")
	if st := health(0); st.Health != perron.SensorQuiet {
		t.Errorf("a Friday like any other: %+v", st)
	}
}

func TestFlicker(t *testing.T) {
	m, err := New([]Input{{ID: "c"}}, []Sensor{{ID: "queue-1", Type: Presence, Inputs: []string{"c"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := start
	step := func(active bool, d time.Duration) {
		if _, err := m.Edge(Edge{Input: "c", Time: at, Active: active}); err != nil {
			t.Fatal(err)
		}
		at = at.Add(d)
	}
	for range 40 {
		step(true, 4*time.Second)
		step(false, 5*time.Second)
	}
	if st := m.Sensors()[0]; st.Health != perron.SensorOK {
		t.Fatalf("vehicles: %+v", st)
	}
	broken := at
	for range 10 { // each vehicle breaks off once
		step(true, 2*time.Second)
		step(false, 100*time.Millisecond)
		step(true, 2*time.Second)
		step(false, 5*time.Second)
	}
	if st := m.Sensors()[0]; st.Health != perron.SensorChatter || st.Since.Before(broken) || st.Since.After(broken.Add(30*time.Second)) {
		t.Errorf("a loop that breaks off: %+v", st)
	}
	for range 60 {
		step(true, 4*time.Second)
		step(false, 5*time.Second)
	}
	if st := m.Sensors()[0]; st.Health != perron.SensorOK {
		t.Errorf("mended: %+v", st)
	}
}

func TestRecallRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                             "unexpected end",
		`{"a":{"hours":[[1,2,3,4,5]]}}`: "5 weeks of a",
		`{"a":{"shares":[{"own":1,"traffic":-1}]}}`: "the share of a is 1 of -1",
		`{"a":{"pause":1e300}}`:                     "the longest pause of a",
		`{"a":{"hours":[[70000]]}}`:                 "cannot unmarshal",
		`{"a":{"since":"yesterday"}}`:               "read habits",
	} {
		if err := contacts(t).Recall([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Whatever was in the file, the machine works.
func FuzzRecall(f *testing.F) {
	f.Add([]byte(`{"main-in":{"hours":[[1,2],[3]],"shares":[{"own":40,"traffic":200}],"pause":3,"since":"2026-10-05T10:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := contacts(t)
		if m.Recall(b) != nil {
			return
		}
		pulseAt(t, m, "a", start)
		m.Advance(start.Add(time.Hour))
		again, err := m.Habits()
		if err != nil {
			t.Fatal(err)
		}
		if err := contacts(t).Recall(again); err != nil {
			t.Fatalf("%v: %s", err, again)
		}
	})
}
