package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/perrondrukte/perrondrukte/eval/table"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// A Simulation is two files: what the sensors of a yard said, and what was true.
type Simulation struct {
	Events, Truth string // paths
	Count         int    // of events
}

// Simulate writes so many days of a yard to events.csv and truth.csv in a
// folder, which is made when it is not there.
func Simulate(ctx context.Context, y *simulate.Yard, from perron.Date, days int, dir string) (s Simulation, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, fmt.Errorf("make the folder for the simulation: %w", err)
	}
	events, err := table.Create(filepath.Join(dir, "events.csv"), "t", "kind")
	if err != nil {
		return s, err
	}
	defer func() { err = events.Finish(err) }()
	truth, err := table.Create(filepath.Join(dir, "truth.csv"), "t", "on_site", "queue", "wait_min")
	if err != nil {
		return s, err
	}
	defer func() { err = truth.Finish(err) }()
	s.Events, s.Truth = events.Path, truth.Path
	for d := from; d.Before(from.AddDays(days)); d = d.AddDays(1) {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		day := y.Day(d)
		for _, ev := range day.Events {
			events.Write(table.Local(ev.Time), kindOf(y.Site, ev))
			s.Count++
		}
		for _, t := range day.Truth {
			wait := "" // who comes now does not get in
			if t.Wait >= 0 {
				wait = table.Decimals(t.Wait, 2)
			}
			truth.Write(table.Local(t.At), strconv.Itoa(t.OnSite), strconv.Itoa(t.Queue), wait)
		}
	}
	return s, errors.Join(events.Close(), truth.Close())
}

// kindOf is what an event is called in a file without sensors: in, out, or
// the loop that many vehicles from the entrance: queue:12:on.
func kindOf(site *perron.Site, e perron.Event) string {
	for _, l := range site.QueueLoops {
		if l.Sensor == e.Sensor {
			return fmt.Sprintf("queue:%d:%s", l.Distance, e.Kind)
		}
	}
	return string(e.Kind)
}
