package forecast_test

import (
	"fmt"
	"math"
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

// known is the present state as an estimator that knows the truth would give it.
func known(tr simulate.Truth, rate float64) perron.Estimate {
	return perron.Estimate{
		At: tr.At, OnSite: perron.Exactly(float64(tr.OnSite)), Queue: perron.Exactly(float64(tr.Queue)),
		Wait: perron.Exactly(math.Max(0, tr.Wait)), EntryRate: rate,
	}
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

// TestSimulatedYard lives through nine Saturdays after eight weeks of history
// and scores the wait that was forecast.
func TestSimulatedYard(t *testing.T) {
	for _, remember := range []bool{false, true} {
		t.Run(fmt.Sprintf("queues-remembered-%v", remember), func(t *testing.T) {
			site := poort()
			y := &simulate.Yard{Site: site, Seed: 5}
			m := forecast.New(site)
			first := perron.Date{Year: 2026, Month: time.January, Day: 5}
			var history []perron.Count
			type score struct{ n, abs, naive, bias, within float64 }
			scores := map[int]*score{}
			horizons := []int{0, 30, 60, 120, 240}
			for _, h := range horizons {
				scores[h] = &score{}
			}
			for k := range 126 {
				d := first.AddDays(k)
				day := y.Day(d)
				c := counts(day)
				if k >= 56 && d.Weekday() == time.Saturday {
					m.Refit(history)
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
						f := m.Forecast(at, recent, known(truth[at.Unix()], 1.3))
						sane(t, f)
						for _, h := range horizons {
							tr := truth[at.Add(time.Duration(h)*time.Minute).Unix()]
							s, ok := f.SlotAt(tr.At)
							if !ok || !s.Open || tr.Wait < 0 || tr.At.Before(d.At(10*60)) {
								continue
							}
							sc := scores[h]
							sc.n++
							sc.abs += math.Abs(s.Wait.Mid - tr.Wait)
							sc.bias += s.Wait.Mid - tr.Wait
							sc.naive += math.Abs(truth[at.Unix()].Wait - tr.Wait)
							if s.Wait.Low-0.5 <= tr.Wait && tr.Wait <= s.Wait.High+0.5 {
								sc.within++
							}
						}
					}
				}
				history = append(history, c...)
				if remember {
					var samples []perron.Sample
					for _, tr := range day.Truth {
						samples = append(samples, perron.Sample{Estimate: known(tr, 1.3)})
					}
					m.Remember(samples)
				}
			}
			var all score
			for _, h := range horizons {
				s := scores[h]
				if h >= 60 {
					all.n, all.within = all.n+s.n, all.within+s.within
					if s.abs > 0.8*s.naive {
						t.Errorf("%d minutes ahead: hardly better than the wait now", h)
					}
				}
				t.Logf("%3d minutes ahead: n %.0f MAE %.2f (as now: %.2f) bias %+.2f coverage %.2f", h, s.n, s.abs/s.n, s.naive/s.n, s.bias/s.n, s.within/s.n)
			}
			if c := all.within / all.n; c < 0.75 || c > 0.9 {
				t.Errorf("the 80 %% interval holds in %.2f", c)
			}
		})
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
