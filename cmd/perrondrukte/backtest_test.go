package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/eval"
	"github.com/perrondrukte/perrondrukte/perron"
)

var update = flag.Bool("update", false, "write what is printed into testdata")

// What is printed of forecasts that were kept and of those that were made again.
func TestPrintLookBack(t *testing.T) {
	day := func(d int) perron.Date { return perron.Date{Year: 2026, Month: time.October, Day: d} }
	score := perron.Score{Horizons: []perron.HorizonScore{
		{
			UpTo: 60, Minutes: 15, Idle: 40, Unforeseen: 3,
			Arrivals: perron.Accuracy{N: 100, Mean: 12.34, MAE: 2.55, Coverage: 0.81}, Wait: perron.Accuracy{N: 50, Mean: 7.2, MAE: 1.94, Coverage: 0.9},
		},
		{Over: 60, UpTo: 180, Minutes: 15, Arrivals: perron.Accuracy{N: 100, Mean: 12, MAE: 3, Coverage: 0.79}},
		{Over: 180, UpTo: 360, Minutes: 15},
		{Over: 2880, UpTo: 11520, Minutes: 60, Arrivals: perron.Accuracy{N: 100, Mean: 48, MAE: 9.5, Coverage: 0.8}},
	}}
	site := &perron.Site{ID: "poort", Name: "Poort"}
	for name, look := range map[string]*eval.LookBack{
		"kept":    {First: day(21), Last: day(27), Kept: eval.Scored{Forecasts: 120, Score: score}, Remade: eval.Scored{Forecasts: 98, Score: score}, WeekBefore: 3.21},
		"remade":  {First: day(21), Last: day(27), Remade: eval.Scored{Forecasts: 98, Score: score}, WeekBefore: -1},
		"nothing": {First: day(26), Last: day(27), Remade: eval.Scored{Forecasts: 98}, WeekBefore: -1},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := printLookBack(&out, site, look); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "lookback-"+name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), out.String()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
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
		{[]string{"--store", "--config", almere, "--site", "poort", "--day", "soon"}, `--day "soon" is not a date`},
		{[]string{"--store", "--config", almere, "--site", "nergens"}, `--site "nergens": ` + almere + " has poort, buiten, haven"},
	} {
		_, err := perrondrukte(t, append([]string{"backtest"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
