package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

type estimateCmd struct {
	Events     string        `required:"" placeholder:"FILE" help:"CSV with the columns t and kind: in, out, queue:K:on, queue:K:off."`
	Bays       int           `required:"" placeholder:"N" help:"How many vehicles the yard holds."`
	Dwell      time.Duration `required:"" placeholder:"TIME" help:"How long a vehicle usually stays, like 15m; a first guess."`
	QueueLoops []int         `placeholder:"VEHICLES" help:"How many vehicles each queue loop is from the entrance, like 2,6,12. K in the file is that number, or else the loop's place in this list, from 1."`
	Lanes      int           `placeholder:"N" help:"Entrance lanes; by default as many as the bays can use."`
	Road       int           `default:"60" placeholder:"VEHICLES" help:"How many vehicles fit on the road before the entrance (${default})."`
	Grid       time.Duration `default:"5m" placeholder:"TIME" help:"Time between two estimates (${default})."`
	Days       string        `placeholder:"FROM-TO" help:"Write these days only, like 2-7; the first day of the file is 1."`
	Out        string        `required:"" placeholder:"FILE" help:"Where to write the estimates (CSV)."`
}

func (c *estimateCmd) validate() (first, last int, err error) {
	bad := func(flag string, value any, want string) { // all at once
		err = errors.Join(err, fmt.Errorf("--%s %v: want %s", flag, value, want))
	}
	if c.Bays < 1 || c.Bays > 1000 {
		bad("bays", c.Bays, "1 to 1000")
	}
	if c.Dwell < time.Minute || c.Dwell > 3*time.Hour {
		bad("dwell", c.Dwell, "1m to 3h")
	}
	if c.Grid < time.Second || c.Grid > 24*time.Hour {
		bad("grid", c.Grid, "1s to 24h")
	}
	if c.Lanes < 0 || c.Lanes > 50 {
		bad("lanes", c.Lanes, "1 to 50")
	}
	if c.Road < 1 || c.Road > 1000 {
		bad("road", c.Road, "1 to 1000")
	}
	for i, d := range c.QueueLoops {
		if d < 1 || d > 1000 || slices.Contains(c.QueueLoops[:i], d) {
			bad("queue-loops", d, "different numbers from 1 to 1000")
		}
	}
	first, last = 1, math.MaxInt
	if c.Days != "" {
		from, to, ok := strings.Cut(c.Days, "-")
		if !ok {
			to = from
		}
		var err1, err2 error
		first, err1 = strconv.Atoi(from)
		last, err2 = strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 1 || last < first {
			bad("days", strconv.Quote(c.Days), "a range like 2-7")
		}
	}
	return first, last, err
}

// A sighting is a line of the file.
type sighting struct {
	at   time.Time
	kind perron.Kind
	loop int // K, or 0
	line int
}

func (c *estimateCmd) Run(e *env) (err error) {
	first, last, err := c.validate()
	if err != nil {
		return err
	}
	seen, err := c.read()
	if err != nil {
		return err
	}
	if len(seen) == 0 {
		return fmt.Errorf("%s has no event", c.Events)
	}
	site, events, err := c.yard(seen)
	if err != nil {
		return err
	}
	begin := events[0].Time.Truncate(24 * time.Hour)
	end := events[len(events)-1].Time.Truncate(24*time.Hour).AddDate(0, 0, 1)
	if end.Sub(begin) > maxSimulated*24*time.Hour {
		return fmt.Errorf("%s: from %s to %s are more than ten years", c.Events, clock(begin), clock(end))
	}
	out, err := createTable(c.Out, "t", "on_site_p10", "on_site", "on_site_p90",
		"queue_p10", "queue", "queue_p90", "wait_p10", "wait", "wait_p90")
	if err != nil {
		return err
	}
	defer func() { err = out.finish(err) }()
	est := occupancy.NewContinual(site)
	rows := 0
	for t := begin; t.Before(end); t = t.Add(c.Grid) {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		day := int(t.Sub(begin)/(24*time.Hour)) + 1
		if day > last {
			break
		}
		for len(events) > 0 && !events[0].Time.After(t) {
			est.Observe(events[0])
			events = events[1:]
		}
		if day < first {
			continue
		}
		got := est.Estimate(t)
		fields := []string{clock(t)}
		for _, i := range []perron.Interval{got.OnSite, got.Queue, got.Wait} {
			fields = append(fields, decimals(i.Low, 2), decimals(i.Mid, 2), decimals(i.High, 2))
		}
		out.write(fields...)
		rows++
	}
	_, err = fmt.Fprintf(e.stdout, "%d estimates from %d events: %s\n", rows, len(seen), c.Out)
	return err
}

func (c *estimateCmd) read() ([]sighting, error) {
	var seen []sighting
	err := readTable(c.Events, []string{"t", "kind"}, func(line int, f []string) error {
		at, err := readTime("t", f[0])
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

// yard is the site that the flags describe, and the events in its words.
func (c *estimateCmd) yard(seen []sighting) (*perron.Site, []perron.Event, error) {
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
					return nil, nil, fmt.Errorf("%s line %d: kind \"queue:%d:%s\" is of no loop of --queue-loops %s",
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
