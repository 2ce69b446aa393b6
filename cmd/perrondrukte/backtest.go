package main

import (
	"errors"
	"fmt"

	"github.com/perrondrukte/perrondrukte/eval"
)

type backtestCmd struct {
	Series   string `placeholder:"FILE" help:"CSV with the columns time and y: the start of each slot and what was counted in it."`
	TestFrom int    `placeholder:"ROW" help:"The first row to be forecast; the first row of the file is 0."`
	Horizons []int  `placeholder:"ROWS" help:"How many rows ahead, like 1,2,6,48,336."`
	Out      string `placeholder:"FILE" help:"Where to write the forecasts: CSV with the columns origin,h,q10,point,q90."`

	Store  bool   `help:"Score the forecasts of a perron that its store has, make those of its past again, and print how far off both were."`
	Config string `placeholder:"FILE" help:"Server configuration that names the store and the perron."`
	Site   string `placeholder:"ID" help:"The perron."`
	Days   int    `default:"28" placeholder:"N" help:"How many days to score, the last ones (${default}; at most 28)."`
	SVG    string `name:"svg" placeholder:"FILE" help:"Where to draw a day: what was forecast, with its range, and what came."`
	Day    string `placeholder:"DATE" help:"The day to draw; the last Saturday otherwise."`
}

func (c *backtestCmd) Run(e *env) error {
	switch {
	case c.Store && c.Series != "":
		return errors.New("--store and --series: want one of them")
	case c.Store && (c.Config == "" || c.Site == ""):
		return errors.New("--store needs --config and --site")
	case c.Store && (c.Days < 2 || c.Days > 28):
		return fmt.Errorf("--days %d: want 2 to 28", c.Days)
	case c.Store:
		return c.ofStore(e)
	case c.Series == "" || c.Out == "" || len(c.Horizons) == 0:
		return errors.New("want --series, --test-from, --horizons and --out, or --store with --config and --site")
	}
	return c.ofSeries(e)
}

// ofSeries writes the forecasts of a series for a scorer.
func (c *backtestCmd) ofSeries(e *env) error {
	series, err := eval.ReadSeries(c.Series)
	if err != nil {
		return err
	}
	if series.Unknown > 0 {
		fmt.Fprintf(e.stderr, "%s: %d rows without a count, or with one below zero, are taken as unknown\n", c.Series, series.Unknown)
	}
	last := len(series.Rows) - 1
	if c.TestFrom < 1 || c.TestFrom > last {
		return fmt.Errorf("--test-from %d: want 1 to %d, the last row of %s", c.TestFrom, last, c.Series)
	}
	for _, h := range c.Horizons {
		if h < 1 {
			return fmt.Errorf("--horizons %d: want 1 or more rows", h)
		}
	}
	n, err := series.Backtest(e.ctx, c.TestFrom, c.Horizons, c.Out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d forecasts of rows %d to %d: %s\n", n, c.TestFrom, last, c.Out)
	return err
}
