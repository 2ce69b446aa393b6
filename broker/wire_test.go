package broker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

var noon = time.Date(2026, 5, 30, 10, 0, 0, 123456789, time.UTC)

func someEvents(n int) Events {
	m := Events{Epoch: "01J0000000000000000000000A", Floor: 7, First: 17}
	for i := range n {
		kind := perron.In
		if i%3 == 1 {
			kind = perron.Out
		}
		m.Events = append(m.Events, perron.Event{
			Time: noon.Add(time.Duration(i) * 1234567 * time.Microsecond), Sensor: "main-in", Kind: kind,
		})
	}
	return m
}

func TestTopics(t *testing.T) {
	for _, want := range []string{
		EventsTopic("poort", "pi-1"), AckTopic("poort", "pi-1"), StatusTopic("poort", "pi-1"),
		BusynessTopic("poort"), ForecastTopic("poort"), ActionsTopic("poort"),
	} {
		topic, err := ParseTopic(want)
		if err != nil {
			t.Errorf("%s: %v", want, err)
		} else if got := topic.String(); got != want {
			t.Errorf("%s parses and prints as %s", want, got)
		}
	}
	for _, bad := range []string{
		"", "perron/v1/", "perron/v2/poort/pi-1/events", "perron/v1/poort/events", "perron/v1/poort/pi-1/busyness",
		"perron/v1/+/pi-1/events", "perron/v1/poort/#/events", "perron/v1/Poort/pi-1/events", "perron/v1/poort/pi-1/events/x",
		"perron/v1//busyness", "perron/v1/" + strings.Repeat("a", 33) + "/busyness", "$SYS/broker",
	} {
		if topic, err := ParseTopic(bad); err == nil {
			t.Errorf("%q parses as %+v", bad, topic)
		}
	}
}

func TestEventsRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, MaxEvents} {
		want := someEvents(n)
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvents(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Events == nil || len(got.Events) != n {
			t.Fatalf("%d events, want %d", len(got.Events), n)
		}
		if n > 0 {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a batch of %d changes on the wire (-want +got):\n%s", n, diff)
			}
		}
	}
}

func TestEventsWireFormat(t *testing.T) {
	m := Events{Epoch: "e1", Floor: 1, First: 17, Events: []perron.Event{
		{Time: time.Date(2026, 5, 30, 12, 0, 0, 500, time.FixedZone("", 7200)), Sensor: "main-in", Kind: perron.In},
		{Time: noon, Sensor: "lus-1", Kind: perron.On},
	}}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"epoch":"e1","floor":1,"first":17,"events":[` +
		`{"t":"2026-05-30T10:00:00.0000005Z","s":"main-in","k":"in"},` +
		`{"t":"2026-05-30T10:00:00.123456789Z","s":"lus-1","k":"on"}]}`
	if string(b) != want {
		t.Errorf("on the wire:\n%s\nwant:\n%s", b, want)
	}
}

func TestEventsRefused(t *testing.T) {
	body := func(s string) string { return `{"v":1,"epoch":"e","floor":1,"first":1,"events":[` + s + `]}` }
	for _, c := range []struct{ in, field, value string }{
		{`{"v":2,"epoch":"e","floor":1,"first":1,"events":[]}`, "v", "2"},
		{`{"v":2,"epoch":{"new":"form"},"events":7}`, "v", "2"},
		{`{"epoch":"e","floor":1,"first":1,"events":[]}`, "v", "0"},
		{`{"v":1,"epoch":"","floor":1,"first":1,"events":[]}`, "epoch", ""},
		{`{"v":1,"epoch":"a\"b","floor":1,"first":1,"events":[]}`, "epoch", `a"b`},
		{`{"v":1,"epoch":"e","floor":1,"first":0,"events":[]}`, "first", "0"},
		{`{"v":1,"epoch":"e","floor":1,"first":18446744073709551615,"events":[]}`, "first", "18446744073709551615"},
		{`{"v":1,"epoch":"e","floor":3,"first":2,"events":[]}`, "floor", "3"},
		{`{"v":1,"epoch":"e","floor":1,"first":-1,"events":[]}`, "first", "number -1"},
		{body(`{"t":"yesterday","s":"a","k":"in"}`), "events[0].t", "yesterday"},
		{body(`{"t":"2026-05-30T10:00:00Z","s":"a","k":"in"},{"t":"2026-05-30T10:00:00Z","s":"a","k":"inn"}`), "events[1].k", "inn"},
		{body(`{"t":"2026-05-30T10:00:00Z","s":"a b","k":"in"}`), "events[0].s", "a b"},
	} {
		_, err := DecodeEvents([]byte(c.in))
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: error %v, want one that names field and value", c.in, err)
			continue
		}
		if invalid.Field != c.field || invalid.Value != c.value {
			t.Errorf("%s: blames %s=%q, want %s=%q", c.in, invalid.Field, invalid.Value, c.field, c.value)
		}
	}
	for _, in := range []string{"", "null", "[]", "{", `{"v":1}x`, string(make([]byte, MaxMessage+1))} {
		if _, err := DecodeEvents([]byte(in)); err == nil {
			t.Errorf("%.20q is accepted", in)
		}
	}
	over := someEvents(MaxEvents + 1)
	if _, err := over.Encode(); err == nil {
		t.Error("a batch above the limit is sent")
	}
}

func TestUnknownFieldsAreTolerated(t *testing.T) {
	in := `{"v":1,"x":[1],"epoch":"e","floor":1,"first":1,"events":[{"t":"2026-05-30T10:00:00Z","s":"a","k":"in","axles":2}]}`
	if _, err := DecodeEvents([]byte(in)); err != nil {
		t.Error(err)
	}
}

