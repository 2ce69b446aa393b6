package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/perrondrukte/perrondrukte/forecast"
)

type backtestCmd struct {
	Series   string `required:"" placeholder:"FILE" help:"CSV with the columns time and y: the start of each slot and what was counted in it."`
	TestFrom int    `required:"" placeholder:"ROW" help:"The first row to be forecast; the first row of the file is 0."`
	Horizons []int  `required:"" placeholder:"ROWS" help:"How many rows ahead, like 1,2,6,48,336."`
	Out      string `required:"" placeholder:"FILE" help:"Where to write the forecasts: CSV with the columns origin,h,q10,point,q90."`
}

func (c *backtestCmd) Run(e *env) (err error) {
	var rows []forecast.Row
	var lines []int // of the rows
	unknown := 0
	err = readTable(c.Series, []string{"time", "y"}, func(line int, f []string) error {
		at, err := readTime("time", f[0])
		if err != nil {
			return err
		}
		y := math.NaN()
		if f[1] != "" {
			if y, err = strconv.ParseFloat(f[1], 64); err != nil {
				return fmt.Errorf("y %q: want a number, or nothing where it is not known", f[1])
			}
		}
		if !(y >= 0) || math.IsInf(y, 0) {
			unknown++
		}
		lines = append(lines, line)
		rows = append(rows, forecast.Row{Time: at, Y: y})
		return nil
	})
	if err != nil {
		return err
	}
	if unknown > 0 {
		fmt.Fprintf(e.stderr, "%s: %d rows without a count, or with one below zero, are taken as unknown\n", c.Series, unknown)
	}
	if c.TestFrom < 1 || c.TestFrom >= len(rows) {
		return fmt.Errorf("--test-from %d: want 1 to %d, the last row of %s", c.TestFrom, len(rows)-1, c.Series)
	}
	for _, h := range c.Horizons {
		if h < 1 {
			return fmt.Errorf("--horizons %d: want 1 or more rows", h)
		}
	}
	out, err := createTable(c.Out, "origin", "h", "q10", "point", "q90")
	if err != nil {
		return err
	}
	defer func() { err = out.finish(err) }()
	n := 0
	err = forecast.Backtest(rows, c.TestFrom, c.Horizons, func(q forecast.Quantiles) error {
		out.write(strconv.Itoa(q.Origin), strconv.Itoa(q.H), decimals(q.Low, 4), decimals(q.Mid, 4), decimals(q.High, 4))
		n++
		return e.ctx.Err()
	})
	var at *forecast.RowError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("%s line %d: %s", c.Series, lines[at.Row], at.Problem)
	case err != nil:
		return fmt.Errorf("%s: %w", c.Series, err)
	}
	_, err = fmt.Fprintf(e.stdout, "%d forecasts of rows %d to %d: %s\n", n, c.TestFrom, len(rows)-1, c.Out)
	return err
}
