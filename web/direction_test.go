package web

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"github.com/perrondrukte/perrondrukte/perron"
)

// mirroredWords are the Dutch messages in letters of the Arabic script, letter by
// letter: a language that nobody speaks, as long as Dutch and read from right to
// left, with every plural form of Arabic.
func mirroredWords(t testing.TB, run direction) *words {
	t.Helper()
	raw, err := locales.ReadFile("locales/nl.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	mirror(tree)
	if raw, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	bundle := i18n.NewBundle(language.Arabic)
	if _, err := bundle.ParseMessageFileBytes(raw, "ar.json"); err != nil {
		t.Fatal(err)
	}
	return &words{tag: "ar", local: i18n.NewLocalizer(bundle, "ar"), script: forScript(tree), dir: rtl, run: run}
}

var (
	placeholder = regexp.MustCompile(`\{\{[^}]*\}\}|[^{]+|\{`)
	letters     = []rune("ابپتثجحخدذرزسشصضطعغفقکلمنوه")
)

func mirror(tree map[string]any) {
	for key, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			if other, ok := v["other"]; ok {
				for _, form := range []string{"zero", "one", "two", "few", "many"} {
					v[form] = other
				}
			}
			mirror(v)
		case string:
			tree[key] = placeholder.ReplaceAllStringFunc(v, func(part string) string {
				if strings.HasPrefix(part, "{{") {
					return part
				}
				return strings.Map(func(r rune) rune {
					switch {
					case r >= 'a' && r <= 'z':
						return letters[r-'a']
					case r >= 'A' && r <= 'Z':
						return letters[r-'A']
					}
					return r
				}, part)
			})
		}
	}
}

func TestDirections(t *testing.T) {
	for _, c := range []struct {
		tag          string
		file         map[string]any
		text, charts direction
	}{
		{"nl", nil, ltr, ltr},
		{"ar", nil, rtl, ltr},
		{"he", nil, rtl, ltr},
		{"az-Arab", nil, rtl, ltr},
		{"ckb", map[string]any{"charts": "rtl"}, rtl, rtl},
		{"ku", map[string]any{"direction": "rtl"}, rtl, ltr},
	} {
		text, charts, err := directions(language.MustParse(c.tag), c.file)
		if err != nil || text != c.text || charts != c.charts {
			t.Errorf("%s %v: text %s, charts %s (%v); want %s and %s", c.tag, c.file, text, charts, err, c.text, c.charts)
		}
	}
	for _, wrong := range []map[string]any{{"charts": "right"}, {"direction": true}} {
		if _, _, err := directions(language.Dutch, wrong); err == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
}

// A figure keeps its order in a text that is read from right to left.
func TestIsolateFigures(t *testing.T) {
	show := strings.NewReplacer(leftToRightIsolate, "[", rightToLeftIsolate, "(rtl ", popIsolate, "]", leftToRightMark, "^", rightToLeftMark, "*").Replace
	for _, c := range []struct {
		text string
		run  direction
		want string
	}{
		{"open 8:30–17:00.", ltr, "open [8:30^–^17:00]."},
		{"open 8:30–17:00.", rtl, "open (rtl 8:30*–*17:00]."},
		{"8:30–12:00 en 13:00 – 17:00", ltr, "[8:30^–^12:00] en [13:00^ – ^17:00]"},
		{"< 5", rtl, "[< 5]"},
		{"60+", ltr, "[60+]"},
		{"9 (7–12)", ltr, "9 ([7^–^12])"},
		{"١٠–١٥ د", ltr, "[١٠^–^١٥] د"},
		{"12 voertuigen, 1.215 vandaag om 8:30.", ltr, "12 voertuigen, 1.215 vandaag om 8:30."},
		{"–", ltr, "–"},
		{"sensor queue-2, 2026-05-09", ltr, "sensor queue-2, 2026-05-09"},
	} {
		got := isolateFigures(c.text, c.run)
		if show(got) != c.want {
			t.Errorf("%q, %s: %q, want %q", c.text, c.run, show(got), c.want)
		}
		if again := isolateFigures(got, c.run); again != got {
			t.Errorf("%q is isolated twice: %q", c.text, show(again))
		}
	}
	nl := testWords(t)["nl"]
	if got := nl.figures("8:30–17:00"); got != "8:30–17:00" {
		t.Errorf("Dutch gets %q", got)
	}
	if got := mirroredWords(t, ltr).Wait(perron.BandOf(12), false); !strings.HasPrefix(got, leftToRightIsolate+"10") {
		t.Errorf("a wait in the mirrored language is %q", got)
	}
}

func TestIsolateForeign(t *testing.T) {
	for _, c := range []struct {
		text string
		dir  direction
		want string
	}{
		{"De containers zijn vol.", ltr, "De containers zijn vol."},
		{"De containers zijn vol.", rtl, "\u2068De containers zijn vol.\u2069"},
		{"12 ثعپ.", ltr, "\u206812 ثعپ.\u2069"},
		{"12 ثعپ.", rtl, "12 ثعپ."},
		{"8:30", rtl, "8:30"},
	} {
		if got := isolateForeign(c.text, c.dir); got != c.want {
			t.Errorf("%q in a text %s: %q, want %q", c.text, c.dir, got, c.want)
		}
	}
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
	left, right := mirroredWords(t, ltr), mirroredWords(t, rtl)

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
		if got := (timeAxis{from, to, ltr}).scale(civil(now)); got != want {
			t.Errorf("at %s the scale stands at %v, want %v", now, got, want)
		}
	}
	if got := (timeAxis{from, to, rtl}).scale(civil("2026-05-09 16:30")); got != rightEdge {
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
	for _, run := range []direction{ltr, rtl} {
		urls[string(run)] = make(map[string]string)
		for _, s := range scenarios() {
			server := newTestServer(t, s, &fakeAuth{})
			server.langs.words["en"] = mirroredWords(t, run)
			srv := httptest.NewServer(server.routes())
			defer srv.Close()
			urls[string(run)][s.name] = srv.URL
		}
	}
	inBrowser(t, "browser/direction.mjs", map[string]any{"urls": urls, "shots": os.Getenv("SHOTS") != ""})
}
