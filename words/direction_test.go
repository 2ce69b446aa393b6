package words

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/text/language"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words/wordstest"
)

func TestDirections(t *testing.T) {
	for _, c := range []struct {
		tag          string
		about        about
		text, charts Direction
	}{
		{"nl", about{}, LTR, LTR},
		{"ar", about{}, RTL, LTR},
		{"he", about{}, RTL, LTR},
		{"az-Arab", about{}, RTL, LTR},
		{"ckb", about{Charts: RTL}, RTL, RTL},
		{"ku", about{Direction: RTL}, RTL, LTR},
	} {
		if text, charts := c.about.directions(language.MustParse(c.tag)); text != c.text || charts != c.charts {
			t.Errorf("%s %+v: text %s, charts %s; want %s and %s", c.tag, c.about, text, charts, c.text, c.charts)
		}
	}
}

// A figure keeps its order in a text that is read from right to left.
func TestIsolateFigures(t *testing.T) {
	show := strings.NewReplacer(leftToRightIsolate, "[", rightToLeftIsolate, "(rtl ", popIsolate, "]", leftToRightMark, "^", rightToLeftMark, "*").Replace
	for _, c := range []struct {
		text string
		run  Direction
		want string
	}{
		{"open 8:30–17:00.", LTR, "open [8:30^–^17:00]."},
		{"open 8:30–17:00.", RTL, "open (rtl 8:30*–*17:00]."},
		{"8:30–12:00 en 13:00 – 17:00", LTR, "[8:30^–^12:00] en [13:00^ – ^17:00]"},
		{"< 5", RTL, "[< 5]"},
		{"60+", LTR, "[60+]"},
		{"9 (7–12)", LTR, "9 ([7^–^12])"},
		{"١٠–١٥ د", LTR, "[١٠^–^١٥] د"},
		{"12 voertuigen, 1.215 vandaag om 8:30.", LTR, "12 voertuigen, 1.215 vandaag om 8:30."},
		{"–", LTR, "–"},
		{"sensor queue-2, 2026-05-09", LTR, "sensor queue-2, 2026-05-09"},
	} {
		got := isolateFigures(c.text, c.run)
		if show(got) != c.want {
			t.Errorf("%q, %s: %q, want %q", c.text, c.run, show(got), c.want)
		}
		if again := isolateFigures(got, c.run); again != got {
			t.Errorf("%q is isolated twice: %q", c.text, show(again))
		}
	}
	if got := in(t, "nl").T("hours.span", "From", "8:30", "To", "17:00"); got != "8:30–17:00" {
		t.Errorf("Dutch gets %q", got)
	}
	l, err := Load(folder(t, map[string]map[string]any{"ar": wordstest.Mirrored(t, os.DirFS("locales"), "nl", "ltr")}))
	if err != nil {
		t.Fatal(err)
	}
	ar, _ := l.Get("ar")
	if got := ar.Wait(perron.BandOf(12), false); !strings.HasPrefix(got, leftToRightIsolate+"10") {
		t.Errorf("a wait in the mirrored language is %q", got)
	}
}

func TestIsolateForeign(t *testing.T) {
	for _, c := range []struct {
		text string
		dir  Direction
		want string
	}{
		{"De containers zijn vol.", LTR, "De containers zijn vol."},
		{"De containers zijn vol.", RTL, "\u2068De containers zijn vol.\u2069"},
		{"12 ثعپ.", LTR, "\u206812 ثعپ.\u2069"},
		{"12 ثعپ.", RTL, "12 ثعپ."},
		{"8:30", RTL, "8:30"},
	} {
		if got := isolateForeign(c.text, c.dir); got != c.want {
			t.Errorf("%q in a text %s: %q, want %q", c.text, c.dir, got, c.want)
		}
	}
}
