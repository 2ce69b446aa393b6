package web

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

func testWords(t testing.TB) map[string]*words {
	t.Helper()
	l, err := loadLanguages()
	if err != nil {
		t.Fatal(err)
	}
	return l.words
}

func messages(t *testing.T, tag string) map[string]string {
	t.Helper()
	raw, err := locales.ReadFile("locales/" + tag + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	var walk func(prefix string, v map[string]any)
	walk = func(prefix string, v map[string]any) {
		for k, child := range v {
			switch child := child.(type) {
			case string:
				out[prefix+k] = child
			case map[string]any:
				walk(prefix+k+".", child)
			}
		}
	}
	walk("", tree)
	return out
}

// Both languages have the same messages with the same placeholders, and every
// message that a template, the script or the code names exists.
func TestWordsAreComplete(t *testing.T) {
	all := make(map[string]map[string]string)
	for _, tag := range tags {
		all[tag] = messages(t, tag)
	}
	holes := regexp.MustCompile(`\{\{\.\w+\}\}`)
	for id, nl := range all["nl"] {
		en, ok := all["en"][id]
		if !ok {
			t.Errorf("%s has no English", id)
			continue
		}
		a, b := holes.FindAllString(nl, -1), holes.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: placeholders %v in Dutch, %v in English", id, a, b)
		}
	}
	for id := range all["en"] {
		if _, ok := all["nl"][id]; !ok {
			t.Errorf("%s has no Dutch", id)
		}
	}

	named := regexp.MustCompile(`\b[TNtn](?:\(| )"([a-z]+\.[\w.]*\w)"`)
	found := 0
	for _, dir := range []string{".", "templates", "ts"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), "_test.go") || !regexp.MustCompile(`\.(go|html|ts)$`).MatchString(e.Name()) {
				continue
			}
			text, err := os.ReadFile(dir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				found++
				id := m[1]
				if all["nl"][id] == "" && all["nl"][id+".other"] == "" {
					t.Errorf("%s/%s says %q, which is in no locale file", dir, e.Name(), id)
				}
				if dir == "ts" {
					if _, ok := testWords(t)["nl"].script[id]; !ok {
						t.Errorf("%s/%s says %q, which the script does not get", dir, e.Name(), id)
					}
				}
			}
		}
	}
	if found < 200 {
		t.Errorf("found only %d messages in use: the search is broken", found)
	}
}

