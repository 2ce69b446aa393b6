package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// ofStore forecasts a perron's own past as if it were not known yet, prints how
// far off that was, and draws a day.
func (c *backtestCmd) ofStore(e *env) (err error) {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	site := cfg.Site(c.Site)
	if site == nil {
		ids := make([]string, len(cfg.Sites))
		for i, s := range cfg.Sites {
			ids[i] = string(s.ID)
		}
		return fmt.Errorf("--site %q: %s has %s", c.Site, c.Config, strings.Join(ids, ", "))
	}
	s, err := openStore(e.ctx, cfg, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return c.look(e.ctx, s, site, e.stdout)
}

const (
	// pastDays is how much is learned from before the first forecast.
	pastDays = 120
	// farthest is how many days before the first day that is scored the first
	// forecasts of it are made.
	farthest = 7
)

// look does it with an open store.
func (c *backtestCmd) look(ctx context.Context, s Store, site *perron.Site, out io.Writer) error {
	extent, err := s.Extent(ctx, site.ID)
	if err != nil {
		return err
	}
	if extent.First.IsZero() {
		return fmt.Errorf("nothing was counted at %s yet", site.Name)
	}
	// The same days as the planner's page: up to the last quarter that is over.
	last := perron.DateOf(extent.Last)
	until := perron.Quarter.Start(extent.Last)
	first := last.AddDays(1 - c.Days)
	if d := perron.DateOf(extent.First).AddDays(1); first.Before(d) {
		first = d
	}
	if !first.Before(last) {
		return fmt.Errorf("%s was counted from %s to %s: want two whole days at least", site.Name, perron.DateOf(extent.First), last)
	}
	origins := first.AddDays(-farthest)
	learn := origins.AddDays(-pastDays).Start()
	counts, err := s.Counts(ctx, store.CountQuery{Site: site.ID, From: learn, To: until, Step: perron.Quarter})
	if err != nil {
		return err
	}
	samples, err := s.Samples(ctx, site.ID, learn, until)
	if err != nil {
		return err
	}
	day, err := c.fanDay(site, first, last)
	if err != nil {
		return err
	}
	made, then := forecast.NewScorer(site), 0
	made.Truth(first.Start(), until, counts, samples)
	for d := origins; !last.Before(d); d = d.AddDays(1) {
		kept, err := s.Forecasts(ctx, site.ID, d.Start(), d.End())
		if err != nil {
			return err
		}
		for i := range kept {
			made.Forecast(&kept[i])
			then++
		}
	}
	remade, again := forecast.NewScorer(site), 0
	remade.Truth(first.Start(), until, counts, samples)
	arrivals, waits := perron.Came(learn, until, counts, samples)
	fan := fan{site: site, day: day, arrivals: arrivals, waits: waits}
	err = forecast.Replay(site, counts, samples, origins, until, func(f perron.Forecast) error {
		again++
		remade.Forecast(&f)
		fan.add(f)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %s to %s.\n\n", site.Name, first, last)
	if then > 0 {
		fmt.Fprintf(out, "What was said then: the %d forecasts that were kept, by the rules and of the days of the planner's page.\n\n", then)
		score := made.Score(extent.Last)
		if err := printScore(out, &score); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Made again: %d forecasts by the model of this version, one an hour while open, each with what was known at its time.\n", again)
	if then > 0 {
		fmt.Fprint(out, "They differ from the others by that version, by the hours at which they were made, and by what came in late.\n")
	}
	fmt.Fprintln(out)
	score := remade.Score(extent.Last)
	if err := printScore(out, &score); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nA range should hold 8 of 10 times (80 %%), that of a wait that may be none up to 9 of 10.%s\n", lastWeek(arrivals, first, last))
	if c.SVG == "" {
		return nil
	}
	f, err := os.Create(c.SVG)
	if err != nil {
		return err
	}
	if err := errors.Join(fan.draw(f), f.Close()); err != nil {
		return fmt.Errorf("draw %s: %w", c.SVG, err)
	}
	_, err = fmt.Fprintf(out, "\nThe forecasts of %s are drawn in %s.\n", day, c.SVG)
	return err
}

// fanDay is the day that is drawn, before today: the one that was asked for, or
// the last Saturday, or the last day that was open.
func (c *backtestCmd) fanDay(site *perron.Site, first, today perron.Date) (perron.Date, error) {
	if c.Day != "" {
		d, err := perron.ParseDate(c.Day)
		if err != nil || d.Before(first) || !d.Before(today) {
			return d, fmt.Errorf("--day %q: want a date from %s to %s", c.Day, first, today.AddDays(-1))
		}
		return d, nil
	}
	var last perron.Date
	for d := first; d.Before(today); d = d.AddDays(1) {
		if len(site.Hours.On(d)) > 0 && (d.Weekday() == time.Saturday || last.Weekday() != time.Saturday || last == (perron.Date{})) {
			last = d
		}
	}
	if last == (perron.Date{}) {
		return last, fmt.Errorf("%s was not open from %s to %s", site.Name, first, today.AddDays(-1))
	}
	return last, nil
}

// printScore is the table that anyone can read.
func printScore(out io.Writer, score *perron.Score) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "looking ahead\tvehicles a slot\toff by\trange held\twait where one may be\toff by\trange held")
	some := false
	idle, unforeseen := 0, 0
	for _, h := range score.Horizons {
		idle, unforeseen = idle+h.Idle, unforeseen+h.Unforeseen
		if h.Arrivals.N == 0 && h.Wait.N == 0 {
			continue
		}
		some = true
		cells := []string{ahead(h.Over, h.UpTo)}
		if a := h.Arrivals; a.N > 0 {
			cells = append(cells, fmt.Sprintf("%.1f in %d min", a.Mean, h.Minutes), fmt.Sprintf("%.1f", a.MAE), fmt.Sprintf("%.0f %%", 100*a.Coverage))
		} else {
			cells = append(cells, "–", "–", "–")
		}
		if a := h.Wait; a.N > 0 {
			cells = append(cells, fmt.Sprintf("%.1f min", a.Mean), fmt.Sprintf("%.1f min", a.MAE), fmt.Sprintf("%.0f %%", 100*a.Coverage))
		} else {
			cells = append(cells, "–", "–", "–")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if !some {
		_, err := fmt.Fprintln(out, "Nothing can be compared: the number on site and the wait were not kept on these days, so it is not known what came.")
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if idle == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "Where no wait of 5 minutes was held possible there was one in %d of %d cases; up to 1 in 10 is as it should be.\n", unforeseen, idle)
	return err
}

// lastWeek says how far off one would be who expects what came a week before.
func lastWeek(arrivals map[int64]float64, first, today perron.Date) string {
	var off, n float64
	for at, came := range arrivals {
		start := time.Unix(at, 0)
		d := perron.DateOf(start)
		if d.Before(first) || today.Before(d) {
			continue
		}
		if before, ok := arrivals[d.AddDays(-7).At(perron.TimeOfDayOf(start)).Unix()]; ok {
			off += math.Abs(came - before)
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" Who expects what came at that time a week before is off by %.1f vehicles in 15 min.", off/n)
}

func ahead(over, upTo int) string {
	say := func(minutes int) string {
		if minutes > 48*60 {
			return fmt.Sprintf("%d days", minutes/60/24)
		}
		return fmt.Sprintf("%d h", minutes/60)
	}
	if over == 0 {
		return "up to " + say(upTo)
	}
	return say(over) + " to " + say(upTo)
}
