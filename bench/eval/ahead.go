package main

import (
	"fmt"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// counts are the quarter-hour counts of a simulated day, zero rows left out.
func counts(day simulate.Day) []perron.Count {
	var out []perron.Count
	for _, ev := range day.Events {
		if !ev.Kind.Passage() {
			continue
		}
		start := perron.Quarter.Start(ev.Time)
		if n := len(out); n == 0 || !out[n-1].Start.Equal(start) {
			out = append(out, perron.Count{Start: start})
		}
		if ev.Kind == perron.In {
			out[len(out)-1].In++
		} else {
			out[len(out)-1].Out++
		}
	}
	return out
}

// ahead scores the forecast of the wait on ten Saturdays of a simulated yard,
// after eight weeks of history and with the present state known.
func (e *eval) ahead() error {
	site := &perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: road}
	for w := range 7 {
		if time.Weekday(w) != time.Sunday {
			site.Hours.Weekly[w] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
		}
	}
	const entryRate = 1.3 // vehicles a minute
	now := func(tr simulate.Truth) perron.Estimate {
		return perron.Estimate{
			At: tr.At, OnSite: perron.Exactly(float64(tr.OnSite)), Queue: perron.Exactly(float64(tr.Queue)),
			Wait: perron.Exactly(math.Max(0, tr.Wait)), EntryRate: entryRate,
		}
	}
	y := &simulate.Yard{Site: site, Seed: 5}
	m := forecast.New(site)
	first := perron.Date{Year: 2026, Month: time.January, Day: 5}
	horizons := []int{30, 60, 120, 240}
	ours, naive := make([]tally, len(horizons)), make([]tally, len(horizons))
	var history []perron.Count
	var refit, each time.Duration
	var refits, forecasts int
	for k := range 126 {
		d := first.AddDays(k)
		day := y.Day(d)
		c := counts(day)
		if k >= 56 && d.Weekday() == time.Saturday {
			began := time.Now()
			m.Refit(history)
			refit, refits = refit+time.Since(began), refits+1
			truth := map[int64]simulate.Truth{}
			for _, tr := range day.Truth {
				truth[tr.At.Unix()] = tr
			}
			for at := d.At(8 * 60); at.Before(d.At(17 * 60)); at = at.Add(15 * time.Minute) {
				var recent []perron.Count
				for _, r := range c {
					if r.Start.Before(at) {
						recent = append(recent, r)
					}
				}
				began := time.Now()
				f := m.Forecast(at, recent, now(truth[at.Unix()]))
				each, forecasts = each+time.Since(began), forecasts+1
				for i, h := range horizons {
					tr := truth[at.Add(time.Duration(h)*time.Minute).Unix()]
					s, ok := f.SlotAt(tr.At)
					if !ok || !s.Open || tr.Wait < 0 || tr.At.Before(d.At(10*60)) {
						continue
					}
					// Half a minute is what rounding to whole minutes takes.
					ours[i].add(tr.Wait, perron.Interval{Low: s.Wait.Low - 0.5, Mid: s.Wait.Mid, High: s.Wait.High + 0.5})
					naive[i].add(tr.Wait, perron.Exactly(truth[at.Unix()].Wait))
				}
			}
		}
		history = append(history, c...)
	}
	t := e.table("Forecast of the wait (minutes), ten Saturdays of a simulated yard", "ahead", "mean error", "\"as now\"", "bias", "80 % range holds")
	for i, h := range horizons {
		t.row(fmt.Sprintf("%d min", h), fmt.Sprintf("%.1f", ours[i].mae()), fmt.Sprintf("%.1f", naive[i].mae()),
			fmt.Sprintf("%+.1f", ours[i].bias()), fmt.Sprintf("%.2f", ours[i].coverage()))
	}
	if err := t.end(); err != nil {
		return err
	}

	// Three years of quarter hours.
	history = history[:0]
	start := perron.Date{Year: 2023, Month: time.January, Day: 1}
	for k := range 3 * 365 {
		history = append(history, counts(y.Day(start.AddDays(k)))...)
	}
	began := time.Now()
	m = forecast.New(site)
	m.Refit(history)
	today := start.AddDays(3*365 + 6)
	m.Forecast(today.At(12*60), nil, perron.Estimate{At: today.At(12 * 60), EntryRate: entryRate})
	long := time.Since(began)
	t = e.table("Speed", "what", "seconds")
	t.row("refit and forecast with three years of quarter hours", e.judge("three years: seconds", "%.3f", long.Seconds(), anyLow, 1))
	t.row("one live update of the forecast", e.judge("live update: seconds", "%.4f", each.Seconds()/float64(forecasts), anyLow, 0.005))
	t.row("refit with four months", fmt.Sprintf("%.3f", refit.Seconds()/float64(refits)))
	return t.end()
}
