package store_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func TestPlace(t *testing.T) {
	batch := func(floor, first uint64, n int) *store.Batch {
		return &store.Batch{Floor: floor, First: first, Entries: make([]store.Entry, n)}
	}
	for _, tc := range []struct {
		name  string
		acked uint64
		b     *store.Batch
		skip  int
		lost  uint64
		gap   bool
		last  uint64
	}{
		{"first ever", 0, batch(1, 1, 3), 0, 0, false, 3},
		{"next", 3, batch(4, 4, 2), 0, 0, false, 5},
		{"seen twice", 5, batch(4, 4, 2), 2, 0, false, 5},
		{"overlap", 5, batch(4, 4, 4), 2, 0, false, 7},
		{"old and short", 9, batch(1, 1, 2), 2, 0, false, 9},
		{"too early", 5, batch(1, 8, 2), 0, 0, true, 0},
		{"lost below the floor", 5, batch(8, 8, 2), 0, 2, false, 9},
		{"lost, and still too early", 5, batch(8, 10, 2), 0, 0, true, 0},
		{"empty outbox tells of a loss", 5, batch(8, 8, 0), 0, 2, false, 7},
		{"nothing new", 5, batch(6, 6, 0), 0, 0, false, 5},
		{"events at hand are not lost", 5, batch(9, 7, 4), 0, 1, false, 10},
		{"floor above events that are known", 5, batch(9, 4, 2), 2, 0, false, 5},
	} {
		skip, lost, gap := store.Place(tc.acked, tc.b)
		if skip != tc.skip || lost != tc.lost || gap != tc.gap {
			t.Errorf("%s: Place = %d, %d, %v; want %d, %d, %v", tc.name, skip, lost, gap, tc.skip, tc.lost, tc.gap)
		}
		if last := tc.b.Last(tc.acked, lost); !gap && last != tc.last {
			t.Errorf("%s: Last = %d, want %d", tc.name, last, tc.last)
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	good := store.Batch{
		Site: "poort", Gateway: "gate-1", Epoch: "01J-x", Floor: 1, First: 1, Received: at,
		Entries: []store.Entry{
			{Event: perron.Event{Time: at, Sensor: "main-in", Kind: perron.In}, Gate: "main"},
			{Event: perron.Event{Sensor: "ééé", Kind: "?"}, SetAside: "unknown_sensor"},
		},
	}
	if err := good.Validate(); err != nil {
		t.Errorf("good batch: %v", err)
	}
	bad := store.Batch{
		Site: "Poort", Gateway: "a/b", Epoch: "a b", First: 0, Received: at,
		Entries: []store.Entry{{Event: perron.Event{Time: at, Sensor: "x", Kind: "sideways"}, Gate: "main"}},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("bad batch passes")
	}
	for _, want := range []string{`"Poort"`, `"a/b"`, `"a b"`, "number 0", `"sideways"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in:\n%v", want, err)
		}
	}
}

func TestSpan(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, perron.Amsterdam)
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	for _, tc := range []struct {
		step             perron.Step
		from, to, lo, hi string
		empty            bool
	}{
		{step: perron.Quarter, from: "2026-03-02 10:07", to: "2026-03-02 10:44", lo: "2026-03-02 10:00", hi: "2026-03-02 10:30"},
		{step: perron.Hour, from: "2026-03-02 10:15", to: "2026-03-02 12:15", lo: "2026-03-02 11:00", hi: "2026-03-02 13:00"},
		{step: perron.Day, from: "2026-03-28 00:00", to: "2026-03-30 00:00", lo: "2026-03-28 00:00", hi: "2026-03-30 00:00"},
		{step: perron.Day, from: "2026-03-28 00:15", to: "2026-03-29 00:15", lo: "2026-03-29 00:00", hi: "2026-03-30 00:00"},
		{step: perron.Week, from: "2026-03-23 00:00", to: "2026-03-24 00:00", lo: "2026-03-23 00:00", hi: "2026-03-30 00:00"},
		{step: perron.Week, from: "2026-03-24 00:00", to: "2026-03-29 00:00", empty: true},
		{step: perron.Hour, from: "2026-03-02 10:00", to: "2026-03-02 10:00", empty: true},
		{step: perron.Hour, from: "2026-03-02 11:00", to: "2026-03-02 10:00", empty: true},
	} {
		q := store.CountQuery{From: at(tc.from), To: at(tc.to), Step: tc.step}
		lo, hi, err := q.Span()
		if err != nil {
			t.Fatal(err)
		}
		if tc.empty {
			if lo.Before(hi) {
				t.Errorf("%s %s to %s: %v to %v, want nothing", tc.step, tc.from, tc.to, lo, hi)
			}
		} else if !lo.Equal(at(tc.lo)) || !hi.Equal(at(tc.hi)) {
			t.Errorf("%s %s to %s: %v to %v", tc.step, tc.from, tc.to, lo, hi)
		}
	}
	if _, _, err := (store.CountQuery{Step: "2h"}).Span(); err == nil || !strings.Contains(err.Error(), `"2h"`) {
		t.Errorf("step 2h: %v", err)
	}
	if _, _, err := (store.CountQuery{Step: perron.Week, To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}).Span(); err != nil {
		t.Error(err)
	}
}

// forecastOf makes a forecast as large as real ones: the rest of two days by
// quarters, a week by hours, closed at night.
func forecastOf(origin time.Time, rnd *rand.Rand) perron.Forecast {
	f := perron.Forecast{Site: "poort", Origin: origin, Weeks: 8}
	slot := func(start time.Time, minutes int) perron.Slot {
		s := perron.Slot{Start: start, Minutes: minutes, Level: perron.Closed, Basis: perron.Expected}
		if h := start.Hour(); h >= 7 && h < 16 {
			base := 20 * math.Sin(math.Pi*float64(h-6)/11)
			iv := func(x float64) perron.Interval {
				m := math.Round(x*(0.9+0.2*rnd.Float64())*100) / 100
				return perron.Interval{Low: math.Round(m*60) / 100, Mid: m, High: math.Round(m*150) / 100}
			}
			s.Open, s.Level = true, perron.Moderate
			s.Arrivals, s.OnSite, s.Wait = iv(base), iv(base*1.4), iv(base/2)
		}
		return s
	}
	day := origin.Truncate(24 * time.Hour)
	for q := day; q.Before(day.Add(48 * time.Hour)); q = q.Add(15 * time.Minute) {
		if q.Before(origin) {
			s := slot(q, 15)
			s.Basis = perron.Measured
			f.Measured = append(f.Measured, s)
		} else {
			f.Quarters = append(f.Quarters, slot(q, 15))
		}
	}
	for h := day; h.Before(day.Add(7 * 24 * time.Hour)); h = h.Add(time.Hour) {
		f.Hours = append(f.Hours, slot(h, 60))
	}
	f.Best = []perron.Moment{{Start: origin.Add(time.Hour), End: origin.Add(2 * time.Hour), Wait: perron.Interval{Low: 1, Mid: 2.5, High: 5.25}}}
	return f
}

func TestForecastRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	origin := time.Date(2026, 3, 28, 10, 15, 0, 0, time.UTC)
	for _, f := range []perron.Forecast{{Site: "poort", Origin: origin}, forecastOf(origin, rnd)} {
		data, err := store.EncodeForecast(&f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.DecodeForecast(f.Site, f.Origin, data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f, got, cmpopts.EquateApprox(0, store.ForecastGrain/2)); d != "" {
			t.Errorf("want -, got +:\n%s", d)
		}
	}
	bad := perron.Forecast{Origin: origin, Hours: []perron.Slot{{Wait: perron.Exactly(math.NaN())}}}
	if _, err := store.EncodeForecast(&bad); err == nil {
		t.Error("NaN is encoded")
	}
}

// TestForecastSize holds the figure that the documentation states.
func TestForecastSize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	total, n := 0, 0
	for o := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC); n < 96; o, n = o.Add(15*time.Minute), n+1 {
		f := forecastOf(o, rnd)
		data, err := store.EncodeForecast(&f)
		if err != nil {
			t.Fatal(err)
		}
		total += len(data)
	}
	mean := total / n
	t.Logf("%d bytes a forecast, %d MB a year and site", mean, mean*96*365/1e6)
	if mean < 2000 || mean > 5000 {
		t.Errorf("%d bytes, the documentation says 2 to 5 kB", mean)
	}
}

func FuzzDecodeForecast(f *testing.F) {
	origin := time.Date(2026, 3, 28, 10, 15, 0, 0, time.UTC)
	fc := forecastOf(origin, rand.New(rand.NewPCG(1, 2)))
	data, err := store.EncodeForecast(&fc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := store.DecodeForecast("poort", origin, data)
		if err != nil {
			return
		}
		if len(got.Measured)+len(got.Quarters)+len(got.Hours) > 3*4096 {
			t.Error("limit not kept")
		}
	})
}
