package main

import (
	"fmt"
	"strings"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/eval"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

type simulateCmd struct {
	configFlag
	Site    string   `placeholder:"ID" help:"Which site of the configuration; the first by default."`
	Days    int      `required:"" placeholder:"N" help:"How many days."`
	From    string   `default:"2026-03-02" placeholder:"DATE" help:"The first day (${default})."`
	Seed    uint64   `default:"1" help:"Another seed is another luck and another weather (${default})."`
	Visits  float64  `placeholder:"N" help:"Mean number of vehicles on an open Saturday; by default so many that a queue forms around noon."`
	MissIn  float64  `default:"0.02" placeholder:"PART" help:"Part of the entries that is missed (${default})."`
	MissOut float64  `default:"0.05" placeholder:"PART" help:"Part of the exits that is missed (${default})."`
	Double  float64  `default:"0.01" placeholder:"PART" help:"Part of the passages that is counted twice (${default})."`
	Bounce  float64  `placeholder:"PART" help:"Part of the passages that a bouncing contact counts again within a quarter of a second."`
	Balk    float64  `placeholder:"VEHICLES" help:"Let people turn away from a queue by its length alone: of those who find n vehicles the part exp(-(n-8)/VEHICLES) joins. By default they guess how long it takes."`
	Lanes   []string `name:"close-lane" placeholder:"FROM-UNTIL" help:"A time of every day at which staff close a lane, like 12:00-13:30; as often as lanes are closed."`
	Out     string   `required:"" placeholder:"DIR" help:"Folder for events.csv and truth.csv."`
}

func (c *simulateCmd) Run(e *env) error {
	site, err := c.site()
	if err != nil {
		return err
	}
	from, err := perron.ParseDate(c.From)
	if err != nil {
		return fmt.Errorf("--from %q: want a date like 2026-03-02", c.From)
	}
	if c.Days < 1 || c.Days > eval.MaxDays {
		return fmt.Errorf("--days %d: want 1 to %d", c.Days, eval.MaxDays)
	}
	if c.Visits < 0 || c.Visits > 1e5 {
		return fmt.Errorf("--visits %v: want 0 to 100000", c.Visits)
	}
	if !(c.Balk >= 0 && c.Balk <= 1000) {
		return fmt.Errorf("--balk %v: want 0 to 1000 vehicles", c.Balk)
	}
	for _, p := range []struct {
		flag string
		v    float64
	}{{"miss-in", c.MissIn}, {"miss-out", c.MissOut}, {"double", c.Double}, {"bounce", c.Bounce}} {
		if !(p.v >= 0 && p.v <= 1) {
			return fmt.Errorf("--%s %v: want a part between 0 and 1", p.flag, p.v)
		}
	}
	y := &simulate.Yard{
		Site: site, Seed: c.Seed, Visits: c.Visits, Balk: c.Balk,
		Faults: simulate.Faults{MissIn: c.MissIn, MissOut: c.MissOut, Double: c.Double, Bounce: c.Bounce},
	}
	for _, text := range c.Lanes {
		from, until, _ := strings.Cut(text, "-")
		f, errFrom := perron.ParseTimeOfDay(from)
		u, errUntil := perron.ParseTimeOfDay(until)
		if errFrom != nil || errUntil != nil || f >= u {
			return fmt.Errorf("--close-lane %q: want two times of a day like 12:00-13:30", text)
		}
		y.Closings = append(y.Closings, simulate.LaneClosing{From: f, Until: u, Lanes: 1})
	}
	made, err := eval.Simulate(e.ctx, y, from, c.Days, c.Out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d days of %s from %s, %d events: %s, %s\n", c.Days, site.ID, from, made.Count, made.Events, made.Truth)
	return err
}

func (c *simulateCmd) site() (*perron.Site, error) {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return nil, err
	}
	sites := cfg.PerronSites()
	var ids []string
	for _, s := range sites {
		if c.Site == "" || s.ID == c.Site {
			return s, nil
		}
		ids = append(ids, s.ID)
	}
	return nil, fmt.Errorf("--site %q: %s has %s", c.Site, c.Config, strings.Join(ids, ", "))
}
