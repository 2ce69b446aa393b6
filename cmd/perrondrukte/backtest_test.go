package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// TestBacktest_ofAStore looks back on simulated weeks: the table has figures
// that can be true, and the drawing is well-formed and holds what came.
func TestBacktest_ofAStore(t *testing.T) {
	h, yard := openHistory(t)
	until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
	if _, err := h.fill(t.Context(), []*simulate.Yard{yard}, 5, until); err != nil {
		t.Fatal(err)
	}
	c := backtestCmd{Days: 7, SVG: filepath.Join(t.TempDir(), "fan.svg")}
	var out strings.Builder
	if err := c.look(t.Context(), h.store, yard.Site, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for _, want := range []string{
		`(?m)^Poort, 2026-10-20 to 2026-10-26: \d+ forecasts`,
		`(?m)^up to 1 h +\d+\.\d in 15 min +\d\.\d +[6-9]\d % +\d+\.\d min +\d+\.\d min +\d+ %$`,
		`(?m)^48 h to 8 days +\d+\.\d in 60 min`,
		`is off by \d+\.\d vehicles in 15 min`,
		`The forecasts of 2026-10-24 are drawn in`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table does not say %q", want)
		}
	}
	drawing, err := os.ReadFile(c.SVG)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(drawing), "NaN") || strings.Contains(string(drawing), "Inf") || strings.Count(string(drawing), "<circle") < 8*30 {
		t.Errorf("a drawing with %d dots", strings.Count(string(drawing), "<circle"))
	}
	for d := xml.NewDecoder(strings.NewReader(string(drawing))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}

	for want, bad := range map[string]backtestCmd{
		`--day "2026-11-01"`: {Days: 7, Day: "2026-11-01"},
		`--day "soon"`:       {Days: 7, Day: "soon"},
	} {
		if err := bad.look(t.Context(), h.store, yard.Site, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	empty := *yard.Site
	empty.ID, empty.Name = "haven", "Haven"
	if err := c.look(t.Context(), h.store, &empty, io.Discard); err == nil || !strings.Contains(err.Error(), "nothing was counted at Haven") {
		t.Errorf("%v", err)
	}
}

func TestBacktest_wantsOneOrTheOther(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "want --series"},
		{[]string{"--series", "f.csv"}, "want --series"},
		{[]string{"--store"}, "--store needs --config and --site"},
		{[]string{"--store", "--series", "f.csv"}, "want one of them"},
		{[]string{"--store", "--config", almere, "--site", "poort", "--days", "99"}, "--days 99: want 1 to 28"},
		{[]string{"--store", "--config", almere, "--site", "nergens"}, `--site "nergens": ` + almere + " has poort, buiten, haven"},
	} {
		_, err := perrondrukte(t, append([]string{"backtest"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
