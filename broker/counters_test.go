package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var counted = Counters{
	Boot: "9f3a01c7", Up: 3600250 * time.Millisecond, At: time.Date(2026, 5, 30, 10, 0, 0, 0, time.UTC),
	Counters: map[string]Counter{"main-in": {N: 244, Base: 990, Ago: 20 * time.Millisecond}, "main-out": {N: 1, Ago: -1}},
}

func TestCountersOnTheWire(t *testing.T) {
	b, err := EncodeCounters(counted)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"boot":"9f3a01c7","up":3600.25,"at":1780135200,"counters":{"main-in":{"base":990,"n":244,"ago":0.02},"main-out":{"base":0,"n":1}}}`
	if string(b) != want {
		t.Errorf("on the wire:\n%s\nwant\n%s", b, want)
	}
	got, err := DecodeCounters(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(counted, got); d != "" {
		t.Error(d)
	}
	for text, field := range map[string]string{
		`{"v":2,"boot":"a","up":1,"counters":{}}`:                            "v",
		`{"v":1,"up":1,"counters":{}}`:                                       "boot",
		`{"v":1,"boot":"a b","up":1,"counters":{}}`:                          "boot",
		`{"v":1,"boot":"a","up":-1,"counters":{}}`:                           "up",
		`{"v":1,"boot":"a","up":1e300,"counters":{}}`:                        "up",
		`{"v":1,"boot":"a","up":1,"at":12,"counters":{}}`:                    "at",
		`{"v":1,"boot":"a","up":1,"at":1e12,"counters":{}}`:                  "at",
		`{"v":1,"boot":"a","up":1,"counters":{"Main":{"n":1}}}`:              "counters",
		`{"v":1,"boot":"a","up":1,"counters":{"m":{"n":-1}}}`:                "counters.n",
		`{"v":1,"boot":"a","up":1,"counters":{"m":{"n":1.5}}}`:               "counters.n",
		`{"v":1,"boot":"a","up":1,"counters":{"m":{"n":9007199254740993}}}`:  "counters.m",
		`{"v":1,"boot":"a","up":1,"counters":{"m":{"n":1,"ago":-0.5}}}`:      "counters.m.ago",
		`{"v":1,"boot":"a","up":1,"counters":{` + many(maxCounters+1) + `}}`: "counters",
	} {
		var e *InvalidError
		if _, err := DecodeCounters([]byte(text)); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%.80s: %v, want a fault of %s", text, err, field)
		}
	}
	for _, text := range []string{"", "nan", "12", strings.Repeat(" ", MaxMessage) + "{}"} {
		if _, err := DecodeCounters([]byte(text)); err == nil {
			t.Errorf("%.20q is read", text)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"s%d":{"n":1}`, i)
	}
	return b.String()[1:]
}

func uplinkFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "uplink", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUplinks reads one message of each server with everything in it, and one
// with all that a server leaves out when it is zero.
func TestUplinks(t *testing.T) {
	for _, c := range []struct {
		file    string
		format  UplinkFormat
		device  string
		session string
		frame   uint32
		time    string
		counts  map[string]uint64
		absent  []string
		wrong   []string
	}{
		{
			"chirpstack-up", ChirpStack, "a84041b2c3d4e5f6", "260b1c2d", 1207, "2026-05-30T10:10:02.48173Z",
			map[string]uint64{"counters.0.total": 1234, "counters.1.total": 1212, "delta.in": 3, "delta.out": 0},
			[]string{"counters.2.total", "counters.-1.total", "counters.x", "absent", "battery.deeper"},
			[]string{"battery", "counters.0.name", "delta", "counters"},
		},
		{
			"chirpstack-first", ChirpStack, "a84041b2c3d4e5f6", "01ab23cd", 0, "2026-05-30T06:30:00Z",
			map[string]uint64{"counters.0.total": 0},
			[]string{"counters.1.total"},
			nil,
		},
		{
			"thethingsstack-up", TheThingsStack, "haven-uitrit", "AY8mEXAMPLEkeyidA0==", 4711, "2026-05-30T10:20:11.001552112Z",
			map[string]uint64{"in": 17, "total.in": 65534},
			[]string{"total.x"},
			[]string{"battery_low"},
		},
		{
			"thethingsstack-first", TheThingsStack, "haven-uitrit", "260b77aa", 0, "2026-05-30T06:00:00.5Z",
			nil,
			[]string{"in", "total.in"},
			[]string{"total"},
		},
	} {
		u, err := DecodeUplink(c.format, uplinkFile(t, c.file))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if u.Device != c.device || u.Session != c.session || u.Frame != c.frame || u.Time.Format(time.RFC3339Nano) != c.time {
			t.Errorf("%s: %s, session %s, frame %d, %s", c.file, u.Device, u.Session, u.Frame, u.Time.Format(time.RFC3339Nano))
		}
		at := func(s string) (uint64, bool, error) {
			p, err := ParsePath(s)
			if err != nil {
				t.Fatal(err)
			}
			return u.Count(p)
		}
		for path, want := range c.counts {
			if n, found, err := at(path); n != want || !found || err != nil {
				t.Errorf("%s at %s: %d, %v, %v; want %d", c.file, path, n, found, err, want)
			}
		}
		for _, path := range c.absent {
			if n, found, err := at(path); n != 0 || found || err != nil {
				t.Errorf("%s at %s: %d, %v, %v; want nothing", c.file, path, n, found, err)
			}
		}
		for _, path := range c.wrong {
			if _, found, err := at(path); found || err == nil {
				t.Errorf("%s at %s: %v, %v; want an error", c.file, path, found, err)
			}
		}
	}
}

