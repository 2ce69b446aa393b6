package eval

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/store"
)

// past is a perron's past as a store has it, in memory. What was estimated of it
// is the truth of a simulated yard.
type past struct {
	extent    store.Extent
	counts    []perron.Count
	samples   []perron.Sample
	forecasts []perron.Forecast
}

func between[T any](all []T, at func(T) time.Time, from, to time.Time) (out []T) {
	for _, v := range all {
		if t := at(v); !t.Before(from) && t.Before(to) {
			out = append(out, v)
		}
	}
	return out
}

func (p *past) Extent(context.Context, string) (store.Extent, error) { return p.extent, nil }

func (p *past) Counts(_ context.Context, q store.CountQuery) ([]perron.Count, error) {
	return between(p.counts, func(c perron.Count) time.Time { return c.Start }, q.From, q.To), nil
}

func (p *past) Samples(_ context.Context, _ string, from, to time.Time) ([]perron.Sample, error) {
	return between(p.samples, func(s perron.Sample) time.Time { return s.At }, from, to), nil
}

func (p *past) Forecasts(_ context.Context, _ string, from, to time.Time) ([]perron.Forecast, error) {
	return between(p.forecasts, func(f perron.Forecast) time.Time { return f.Origin }, from, to), nil
}

// pastOf is so many days of a yard up to a time.
func pastOf(y *simulate.Yard, days int, until time.Time) *past {
	p := &past{}
	for d := perron.DateOf(until).AddDays(-days); d.Start().Before(until); d = d.AddDays(1) {
		day := y.Day(d)
		for _, e := range day.Events {
			if !e.Kind.Passage() || !e.Time.Before(until) {
				continue
			}
			start := perron.Quarter.Start(e.Time)
			if n := len(p.counts); n == 0 || p.counts[n-1].Start.Before(start) {
				p.counts = append(p.counts, perron.Count{Start: start})
			}
			c := &p.counts[len(p.counts)-1]
			if e.Kind == perron.In {
				c.In++
			} else {
				c.Out++
			}
			if p.extent.First.IsZero() {
				p.extent.First = e.Time
			}
			p.extent.Last = e.Time
		}
		for _, truth := range day.Truth {
			if truth.Wait < 0 || truth.At.Minute()%5 != 0 || !truth.At.Before(until) {
				continue
			}
			p.samples = append(p.samples, perron.Sample{
				Estimate: perron.Estimate{
					At: truth.At, OnSite: perron.Exactly(float64(truth.OnSite)), Queue: perron.Exactly(float64(truth.Queue)), Wait: perron.Exactly(truth.Wait),
				},
				Level: perron.LevelOf(truth.Wait, float64(truth.OnSite)/float64(y.Site.Bays)), Quality: perron.Measured,
			})
		}
	}
	return p
}

// TestOfPerron looks back on simulated weeks: the figures can be true, what was
// kept is scored as what is made again, and the drawing is well-formed and holds
// what came.
func TestOfPerron(t *testing.T) {
	yard := &simulate.Yard{Site: config.Almere().PerronSites()[0], Seed: 1, Visits: 700}
	until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
	const days = 7
	p := pastOf(yard, 5*7, until)
	// As a collector would have kept them.
	err := forecast.Replay(yard.Site, p.counts, p.samples, perron.DateOf(until).AddDays(1-days-farthest), until, func(f perron.Forecast) error {
		p.forecasts = append(p.forecasts, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	look, err := OfPerron(t.Context(), p, yard.Site, days, perron.Date{})
	if err != nil {
		t.Fatal(err)
	}
	if look.First.String() != "2026-10-21" || look.Last.String() != "2026-10-27" {
		t.Errorf("from %s to %s", look.First, look.Last)
	}
	if n := len(p.forecasts); look.Kept.Forecasts != n || n < 100 {
		t.Errorf("%d forecasts were kept, %d are scored", n, look.Kept.Forecasts)
	}
	if look.WeekBefore < 0.5 || look.WeekBefore > 15 {
		t.Errorf("the week before is off by %.1f vehicles", look.WeekBefore)
	}
	for i, h := range look.Remade.Score.Horizons {
		if h.Over == 0 && (h.Arrivals.N < 100 || h.Arrivals.Coverage < 0.6 || h.Wait.N < 10) {
			t.Errorf("up to %d minutes ahead: %+v", h.UpTo, h)
		}
		// Both were made of the same past, but for how far back it was known.
		if kept := look.Kept.Score.Horizons[i]; h.UpTo <= 360 && math.Abs(kept.Arrivals.MAE-h.Arrivals.MAE) > 0.03*h.Arrivals.MAE {
			t.Errorf("up to %d minutes ahead: off by %.2f was kept, %.2f is made again", h.UpTo, kept.Arrivals.MAE, h.Arrivals.MAE)
		}
	}
	if day := look.Fan.Day().String(); day != "2026-10-24" {
		t.Errorf("%s is drawn, not the last Saturday", day)
	}
	var b strings.Builder
	if err := look.Fan.Draw(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "<circle"); strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") || n < 8*30 {
		t.Errorf("a drawing with %d dots", n)
	}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}

	_, err = OfPerron(t.Context(), p, yard.Site, days, perron.Date{Year: 2026, Month: time.November, Day: 1})
	if bad, ok := errors.AsType[*DayError](err); !ok || bad.First != look.First || bad.Last.String() != "2026-10-26" {
		t.Errorf("a day to come: %v", err)
	}
	if _, err := OfPerron(t.Context(), &past{}, yard.Site, days, perron.Date{}); err == nil || !strings.Contains(err.Error(), "nothing was counted at Poort") {
		t.Errorf("of a perron without a past: %v", err)
	}
}
