package forecast

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// weeks is a series of half hours in which weekdays and times differ.
func weeks(n int) (rows []Row) {
	start := time.Date(2026, 9, 7, 0, 0, 0, 0, time.UTC)
	for i := range n * 7 * 48 {
		at := start.Add(time.Duration(i) * 30 * time.Minute)
		y := 0.0
		if h := at.Hour(); h >= 8 && h < 17 {
			y = float64(10 + h%5*3 + int(at.Weekday()) + i*7919%5)
		}
		rows = append(rows, Row{at, y})
	}
	return rows
}

func backtest(t *testing.T, rows []Row, from int, horizons ...int) (out []Quantiles) {
	t.Helper()
	if err := Backtest(rows, from, horizons, func(q Quantiles) error { out = append(out, q); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, q := range out {
		if !(0 <= q.Low && q.Low <= q.Mid && q.Mid <= q.High && q.High < 1e4) {
			t.Fatalf("forecast %+v", q)
		}
	}
	return out
}

func TestBacktest_usesNothingLater(t *testing.T) {
	rows := weeks(6)
	const from = 4 * 7 * 48
	horizons := []int{1, 48, 336, 600} // 600 rows are more than twelve days
	all := backtest(t, rows, from, horizons...)
	const last = 2 * 7 * 48 // rows after the first origin
	if want := 4*(last+1) - 1 - 48 - 336 - 600; len(all) != want {
		t.Fatalf("%d forecasts, want %d", len(all), want)
	}
	// From an origin on, a different future must give the same forecasts.
	for _, o := range []int{from - 1, from + 100, from + 400} {
		other := append([]Row(nil), rows...)
		for i := o + 1; i < len(other); i++ {
			other[i].Y = float64(i * 31 % 97)
		}
		changed := backtest(t, other, from, horizons...)
		for i, q := range all {
			if q.Origin <= o && changed[i] != q {
				t.Fatalf("origin %d knows of row %d or later: %+v, then %+v", q.Origin, o+1, q, changed[i])
			}
		}
	}
}

func TestBacktest_badSeries(t *testing.T) {
	edit := func(f func(rows []Row)) []Row {
		rows := weeks(3)
		f(rows)
		return rows
	}
	for name, rows := range map[string][]Row{
		"zeros":    edit(func(rows []Row) { clear0(rows) }),
		"unknown":  edit(func(rows []Row) { rows[500].Y, rows[900].Y = math.NaN(), math.NaN() }),
		"negative": edit(func(rows []Row) { rows[500].Y = -7 }),
		"infinite": edit(func(rows []Row) { rows[500].Y = math.Inf(1) }),
		"nothing known": edit(func(rows []Row) {
			for i := range rows {
				rows[i].Y = math.NaN()
			}
		}),
		"a gap":         append(append([]Row(nil), weeks(3)[:400]...), weeks(3)[520:]...),
		"one week":      weeks(1),
		"weekdays only": weekdays(weeks(3)),
		"one a day": func() (out []Row) {
			for i, r := range weeks(8) {
				if i%48 == 20 {
					out = append(out, r)
				}
			}
			return out
		}(),
		"clock put back": edit(func(rows []Row) {
			for i := range rows[1000:] {
				if at := rows[1000+i].Time; at.Day() == rows[1000].Time.Day() && at.Month() == rows[1000].Time.Month() {
					rows[1000+i].Time = at.Add(-time.Hour)
				}
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []int{1, len(rows) / 2, len(rows) - 1} {
				backtest(t, rows, from, 1, 3, 40)
			}
		})
	}
}

func clear0(rows []Row) {
	for i := range rows {
		rows[i].Y = 0
	}
}

func weekdays(rows []Row) (out []Row) {
	for _, r := range rows {
		if w := r.Time.Weekday(); w != time.Saturday && w != time.Sunday && r.Time.Hour() >= 7 {
			out = append(out, r)
		}
	}
	return out
}

func TestBacktest_errors(t *testing.T) {
	swap := weeks(2)
	swap[100], swap[300] = swap[300], swap[100]
	odd := weeks(2)
	odd[7].Time = odd[7].Time.Add(7 * time.Second)
	twice := weeks(2)
	twice[9].Time = twice[8].Time
	for _, c := range []struct {
		rows    []Row
		from, h int
		want    string
	}{
		{weeks(2), 0, 1, "test from row 0: want 1 to 671"},
		{weeks(2), 700, 1, "test from row 700"},
		{weeks(2), 9, 0, "horizon 0"},
		{swap, 9, 1, "row 101: time 2026-09-09 02:30:00 is before"},
		{odd, 9, 1, "row 7: time 2026-09-07 03:30:07 is not on the grid of 30 minutes"},
		{twice, 9, 1, "row 9: time 2026-09-07 04:00:00 is that of the row before"},
	} {
		err := Backtest(c.rows, c.from, []int{c.h}, func(Quantiles) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// A level in another unit is the same level: what is forecast of a load in
// gigawatts is a thousandth of what is forecast of it in megawatts.
func TestBacktestOfLevels(t *testing.T) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	luck := rand.New(rand.NewPCG(5, 6))
	var large, small []Row
	for i := range 24 * 35 {
		hour := float64(i % 24)
		y := 500 + 300*math.Sin(hour/24*2*math.Pi) + 8*luck.NormFloat64() + 0.25
		large = append(large, Row{at.Add(time.Duration(i) * time.Hour), y})
		small = append(small, Row{at.Add(time.Duration(i) * time.Hour), y / 1000})
	}
	forecasts := func(rows []Row) (out []Quantiles) {
		if err := Backtest(rows, 24*32, []int{1, 24}, func(q Quantiles) error {
			out = append(out, q)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	of := forecasts(small)
	for i, q := range forecasts(large) {
		for _, v := range [][2]float64{{q.Low, of[i].Low}, {q.Mid, of[i].Mid}, {q.High, of[i].High}} {
			if math.Abs(v[0]/1000-v[1]) > 1e-3*v[1] {
				t.Fatalf("of row %d at row %d: %v in the small unit, %v in the large one", q.Origin+q.H, q.Origin, of[i], q)
			}
		}
	}
}
