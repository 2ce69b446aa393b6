package weather

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const good = `{"latitude":52.34,"utc_offset_seconds":7200,"hourly_units":{"time":"iso8601","temperature_2m":"°C","precipitation":"mm"},
 "hourly":{"time":["2026-05-01T12:00","2026-05-01T13:00","2026-05-01T14:00","2026-05-01T15:00"],
 "temperature_2m":[14.2,null,999,15],"precipitation":[0,0.3,0,1.5]}}`

func TestDecodeJSON(t *testing.T) {
	hours, err := DecodeJSON([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	// The null and the 999 degrees are gone; the times are two hours ahead.
	want := []perron.Weather{
		{Hour: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), Temperature: 14.2},
		{Hour: time.Date(2026, 5, 1, 13, 0, 0, 0, time.UTC), Temperature: 15, Rain: 1.5},
	}
	if fmt.Sprint(hours) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", hours, want)
	}
	unix, err := DecodeJSON([]byte(`{"hourly":{"time":[1777629600],"temperature_2m":[3],"rain":[0.1]}}`))
	if err != nil || len(unix) != 1 || !unix[0].Hour.Equal(want[0].Hour) {
		t.Errorf("%v, %v", unix, err)
	}
	for text, says := range map[string]string{
		``:    "unexpected end",
		`[1]`: "cannot unmarshal",
		`{}`:  "no hourly.time",
		`{"error":true,"reason":"Daily limit exceeded"}`:                                                                  "Daily limit",
		`{"hourly":{"time":["2026-05-01T12:00"],"temperature_2m":[],"precipitation":[1]}}`:                                "1 times and 0",
		`{"hourly":{"time":["2026-05-01T12:00"],"temperature_2m":[1]}}`:                                                   "0 hourly.precipitation",
		`{"hourly":{"time":["noon"],"temperature_2m":[1],"precipitation":[1]}}`:                                           `hourly.time[0] "noon"`,
		`{"hourly":{"time":[true],"temperature_2m":[1],"precipitation":[1]}}`:                                             "want 2026",
		`{"hourly":{"time":["2026-05-01T12:00"],"temperature_2m":[-300],"precipitation":[1]}}`:                            "no hour that can be used",
		`{"hourly_units":{"temperature_2m":"°F"},"hourly":{"time":[1],"temperature_2m":[1],"precipitation":[1]}}`:         "want °C",
		`{"hourly_units":{"precipitation":"inch"},"hourly":{"time":[1],"temperature_2m":[1],"precipitation":[1]}}`:        "want mm",
		`{"utc_offset_seconds":99999999,"hourly":{"time":["2026-05-01T12:00"],"temperature_2m":[1],"precipitation":[1]}}`: "utc_offset_seconds",
	} {
		if _, err := DecodeJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func TestDecodeCSV(t *testing.T) {
	hours, err := DecodeCSV(strings.NewReader("rain,time,temperature\n0.2,2026-05-01T12:00,14\n,2026-05-01 13:00,15\n0,2026-05-01T12:00:00Z,NaN\n1,2026-05-01T12:00:00Z,16\nshort\n"))
	if err != nil || len(hours) != 2 || hours[0].Hour.Hour() != 10 || hours[1].Temperature != 16 {
		t.Errorf("%v, %v", hours, err)
	}
	for text, says := range map[string]string{
		"":                                    "EOF",
		"time,rain\n":                         "no column temperature",
		"time,temperature,rain\n":             "no hour",
		"time,temperature,rain\nMonday,1,2\n": `line 2: time "Monday"`,
	} {
		if _, err := DecodeCSV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("time,temperature,rain\n2026-05-01T12:00,14,0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, decode := range []func([]byte) ([]perron.Weather, error){DecodeJSON, func(b []byte) ([]perron.Weather, error) {
			return DecodeCSV(strings.NewReader(string(b)))
		}} {
			hours, err := decode(text)
			if err == nil && len(hours) == 0 {
				t.Error("nothing, and no error")
			}
			for i, w := range hours {
				if !w.Plausible() || i > 0 && !hours[i-1].Hour.Before(w.Hour) {
					t.Errorf("hour %d: %+v", i, w)
				}
			}
		}
	})
}

func source(t *testing.T, cfg Config) *Source {
	t.Helper()
	cfg.Sites = []*perron.Site{{ID: "poort", Latitude: 52.3396, Longitude: 5.1521}, {ID: "haven", Latitude: 52.35, Longitude: 5.22}}
	cfg.Now = func() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFetch: a local server answers, then fails in every way that servers do.
// What was known stays, over a restart too.
func TestFetch(t *testing.T) {
	answer := func(w http.ResponseWriter) { fmt.Fprint(w, good) }
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		answer(w)
	}))
	defer server.Close()
	cfg := Config{URL: server.URL + "/v1/forecast?latitude={lat}&longitude={lon}", CacheDir: t.TempDir()}
	s := source(t, cfg)
	if hours, rev := s.Hours("poort", 0); hours != nil || rev != 0 {
		t.Errorf("before anything was fetched: %v, %d", hours, rev)
	}
	if err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "/v1/forecast?latitude=52.3396&longitude=5.1521"; len(asked) != 2 || asked[0] != want {
		t.Errorf("asked for %q, want %q first", asked, want)
	}
	hours, rev := s.Hours("poort", 0)
	if len(hours) != 2 || rev == 0 {
		t.Fatalf("%v, revision %d", hours, rev)
	}
	if again, r := s.Hours("poort", rev); again != nil || r != rev {
		t.Errorf("nothing is new, but: %v", again)
	}
	for says, bad := range map[string]func(http.ResponseWriter){
		"500":            func(w http.ResponseWriter) { http.Error(w, "no", 500) },
		"invalid char":   func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"longer than":    func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat(" ", maxAnswer+1)) },
		"elsewhere":      func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(302) },
		"unexpected EOF": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "900"); fmt.Fprint(w, "{") },
	} {
		answer = bad
		err := s.Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "haven: ") {
			t.Errorf("%v, want %q for each site", err, says)
		}
		if left, r := s.Hours("poort", 0); len(left) != 2 || r != rev {
			t.Errorf("%s: what was known is gone or new: %v", says, left)
		}
	}
	if hours, _ := source(t, cfg).Hours("haven", 0); len(hours) != 2 {
		t.Errorf("after a restart: %v", hours)
	}
	if err := os.WriteFile(filepath.Join(cfg.CacheDir, "weather-haven.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if hours, _ := source(t, cfg).Hours("haven", 0); len(hours) != 0 {
		t.Errorf("of a damaged file: %v", hours)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weather.csv")
	s := source(t, Config{File: path})
	if err := s.Fetch(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for i, temperature := range []string{"11", "12"} {
		if err := os.WriteFile(path, []byte("time,temperature,rain\n2026-05-01T12:00,"+temperature+",0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hours, rev := s.Hours("haven", i); rev != i+1 || len(hours) != 1 {
			t.Errorf("revision %d: %v", rev, hours)
		}
	}
}

// TestRunOutlivesFailure: nobody listens, and the source ends when it is told
// to, without an error.
func TestRunOutlivesFailure(t *testing.T) {
	s := source(t, Config{URL: "http://127.0.0.1:1/"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