// A percentage tells nobody how long to wait.
func TestNoPercentages(t *testing.T) {
	for _, tag := range tags {
		for id, text := range messages(t, tag) {
			if strings.ContainsRune(text, '%') {
				t.Errorf("%s: %s has a percentage: %q", tag, id, text)
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
		w := testWords(t)
		if got := w["nl"].Wait(c.band, c.atLeast); got != c.nl {
			t.Errorf("Wait(%v, %v) = %q, want %q", c.band, c.atLeast, got, c.nl)
		}
		if got := w["en"].Wait(c.band, c.atLeast); got != c.en {
			t.Errorf("Wait(%v, %v) = %q, want %q", c.band, c.atLeast, got, c.en)
		}
	}
}

func TestWaitRange(t *testing.T) {
	w := testWords(t)["nl"]
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
	w := testWords(t)
	now := civil("2026-05-09 18:00")
	for _, c := range []struct{ at, nl, en string }{
		{"2026-05-09 19:30", "Vandaag open om 19:30.", "Opens today at 19:30."},
		{"2026-05-10 08:30", "Morgen open om 8:30.", "Opens tomorrow at 8:30."},
		{"2026-05-11 08:30", "Maandag open om 8:30.", "Opens Monday at 8:30."},
		{"2026-05-15 08:30", "Vrijdag open om 8:30.", "Opens Friday at 8:30."},
		{"2026-05-16 08:30", "Weer open op zaterdag 16 mei om 8:30.", "Opens again on Saturday 16 May at 8:30."},
	} {
		if got := w["nl"].Opens(civil(c.at), now); got != c.nl {
			t.Errorf("Opens(%s) = %q, want %q", c.at, got, c.nl)
		}
		if got := w["en"].Opens(civil(c.at), now); got != c.en {
			t.Errorf("Opens(%s) = %q, want %q", c.at, got, c.en)
		}
	}
	// The day before the clocks go forward, "tomorrow" has 23 hours.
	if got := w["nl"].Opens(civil("2026-03-29 08:30"), civil("2026-03-28 23:30")); got != "Morgen open om 8:30." {
		t.Errorf("before the clock change: %q", got)
	}
	if got := w["nl"].Age(now.Add(-59*time.Second), now); got != "zojuist gemeten" {
		t.Errorf("Age of 59 s: %q", got)
	}
	if got := w["en"].Age(now.Add(-150*time.Second), now); got != "measured 2 min ago" {
		t.Errorf("Age of 150 s: %q", got)
	}
	if got, want := w["nl"].FullDate(date("2026-03-29")), "zondag 29 maart 2026"; got != want {
		t.Errorf("FullDate = %q, want %q", got, want)
	}
	if got := w["nl"].Number(1234567) + " " + w["en"].Number(12345) + " " + w["nl"].Number(-123); got != "1.234.567 12,345 -123" {
		t.Errorf("Number: %q", got)
	}
}

func TestOnSiteIsNeverABareNumber(t *testing.T) {
	w := testWords(t)["nl"]
	for n, want := range map[float64]string{
		0: "Het terrein is vrijwel leeg", 0.6: "ongeveer 1 voertuig op het terrein", 23.4: "ongeveer 23 voertuigen op het terrein",
	} {
		if got := w.OnSite(perron.Exactly(n)); got != want {
			t.Errorf("OnSite(%v) = %q, want %q", n, got, want)
		}
	}
}

// A stateCase is a state with the server's words for it, which the script must
// say as well: browser/words.test.mjs reads testdata/states.json.
type stateCase struct {
	Name  string               `json:"name"`
	Now   time.Time            `json:"now"`
	State scriptState          `json:"state"`
	Views map[string]stateView `json:"views"`
	Ring  string               `json:"ring"`
}

type stateFile struct {
	Words map[string]map[string]any `json:"words"`
	Cases []stateCase               `json:"cases"`
}

func TestStates(t *testing.T) {
	w := testWords(t)
	file := stateFile{Words: make(map[string]map[string]any)}
	for _, tag := range tags {
		file.Words[tag] = w[tag].script
	}
	add := func(name string, now time.Time, b perron.Busyness) {
		site := fixtureSites()[0]
		b.Site = site.ID
		b = b.AsOf(site, now)
		c := stateCase{Name: name, Now: now, State: newScriptState(site, &b), Views: make(map[string]stateView)}
		for _, tag := range tags {
			v := viewState(w[tag], &b, now)
			c.Views[tag], c.Ring = v, v.Dashes()
		}
		file.Cases = append(file.Cases, c)
	}
	now := civil("2026-05-09 11:20")
	measured := func(wait float64, f func(b *perron.Busyness)) perron.Busyness {
		b := perron.Busyness{
			Estimate: perron.Estimate{OnSite: perron.Exactly(23.2)}, MeasuredAt: now.Add(-70 * time.Second), StaleAt: now.Add(4 * time.Minute),
			Level: perron.LevelOf(wait, 0.5), Band: perron.BandOf(wait), Trend: perron.Falling, TypicalLevel: perron.Quiet,
		}
		if f != nil {
			f(&b)
		}
		return b
	}
	for _, wait := range []float64{0, 7, 12, 33, 80} {
		add(fmt.Sprintf("a wait of %v", wait), now, measured(wait, nil))
	}
	add("at least", now, measured(50, func(b *perron.Busyness) { b.AtLeast, b.Trend = true, perron.Rising }))
	add("almost empty, measured just now", now, measured(0, func(b *perron.Busyness) {
		b.OnSite, b.MeasuredAt, b.Trend = perron.Interval{}, now.Add(-5*time.Second), ""
	}))
	add("one vehicle", now, measured(0, func(b *perron.Busyness) { b.OnSite = perron.Exactly(1) }))
	add("late", civil("2026-05-09 16:45"), measured(12, func(b *perron.Busyness) {
		b.Level, b.MeasuredAt, b.StaleAt = perron.Late, civil("2026-05-09 16:44"), civil("2026-05-09 16:49")
	}))
	stale := func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt = civil("2026-05-09 10:42"), civil("2026-05-09 10:47")
	}
	add("stale with typical", now, measured(12, stale))
	add("stale without typical", now, measured(12, func(b *perron.Busyness) { stale(b); b.TypicalLevel = perron.Unknown }))
	add("stale since another day", now, measured(12, func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt, b.TypicalLevel = civil("2026-05-07 10:42"), civil("2026-05-07 10:47"), perron.VeryBusy
	}))
	add("never measured", now, perron.Busyness{})
	add("closed by staff", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-09 09:52"), Reason: map[string]string{"nl": "De rij staat op de openbare weg."}}
	}))
	add("closed by staff for today", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-09 09:52"), Until: civil("2026-05-11 08:30")}
	}))
	add("closed by staff until now", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-08 09:52"), Until: now}
	}))
	add("closed by staff without reason", now, measured(12, func(b *perron.Busyness) { b.Closure = &perron.Closure{Since: now} }))
	add("closed, opens later today", civil("2026-05-09 07:00"), measured(0, nil))
	add("closed, opens on Monday", civil("2026-05-09 18:00"), measured(0, nil))
	add("closed, opens tomorrow", civil("2026-05-10 18:00"), measured(0, nil))

	got, err := json.MarshalIndent(file, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const path = "testdata/states.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (UPDATE=1 writes it anew):\n%s", path, diff)
	}
	// What must never be shown.
	for _, c := range file.Cases {
		for tag, v := range c.Views {
			for _, text := range []string{v.Headline, v.Detail, v.OnSite, v.Wait, v.BoardMain} {
				if text == "0" || strings.ContainsRune(text, '%') || strings.HasPrefix(text, "0 ") {
					t.Errorf("%s in %s says %q", c.Name, tag, text)
				}
			}
		}
	}
}
