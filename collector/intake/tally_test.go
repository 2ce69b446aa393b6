package intake

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

// saturday is a summer day at noon, civil time.
var saturday = time.Date(2026, 5, 30, 10, 0, 0, 0, time.UTC)

func pathTo(t *testing.T, s string) broker.Path {
	t.Helper()
	p, err := broker.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func esp() *Device {
	return &Device{Site: "poort", Gateway: "esp-1", Every: 30 * time.Second, Counters: []DeviceCounter{
		{Sensor: "main-in", Kind: perron.In},
		{Sensor: "main-out", Kind: perron.Out},
	}}
}

func lora(t *testing.T, delta bool) *Device {
	return &Device{
		Site: "poort", Gateway: "lora-1", Every: 10 * time.Minute, Network: "ns", ID: "a84041b2c3d4e5f6", Delta: delta, Bits: 16,
		Counters: []DeviceCounter{{Sensor: "main-in", Kind: perron.In, Path: pathTo(t, "n")}},
	}
}

func mainGate(string) string { return "main" }

// uplink is what ChirpStack would send.
func uplink(t *testing.T, session string, frame uint32, at time.Time, object string) broker.Uplink {
	t.Helper()
	u, err := broker.DecodeUplink(broker.ChirpStack, uplinkJSON(session, frame, at, object))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func uplinkJSON(session string, frame uint32, at time.Time, object string) []byte {
	return fmt.Appendf(nil, `{"time":%q,"deviceInfo":{"devEui":"A84041B2C3D4E5F6"},"devAddr":%q,"fCnt":%d,"object":%s,"txInfo":{}}`,
		at.Format(time.RFC3339Nano), session, frame, object)
}

// A hand takes messages into a tally as a teller does.
type hand struct {
	*testing.T
	*tally
	d      *Device
	stored map[string]uint64 // by sensor
	seq    uint64
	times  []time.Time
}

func take(t *testing.T, d *Device) *hand {
	return &hand{T: t, tally: newTally(saturday), d: d, stored: make(map[string]uint64), seq: 1}
}

func (h *hand) keep(next *tally) {
	h.Helper()
	data, err := next.encode()
	if err != nil {
		h.Fatal(err)
	}
	again, err := readTally(data)
	if err != nil {
		h.Fatal(err)
	}
	was, _ := next.batch("poort", h.d.Gateway, saturday)
	b, empty := again.batch("poort", h.d.Gateway, saturday)
	if !reflect.DeepEqual(was, b) {
		h.Fatalf("after a crash the batch is another (-want +got):\n%s", cmp.Diff(was, b))
	}
	h.tally = again
	if empty {
		return
	}
	if err := b.Validate(); err != nil {
		h.Fatal(err)
	}
	if b.First != h.seq || b.Floor != h.seq {
		h.Fatalf("the batch begins at %d with floor %d, want %d", b.First, b.Floor, h.seq)
	}
	h.seq += uint64(len(b.Entries))
	for _, e := range b.Entries {
		h.stored[e.Sensor]++
		h.times = append(h.times, e.Time)
	}
}

func (h *hand) says(at time.Time, boot string, up time.Duration, in, base uint64) verdict {
	h.Helper()
	return h.message(at, false, broker.Counters{Boot: boot, Up: up, At: at.Truncate(time.Second), Counters: map[string]broker.Counter{
		"main-in": {N: in, Base: base, Ago: -1}, "main-out": {Ago: -1},
	}})
}

func (h *hand) message(received time.Time, retained bool, m broker.Counters) verdict {
	h.Helper()
	next := h.clone()
	v := next.counters(h.d, mainGate, m, received, retained)
	if v == isNew {
		h.keep(next)
	}
	return v
}

func (h *hand) up(session string, frame uint32, at time.Time, n uint64) verdict {
	h.Helper()
	next := h.clone()
	v, err := next.uplink(h.d, mainGate, uplink(h.T, session, frame, at, fmt.Sprintf(`{"n":%d}`, n)), at)
	if err != nil {
		h.Fatal(err)
	}
	if v == isNew {
		h.keep(next)
	}
	return v
}

func (h *hand) noted() string {
	var out []string
	for _, n := range h.Notes {
		s := string(n.Kind)
		if n.Count > 0 {
			s += fmt.Sprint(" ", n.Count)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (h *hand) want(n uint64, notes string) {
	h.Helper()
	if got := h.stored["main-in"]; got != n || h.noted() != notes {
		h.Errorf("%d passages, doubts [%s]; want %d, [%s]", got, h.noted(), n, notes)
	}
}

func TestDeviceCounts(t *testing.T) {
	at := func(minutes float64) time.Time { return saturday.Add(time.Duration(minutes * float64(time.Minute))) }
	h := take(t, esp())
	h.says(at(0), "a", time.Hour, 40, 1000)
	h.want(0, "") // what it had counted before we knew it
	h.says(at(0.5), "a", time.Hour, 41, 1000)
	h.says(at(0.6), "a", time.Hour, 43, 1000)
	h.says(at(0.6), "a", time.Hour, 43, 1000) // twice
	h.want(3, "")
	if v := h.says(at(0.7), "a", time.Hour, 42, 1000); v != isLate {
		t.Errorf("what was overtaken is %s", v)
	}
	// Without power: it had kept 1040, and counted 5 since.
	h.says(at(10), "b", 9*time.Minute, 5, 1040)
	h.want(8, "counter_reset")
	h.says(at(10.5), "b", 9*time.Minute, 6, 1040)
	h.want(9, "counter_reset")
	// What the old life said, held up somewhere, or retained.
	if v := h.says(at(11), "a", time.Hour, 45, 1000); v != isLate {
		t.Errorf("a message of an earlier life is %s", v)
	}
	// Offline for hours: it kept 20 more than it could say, and 2 came since.
	h.says(at(180), "c", time.Minute, 2, 1066)
	h.want(31, "counter_reset, times_spread 20")
	// Another device in its place, which has been elsewhere.
	h.says(at(190), "d", time.Minute, 3, 250_000)
	h.want(34, "counter_jump 248932, counter_reset, times_spread 20")
	// A new device that starts at nothing.
	h.says(at(200), "e", time.Minute, 4, 0)
	h.want(38, "counter_jump 248932, counter_reset, times_spread 20")
	// The other direction all the while.
	if h.stored["main-out"] != 0 {
		t.Errorf("%d vehicles left", h.stored["main-out"])
	}
	// A burst right after a message that took long.
	h.says(at(200.2), "e", time.Minute, 24, 0)
	h.want(58, "counter_jump 248932, counter_reset, times_spread 20")
	// Doubts are those of a day.
	h.says(at(24*60), "e", time.Minute, 25, 0)
	h.want(59, "times_spread 1")
	if !slices.IsSortedFunc(h.times, time.Time.Compare) {
		t.Errorf("times go back: %v", h.times)
	}
}

// A device whose clock is set back by an hour counts on: what it counts has
// passed after what it counted before, and not at that moment.
func TestDeviceClockSetBack(t *testing.T) {
	h := take(t, esp())
	back := time.Duration(0)
	for i := range 20 {
		if i == 10 {
			back = time.Hour
		}
		at := saturday.Add(time.Duration(i) * 30 * time.Second)
		h.message(at, false, broker.Counters{Boot: "a", Up: time.Hour, At: at.Add(-back), Counters: map[string]broker.Counter{
			"main-in": {N: uint64(i), Ago: 0}, "main-out": {Ago: -1},
		}})
		if n := len(h.times); n != i || n > 0 && !h.times[n-1].Equal(at) || h.ClockOff != (back > 0) || !h.Heard.Equal(at) {
			t.Fatalf("message %d, at %v: %d passages, the last at %v; clock off %v, heard %v", i, at, n, h.times[max(0, n-1):], h.ClockOff, h.Heard)
		}
	}
}

// TestDeviceTimes says when vehicles passed: as the device says, and otherwise
// evenly over the time in which they did.
func TestDeviceTimes(t *testing.T) {
	h := take(t, esp())
	at := saturday
	say := func(received time.Time, retained bool, device time.Time, n uint64, ago time.Duration) {
		h.message(received, retained, broker.Counters{Boot: "a", Up: time.Hour, At: device, Counters: map[string]broker.Counter{
			"main-in": {N: n, Ago: ago}, "main-out": {Ago: -1},
		}})
	}
	last := func(n int) (out []float64) {
		for _, x := range h.times[len(h.times)-n:] {
			out = append(out, x.Sub(at).Seconds())
		}
		return out
	}
	same := func(what string, got []float64, want ...float64) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	say(at, false, at, 0, -1)
	say(at.Add(20500*time.Millisecond), false, at.Add(20*time.Second), 1, 500*time.Millisecond)
	same("one, said at once", last(1), 20)
	say(at.Add(30*time.Second), false, at.Add(30*time.Second), 4, time.Second)
	same("three, the last a second ago", last(3), 20.5+8.5/4, 20.5+3*8.5/4, 29)
	say(at.Add(40*time.Second), false, at.Add(40*time.Second), 6, -1)
	same("two, who knows when", last(2), 32.5, 37.5)
	say(at.Add(100*time.Second), false, at.Add(60*time.Second), 7, 0)
	same("held up on the way", last(1), 60)
	say(at.Add(200*time.Second), true, at.Add(80*time.Second), 8, -1)
	same("kept by the broker", last(1), 70)
	if got := h.At.Sub(at); got != 80*time.Second || h.ClockOff {
		t.Errorf("known up to %v, clock off: %v", got, h.ClockOff)
	}
	say(at.Add(201*time.Second), true, time.Time{}, 9, -1)
	if got := h.At.Sub(at); got != 80*time.Second || !h.ClockOff || h.stored["main-in"] != 9 {
		t.Errorf("a kept message of a device without a clock: known up to %v, clock off: %v, %d passages", got, h.ClockOff, h.stored["main-in"])
	}
	say(at.Add(300*time.Second), false, at.Add(time.Hour), 9, -1)
	if got := h.At.Sub(at); got != 300*time.Second || !h.ClockOff {
		t.Errorf("a device whose clock is ahead: known up to %v, clock off: %v", got, h.ClockOff)
	}
}

func TestTotalsOverLoRaWAN(t *testing.T) {
	at := func(minutes int) time.Time { return saturday.Add(time.Duration(minutes) * time.Minute) }
	h := take(t, lora(t, false))
	h.up("s", 100, at(0), 65_500)
	h.up("s", 101, at(10), 65_510)
	h.want(10, "")
	if v := h.up("s", 101, at(10), 65_510); v != isDuplicate {
		t.Errorf("the same again is %s", v)
	}
	h.up("s", 104, at(40), 4) // two lost, and round
	h.want(40, "times_spread 30")
	if v := h.up("s", 102, at(20), 65_520); v != isLate {
		t.Errorf("an old one after a new one is %s", v)
	}
	h.want(40, "times_spread 30")
	h.up("t", 0, at(50), 3) // joined anew: it was without power
	h.want(43, "counter_reset, times_spread 30")
	if v := h.up("s", 105, at(45), 9); v != isLate {
		t.Errorf("the end of the old session is %s", v)
	}
	h.up("t", 1, at(60), 60_000)
	h.want(43, "counter_jump 59997, counter_reset, times_spread 30")
	h.up("t", 2, at(70), 60_001)
	h.want(44, "counter_jump 59997, counter_reset, times_spread 30")
	// Activated by hand: frames begin anew, the session is the same.
	h.up("t", 0, at(80), 60_003)
	h.want(46, "counter_jump 59997, counter_reset, times_spread 30")
	if got := h.At; !got.Equal(at(80)) {
		t.Errorf("known up to %v", got)
	}
	// A message for another purpose says nothing of the counter.
	next := h.clone()
	if v, err := next.uplink(h.d, mainGate, uplink(t, "t", 1, at(81), `{"battery":3}`), at(81)); v != isNew || err != nil || !next.At.Equal(at(80)) || !next.Heard.Equal(at(81)) {
		t.Errorf("%s, %v, known up to %v, heard %v", v, err, next.At, next.Heard)
	}
	// One that does not fit is looked at by nobody, and shown.
	next = h.clone()
	if v, err := next.uplink(h.d, mainGate, uplink(t, "t", 1, at(81), `{"n":70000}`), at(81)); v != isNew || err != nil || !next.Counters["main-in"].Failing || len(next.Runs) > 0 {
		t.Errorf("%s, %v: %+v", v, err, next)
	}
	if _, err := next.uplink(h.d, mainGate, uplink(t, "t", 2, at(82), `{"n":"many"}`), at(82)); err == nil || !next.Counters["main-in"].Failing {
		t.Errorf("a text is read as a count: %+v, %v", next.Counters, err)
	}
}

func TestDeltasOverLoRaWAN(t *testing.T) {
	at := func(minutes int) time.Time { return saturday.Add(time.Duration(minutes) * time.Minute) }
	h := take(t, lora(t, true))
	h.up("s", 7, at(0), 5)
	h.want(5, "")
	if first, last := h.times[0].Sub(saturday), h.times[4].Sub(saturday); first != -9*time.Minute || last != -time.Minute {
		t.Errorf("of the ten minutes before, from %v to %v", first, last)
	}
	h.up("s", 8, at(10), 3)
	h.up("s", 11, at(40), 2)
	h.want(10, "uplinks_lost 2")
	if v := h.up("s", 8, at(10), 3); v != isDuplicate {
		t.Errorf("the same again is %s", v)
	}
	h.up("s", 9, at(20), 4) // it was only slow
	h.want(14, "uplinks_lost 1")
	if v := h.up("s", 9, at(20), 4); v != isDuplicate {
		t.Errorf("a slow one again is %s", v)
	}
	h.up("s", 10, at(30), 1)
	h.want(15, "")
	h.up("t", 1, at(50), 6) // joined anew, the first message got lost
	h.want(21, "uplinks_lost 1")
	h.up("s", 12, at(45), 7) // the end of the old session
	h.want(28, "uplinks_lost 1")
	if v := h.up("s", 12, at(45), 7); v != isDuplicate {
		t.Errorf("the end of the old session again is %s", v)
	}
	h.up("t", 2, at(60), 100_000)
	h.want(28, "counter_jump 100000, uplinks_lost 1")
	h.up("t", 300, at(70), 1)
	h.want(29, "counter_jump 100000, uplinks_lost 298")
}

// TestAnyOrder sends the uplinks of a day doubled, late and in disorder, and
// loses some. Deltas add up to what came; totals to what the last one says.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 7))
		total, delta := take(t, lora(t, false)), take(t, lora(t, true))
		type message struct {
			frame    uint32
			at       time.Time
			total, n uint64
		}
		var sent []message
		sum, arrived := uint64(60_000), uint64(0)
		for i := range 144 {
			n := uint64(r.IntN(40))
			sum += n
			sent = append(sent, message{uint32(i), saturday.Add(time.Duration(i) * 10 * time.Minute), sum % 65536, n})
		}
		first, last := sent[0], sent[len(sent)-1]
		var way []message
		lost := 0
		for i, m := range sent {
			if i > 0 && i < len(sent)-1 && r.IntN(12) == 0 {
				lost++
				continue
			}
			arrived += m.n
			way = append(way, m)
			for r.IntN(3) == 0 {
				way = append(way, m)
			}
		}
		// Each within a window of its neighbours.
		for i := 1; i+20 < len(way); i += 20 {
			part := way[i : i+20]
			r.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
		}
		way = append(way, last)
		for _, m := range way {
			total.up("s", m.frame, m.at, m.total)
			delta.up("s", m.frame, m.at, m.n)
		}
		want := (last.total + 65536 - first.total) % 65536
		if got := total.stored["main-in"]; got != want {
			t.Errorf("seed %d: totals give %d, want %d", seed, got, want)
		}
		if got := delta.stored["main-in"]; got != arrived {
			t.Errorf("seed %d: deltas give %d, want the %d that arrived", seed, got, arrived)
		}
		missing := uint64(0)
		for _, n := range delta.Notes {
			if n.Kind == perron.DoubtUplinks {
				missing += n.Count
			}
		}
		// What was lost before midnight is of another day.
		if missing > uint64(lost) {
			t.Errorf("seed %d: %d are missed, but %d are lost", seed, missing, lost)
		}
	}
}
