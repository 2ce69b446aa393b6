package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/eval"
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

func (c *estimateCmd) Run(e *env) error {
	first, last, err := c.validate()
	if err != nil {
		return err
	}
	made, err := eval.Estimate(e.ctx, eval.EstimateConfig{
		Events: c.Events, Out: c.Out, Bays: c.Bays, Dwell: c.Dwell, QueueLoops: c.QueueLoops, Lanes: c.Lanes, Road: c.Road,
		Grid: c.Grid, FirstDay: first, LastDay: last,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d estimates from %d events: %s\n", made.Rows, made.Events, c.Out)
	return err
}
