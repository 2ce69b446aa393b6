package eval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/eval/table"
	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// MaxDays is how many days a file may cover: ten years.
const MaxDays = 3660

// EstimateConfig says what is estimated from which file, at a yard that is known
// by these figures alone.
type EstimateConfig struct {
	Events string // CSV with the columns t and kind: in, out, queue:K:on, queue:K:off
	Out    string // CSV that is written

	Bays  int
	Dwell time.Duration // a first guess
	// QueueLoops are how many vehicles each loop is from the entrance. K in the
	// file is that number, or else the loop's place in this list, from 1.
	QueueLoops []int
	Lanes      int // 0 for as many as the bays can use
	Road       int // vehicles that fit on the road before the entrance

	Grid              time.Duration // between two estimates
	FirstDay, LastDay int           // that are written; the first of the file is 1
}

// Estimates is how many estimates were written, and from how many events.
type Estimates struct{ Rows, Events int }

// A sighting is a line of the file.
type sighting struct {
	at   time.Time
	kind perron.Kind
	loop int // K, or 0
	line int
}

// Estimate writes what is estimated of the number on site, the queue and the
// wait, each time with nothing but what was seen until then.
func Estimate(ctx context.Context, c EstimateConfig) (made Estimates, err error) {
	seen, err := c.read()
	if err != nil {
		return made, err
	}
	if len(seen) == 0 {
		return made, fmt.Errorf("%s has no event", c.Events)
	}
	made.Events = len(seen)
	site, events, err := c.yard(seen)
	if err != nil {
		return made, err
	}
	begin := events[0].Time.Truncate(24 * time.Hour)
	end := events[len(events)-1].Time.Truncate(24*time.Hour).AddDate(0, 0, 1)
	if end.Sub(begin) > MaxDays*24*time.Hour {
		return made, fmt.Errorf("%s: from %s to %s are more than ten years", c.Events, table.FormatTime(begin), table.FormatTime(end))
	}
	out, err := table.Create(c.Out, "t", "on_site_p10", "on_site", "on_site_p90",
		"queue_p10", "queue", "queue_p90", "wait_p10", "wait", "wait_p90")
	if err != nil {
		return made, err
	}
	defer func() { err = out.Finish(err) }()
	est := occupancy.NewContinual(site)
	all := perron.NewReplay(est, events, nil)
	for t := begin; t.Before(end); t = t.Add(c.Grid) {
		if err := ctx.Err(); err != nil {
			return made, err
		}
		day := int(t.Sub(begin)/(24*time.Hour)) + 1
		if day > c.LastDay {
			break
		}
		all.Until(t)
		if day < c.FirstDay {
			continue
		}
		got := est.Estimate(t)
		fields := []string{table.FormatTime(t)}
		for _, i := range []perron.Interval{got.OnSite, got.Queue, got.Wait} {
			fields = append(fields, table.Decimals(i.Low, 2), table.Decimals(i.Mid, 2), table.Decimals(i.High, 2))
		}
		out.Write(fields...)
		made.Rows++
	}
	return made, nil
}

func (c *EstimateConfig) read() ([]sighting, error) {
	var seen []sighting
	err := table.Read(c.Events, []string{"t", "kind"}, func(line int, f []string) error {
		at, err := table.ParseTime("t", f[0])
		if err != nil {
			return err
		}
		s := sighting{at: at, kind: perron.Kind(f[1]), line: line}
		if rest, ok := strings.CutPrefix(f[1], "queue:"); ok {
			k, kind, _ := strings.Cut(rest, ":")
			s.kind = perron.Kind(kind)
			if s.loop, err = strconv.Atoi(k); err != nil || s.loop < 1 || s.kind != perron.On && s.kind != perron.Off {
				return fmt.Errorf("kind %q: want queue:K:on or queue:K:off with a number K", f[1])
			}
			if len(c.QueueLoops) == 0 {
				return nil // where that loop is nobody has said
			}
		} else if !s.kind.Passage() {
			return fmt.Errorf("kind %q: want in, out, queue:K:on or queue:K:off", f[1])
		}
		seen = append(seen, s)
		return nil
	})
	slices.SortStableFunc(seen, func(a, b sighting) int { return a.at.Compare(b.at) })
	return seen, err
}

// yard is the site that the figures describe, and the events in its words.
func (c *EstimateConfig) yard(seen []sighting) (*perron.Site, []perron.Event, error) {
	site := &perron.Site{
		ID: "estimate", Bays: c.Bays, TypicalDwell: c.Dwell.Minutes(), RoadSpace: c.Road, Lanes: c.Lanes,
		Gates: []perron.Gate{{ID: "main", Sensors: []string{"in", "out"}}},
	}
	if site.Lanes == 0 {
		// A lane lets some four vehicles a minute in.
		site.Lanes = int(math.Ceil(float64(c.Bays) / c.Dwell.Minutes() / 4))
	}
	byDistance := true // K is the distance when it always can be
	for _, d := range c.QueueLoops {
		site.QueueLoops = append(site.QueueLoops, perron.QueueLoop{Sensor: strconv.Itoa(d), Distance: d})
	}
	for _, s := range seen {
		byDistance = byDistance && (s.loop == 0 || slices.Contains(c.QueueLoops, s.loop))
	}
	events := make([]perron.Event, len(seen))
	for i, s := range seen {
		sensor := string(s.kind)
		if s.loop > 0 {
			distance := s.loop
			if !byDistance {
				if s.loop > len(c.QueueLoops) {
					return nil, nil, fmt.Errorf("%s line %d: kind \"queue:%d:%s\" is of none of the queue loops %s",
						c.Events, s.line, s.loop, s.kind, strings.Trim(fmt.Sprint(c.QueueLoops), "[]"))
				}
				distance = c.QueueLoops[s.loop-1]
			}
			sensor = strconv.Itoa(distance)
		}
		events[i] = perron.Event{Time: s.at, Sensor: sensor, Kind: s.kind}
	}
	return site, events, nil
}
