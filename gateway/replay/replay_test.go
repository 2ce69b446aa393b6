package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// memory is a sink whose events and position are kept together, and which can
// fail after a number of calls, as when the process is killed.
type memory struct {
	events   []perron.Event
	at       []time.Time // when each came
	position []byte
	calls    int
	failAt   int
}

var errKilled = errors.New("killed")

func (m *memory) Events(_ context.Context, events []perron.Event, position []byte) error {
	if m.calls++; m.calls == m.failAt {
		return errKilled
	}
	for _, e := range events {
		m.events = append(m.events, e)
		m.at = append(m.at, time.Now())
	}
	m.position = position
	return nil
}
func (m *memory) Position() []byte                                        { return m.position }
func (m *memory) Edge(context.Context, pulse.Edge) error                  { return errors.New("a replay has no edges") }
func (m *memory) Lost(string, uint64)                                     {}
func (m *memory) Blind(string)                                            {}
func (m *memory) Report(string, perron.SensorHealth, []perron.CounterGap) {}
func (m *memory) Fault(string, error)                                     {}
func (m *memory) strings(start time.Time) (out []string) {
	for _, e := range m.events {
		out = append(out, fmt.Sprintf("%s %s %v", e.Sensor, e.Kind, e.Time.Sub(start)))
	}
	return out
}

func source(t testing.TB, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg, time.Now, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	dateTime = Time{Column: "t", Layout: time.DateTime, Zone: perron.Amsterdam}
	sensorBy = &Field{Column: "s"}
	kindBy   = &Field{Column: "k", Map: map[string]string{"0": "in", "1": "out", "in": "in", "on": "on", "off": "off"}}
	// 12:00 in Amsterdam in winter
	noon = time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		cfg        Config
		want       []string // sensor, kind, time since noon
		refusal    []string // parts of the error when the file is to be refused
	}{
		{
			name: "plain, unsorted, in file order",
			text: "t,s,k\n2026-11-21 12:00:05,main-in,0\n2026-11-21 12:00:01,main-out,1\n2026-11-21 12:00:01,main-out,1",
			cfg:  Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy},
			want: []string{"main-in in 5s", "main-out out 1s", "main-out out 1s"},
		},
		{
			name: "semicolons, byte order mark, CRLF, quotes, other columns, empty lines",
			text: "\ufeffx;\"t\";k;s\r\n\"a;\"\"b\";2026-11-21 12:00:05;0;\"main-in\"\r\n\r\n;2026-11-21 12:00:06;1;main-in\r\n",
			cfg:  Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy},
			want: []string{"main-in in 5s", "main-in out 6s"},
		},
		{
			name: "broken lines beside good ones",
			text: strings.Join([]string{
				"t,s,k",
				"2026-11-21 12:00:01,main-in,0",
				"2026-13-21 12:00:02,main-in,0",   // 3
				"2026-11-21 12:00:03,main-in",     // 4
				"2026-11-21 12:00:04,\"main-in,0", // 5
				"2026-11-21 12:00:05,Main In,0",   // 6
				strings.Repeat("x", 200_000),      // 7
				"1026-11-21 12:00:05,main-in,0",   // 8
				"2026-11-21 12:00:06,main-in,0",
				"\x00\xff,,", // 10: its kind is in no map
			}, "\n"),
			cfg:     Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy},
			want:    []string{"main-in in 1s", "main-in in 6s"},
			refusal: []string{`line 3: t: "2026-13-21 12:00:02" is not a time like 2006-01-02`, "line 4: has 2 fields, line 1 has 3", "line 5: has a quote", `line 6: s: "Main In" is not`, "line 7: is longer", "line 8: t: \"1026"},
		},
		{
			name: "two columns are the key; other gates' lines are left out",
			text: "t,gate,dir\n2026-11-21 12:00:01,1,0\n2026-11-21 12:00:02,2,0\n2026-11-21 12:00:03,1,1\n",
			cfg: Config{Time: dateTime, Key: &Key{Columns: []string{"gate", "dir"}, Map: map[string]Meaning{
				"1/0": {"gate-1-in", perron.In}, "1/1": {"gate-1-out", perron.Out},
			}}},
			want: []string{"gate-1-in in 1s", "gate-1-out out 3s"},
		},
		{
			name:    "a kind without a map has to be one",
			text:    "t,k\n2026-11-21 12:00:01,in\n2026-11-21 12:00:02,weg\n",
			cfg:     Config{Time: dateTime, Sensor: &Field{Value: "door"}, Kind: &Field{Column: "k"}},
			want:    []string{"door in 1s"},
			refusal: []string{`line 3: k: "weg" is not one of`},
		},
		{
			name: "counts are spread over their interval",
			text: "t,out,in\n2026-11-21 12:00:00,1,3\n2026-11-21 12:30:00,0,0\n2026-11-21 13:00:00,x,1\n2026-11-21 13:30:00,-1,1\n",
			cfg: Config{Time: dateTime, Counts: &Counts{
				In: &Count{"in", "main-in"}, Out: &Count{"out", "main-out"}, Over: 30 * time.Minute,
			}},
			want:    []string{"main-in in 5m0s", "main-in in 15m0s", "main-out out 15m0s", "main-in in 25m0s"},
			refusal: []string{`line 4: out: "x" is not a number`, `line 5: out: "-1" is not`},
		},
		{
			name: "seconds since 1970 with decimals",
			text: "t,k\n1795258801.25,in\n1795258802,in\n",
			cfg:  Config{Time: Time{Column: "t", Layout: "unix"}, Sensor: &Field{Value: "door"}, Kind: &Field{Column: "k"}},
			want: []string{"door in 1.25s", "door in 2s"},
		},
		{
			name: "milliseconds, and a zone in the text",
			text: "t,k\n1795258801250,in\n",
			cfg:  Config{Time: Time{Column: "t", Layout: "unix_ms"}, Sensor: &Field{Value: "door"}, Kind: &Field{Column: "k"}},
			want: []string{"door in 1.25s"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.File = file(t, c.text)
			var m memory
			if err := source(t, c.cfg).Run(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, m.strings(noon)); d != "" {
				t.Errorf("events (-want +got)\n%s", d)
			}
			c.cfg.Refuse = true
			m = memory{}
			err := source(t, c.cfg).Run(t.Context(), &m)
			if c.refusal == nil {
				if err != nil || len(m.events) != len(c.want) {
					t.Errorf("a sound file is refused: %v", err)
				}
				return
			}
			if err == nil || m.calls > 0 {
				t.Fatalf("not refused before anything was sent: %v, %d calls", err, m.calls)
			}
			for _, want := range c.refusal {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in\n%v", want, err)
				}
			}
			if checked := source(t, c.cfg).Check(t.Context()); checked == nil {
				t.Error("Check finds nothing wrong")
			}
		})
	}
}