func TestWhatIsNoUplink(t *testing.T) {
	up, ttn := string(uplinkFile(t, "chirpstack-up")), string(uplinkFile(t, "thethingsstack-up"))
	for name, c := range map[string]struct {
		format UplinkFormat
		text   string
	}{
		"join":            {ChirpStack, string(uplinkFile(t, "chirpstack-join"))},
		"join accept":     {TheThingsStack, string(uplinkFile(t, "thethingsstack-join"))},
		"other server":    {ChirpStack, ttn},
		"one server":      {TheThingsStack, up},
		"a sent downlink": {ChirpStack, strings.Replace(up, `"adr"`, `"queueItemId":"x","adr"`, 1)},
		"no format":       {"lorawan", up},
		"EUI":             {ChirpStack, strings.Replace(up, "A84041B2C3D4E5F6", "A84041B2C3D4E5", 1)},
		"time":            {ChirpStack, strings.Replace(up, "2026-05-30T10:10:02", "1970-01-01T00:00:02", 1)},
		"frame":           {ChirpStack, strings.Replace(up, "1207", "4294967296", 1)},
		"negative frame":  {TheThingsStack, strings.Replace(ttn, "4711", "-1", 1)},
		"deep":            {ChirpStack, strings.Replace(up, `"battery": 3.61`, `"battery":`+strings.Repeat("[", 40)+strings.Repeat("]", 40), 1)},
		"cut":             {ChirpStack, up[:len(up)/2]},
		"long":            {ChirpStack, up + strings.Repeat(" ", MaxMessage)},
		"empty":           {TheThingsStack, ""},
	} {
		if u, err := DecodeUplink(c.format, []byte(c.text)); err == nil {
			t.Errorf("%s is read as %+v", name, u)
		}
	}
	for _, path := range []string{"", ".", "a..b", " a", "a. b", strings.Repeat("a", maxPath+1), strings.Repeat("a.", maxSteps) + "a"} {
		if _, err := ParsePath(path); err == nil {
			t.Errorf("%.40q is a path", path)
		}
	}
}

func FuzzCounters(f *testing.F) {
	b, err := EncodeCounters(counted)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":1,"boot":"a","up":1,"counters":{"m":{"n":1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCounters(b)
		if err != nil {
			return
		}
		again, err := EncodeCounters(c)
		if err != nil {
			t.Fatalf("%+v does not go back on the wire: %v", c, err)
		}
		back, err := DecodeCounters(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, back); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzUplink(f *testing.F) {
	for i, name := range []string{"chirpstack-up", "thethingsstack-up", "chirpstack-first", "thethingsstack-first", "chirpstack-join"} {
		f.Add(i%2 == 0, uplinkFile(f, name), "counters.0.total")
	}
	f.Fuzz(func(t *testing.T, chirp bool, b []byte, path string) {
		format := TheThingsStack
		if chirp {
			format = ChirpStack
		}
		u, err := DecodeUplink(format, b)
		if err != nil {
			return
		}
		if u.Device == "" || u.Time.IsZero() {
			t.Errorf("an uplink of nobody: %+v", u)
		}
		p, err := ParsePath(path)
		if err != nil {
			return
		}
		if n, found, err := u.Count(p); n > maxCount || err != nil && found || !found && n != 0 {
			t.Errorf("%d, %v, %v at %s", n, found, err, p)
		}
	})
}
