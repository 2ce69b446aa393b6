package web

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
	"github.com/perrondrukte/perrondrukte/words/wordstest"
)

// withMirrored loads the compiled-in languages and one that is read from right to
// left, with the direction of time in its charts.
func withMirrored(t testing.TB, charts words.Direction) *words.Languages {
	t.Helper()
	l, err := words.Load(wordstest.Folder(t, os.DirFS(locales), map[string]map[string]any{
		"ar": wordstest.Mirrored(t, os.DirFS(locales), "nl", string(charts)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mirroredWords(t testing.TB, charts words.Direction) *words.Language {
	t.Helper()
	l, _ := withMirrored(t, charts).Get("ar")
	return l
}

func valueOf(t *testing.T, p string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(p, "%"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Where time runs from right to left every chart is the mirror image of the
// other, and nothing in it but places changes.
func TestChartsRunBothWays(t *testing.T) {
	site := fixtureSites()[0]
	now := civil("2026-05-09 11:20")
	f := fixtureForecast(site, 1, now, now)
	d := date("2026-05-09")
	mirrored := func(name string, to, from []bar) {
		t.Helper()
		if len(to) == 0 || len(to) != len(from) {
			t.Fatalf("%s: %d and %d bars", name, len(to), len(from))
		}
		for i := range to {
			x, w, other := valueOf(t, to[i].X), valueOf(t, to[i].W), valueOf(t, from[i].X)
			if diff := x + w + other - 100; diff > 0.02 || diff < -0.02 {
				t.Errorf("%s: bar %d at %v, mirrored at %v", name, i, to[i].X, from[i].X)
			}
			if to[i].Y != from[i].Y || to[i].W != from[i].W || to[i].Class != from[i].Class {
				t.Errorf("%s: bar %d differs: %+v, %+v", name, i, to[i], from[i])
			}
		}
	}
	left, right := mirroredWords(t, words.LTR), mirroredWords(t, words.RTL)

	a, b := viewDay(left, site, &f, d, now, false), viewDay(right, site, &f, d, now, false)
	mirrored("day", a.Bars, b.Bars)
	if a.Now != "37.04%" || b.Now != "62.96%" {
		t.Errorf("now at %s and %s", a.Now, b.Now)
	}
	if a.Scale != rightEdge || b.Scale != leftEdge {
		t.Errorf("the scale stands at %v and %v", a.Scale, b.Scale)
	}
	if first := b.Ticks[0]; first.X != "100%" || first.Label != "8" {
		t.Errorf("the first hour from right to left is %+v", first)
	}
	if a.NowIndex != b.NowIndex || a.From != b.From || !slices.Equal(a.Kinds, b.Kinds) {
		t.Error("more than places differs between the directions")
	}
	week, back := viewWeek(left, site, &f, now), viewWeek(right, site, &f, now)
	mirrored("week", week.Days[0].Bars, back.Days[0].Bars)

	counts := []perron.Count{{Start: civil("2026-05-09 09:00"), In: 3}, {Start: civil("2026-05-09 16:45"), In: 9}}
	curve, other := viewCurve(left, d, site.Hours.Periods(d), counts), viewCurve(right, d, site.Hours.Periods(d), counts)
	mirrored("curve", curve.Bars, other.Bars)
}

// Near the end of a day the word at the now mark would lie over the numbers of
// the scale, which then stand at the other side.
func TestScaleMakesRoomForNow(t *testing.T) {
	from, to := civil("2026-05-09 08:00"), civil("2026-05-09 17:00")
	for now, want := range map[string]edge{
		"2026-05-09 11:00": rightEdge, "2026-05-09 15:30": rightEdge, "2026-05-09 15:45": leftEdge, "2026-05-09 16:59": leftEdge,
		"2026-05-09 17:00": rightEdge, "2026-05-08 20:00": rightEdge,
	} {
		if got := (timeAxis{from, to, words.LTR}).scale(civil(now)); got != want {
			t.Errorf("at %s the scale stands at %v, want %v", now, got, want)
		}
	}
	if got := (timeAxis{from, to, words.RTL}).scale(civil("2026-05-09 16:30")); got != rightEdge {
		t.Errorf("from right to left the scale stands at %v at the end of the day", got)
	}
}

// physical finds what names a side of the screen rather than of the text.
var physical = regexp.MustCompile(`(?m)(?:^|[;{\s])((?:[a-z-]+-)?(?:left|right)(?:-[a-z-]+)?\s*:[^;}]*|[a-z-]+\s*:[^;}]*\b(?:left|right)\b[^;}]*)`)

// allowed are the declarations that name a side on purpose.
var allowed = map[string]string{
	"background-position: right 1.25rem center, right 0.9rem center": "there is no logical background-position in the browsers that we support",
	"background-position: left 0.9rem center, left 1.25rem center":   "its counterpart under dir=rtl",
}

// A page is laid out by start and end, so that one style serves both directions.
func TestStyleNamesNoSides(t *testing.T) {
	files, err := filepath.Glob("css/*.css")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %v (%v)", files, err)
	}
	comments := regexp.MustCompile(`(?s)/\*.*?\*/`)
	seen := make(map[string]bool)
	for _, name := range files {
		css, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range physical.FindAllStringSubmatch(comments.ReplaceAllString(string(css), ""), -1) {
			declaration := strings.Join(strings.Fields(m[1]), " ")
			if _, ok := allowed[declaration]; !ok {
				t.Errorf("%s: %q names a side: use inline-start, inline-end, start or end", name, declaration)
			}
			seen[declaration] = true
		}
	}
	for declaration := range allowed {
		if !seen[declaration] {
			t.Errorf("%q is allowed but occurs nowhere", declaration)
		}
	}
	for _, wrong := range []string{"a { margin-left: 1px }", "a{text-align:right}", "a { left: 0; }", "a { border-top-right-radius: 2px }", "a { float: left }"} {
		if !physical.MatchString(wrong) {
			t.Errorf("%q is not found: the search is broken", wrong)
		}
	}
}

// TestBrowserRightToLeft shows every page from right to left to a real browser,
// with time in the charts either way.
func TestBrowserRightToLeft(t *testing.T) {
	urls := make(map[string]map[string]string)
	for _, run := range []words.Direction{words.LTR, words.RTL} {
		urls[string(run)] = make(map[string]string)
		for _, s := range scenarios() {
			s.words = withMirrored(t, run)
			srv := httptest.NewServer(newHandler(t, s, &fakeAuth{}))
			defer srv.Close()
			urls[string(run)][s.name] = srv.URL
		}
	}
	inBrowser(t, "browser/direction.mjs", map[string]any{"urls": urls, "shots": os.Getenv("SHOTS") != ""})
}
