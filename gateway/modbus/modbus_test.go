package modbus

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
	"github.com/perrondrukte/perrondrukte/gateway/modbus/modbustest"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// The test binary is the device when this is set: to its address, or "any".
const asDevice = "PERRONDRUKTE_TEST_MODBUS_DEVICE"

func TestMain(m *testing.M) {
	switch addr := os.Getenv(asDevice); addr {
	case "":
		goleak.VerifyTestMain(m)
	case "any":
		serve(modbustest.Serve(os.Stdin, os.Stdout, runtime.GOOS == "linux"))
	default:
		serve(modbustest.ServeAt(addr, os.Stdin, os.Stdout, false))
	}
}

func serve(err error) {
	if err != nil {
		slog.Error("device", "err", err)
		os.Exit(1)
	}
}

// A device is a process that is killed when the test ends.
type device struct {
	*modbustest.Remote
	t *testing.T
}

func startDevice(t *testing.T, addr string) *device {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asDevice+"="+addr)
	cmd.Stderr = t.Output()
	r, err := modbustest.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{r, t}
	t.Cleanup(d.Kill)
	return d
}

func (d *device) do(format string, args ...any) {
	d.t.Helper()
	if err := d.Do(format, args...); err != nil {
		d.t.Fatal(err)
	}
}

// memory is a sink that keeps what an outbox would.
type memory struct {
	mu       sync.Mutex
	counts   map[string]int // by sensor and kind
	events   []perron.Event
	position []byte
	commits  int
	health   map[string]perron.SensorHealth
	gaps     map[string][]perron.CounterGap
	fail     error
}

func newMemory() *memory {
	return &memory{counts: map[string]int{}, health: map[string]perron.SensorHealth{}, gaps: map[string][]perron.CounterGap{}}
}

func (m *memory) Events(_ context.Context, events []perron.Event, position []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.events = append(m.events, events...)
	for _, e := range events {
		m.counts[e.Sensor+"/"+string(e.Kind)]++
	}
	m.position = position
	m.commits++
	return nil
}

func (m *memory) Position() []byte                       { return m.position }
func (m *memory) Edge(context.Context, pulse.Edge) error { return errors.New("an edge") }
func (m *memory) Lost(string, uint64)                    {}
func (m *memory) Fault(string, error)                    {}
func (m *memory) Blind(string)                           {}
func (m *memory) Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.health[sensor], m.gaps[sensor] = health, gaps
}

// seen is a copy of what there is now.
func (m *memory) seen() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{counts: maps.Clone(m.counts), events: slices.Clone(m.events), commits: m.commits, health: maps.Clone(m.health), gaps: maps.Clone(m.gaps)}
}

func (m *memory) look(f func() bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}

// kinds are those of a sensor's gaps.
func (m *memory) kinds(sensor string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, g := range m.gaps[sensor] {
		out = append(out, g.Kind)
	}
	return strings.Join(out, " ")
}

func (m *memory) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	gatewaytest.Until(t, what, func() bool { return m.look(ok) })
}

func (m *memory) waitCounts(t *testing.T, what string, want map[string]int) {
	t.Helper()
	m.wait(t, what, func() bool { return maps.Equal(m.counts, want) })
}

func yes() *bool { ok := true; return &ok }

// run asks counters until the function that it returns is called.
func run(t *testing.T, m *memory, buses ...Bus) (stop func()) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := New(buses, time.Now, yes, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, m) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the source ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// fast is a bus for tests. The headway is that of vehicles in a hurry: a test
// does not wait for an hour of traffic.
func fast(url string, counters ...Counter) Bus {
	for i := range counters {
		counters[i].MinHeadway = 100 * time.Microsecond
	}
	return Bus{URL: url, Timeout: 150 * time.Millisecond, Every: 20 * time.Millisecond, SilentAfter: 400 * time.Millisecond, Counters: counters}
}

