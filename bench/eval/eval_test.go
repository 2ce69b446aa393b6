package main

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// TestKnowing follows four vehicles: two are in, one gives up while another
// waits behind it.
func TestKnowing(t *testing.T) {
	noon := time.Date(2026, 5, 16, 10, 0, 0, 0, time.UTC)
	at := func(minute float64) time.Time { return noon.Add(time.Duration(minute * float64(time.Minute))) }
	day := simulate.Day{Vehicles: []simulate.Vehicle{
		{Arrived: at(0), Let: at(2), Entered: at(2), Left: at(30), Fate: simulate.Served},
		{Arrived: at(1), Let: at(5), Entered: at(5), Left: at(31), Fate: simulate.Served},
		{Arrived: at(2), Left: at(2), Fate: simulate.Balked},
		{Arrived: at(3), Left: at(12), Fate: simulate.Reneged},
		{Arrived: at(4), Let: at(14), Entered: at(14), Left: at(40), Fate: simulate.Served},
	}}
	k := newKnowing(day)
	const door = 0.0 // minutes, without anyone to go by
	for _, c := range []struct {
		minute float64
		queue  int
		want   [len(knownNames)]float64
	}{
		{-1, 0, [...]float64{door, door, door, door}},
		{2.5, 1, [...]float64{2, 1.5, 2, door}},
		{11, 2, [...]float64{4, 8, 3, 2*3 + door}},
		{13, 1, [...]float64{4, 9, 3, 3 + door}},
		{13.9, 0, [...]float64{4, door, 3, door}}, // the last is being let in
		{15, 0, [...]float64{10, door, 16.0 / 3, door}},
	} {
		got := k.at(at(c.minute), c.queue)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-9 {
				t.Errorf("minute %v, %s: %.3f, want %.3f", c.minute, knownNames[i], got[i], c.want[i])
			}
		}
	}
}

func TestJudge(t *testing.T) {
	e := &eval{out: io.Discard}
	for want, got := range map[string]string{
		"2.00 (≤ 2.00 met)":              e.atMost("a", 2, 2),
		"2.01 (≤ 2.00 MISSED)":           e.atMost("b", 2.01, 2),
		"0.740 (0.750–0.880 MISSED)":     e.holds("c", 0.74, 0.75, 0.88),
		"+0.10 (-1.00–+1.00 met)":        e.figure("d", "%+.2f", 0.1, -1, 1),
		"NaN (≤ 1.00 MISSED)":            e.atMost("e", math.NaN(), 1),
		"1.004 (≤ 1.000 MISSED)":         e.ratio("f", 1.004, 1),
		"0.750 (0.750–0.880 met)":        e.holds("g", 0.75, 0.75, 0.88),
		"0.8800001 (≥ 0.9000000 MISSED)": e.figure("h", "%.7f", 0.8800001, 0.9, anyHigh),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if e.met != 3 || e.missed != 5 || len(e.misses) != 5 {
		t.Errorf("%d met, %d missed: %q", e.met, e.missed, e.misses)
	}
}

func TestAbsentDataIsSaid(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-data", t.TempDir(), "-only", "drift,calit2,bench"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"drift", "calit2", "bench"} {
		if !strings.Contains(out.String(), part+": left out, the data is absent") {
			t.Errorf("nothing says that %s was left out:\n%s", part, &out)
		}
	}
	if err := run([]string{"-only", "drift,tea"}, &out); err == nil || !strings.Contains(err.Error(), `"tea"`) {
		t.Errorf("%v, want one that names the unknown part", err)
	}
	if _, err := passages("no such file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestStrict: what `make score` runs fails when a target is missed, and on CI when
// the data of a part is absent.
func TestStrict(t *testing.T) {
	for _, c := range []struct {
		ci, want string
	}{
		{"", ""},
		{"true", "the data of drift is absent"},
	} {
		t.Setenv("CI", c.ci)
		err := run([]string{"-strict", "-data", t.TempDir(), "-only", "drift"}, io.Discard)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("CI=%q: %v, want %q", c.ci, err, c.want)
		}
	}
	e := &eval{out: io.Discard, strict: true}
	e.atMost("too much", 2, 1)
	if err := e.verdict(); err == nil || !strings.Contains(err.Error(), "1 target") {
		t.Errorf("a missed target: %v", err)
	}
}

// TestScoreIsThatOfTheDays: one quiet Saturday is scored at every instant of
// its open hours, and all that is known to the peers is causal.
func TestScoreIsThatOfTheDays(t *testing.T) {
	e := &eval{out: io.Discard, seed: 11, weeks: 1}
	c := yardCases[5]
	s := e.score(c, 0)
	if want := 8.5 * 12; s.inside.n != want || s.queue.n != want {
		t.Errorf("%v instants on site and %v of the queue, want %v", s.inside.n, s.queue.n, want)
	}
	if s.wait.n != s.known[0].n || s.wait.n < 90 || s.wait.n > s.inside.n {
		t.Errorf("%v waits, the peers %v", s.wait.n, s.known[0].n)
	}
	if v := s.wait.mae(); !(v >= 0 && v < 30) {
		t.Errorf("the wait is off by %v minutes", v)
	}
	site := c.site()
	y := &simulate.Yard{Site: site, Seed: 11, Visits: c.visit}
	day := y.Day(perron.Date{Year: 2026, Month: time.March, Day: 7})
	cut := day
	noon := day.Date.At(12 * 60)
	cut.Vehicles = nil
	for _, v := range day.Vehicles {
		if !v.Arrived.After(noon) {
			if v.Fate == simulate.Served && v.Let.After(noon) {
				v.Let = v.Let.Add(time.Hour)
			}
			cut.Vehicles = append(cut.Vehicles, v)
		}
	}
	whole, past := newKnowing(day), newKnowing(cut)
	for _, tr := range day.Truth[:noon.Sub(day.Date.Start())/time.Minute] {
		if a, b := whole.at(tr.At, tr.Queue), past.at(tr.At, tr.Queue); a != b {
			t.Fatalf("%v: %v, with another future %v", tr.At, a, b)
		}
	}
}
