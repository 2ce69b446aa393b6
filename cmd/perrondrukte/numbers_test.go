package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// perrondrukte runs the program and returns what it printed.
func perrondrukte(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return out.String() + errs.String(), err
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := perrondrukte(t, args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

func rowsOf(t *testing.T, path, header string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != header {
		t.Fatalf("%s: columns %s, want %s", path, got, header)
	}
	return rows[1:]
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		t.Fatalf("%q is no number to show (%v)", s, err)
	}
	return v
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	almere  = "../../config/testdata/server/almere.good.yaml"
	columns = "t,on_site_p10,on_site,on_site_p90,queue_p10,queue,queue_p90,wait_p10,wait,wait_p90"
)

// TestSimulateThenEstimate goes from a configuration to an estimate and scores
// it: what a yard is told by its sensors alone comes near to its truth.
func TestSimulateThenEstimate(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b"} {
		must(t, "simulate", "--config", almere, "--days", "6", "--seed", "3", "--out", filepath.Join(dir, d))
	}
	for _, name := range []string{"events.csv", "truth.csv"} {
		a, errA := os.ReadFile(filepath.Join(dir, "a", name))
		b, errB := os.ReadFile(filepath.Join(dir, "b", name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s differs between two runs with one seed (%v, %v)", name, errA, errB)
		}
	}
	kinds := map[string]int{}
	for _, r := range rowsOf(t, filepath.Join(dir, "a", "events.csv"), "t,kind") {
		kinds[r[1]]++
	}
	for _, k := range []string{"in", "out", "queue:2:on", "queue:6:off", "queue:12:on"} {
		if kinds[k] < 100 {
			t.Errorf("%d events of kind %s", kinds[k], k)
		}
	}
	type truth struct{ onSite, wait string }
	truths := map[string]truth{}
	for _, r := range rowsOf(t, filepath.Join(dir, "a", "truth.csv"), "t,on_site,queue,wait_min") {
		truths[r[0][:19]] = truth{r[1], r[3]}
	}
	if len(truths) != 6*24*60 {
		t.Fatalf("%d rows of truth", len(truths))
	}

	est := filepath.Join(dir, "est.csv")
	must(t, "estimate", "--events", filepath.Join(dir, "a", "events.csv"), "--bays", "24", "--dwell", "20m", // it is 14
		"--queue-loops", "2,6,12", "--grid", "5m", "--days", "2-6", "--out", est)
	rows := rowsOf(t, est, columns)
	if len(rows) != 5*24*12 || rows[0][0] != "2026-03-03T00:00:00" {
		t.Fatalf("%d rows from %s", len(rows), rows[0][0])
	}
	var n, site, wait, waits float64
	for _, r := range rows {
		var v [10]float64
		for i := 1; i < 10; i++ {
			v[i] = number(t, r[i])
		}
		for i := 1; i < 10; i += 3 {
			if v[i] > v[i+1] || v[i+1] > v[i+2] {
				t.Fatalf("quantiles cross: %v", r)
			}
		}
		is := truths[r[0]]
		if is.wait == "" || r[0][11:] < "08:30" {
			continue
		}
		n++
		site += math.Abs(v[2] - number(t, is.onSite))
		wait += math.Abs(v[8] - number(t, is.wait))
		waits += number(t, is.wait)
	}
	if n < 400 || site/n > 2.2 || wait/n > 2 {
		t.Errorf("%v rows: off by %.2f vehicles and %.2f minutes, where %.1f minutes are waited", n, site/n, wait/n, waits/n)
	}
	t.Logf("%v rows: off by %.2f vehicles and %.2f minutes, where %.1f minutes are waited", n, site/n, wait/n, waits/n)
}

// TestEstimate_isCausal cuts the file: rows before the cut stay the same.
func TestEstimate_isCausal(t *testing.T) {
	dir := t.TempDir()
	must(t, "simulate", "--config", almere, "--days", "2", "--out", dir)
	text, err := os.ReadFile(filepath.Join(dir, "events.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	cut := len(lines) / 3
	var got [2][][]string
	for i, events := range []string{string(text), strings.Join(lines[:cut], "")} {
		est := filepath.Join(dir, fmt.Sprint(i, ".csv"))
		must(t, "estimate", "--events", write(t, events), "--bays", "24", "--dwell", "14m", "--queue-loops", "2,6,12", "--out", est)
		got[i] = rowsOf(t, est, columns)
	}
	same := 0
	for i, r := range got[1] {
		if r[0] > lines[cut-1][:19] {
			break
		}
		if strings.Join(r, ",") != strings.Join(got[0][i], ",") {
			t.Fatalf("%v with the rest of the day, %v without", got[0][i], r)
		}
		same++
	}
	if same < 50 {
		t.Errorf("%d rows before the cut", same)
	}
}

func TestEstimate_files(t *testing.T) {
	for name, c := range map[string]struct {
		text, loops string
		at          string
		low, high   float64 // queue
	}{
		"by distance": {"2026-03-02 10:00:00,queue:6:on\n", "2,6,12", "10:05", 6, 12},
		"by place":    {"2026-03-02 10:00:00,queue:3:on\n", "2,6,12", "10:05", 12, 40},
		"unsorted":    {"2026-03-02T10:20:00.5,queue:2:off\n2026-03-02T10:00Z,queue:2:on\n", "2", "10:05", 2, 10},
		"unplaced":    {"2026-03-02 10:00:00,queue:2:on\n2026-03-02 10:00:00,in\n", "", "10:05", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{
				"estimate", "--events", write(t, "t,kind\n"+c.text), "--bays", "24", "--dwell", "14m",
				"--out", filepath.Join(t.TempDir(), "est.csv"),
			}
			if c.loops != "" {
				args = append(args, "--queue-loops", c.loops)
			}
			must(t, args...)
			for _, r := range rowsOf(t, args[8], columns) {
				if q := number(t, r[5]); r[0][11:16] == c.at && (q < c.low || q > c.high) {
					t.Errorf("%v: a queue of %v, want %v to %v", r[0], q, c.low, c.high)
				}
			}
		})
	}
}

func TestBacktest(t *testing.T) {
	var b strings.Builder
	b.WriteString("i,time,y\n")
	for d := range 28 {
		for h := 8; h < 18; h++ {
			fmt.Fprintf(&b, "%d,2026-09-%02d %02d:00:00,%d\n", d*10+h-8, d+1, h, 20+h*3+d%7*5)
		}
	}
	text := strings.Replace(b.String(), "2026-09-10 12:00:00,66", "2026-09-10 12:00:00,", 1)
	out := filepath.Join(t.TempDir(), "forecasts.csv")
	said := must(t, "backtest", "--series", write(t, text), "--test-from", "210", "--horizons", "1,10", "--out", out)
	if !strings.Contains(said, "1 rows without a count") {
		t.Errorf("it said %q", said)
	}
	rows := rowsOf(t, out, "origin,h,q10,point,q90")
	if want := 70 + 61; len(rows) != want || rows[0][0] != "209" {
		t.Fatalf("%d forecasts from origin %s, want %d", len(rows), rows[0][0], want)
	}
	var off, n float64
	for _, r := range rows {
		target := int(number(t, r[0]) + number(t, r[1]))
		low, mid, high := number(t, r[2]), number(t, r[3]), number(t, r[4])
		if low > mid || mid > high {
			t.Fatalf("quantiles cross: %v", r)
		}
		off += math.Abs(mid - float64(20+(8+target%10)*3+target/10%7*5))
		n++
	}
	if off/n > 2 {
		t.Errorf("off by %.2f on a series that repeats itself", off/n)
	}
}

func TestNumbers_errors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.csv")
	estimate := func(text string, more ...string) []string {
		return append([]string{"estimate", "--events", write(t, text), "--bays", "24", "--dwell", "14m", "--out", out}, more...)
	}
	backtest := func(text, from, horizons string) []string {
		return []string{"backtest", "--series", write(t, text), "--test-from", from, "--horizons", horizons, "--out", out}
	}
	simulate := func(more ...string) []string {
		return append([]string{"simulate", "--config", almere, "--out", t.TempDir()}, more...)
	}
	const good = "time,y\n2026-03-02 08:00:00,1\n2026-03-02 09:00:00,2\n2026-03-02 10:00:00,3\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{estimate(""), "is empty: want a header with the columns t,kind"},
		{estimate("t,what\n"), `line 1: no column "kind" among t,what`},
		{estimate("t,kind\n"), "has no event"},
		{estimate("t,kind\n2026-03-02 08:00:00,in\nyesterday,in\n"), `line 3: t "yesterday": want a time like`},
		{estimate("t,kind\n2026-03-02 08:00:00,sideways\n"), `line 2: kind "sideways": want in, out, queue:K:on or queue:K:off`},
		{estimate("t,kind\n2026-03-02 08:00:00,queue:x:on\n"), `line 2: kind "queue:x:on"`},
		{estimate("t,kind\n2026-03-02 08:00:00,in,3\n"), "line 2"},
		{estimate("t,kind\n2026-03-02 08:00:00,queue:7:on\n", "--queue-loops", "2,6"), `line 2: kind "queue:7:on" is of none of the queue loops 2 6`},
		{estimate("t,kind\n2026-03-02 08:00:00,in\n2046-03-02 08:00:00,in\n"), "more than ten years"},
		{estimate("t,kind\n", "--days", "7-2", "--grid", "0s"), "--grid 0s: want 1s to 24h\n--days \"7-2\": want a range like 2-7"},
		{[]string{"estimate", "--events", "absent.csv", "--bays", "1", "--dwell", "9m", "--out", out}, "absent.csv"},
		{backtest("time,y\n2026-03-02 08:00:00,many\n", "1", "1"), `line 2: y "many": want a number`},
		{backtest("time\n", "1", "1"), `line 1: no column "y" among time`},
		{backtest(good, "3", "1"), "--test-from 3: want 1 to 2"},
		{backtest(good, "2", "0"), "--horizons 0: want 1 or more rows"},
		{backtest(good+"2026-03-02 08:30:00,3\n", "2", "1"), "line 5: time 2026-03-02 08:30:00 is before"},
		{simulate("--days", "0"), "--days 0: want 1 to 3660"},
		{simulate("--days", "1", "--site", "nergens"), `--site "nergens": ` + almere + " has poort, buiten, haven"},
		{simulate("--days", "1", "--from", "maandag"), `--from "maandag": want a date like`},
		{simulate("--days", "1", "--miss-in", "2"), "--miss-in 2: want a part between 0 and 1"},
		{simulate("--days", "1", "--balk", "2000"), "--balk 2000: want 0 to 1000 vehicles"},
	} {
		_, err := perrondrukte(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", strings.Join(c.args, " "), err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s leaves a file", strings.Join(c.args, " "))
			os.Remove(out)
		}
	}
}
