package forecast_test

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

func poort() *perron.Site {
	s := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 45}
	for w := range 7 {
		if time.Weekday(w) != time.Sunday {
			s.Hours.Weekly[w] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
		}
	}
	return s
}

// counts are the quarter-hour counts of a simulated day, zero rows left out.
func counts(day simulate.Day) []perron.Count {
	var out []perron.Count
	for _, e := range day.Events {
		if !e.Kind.Passage() {
			continue
		}
		start := perron.Quarter.Start(e.Time)
		if n := len(out); n == 0 || !out[n-1].Start.Equal(start) {
			out = append(out, perron.Count{Start: start})
		}
		if e.Kind == perron.In {
			out[len(out)-1].In++
		} else {
			out[len(out)-1].Out++
		}
	}
	return out
}

func sane(t *testing.T, f perron.Forecast) {
	t.Helper()
	for _, slots := range [][]perron.Slot{f.Quarters, f.Hours} {
		for i, s := range slots {
			if i > 0 && !s.Start.Equal(slots[i-1].Start.Add(time.Duration(s.Minutes)*time.Minute)) {
				t.Fatalf("slot %d starts at %v after %v", i, s.Start, slots[i-1].Start)
			}
			for name, v := range map[string]perron.Interval{"arrivals": s.Arrivals, "on site": s.OnSite, "wait": s.Wait} {
				if !(v.Low >= 0 && v.Low <= v.Mid && v.Mid <= v.High && v.High < 10000) {
					t.Fatalf("%v: %s %+v", s.Start, name, v)
				}
			}
			if !s.Open && s.Level != perron.Closed {
				t.Fatalf("%v: closed, but level %s", s.Start, s.Level)
			}
		}
	}
}

func BenchmarkRefitYear(b *testing.B) {
	site := poort()
	y := &simulate.Yard{Site: site, Seed: 5}
	var history []perron.Count
	for k := range 365 {
		history = append(history, counts(y.Day(perron.Date{Year: 2025, Month: time.January, Day: 1}.AddDays(k)))...)
	}
	m := forecast.New(site)
	for b.Loop() {
		m.Refit(history)
	}
}

func BenchmarkForecast(b *testing.B) {
	site := poort()
	y := &simulate.Yard{Site: site, Seed: 5}
	var history []perron.Count
	first := perron.Date{Year: 2026, Month: time.January, Day: 5}
	for k := range 70 {
		history = append(history, counts(y.Day(first.AddDays(k)))...)
	}
	m := forecast.New(site)
	m.Refit(history)
	today := first.AddDays(75)
	recent := counts(y.Day(today))
	for b.Loop() {
		m.Forecast(today.At(12*60+7), recent[:14], perron.Estimate{At: today.At(12*60 + 7), OnSite: perron.Interval{Low: 20, Mid: 22, High: 24}, Queue: perron.Interval{Low: 4, Mid: 7, High: 12}, EntryRate: 1.3})
	}
}