func TestCountsOverTCP(t *testing.T) {
	d := startDevice(t, "any")
	d.do("set 1 holding 52 32 low 70000")
	d.do("set 1 holding 54 32 high 4294967290")
	d.do("set 2 input 7 16 high 65530")
	bus := fast("tcp://"+d.Addr,
		Counter{Sensor: "main-in", Kind: perron.In, Unit: 1, Address: 52, Bits: 32, LowFirst: true},
		Counter{Sensor: "side", Kind: perron.In, Unit: 1, Address: 54, Bits: 32},
		Counter{Sensor: "side", Kind: perron.Out, Unit: 2, Input: true, Address: 7, Bits: 16},
	)
	bus.Timeout = 20 * time.Second // a device that is killed refuses at once
	m := newMemory()
	stop := run(t, m, bus)
	m.wait(t, "all have been read", func() bool { return m.commits >= 3 })
	began := time.Now()

	d.do("add 1 holding 52 32 low 3")
	d.do("add 1 holding 54 32 high 20") // goes round
	d.do("add 2 input 7 16 high 9")     // and so does this
	m.waitCounts(t, "what passed", map[string]int{"main-in/in": 3, "side/in": 20, "side/out": 9})
	for _, e := range m.seen().events {
		if e.Time.Before(began.Add(-time.Second)) || e.Time.After(time.Now()) {
			t.Errorf("%+v, at %v", e, began)
		}
	}
	if k := m.kinds("side"); k != "" || m.seen().health["side"] != perron.SensorOK {
		t.Errorf("going round left gaps %q, health %s", k, m.seen().health["side"])
	}

	// Without power: it begins at zero, and nobody knows what it had counted.
	d.Kill()
	m.wait(t, "silence is noticed", func() bool { return m.health["side"] == perron.SensorSilent })
	d = startDevice(t, d.Addr)
	d.do("set 1 holding 52 32 low 4")
	d.do("set 1 holding 54 32 high 0")
	d.do("set 2 input 7 16 high 0")
	m.waitCounts(t, "what passed since", map[string]int{"main-in/in": 7, "side/in": 20, "side/out": 9})
	m.wait(t, "all have been read", func() bool { return m.health["side"] == perron.SensorOK && m.health["main-in"] == perron.SensorOK })
	if a, b := m.kinds("main-in"), m.kinds("side"); a != "reset" || b != "reset reset" || !m.seen().gaps["side"][1].Missed {
		t.Errorf("gaps %q and %q", a, b)
	}

	// Another device in its place.
	d.do("set 1 holding 54 32 high 1000000")
	m.wait(t, "a jump is refused", func() bool { n := m.gaps["side"]; return n[len(n)-1].Kind == "jump" })
	d.do("add 1 holding 54 32 high 1")
	m.waitCounts(t, "it goes on from there", map[string]int{"main-in/in": 7, "side/in": 21, "side/out": 9})
	if g := m.seen().gaps["side"][2]; g.Refused != 1_000_000 || g.Counted != 0 || !g.Missed {
		t.Errorf("jump: %+v", g)
	}

	// A device that hangs has counted when it answers again: a connection that is
	// open is no sign of life.
	stop()
	bus.Timeout = 100 * time.Millisecond
	stop = run(t, m, bus)
	m.wait(t, "it is read again", func() bool { return m.health["main-in"] == perron.SensorOK })
	d.do("mute 1 yes")
	m.wait(t, "silence is noticed", func() bool {
		return m.health["main-in"] == perron.SensorSilent && m.health["side"] == perron.SensorSilent
	})
	before := len(m.seen().events)
	d.do("add 1 holding 52 32 low 200")
	d.do("mute 1 no")
	m.waitCounts(t, "what passed in the gap", map[string]int{"main-in/in": 207, "side/in": 21, "side/out": 9})
	m.wait(t, "it is well again", func() bool { return m.health["main-in"] == perron.SensorOK })
	g := m.seen().gaps["main-in"][len(m.seen().gaps["main-in"])-1]
	if g.Kind != "forward" || g.Counted != 200 || g.To.Sub(g.From) < bus.SilentAfter {
		t.Errorf("gap %+v", g)
	}
	for i, e := range m.seen().events[before:] {
		if e.Time.Before(g.From) || e.Time.After(g.To) || i > 0 && e.Time.Equal(m.seen().events[before+i-1].Time) {
			t.Errorf("event %d at %v, gap from %v to %v", i, e.Time, g.From, g.To)
		}
	}

	// A register that is not there is a fault, not silence.
	stop()
	commits := m.seen().commits
	bus.Counters = append(bus.Counters, Counter{Sensor: "wrong", Kind: perron.In, Unit: 1, Address: 900, Bits: 16})
	run(t, m, bus)
	m.wait(t, "a fault", func() bool { return m.health["wrong"] == perron.SensorFault })
	d.do("add 2 input 7 16 high 1")
	m.waitCounts(t, "the others go on after a restart", map[string]int{"main-in/in": 207, "side/in": 21, "side/out": 10})
	if m.seen().commits-commits > 10 {
		t.Errorf("%d writes for a restart and one vehicle", m.seen().commits-commits)
	}
}

