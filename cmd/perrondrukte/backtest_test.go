package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	// As the demo does: forecasts as they would have been made.
	if _, err := h.lookBack(t.Context(), []*simulate.Yard{yard}, []time.Time{{}}, until); err != nil {
		t.Fatal(err)
	}
	c := backtestCmd{Days: 7, SVG: filepath.Join(t.TempDir(), "fan.svg")}
	var out strings.Builder
	if err := c.look(t.Context(), h.store, yard.Site, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	for _, want := range []string{
		`(?m)^Poort, 2026-10-21 to 2026-10-27\.$`,
		`the \d+ forecasts that were kept, by the rules and of the days of the planner's page`,
		`(?m)^up to 1 h +\d+\.\d in 15 min +\d\.\d +[6-9]\d % +\d+\.\d min +\d+\.\d min +\d+ %$`,
		`(?m)^48 h to 8 days +\d+\.\d in 60 min`,
		`is off by \d+\.\d vehicles in 15 min`,
		`The forecasts of 2026-10-24 are drawn in`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the table does not say %q", want)
		}
	}
	// What was kept was made as it is made again: both tables agree.
	if tables := regexp.MustCompile(`(?m)^(up to 1 h|1 h to 3 h|3 h to 6 h) .*$`).FindAllString(out.String(), -1); len(tables) != 6 {
		t.Errorf("the lines up to six hours: %q", tables)
	} else {
		for i := range 3 {
			alike(t, tables[i], tables[3+i])
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

// alike wants two lines of a table to be the same but for what is rounded when
// a forecast is kept.
func alike(t *testing.T, a, b string) {
	t.Helper()
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		t.Errorf("%q and %q", a, b)
		return
	}
	for i := range x {
		v, err := strconv.ParseFloat(x[i], 64)
		w, err2 := strconv.ParseFloat(y[i], 64)
		if (err == nil) != (err2 == nil) || err != nil && x[i] != y[i] || math.Abs(v-w) > max(0.2, 0.03*v) {
			t.Errorf("%q was kept, %q is made again", a, b)
		}
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
		{[]string{"--store", "--config", almere, "--site", "poort", "--days", "99"}, "--days 99: want 2 to 28"},
		{[]string{"--store", "--config", almere, "--site", "nergens"}, `--site "nergens": ` + almere + " has poort, buiten, haven"},
	} {
		_, err := perrondrukte(t, append([]string{"backtest"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