func TestRefusesWhatIsNotARecording(t *testing.T) {
	cfg := Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy}
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {"", "empty"},
		"other columns":   {"a,b,c\n1,2,3\n", "has no column t, s, k; the columns are a, b, c"},
		"one is missing":  {"t;s;kind\n1;2;3\n", "has no column k; the columns are t, s, kind"},
		"nothing is ours": {"t,s,k\n2026-11-21 12:00:01,main-in,7\n", "no line is about this gateway: the maps do not name [k 7]"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.File = file(t, c.text)
			err := source(t, cfg).Run(t.Context(), &memory{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	cfg.File = filepath.Join(t.TempDir(), "absent.csv")
	if err := source(t, cfg).Run(t.Context(), &memory{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	for _, cfg := range []Config{
		{File: "x", Time: dateTime},
		{File: "x", Time: dateTime, Sensor: sensorBy},
		{File: "x", Time: dateTime, Sensor: sensorBy, Kind: kindBy, Speed: -1},
		{File: "x", Time: Time{Column: "t"}, Sensor: sensorBy, Kind: kindBy},
		{File: "x", Time: dateTime, Sensor: &Field{Value: "UP"}, Kind: kindBy},
		{File: "x", Time: dateTime, Counts: &Counts{Over: time.Hour}},
		{Time: dateTime, Sensor: sensorBy, Kind: kindBy},
	} {
		if _, err := New(cfg, time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// many is a recording of n lines, a second apart, in an odd order.
func many(n int) string {
	var b strings.Builder
	b.WriteString("t,s,k\n")
	for i := range n {
		at := noon.Add(time.Duration((i*7919)%n) * time.Second).In(perron.Amsterdam)
		fmt.Fprintf(&b, "%s,gate-%d,%d\n", at.Format(time.DateTime), i%3, i%2)
	}
	return b.String()
}

// Killed between any two hand-overs, the next run goes on with the first event
// that is not there.
func TestGoesOnAfterACrash(t *testing.T) {
	for _, speed := range []float64{0, 1e6} {
		t.Run(fmt.Sprint("speed ", speed), func(t *testing.T) {
			cfg := Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy, File: file(t, many(12_345)), Speed: speed}
			var whole memory
			if err := source(t, cfg).Run(t.Context(), &whole); err != nil {
				t.Fatal(err)
			}
			var m memory
			runs := 0
			for err := errKilled; err != nil; runs++ {
				m.failAt = m.calls + 1 + runs%4 // also before the first
				if err = source(t, cfg).Run(t.Context(), &m); err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(whole.events, m.events); d != "" {
				t.Errorf("after %d runs (-want +got)\n%.2000s", runs, d)
			}
			if len(m.events) != 12_345 || runs < 5 {
				t.Errorf("%d events in %d runs", len(m.events), runs)
			}
			// Once more is nothing more.
			m.failAt = 0
			if err := source(t, cfg).Run(t.Context(), &m); err != nil || len(m.events) != 12_345 {
				t.Errorf("played again: %d events, %v", len(m.events), err)
			}
			// A file that grew goes on, in file order.
			text, err := os.ReadFile(cfg.File)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(cfg.File, append(text, "2026-11-22 12:00:00,gate-1,0\n"...), 0o600); err != nil {
				t.Fatal(err)
			}
			err = source(t, cfg).Run(t.Context(), &m)
			if speed == 0 && (err != nil || len(m.events) != 12_346) {
				t.Errorf("grown by a line: %d events, %v", len(m.events), err)
			}
			if speed > 0 && (err == nil || !strings.Contains(err.Error(), "has grown")) {
				t.Errorf("grown: %v", err)
			}
			// The other order would send some twice.
			other := cfg
			other.Speed = 1e6 - speed
			if err := source(t, other).Run(t.Context(), &m); err == nil || !strings.Contains(err.Error(), "was begun in") {
				t.Errorf("in the other order: %v", err)
			}
			// Another file is another recording.
			cfg.File = file(t, many(10))
			m.events = nil
			if err := source(t, cfg).Run(t.Context(), &m); err != nil || len(m.events) != 10 {
				t.Errorf("another file: %d events, %v", len(m.events), err)
			}
		})
	}
}

func TestSpeedAndShift(t *testing.T) {
	const text = "t,s,k\n2026-11-21 12:01:00,a,in\n2026-11-21 12:00:00,b,in\n2026-11-21 12:00:30,c,in\n"
	for _, c := range []struct {
		name  string
		speed float64
		shift bool
		came  []time.Duration // after the start
		want  []string        // times since the start when shifted, else since noon
	}{
		{"real time, kept", 1, false, []time.Duration{0, 30 * time.Second, time.Minute}, []string{"b in 0s", "c in 30s", "a in 1m0s"}},
		{"ten times, kept", 10, false, []time.Duration{0, 3 * time.Second, 6 * time.Second}, []string{"b in 0s", "c in 30s", "a in 1m0s"}},
		{"real time, shifted", 1, true, []time.Duration{0, 30 * time.Second, time.Minute}, []string{"b in 0s", "c in 30s", "a in 1m0s"}},
		{"ten times, shifted", 10, true, []time.Duration{0, 3 * time.Second, 6 * time.Second}, []string{"b in 0s", "c in 3s", "a in 6s"}},
		{"at once, shifted: the last is now", 0, true, []time.Duration{0, 0, 0}, []string{"a in 0s", "b in -1m0s", "c in -30s"}},
	} {
		path := file(t, text)
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var m memory
				cfg := Config{Time: dateTime, Sensor: sensorBy, Kind: kindBy, File: path, Speed: c.speed, ShiftToNow: c.shift}
				if err := source(t, cfg).Run(t.Context(), &m); err != nil {
					t.Fatal(err)
				}
				zero := noon
				if c.shift {
					zero = start
				}
				if d := cmp.Diff(c.want, m.strings(zero)); d != "" {
					t.Errorf("events (-want +got)\n%s", d)
				}
				var came []time.Duration
				for _, at := range m.at {
					came = append(came, at.Sub(start))
				}
				if d := cmp.Diff(c.came, came); d != "" {
					t.Errorf("when they came (-want +got)\n%s", d)
				}
			})
		})
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{`a,b`, `"a,b",c`, `"a""b"`, `"`, `"a"b`, "", ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fields, err := split(nil, []byte(s), ',')
		if err == nil && (len(fields) == 0 || len(fields) > strings.Count(s, ",")+1) {
			t.Errorf("%q has %d fields", s, len(fields))
		}
	})
}
