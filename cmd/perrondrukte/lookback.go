package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/eval"
	"github.com/perrondrukte/perrondrukte/perron"
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
	var drawn perron.Date
	if c.Day != "" {
		if drawn, err = perron.ParseDate(c.Day); err != nil {
			return fmt.Errorf("--day %w", err)
		}
	}
	s, err := openStore(e.ctx, cfg, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	look, err := eval.OfPerron(e.ctx, s, site, c.Days, drawn)
	if bad, ok := errors.AsType[*eval.DayError](err); ok {
		return fmt.Errorf("--%w", bad)
	}
	if err != nil {
		return err
	}
	if err := printLookBack(e.stdout, site, look); err != nil || c.SVG == "" {
		return err
	}
	f, err := os.Create(c.SVG)
	if err != nil {
		return err
	}
	if err := errors.Join(look.Fan.Draw(f), f.Close()); err != nil {
		return fmt.Errorf("draw %s: %w", c.SVG, err)
	}
	_, err = fmt.Fprintf(e.stdout, "\nThe forecasts of %s are drawn in %s.\n", look.Fan.Day(), c.SVG)
	return err
}

func printLookBack(out io.Writer, site *perron.Site, look *eval.LookBack) error {
	fmt.Fprintf(out, "%s, %s to %s.\n\n", site.Name, look.First, look.Last)
	if n := look.Kept.Forecasts; n > 0 {
		fmt.Fprintf(out, "What was said then: the %d forecasts that were kept, by the rules and of the days of the planner's page.\n\n", n)
		if err := printScore(out, &look.Kept.Score); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Made again: %d forecasts by the model of this version, one an hour while open, each with what was known at its time.\n", look.Remade.Forecasts)
	if look.Kept.Forecasts > 0 {
		fmt.Fprint(out, "They differ from the others by that version, by the hours at which they were made, and by what came in late.\n")
	}
	fmt.Fprintln(out)
	if err := printScore(out, &look.Remade.Score); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nA range should hold 8 of 10 times (80 %%), that of a wait that may be none up to 9 of 10.")
	if look.WeekBefore >= 0 {
		fmt.Fprintf(out, " Who expects what came at that time a week before is off by %.1f vehicles in 15 min.", look.WeekBefore)
	}
	_, err := fmt.Fprintln(out)
	return err
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
