package words

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

func built(t testing.TB) *Languages {
	t.Helper()
	l, err := Built()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func in(t testing.TB, tag string) *Language {
	t.Helper()
	l, ok := built(t).Get(tag)
	if !ok {
		t.Fatalf("no words in %q", tag)
	}
	return l
}

func civil(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, perron.Amsterdam)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func date(s string) perron.Date {
	d, err := perron.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// yard is open from 8:30 to 17:00, Sundays not.
func yard() *perron.Site {
	site := &perron.Site{
		ID: "poort", Name: "Poort", Bays: 24,
		Gates: []perron.Gate{
			{ID: "in", Name: "Ingang", Sensors: []string{"main-in"}},
			{ID: "out", Name: "Uitgang", Sensors: []string{"main-out"}},
		},
		QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}, {Sensor: "queue-2", Distance: 12}},
	}
	for d := time.Monday; d <= time.Saturday; d++ {
		site.Hours.Weekly[d] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	return site
}

// Every message that the code or a template names is in the files, and every
// message of the files is named somewhere: by its id, or by its beginning where
// the rest is the name of something.
func TestMessagesAreThoseInUse(t *testing.T) {
	files, err := fs.Sub(locales, "locales")
	if err != nil {
		t.Fatal(err)
	}
	f, err := readFile(files, built(t).Default().Lang()+".json")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`\b[TN](?:\(| )"([a-z]+\.[\w.]*\w)"`)
	literal := regexp.MustCompile(`"([a-z]+\.[\w.]*)(?:%d)?"`)
	named, found := make(map[string]bool), 0
	for _, pattern := range []string{"*.go", "../web/*.go", "../web/templates/*.html", "../api/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range called.FindAllStringSubmatch(string(text), -1) {
				found++
				if _, ok := f.messages[m[1]]; !ok {
					t.Errorf("%s says %q, which is in no language file", path, m[1])
				}
			}
			for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
				named[m[1]] = true
			}
		}
	}
	if found < 200 {
		t.Errorf("found only %d messages in use: the search is broken", found)
	}
	for id := range f.messages {
		used := named[id]
		for beginning := range named {
			switch rest, ok := strings.CutPrefix(id, beginning); {
			case ok && strings.HasSuffix(beginning, "."):
				used = true
			case ok && slices.Contains([]string{"under", "over", "more"}, rest): // kinds of one message
				used = true
			case ok && (strings.HasSuffix(beginning, ".s") || strings.HasSuffix(beginning, ".d") || strings.HasSuffix(beginning, ".m")): // with a number
				used = true
			}
		}
		if !used {
			t.Errorf("nothing says %s", id)
		}
	}
}

// A percentage tells nobody how long to wait.
func TestNoPercentages(t *testing.T) {
	files, err := fs.Sub(locales, "locales")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range built(t).All() {
		f, err := readFile(files, l.Lang()+".json")
		if err != nil {
			t.Fatal(err)
		}
		for id, m := range f.messages {
			for _, text := range m.forms {
				if strings.ContainsRune(text, '%') {
					t.Errorf("%s: %s has a percentage: %q", l.Lang(), id, text)
				}
			}
		}
	}
}

func TestWait(t *testing.T) {
	for _, c := range []struct {
		band    perron.Band
		atLeast bool
		nl, en  string
	}{
		{perron.BandOf(0), false, "minder dan 5 min", "less than 5 min"},
		{perron.BandOf(12), false, "10–15 min", "10–15 min"},
		{perron.BandOf(200), false, "meer dan 60 min", "more than 60 min"},
		{perron.Band{Min: 45, Max: 60}, true, "minstens 45 min", "at least 45 min"},
		{perron.Band{Min: 60}, true, "minstens 60 min", "at least 60 min"},
		{perron.BandOf(0), true, "minder dan 5 min", "less than 5 min"},
		{perron.Band{}, false, "wachttijd onbekend", "waiting time unknown"},
	} {
		if got := in(t, "nl").Wait(c.band, c.atLeast); got != c.nl {
			t.Errorf("Wait(%v, %v) = %q, want %q", c.band, c.atLeast, got, c.nl)
		}
		if got := in(t, "en").Wait(c.band, c.atLeast); got != c.en {
			t.Errorf("Wait(%v, %v) = %q, want %q", c.band, c.atLeast, got, c.en)
		}
	}
}

func TestWaitRange(t *testing.T) {
	w := in(t, "nl")
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 0, "minder dan 5 min"},
		{0, 5, "minder dan 5 min"},
		{3, 9, "tot 10 min"},
		{15, 25, "15–25 min"},
		{16, 21, "15–25 min"},
		{40, 200, "minstens 40 min"},
		{61, 70, "meer dan 60 min"},
		{0, 300, "tot 90 min"},
		{math.NaN(), 10, "wachttijd onbekend"},
	} {
		if got := w.WaitRange(perron.Interval{Low: c.low, High: c.high}); got != c.want {
			t.Errorf("WaitRange(%v–%v) = %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := civil("2026-05-09 18:00")
	for _, c := range []struct{ at, nl, en string }{
		{"2026-05-09 19:30", "Vandaag open om 19:30.", "Opens today at 19:30."},
		{"2026-05-10 08:30", "Morgen open om 8:30.", "Opens tomorrow at 8:30."},
		{"2026-05-11 08:30", "Maandag open om 8:30.", "Opens Monday at 8:30."},
		{"2026-05-15 08:30", "Vrijdag open om 8:30.", "Opens Friday at 8:30."},
		{"2026-05-16 08:30", "Weer open op zaterdag 16 mei om 8:30.", "Opens again on Saturday 16 May at 8:30."},
	} {
		if got := in(t, "nl").Opens(civil(c.at), now); got != c.nl {
			t.Errorf("Opens(%s) = %q, want %q", c.at, got, c.nl)
		}
		if got := in(t, "en").Opens(civil(c.at), now); got != c.en {
			t.Errorf("Opens(%s) = %q, want %q", c.at, got, c.en)
		}
	}
	// The day before the clocks go forward, "tomorrow" has 23 hours.
	if got := in(t, "nl").Opens(civil("2026-03-29 08:30"), civil("2026-03-28 23:30")); got != "Morgen open om 8:30." {
		t.Errorf("before the clock change: %q", got)
	}
	if got := in(t, "nl").Age(now.Add(-59*time.Second), now); got != "nu" {
		t.Errorf("Age of 59 s: %q", got)
	}
	if got := in(t, "en").Age(now.Add(-150*time.Second), now); got != "2 min. ago" {
		t.Errorf("Age of 150 s: %q", got)
	}
	if got, want := in(t, "nl").FullDate(date("2026-03-29")), "zondag 29 maart 2026"; got != want {
		t.Errorf("FullDate = %q, want %q", got, want)
	}
	if got := in(t, "nl").Number(1234567) + " " + in(t, "en").Number(12345) + " " + in(t, "nl").Number(-123); got != "1.234.567 12,345 -123" {
		t.Errorf("Number: %q", got)
	}
}

func TestOnSiteIsNeverABareNumber(t *testing.T) {
	w := in(t, "nl")
	for n, want := range map[float64]string{
		0: "Het terrein is vrijwel leeg", 0.6: "ongeveer 1 voertuig op het terrein", 23.4: "ongeveer 23 voertuigen op het terrein",
	} {
		if got := w.OnSite(perron.Exactly(n)); got != want {
			t.Errorf("OnSite(%v) = %q, want %q", n, got, want)
		}
	}
}