func TestCountsOverSerialLine(t *testing.T) {
	d := startDevice(t, "any")
	if d.Line == "-" {
		t.Skip("there are no pseudo terminals here")
	}
	d.do("set 1 holding 0 16 high 100")
	d.do("set 1 holding 1 16 high 31000")
	d.do("set 17 input 200 32 low 65535")
	bus := fast("rtu://"+d.Line,
		Counter{Sensor: "main-in", Kind: perron.In, Unit: 1, Address: 0, Bits: 16},
		Counter{Sensor: "main-out", Kind: perron.Out, Unit: 1, Address: 1, Bits: 16},
		Counter{Sensor: "side", Kind: perron.In, Unit: 17, Input: true, Address: 200, Bits: 32, LowFirst: true},
	)
	for i := range bus.Counters {
		bus.Counters[i].MinHeadway = time.Millisecond // so that 100 does not become 31,000 in half a minute
	}
	bus.Speed, bus.Parity, bus.StopBits = 115200, ParityNone, 1
	m := newMemory()
	run(t, m, bus)
	m.wait(t, "all have been read", func() bool { return m.commits >= 3 })
	d.do("add 1 holding 0 16 high 2")
	d.do("add 17 input 200 32 low 1")
	m.waitCounts(t, "what passed", map[string]int{"main-in/in": 2, "side/in": 1})

	// One device of the line is dead, the other is not.
	d.do("mute 17 yes")
	m.wait(t, "silence is noticed", func() bool { return m.health["side"] == perron.SensorSilent })
	d.do("add 1 holding 1 16 high 5")
	m.waitCounts(t, "the others count on", map[string]int{"main-in/in": 2, "main-out/out": 5, "side/in": 1})
	m.wait(t, "they are well while another is silent", func() bool {
		return m.health["main-in"] == perron.SensorOK && m.health["side"] == perron.SensorSilent
	})
	d.do("add 17 input 200 32 low 3")
	d.do("mute 17 no")
	m.waitCounts(t, "what passed in the gap", map[string]int{"main-in/in": 2, "main-out/out": 5, "side/in": 4})

	// Answers that come too late are answers to other questions by then: the
	// value of one register must not be taken for that of another.
	d.do("delay 1 220ms")
	m.wait(t, "silence is noticed", func() bool { return m.health["main-in"] == perron.SensorSilent })
	d.do("add 1 holding 0 16 high 1")
	d.do("delay 1 0s")
	m.waitCounts(t, "nothing but what passed", map[string]int{"main-in/in": 3, "main-out/out": 5, "side/in": 4})
	m.wait(t, "it is well again", func() bool { return m.health["main-out"] == perron.SensorOK })
	d.do("add 1 holding 1 16 high 1")
	m.waitCounts(t, "it goes on", map[string]int{"main-in/in": 3, "main-out/out": 6, "side/in": 4})
	for _, s := range []string{"main-in", "main-out", "side"} {
		if k := m.kinds(s); strings.Contains(k, "reset") || strings.Contains(k, "jump") || strings.Contains(k, "back") {
			t.Errorf("gaps of %s: %s", s, k)
		}
	}
}

