// Command eval scores the estimates and the forecasts and prints every figure
// beside its target. It is run by `make eval`; docs/forecasting-measured.md is
// written from what it prints. `make score` runs a few parts of it, and fails when
// one gets worse.
//
// The recordings are not part of the repository. They are read from the folder
// shared beside it; a part whose data is absent says so and is left out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1)
	}
}

// eval is one run of the program.
type eval struct {
	out    io.Writer
	data   string // the folder of the recordings
	seed   uint64 // of the simulated yards
	weeks  int    // Saturdays a simulated yard
	past   int    // closed days before them, of which is learned
	strict bool   // a missed target fails
	hidden bool   // hours and road of the yards are not told

	met, missed int
	misses      []string
	absent      []string
}

func run(args []string, out io.Writer) error {
	e := &eval{out: out}
	parts := []struct {
		name string
		run  func() error
	}{
		{"drift", e.drift}, {"calit2", e.calit2}, {"yards", e.yards}, {"warnings", e.warnings}, {"worse", e.worse}, {"bench", e.bench}, {"parts", e.parts}, {"ahead", e.ahead}, {"crowd", e.crowd}, {"outside", e.outside}, {"beginning", e.beginning}, {"speed", e.speed}, {"limits", e.limits},
	}
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	flags := flag.NewFlagSet("eval", flag.ContinueOnError)
	flags.StringVar(&e.data, "data", filepath.Join("..", "shared"), "folder of the recordings, with data/ and forecast-eval/ in it")
	flags.Uint64Var(&e.seed, "seed", 11, "seed of the simulated yards")
	flags.IntVar(&e.weeks, "weeks", 8, "Saturdays a simulated yard")
	flags.IntVar(&e.past, "past", 14, "closed days that the simulated yards have learned from; 0 leaves that out")
	flags.BoolVar(&e.hidden, "hidden", false, "do not tell the estimator the opening hours and the road of the simulated yards")
	flags.BoolVar(&e.strict, "strict", false, "fail when a target is missed and, with CI set, when the data of a part is absent")
	only := flags.String("only", strings.Join(names, ","), "which parts to run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only: %q is not one of %s", name, strings.Join(names, ", "))
		}
	}
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.run(); errors.Is(err, fs.ErrNotExist) {
			e.absent = append(e.absent, p.name)
			fmt.Fprintf(e.out, "%s: left out, the data is absent: %v\n\n", p.name, err)
		} else if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Fprintf(e.out, "%d targets met, %d missed\n", e.met, e.missed)
	for _, m := range e.misses {
		fmt.Fprintln(e.out, "  missed:", m)
	}
	for _, a := range e.absent {
		fmt.Fprintln(e.out, "  absent:", a)
	}
	return e.verdict()
}

// verdict is an error where the run is strict and something is missed or absent.
func (e *eval) verdict() error {
	switch {
	case e.strict && e.missed > 0:
		return fmt.Errorf("%d targets missed", e.missed)
	case e.strict && len(e.absent) > 0 && os.Getenv("CI") != "":
		return fmt.Errorf("the data of %s is absent", strings.Join(e.absent, ", "))
	}
	return nil
}

// each does n things at once, as many as there are processors.
func (e *eval) each(n int, do func(i int)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			do(i)
		})
	}
	wait.Wait()
}

// A table is printed with its columns aligned. Rows name themselves in their
// first cell.
type table struct {
	e *eval
	w *tabwriter.Writer
}

func (e *eval) table(title string, header ...string) *table {
	fmt.Fprintf(e.out, "%s\n", title)
	t := &table{e, tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)}
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, "  "+strings.Join(cells, "\t")) }

func (t *table) end() error {
	err := t.w.Flush()
	fmt.Fprintln(t.e.out)
	return err
}

// figure is one beside its target: "2.29 (≤ 2.80 met)". The name is for the
// list of misses.
func (e *eval) figure(name, format string, v, low, high float64) string {
	text := fmt.Sprintf(format, v)
	aim := fmt.Sprintf(format+"–"+format, low, high)
	switch {
	case low == anyLow:
		aim = "≤ " + fmt.Sprintf(format, high)
	case high == anyHigh:
		aim = "≥ " + fmt.Sprintf(format, low)
	}
	if v >= low && v <= high {
		e.met++
		return text + " (" + aim + " met)"
	}
	e.missed++
	e.misses = append(e.misses, fmt.Sprintf("%s is %s, target %s", name, text, aim))
	return text + " (" + aim + " MISSED)"
}

const (
	anyLow  = -1e300
	anyHigh = 1e300
)

func (e *eval) atMost(name string, v, limit float64) string {
	return e.figure(name, "%.2f", v, anyLow, limit)
}

// ratio is a ratio to others, where the third decimal may decide.
func (e *eval) ratio(name string, v, limit float64) string {
	return e.figure(name, "%.3f", v, anyLow, limit)
}

// holds is the coverage of an 80 % range.
func (e *eval) holds(name string, v, low, high float64) string {
	return e.figure(name, "%.3f", v, low, high)
}
