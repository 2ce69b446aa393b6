package forecast

import (
	"fmt"
	"math"
	"time"
)

// A Row is one slot of a series: civil time of its start (in any location, that
// of all rows) and what was counted. NaN and negative counts are unknown.
type Row struct {
	Time time.Time
	Y    float64
}

// Quantiles are a forecast: at row Origin, its value included, of row
// Origin+H.
type Quantiles struct {
	Origin, H      int
	Low, Mid, High float64 // 10 %, 50 % and 90 %
}

// A RowError says what is wrong with one row of a series.
type RowError struct {
	Row     int // from 0
	Problem string
}

func (e *RowError) Error() string { return fmt.Sprintf("row %d: %s", e.Row, e.Problem) }

func rowError(row int, format string, args ...any) *RowError {
	return &RowError{row, fmt.Sprintf(format, args...)}
}

// Backtest forecasts a series of counts from each of its rows from testFrom-1
// to the last but one, as if nothing later were known, and passes on the
// forecast of every horizon that ends within the series. Horizons count rows;
// rows of slots in which nothing can be counted may be missing. The regression
// is fitted again on each day.
//
// Rows must rise in time and lie on a grid; an hour may be counted twice, when
// the clock is put back; the error is a *RowError otherwise.
func Backtest(rows []Row, testFrom int, horizons []int, each func(Quantiles) error) error {
	return BacktestWithout(0, rows, testFrom, horizons, each)
}

// BacktestWithout is [Backtest] by a model from which parts are left out, to
// see what they are worth.
func BacktestWithout(parts Part, rows []Row, testFrom int, horizons []int, each func(Quantiles) error) error {
	if testFrom < 1 || testFrom >= len(rows) {
		return fmt.Errorf("test from row %d: want 1 to %d", testFrom, len(rows)-1)
	}
	for _, h := range horizons {
		if h < 1 {
			return fmt.Errorf("horizon %d: want 1 or more rows", h)
		}
	}
	s, minutes, err := seriesOf(rows)
	if err != nil {
		return err
	}
	s.without = parts
	unit := unitOf(rows[:testFrom])
	for i := range s.rows {
		s.rows[i].y /= unit
	}
	var sum, n float64 // of what is known, for a slot of which nothing is
	add := func(i int) {
		if y := s.rows[i].y; !math.IsNaN(y) {
			sum, n = sum+y, n+1
		}
	}
	for i := range testFrom - 1 {
		add(i)
	}
	c := newCorrection(s, 60/minutes, testFrom)
	fits := make([]regression, len(horizons))
	day := -1
	for o := testFrom - 1; o < len(s.rows)-1; o++ {
		c.learn(o + 1)
		add(o)
		if s.rows[o].day != day {
			day = s.rows[o].day
			for i, h := range horizons {
				fits[i] = c.fit(pastPairs(s, o, h, trainWeeks), priorCoefficients(float64(h*minutes)/60), trainMemory)
			}
		}
		for i, h := range horizons {
			if o+h >= len(s.rows) {
				continue
			}
			r := s.rows[o+h]
			var f [featureCount]float64
			mean := c.features(&f, o, r.day, r.slot)
			if math.IsNaN(mean) {
				f, mean = [featureCount]float64{}, sum/max(1, n)
			}
			v := scaled(fits[i].around((mean+0.02)*fits[i].factor(&f), r.slot), unit)
			q := Quantiles{Origin: o, H: h, Low: v.Low, Mid: v.Mid, High: v.High}
			if err := each(q); err != nil {
				return err
			}
		}
	}
	return nil
}

// unitOf is what a level is divided by before it is taken for a count. Counts
// are whole numbers and need none. A level, like a load in megawatts or a part
// of a capacity, scatters otherwise than a count of its size would; by the unit
// the variance of its jumps becomes that of one.
func unitOf(rows []Row) float64 {
	var jumps []float64
	var sum, n float64
	whole := true
	for i, r := range rows {
		if !(r.Y >= 0) || math.IsInf(r.Y, 0) {
			continue
		}
		whole = whole && r.Y == math.Trunc(r.Y)
		sum, n = sum+r.Y, n+1
		if i >= 2 && rows[i-1].Y >= 0 && rows[i-2].Y >= 0 {
			jumps = append(jumps, math.Abs(rows[i-1].Y-(r.Y+rows[i-2].Y)/2))
		}
	}
	if whole || len(jumps) == 0 || sum == 0 {
		return 1
	}
	deviation := median(jumps) / 0.6745
	unit := deviation * deviation / 1.5 / (sum / n)
	if !(unit > 0) || math.IsInf(unit, 0) {
		return 1
	}
	return math.Max(1e-4*sum/n, math.Min(1, unit))
}

// seriesOf puts rows into a series. Weekdays that never occur are no days of
// it; days of other weekdays without a row are days of which nothing is known.
func seriesOf(in []Row) (s *series, minutes int, err error) {
	const dayMinutes = 24 * 60
	of := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	dayOf := func(t time.Time) int {
		return int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	minutes = dayMinutes
	earliest := dayMinutes
	var occurs [7]bool
	for i, r := range in {
		earliest = min(earliest, of(r.Time))
		occurs[r.Time.Weekday()] = true
		if i == 0 {
			continue
		}
		step := of(r.Time) - of(in[i-1].Time)
		switch days := dayOf(r.Time) - dayOf(in[i-1].Time); {
		case days < 0 || days == 0 && step < -60:
			return nil, 0, rowError(i, "time %s is before that of the row before", r.Time.Format(time.DateTime))
		case days > 10*366:
			return nil, 0, rowError(i, "time %s is more than ten years after that of the row before", r.Time.Format(time.DateTime))
		case days == 0 && step == 0 && (r.Time.Hour() < 1 || r.Time.Hour() > 3): // not the clock put back
			return nil, 0, rowError(i, "time %s is that of the row before", r.Time.Format(time.DateTime))
		case days == 0 && step > 0:
			minutes = min(minutes, step)
		}
	}
	week := 0
	for _, ok := range occurs {
		if ok {
			week++
		}
	}
	var rows []row
	var kind []int
	perDay, last := 0, 0
	for i, r := range in {
		at := of(r.Time) - earliest
		if at%minutes != 0 || r.Time.Second() != 0 {
			return nil, 0, rowError(i, "time %s is not on the grid of %d minutes of the others", r.Time.Format(time.DateTime), minutes)
		}
		d := dayOf(r.Time)
		if i == 0 {
			last = d - 1
		}
		for ; last < d; last++ {
			if w := ((last+1+4)%7 + 7) % 7; occurs[w] { // day 0 was a Thursday
				kind = append(kind, w)
			}
		}
		y := r.Y
		if y < 0 || math.IsInf(y, 0) {
			y = math.NaN()
		}
		perDay = max(perDay, at/minutes+1)
		rows = append(rows, row{day: len(kind) - 1, slot: at / minutes, y: y})
	}
	return newSeries(rows, kind, perDay, week), minutes, nil
}
