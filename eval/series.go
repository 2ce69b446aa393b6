package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/perrondrukte/perrondrukte/eval/table"
	"github.com/perrondrukte/perrondrukte/forecast"
)

// A Series is a file of counts: a row a slot, in order of time.
type Series struct {
	Path string
	// Rows have a count that is not a number where it is not known, and Unknown
	// of them have none that can be one.
	Rows    []forecast.Row
	Unknown int

	lines []int // of the rows
}

// ReadSeries reads a CSV file with the columns time and y.
func ReadSeries(path string) (*Series, error) {
	s := &Series{Path: path}
	err := table.Read(path, []string{"time", "y"}, func(line int, f []string) error {
		at, err := table.ParseTime("time", f[0])
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
			s.Unknown++
		}
		s.lines = append(s.lines, line)
		s.Rows = append(s.Rows, forecast.Row{Time: at, Y: y})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Backtest forecasts the rows of a series from one of them on, so many rows
// ahead as each horizon says, and writes the forecasts to a CSV file. It returns
// how many there are.
func (s *Series) Backtest(ctx context.Context, from int, horizons []int, path string) (n int, err error) {
	out, err := table.Create(path, "origin", "h", "q10", "point", "q90")
	if err != nil {
		return 0, err
	}
	defer func() { err = out.Finish(err) }()
	err = forecast.Backtest(s.Rows, from, horizons, func(q forecast.Quantiles) error {
		out.Write(strconv.Itoa(q.Origin), strconv.Itoa(q.H), table.Decimals(q.Low, 4), table.Decimals(q.Mid, 4), table.Decimals(q.High, 4))
		n++
		return ctx.Err()
	})
	if at, ok := errors.AsType[*forecast.RowError](err); ok {
		return n, fmt.Errorf("%s line %d: %s", s.Path, s.lines[at.Row], at.Problem)
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", s.Path, err)
	}
	return n, nil
}