func TestStatesRoundTrip(t *testing.T) {
	synced := true
	status := perron.GatewayStatus{
		Site: "poort", Gateway: "pi-1", At: noon, Online: true, Version: "1.2", Epoch: "e", Waiting: 3, OldestWaiting: noon,
		ClockSynced: &synced, Sensors: []perron.SensorStatus{{Sensor: "main-in", Health: perron.SensorOK, Last: noon, Events: 9, Gaps: []perron.CounterGap{{Kind: "reset", From: noon, To: noon, Counted: 3, Missed: true}}}},
	}
	check(t, status, EncodeStatus, DecodeStatus)
	check(t, perron.Busyness{
		Site: "poort", Estimate: perron.Estimate{At: noon, Wait: perron.Interval{Low: 1, Mid: 2, High: 3}, EntryRate: 1.5},
		MeasuredAt: noon, StaleAt: noon.Add(time.Minute), Quality: perron.Measured, Level: perron.Busy, Band: perron.BandOf(12),
		Trend: perron.Rising, TypicalLevel: perron.Unknown, Closure: &perron.Closure{Since: noon, Reason: map[string]string{"nl": "storing"}},
		Gates: []perron.GateCount{{Gate: "main", InToday: 3}}, Doubts: []perron.Doubt{{Kind: perron.DoubtLost, Count: 3}},
	}, EncodeBusyness, DecodeBusyness)
	check(t, perron.Forecast{
		Site: "poort", Origin: noon, Weeks: 8,
		Quarters: []perron.Slot{{Start: noon, Minutes: 15, Open: true, Level: perron.Quiet, Basis: perron.Expected}},
		Best:     []perron.Moment{{Start: noon, End: noon.Add(time.Hour)}},
	}, EncodeForecast, DecodeForecast)
	check(t, perron.Action{ID: "01J", Site: "poort", At: noon, By: "jan", Kind: perron.Recount, Vehicles: 4}, EncodeAction, DecodeAction)
	check(t, Ack{Epoch: "e", Acked: 17}, Ack.Encode, DecodeAck)
}

func check[T any](t *testing.T, want T, encode func(T) ([]byte, error), decode func([]byte) (T, error)) {
	t.Helper()
	b, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), `{"v":1,`) {
		t.Errorf("%T without its version: %.30s", want, b)
	}
	got, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%T changes on the wire (-want +got):\n%s", want, diff)
	}
	if _, err := decode([]byte(strings.Replace(string(b), `"v":1`, `"v":7`, 1))); err == nil {
		t.Errorf("%T of version 7 is accepted", want)
	}
}

// FuzzDecode holds for every decoder: it does not panic, and what it accepts
// can be sent on and means the same.
func FuzzDecode(f *testing.F) {
	b, err := someEvents(3).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, s := range []string{
		`{"v":1,"epoch":"e","acked":9}`,
		`{"v":1,"site":"poort","gateway":"pi-1","at":"2026-05-30T10:00:00Z","online":true,"waiting":1,"sensors":[{"sensor":"a","health":"ok"}]}`,
		`{"v":1,"site":"poort","at":"2026-05-30T10:00:00Z","onSite":{"low":1,"mid":2,"high":3},"level":"quiet","quality":"measured","trend":"steady","typicalLevel":"unknown","notice":{"id":"1","at":"2026-05-30T10:00:00Z","text":{"nl":"x"}}}`,
		`{"v":1,"site":"poort","origin":"2026-05-30T10:00:00Z","quarters":[{"start":"2026-05-30T10:00:00Z","minutes":15,"level":"quiet"}]}`,
		`{"v":1,"id":"x","site":"poort","at":"2026-05-30T10:00:00Z","kind":"close","text":{"nl":"x"}}`,
		`{"v":1e0}`, `{"V":1,"v":2}`, `null`, "{\"v\":1,\"epoch\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, b, DecodeEvents, Events.Encode)
		again(t, b, DecodeAck, Ack.Encode)
		again(t, b, DecodeStatus, EncodeStatus)
		again(t, b, DecodeBusyness, EncodeBusyness)
		again(t, b, DecodeForecast, EncodeForecast)
		again(t, b, DecodeAction, EncodeAction)
		if topic, err := ParseTopic(string(b)); err == nil && topic.String() != string(b) {
			t.Errorf("topic %q becomes %q", b, topic)
		}
	})
}

func again[T any](t *testing.T, b []byte, decode func([]byte) (T, error), encode func(T) ([]byte, error)) {
	t.Helper()
	m, err := decode(b)
	if err != nil {
		return
	}
	sent, err := encode(m)
	if err != nil {
		if len(b) > MaxMessage/8 { // our own form may be longer than the sender's
			return
		}
		t.Fatalf("%T is accepted but cannot be sent: %v", m, err)
	}
	back, err := decode(sent)
	if err != nil {
		t.Fatalf("%T is accepted, sent, and refused: %v\n%s", m, err, sent)
	}
	if a, b := fmt.Sprintf("%+v", m), fmt.Sprintf("%+v", back); len(a) != len(b) {
		t.Errorf("%T changes when sent on:\n%s\n%s", m, a, b)
	}
}

func BenchmarkDecodeEvents(b *testing.B) {
	wire, err := someEvents(MaxEvents).Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		if _, err := DecodeEvents(wire); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*MaxEvents/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkEncodeEvents(b *testing.B) {
	m := someEvents(MaxEvents)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Encode(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*MaxEvents/b.Elapsed().Seconds(), "events/s")
}