// A read that fails while the gateway stops, or an outbox that is closed, counts
// nothing; what an earlier run noted is gone on from, if it is about the same.
func TestBookGoesOnWhereItWas(t *testing.T) {
	now := time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	right := true
	open := func(m *memory, c Counter) (*book, *entry) {
		b := newBook(clock, func() *bool { return &right }, slog.New(slog.DiscardHandler))
		e := b.add(c, 10*time.Second)
		b.open(m)
		return b, e
	}
	take := func(b *book, e *entry, value uint64) error { return b.record(t.Context(), e, value, now, now) }
	c := Counter{Sensor: "main-in", Kind: perron.In, Unit: 1, Bits: 16}
	m := newMemory()
	b, e := open(m, c)
	if err := take(b, e, 40_000); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	m.fail = errors.New("closed")
	if err := take(b, e, 40_002); err == nil {
		t.Fatal("no error of an outbox that is closed")
	}
	m.fail = nil
	now = now.Add(time.Second)
	if err := take(b, e, 40_003); err != nil || m.counts["main-in/in"] != 3 {
		t.Fatalf("after an error: %v, %v", m.counts, err)
	}
	b.close(t.Context())

	// The gateway was off for ten minutes.
	off := now
	now = now.Add(10 * time.Minute)
	b, e = open(m, c)
	if err := take(b, e, 40_013); err != nil || m.counts["main-in/in"] != 13 {
		t.Fatalf("after a restart: %v, %v", m.counts, err)
	}
	if d := cmp.Diff([]perron.CounterGap{{Kind: "forward", From: off, To: now, Counted: 10}}, m.gaps["main-in"]); d != "" {
		t.Errorf("gaps (-want +got)\n%s", d)
	}

	// It was off again, and its clock begins in 1970.
	now, right = time.Date(1970, 1, 1, 0, 0, 30, 0, time.UTC), false
	b, e = open(m, c)
	if err := take(b, e, 40_020); err != nil || m.counts["main-in/in"] != 20 || !m.events[19].Time.Equal(now) || !m.events[13].Time.Equal(now) {
		t.Fatalf("with a wrong clock: %v, %v", m.counts, err)
	}
	// Nothing is known of how long that was, so 40,020 may have been counted
	// since zero.
	if g := m.gaps["main-in"][0]; !g.From.IsZero() || g.Counted != 7 || !g.Missed {
		t.Errorf("gap with a wrong clock: %+v", g)
	}
	// The clock is set; the time since the last reading stays what it was, and is
	// not known by the next run.
	now, right = time.Date(2026, 6, 6, 13, 0, 0, 0, time.UTC), true
	b, e = open(m, c)
	if err := take(b, e, 40_020); err != nil || m.counts["main-in/in"] != 20 {
		t.Fatalf("with a clock that was set: %v, %v", m.counts, err)
	}
	// Another register says nothing about this one.
	c.Address = 4
	b, e = open(m, c)
	if err := take(b, e, 40_100); err != nil || m.counts["main-in/in"] != 20 {
		t.Fatalf("with another register: %v, %v", m.counts, err)
	}
	// Nor does the note of another source.
	m.position = []byte(`{"order":"file","at":12}`)
	b, e = open(m, c)
	if err := take(b, e, 40_200); err != nil || m.counts["main-in/in"] != 20 {
		t.Fatalf("with another source's note: %v, %v", m.counts, err)
	}

	// While nothing passes it is noted now and then; gaps are told, but not each
	// by itself, nor all of them for ever.
	commits := m.commits
	for range 600 {
		now = now.Add(time.Second)
		if err := take(b, e, 40_200); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.commits - commits; n != 2 {
		t.Errorf("%d writes in ten minutes in which nothing passed", n)
	}
	for i := range 30 {
		now = now.Add(30 * time.Second)
		if i == 10 {
			now = now.Add(time.Hour)
		}
		b.failed(e, errors.New("request timed out"), false)
		if err := take(b, e, 40_201+uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	gaps := m.gaps["main-in"]
	if n := len(gaps); n != 2 || gaps[0].Counted != 10 || gaps[1].Counted != 20 {
		t.Errorf("gaps %+v", gaps)
	}
	if !slices.IsSortedFunc(gaps, func(a, b perron.CounterGap) int { return a.To.Compare(b.To) }) {
		t.Errorf("gaps are not in order: %+v", gaps)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	c := Counter{Sensor: "main-in", Kind: perron.In, Unit: 1, Bits: 16}
	change := func(f func(*Counter)) Counter { d := c; f(&d); return d }
	for _, k := range []struct {
		bus  Bus
		want string
	}{
		{Bus{URL: "tcp://127.0.0.1:502"}, "0 counters"},
		{fast("http://127.0.0.1", c), "configuration"},
		{Bus{URL: "rtu:///dev/ttyUSB0", Parity: "some", Counters: []Counter{c}}, "parity"},
		{fast("tcp://127.0.0.1:502", c, c), "two counters"},
		{fast("tcp://127.0.0.1:502", change(func(c *Counter) { c.Bits = 8 })), "8 bits"},
		{fast("tcp://127.0.0.1:502", change(func(c *Counter) { c.Kind = perron.On })), "kind"},
		{fast("tcp://127.0.0.1:502", change(func(c *Counter) { c.Sensor = "Main" })), "valid id"},
		{fast("tcp://127.0.0.1:502", change(func(c *Counter) { c.Bits, c.Address = 32, 65535 })), "beyond"},
	} {
		if _, err := New([]Bus{k.bus}, time.Now, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%+v: %v, want %q", k.bus, err, k.want)
		}
	}
}

func TestExamine(t *testing.T) {
	d := startDevice(t, "any")
	d.do("set 1 holding 7 32 high 65530")
	d.do("set 1 input 9 16 high 65535") // about to go round
	d.do("mute 2 yes")
	counter := func(sensor string, unit uint8, input bool, address uint16, bits int) Counter {
		return Counter{Sensor: sensor, Kind: perron.In, Unit: unit, Input: input, Address: address, Bits: bits}
	}
	buses := []Bus{{URL: "tcp://" + d.Addr, Timeout: 150 * time.Millisecond, Counters: []Counter{
		counter("a", 1, false, 7, 32), counter("b", 1, true, 9, 16), counter("c", 1, true, 7, 16), counter("d", 2, true, 7, 16),
	}}}
	s, err := New(buses, time.Now, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan []answer)
	go func() { found <- s.buses[0].examine(t.Context(), 300*time.Millisecond) }()
	added := uint64(0)
	var got []answer
	for got == nil {
		select {
		case got = <-found:
		default:
			d.do("add 1 holding 7 32 high 1")
			d.do("add 1 input 9 16 high 1")
			added++
			time.Sleep(5 * time.Millisecond)
		}
	}
	for _, f := range got[:2] {
		if f.err != nil || f.counted == 0 || f.counted > added || f.took <= 0 {
			t.Errorf("%s: %+v of %d", f.Sensor, f, added)
		}
	}
	if v := got[0].value; v <= 65530 || v > 65530+added {
		t.Errorf("shows %d", v)
	}
	for i, want := range []string{"the address", "the unit's number"} {
		if f := got[2+i]; f.err == nil || !strings.HasPrefix(f.hint, want) {
			t.Errorf("%s: %v, hint %q", f.Sensor, f.err, f.hint)
		}
	}
}
