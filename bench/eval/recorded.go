package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// rows reads a CSV file with a header into one map a row.
func rows(path string) ([]map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	out := make([]map[string]string, 0, len(all)-1)
	for _, r := range all[1:] {
		m := make(map[string]string, len(r))
		for i, name := range all[0] {
			m[name] = r[i]
		}
		out = append(out, m)
	}
	return out, nil
}

func passages(path string) ([]perron.Event, error) {
	in, err := rows(path)
	if err != nil {
		return nil, err
	}
	var out []perron.Event
	for i, r := range in {
		at, err := time.Parse(time.DateTime, strings.Replace(r["t"], "T", " ", 1))
		if err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", path, i+1, err)
		}
		out = append(out, perron.Event{Time: at, Sensor: "gate", Kind: perron.Kind(r["kind"])})
	}
	slices.SortStableFunc(out, func(a, b perron.Event) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// drift scores the number on site against real entries with synthetic dwell
// times (median 14 minutes) and faulty counters, on the five-minute grid of the
// open hours. Neither hours nor a reset are told.
func (e *eval) drift() error {
	dir := filepath.Join(e.data, "data", "drift")
	truth, err := passages(filepath.Join(dir, "truth_events.csv"))
	if err != nil {
		return err
	}
	t := e.table("On site, recorded arrivals with counters that drift (vehicles)",
		"case", "mean error", "largest", "80 % range holds", "at 04:00, largest", "difference of the counters, clamped, reset at night")
	for _, c := range []struct {
		file     string
		dwell    float64
		from, to int // days, from 0
		limit    float64
	}{
		{"steady", 15, 0, 7, 2.8},
		{"stepfault", 15, 0, 7, 5},
		{"steady", 10, 1, 7, 2.8},
		{"steady", 22, 1, 7, 2.8},
		{"stepfault", 10, 1, 7, 5},
		{"stepfault", 22, 1, 7, 5},
	} {
		seen, err := passages(filepath.Join(dir, "observed_"+c.file+".csv"))
		if err != nil {
			return err
		}
		est := occupancy.NewContinual(&perron.Site{ID: "drift", Bays: 80, TypicalDwell: c.dwell})
		start := truth[0].Time.Truncate(24 * time.Hour)
		var ours, naive errorSums
		inside, counted, day, night := 0, 0, 0, 0.0
		i, j := 0, 0
		for at := start; at.Before(start.AddDate(0, 0, c.to)); at = at.Add(5 * time.Minute) {
			if d := at.YearDay(); d != day {
				day, counted = d, 0
			}
			for ; i < len(truth) && !truth[i].Time.After(at); i++ {
				inside += step(truth[i])
			}
			for ; j < len(seen) && !seen[j].Time.After(at); j++ {
				est.Observe(seen[j])
				counted = max(0, counted+step(seen[j]))
			}
			if at.Hour() == 4 {
				night = math.Max(night, est.Estimate(at).OnSite.Mid)
			}
			if at.Hour() < 7 || at.Hour() >= 20 || at.Before(start.AddDate(0, 0, c.from)) {
				continue
			}
			ours.add(float64(inside), est.Estimate(at).OnSite)
			naive.add(float64(inside), perron.Exactly(float64(counted)))
		}
		name := fmt.Sprintf("%s, %.0f min stated, days %d–%d", c.file, c.dwell, c.from+1, c.to)
		t.row(name, e.atMost(name+": mean error", ours.mae(), c.limit), fmt.Sprintf("%.0f", ours.largest),
			e.holds(name+": coverage", ours.coverage(), 0.75, 0.88),
			e.figure(name+": at night", "%.0f", night, anyLow, 0), fmt.Sprintf("%.1f", naive.mae()))
	}
	return t.end()
}

func step(ev perron.Event) int {
	switch ev.Kind {
	case perron.In:
		return 1
	case perron.Out:
		return -1
	}
	return 0
}

// calit2 follows a real door counter through fifteen weeks. The building is
// empty at night; the estimator is told no opening hours, so that nothing
// resets it. Half-hour counts are spread evenly over their half hour.
func (e *eval) calit2() error {
	path := filepath.Join(e.data, "data", "calit2", "inout_30min.csv")
	in, err := rows(path)
	if err != nil {
		return err
	}
	const slot = 30 * time.Minute
	est := occupancy.NewContinual(&perron.Site{ID: "calit2", Bays: 60, Lanes: 2, TypicalDwell: 60})
	var sum, n, highest, difference, off float64
	var entries, exits int
	for i, r := range in {
		start, err := time.Parse(time.DateTime, r["t"])
		if err != nil {
			return fmt.Errorf("%s, row %d: %w", path, i+1, err)
		}
		if start.Hour() == 4 && start.Minute() == 0 {
			got := est.Estimate(start).OnSite.Mid
			sum, n, highest = sum+got, n+1, math.Max(highest, got)
			difference = float64(entries - exits)
			off += math.Abs(difference)
		}
		var events []perron.Event
		for _, kind := range []perron.Kind{perron.In, perron.Out} {
			count, err := strconv.Atoi(r[string(kind)])
			if err != nil {
				return fmt.Errorf("%s, row %d: %w", path, i+1, err)
			}
			for k := range count {
				at := start.Add(time.Duration((float64(k) + 0.5) / float64(count) * float64(slot)))
				events = append(events, perron.Event{Time: at, Sensor: "door", Kind: kind})
			}
			if kind == perron.In {
				entries += count
			} else {
				exits += count
			}
		}
		slices.SortStableFunc(events, func(a, b perron.Event) int { return a.Time.Compare(b.Time) })
		for _, ev := range events {
			est.Observe(ev)
		}
	}
	t := e.table(fmt.Sprintf("CalIt2, a door counter of fifteen weeks: %d in, %d out, no reset", entries, exits),
		"nights", "mean on site at 04:00", "largest", "entries minus exits at 04:00: mean, last")
	t.row(fmt.Sprintf("%.0f", n), e.atMost("CalIt2 at 04:00", sum/n, 1), fmt.Sprintf("%.0f", highest),
		fmt.Sprintf("%.0f, %.0f", off/n, difference))
	return t.end()
}
