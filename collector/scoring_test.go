package collector

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/perrondrukte/perrondrukte/perron"
)

// fakeScorer notes what it is given.
type fakeScorer struct {
	mu      sync.Mutex
	truths  []perron.Period
	samples []int
	origins []time.Time // since the last truth
	worse   time.Time
}

func (s *fakeScorer) Truth(from, to time.Time, _ []perron.Count, samples []perron.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.truths, s.samples = append(s.truths, perron.Period{Start: from, End: to}), append(s.samples, len(samples))
	s.origins = nil
}

func (s *fakeScorer) Forecast(f *perron.Forecast) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = append(s.origins, f.Origin)
}

func (s *fakeScorer) Score(now time.Time) perron.Score {
	s.mu.Lock()
	defer s.mu.Unlock()
	return perron.Score{From: now.Add(-time.Hour), To: now, Days: 1, WorseSince: s.worse, Horizons: []perron.HorizonScore{
		{UpTo: 60, Minutes: 15, Arrivals: perron.Accuracy{N: len(s.origins), MAE: 2, Coverage: 0.8}},
	}}
}

func (s *fakeScorer) setWorse(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worse = at
}

func (s *fakeScorer) last() (truth perron.Period, passes, samples, origins int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.truths)
	if n == 0 {
		return perron.Period{}, 0, 0, 0
	}
	return s.truths[n-1], n, s.samples[n-1], len(s.origins)
}

// TestForecastsAreScored starts with a past in the store and lives through a
// day and a night.
func TestForecastsAreScored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		today := perron.DateOf(saturday)
		for d := today.AddDays(-scoreDays - 5); d.Before(today); d = d.AddDays(1) {
			for h := range 4 {
				st.forecasts = append(st.forecasts, perron.Forecast{Site: "poort", Origin: d.At(perron.TimeOfDay(h * 6 * 60))})
			}
		}
		st.samples["poort"] = []perron.Sample{{Estimate: perron.Estimate{At: today.AddDays(-20).At(12 * 60)}}}
		scorer := &fakeScorer{}
		reg := prometheus.NewRegistry()
		r := start(t, st, now, func(c *Config) {
			c.NewScorer = func(*perron.Site) Scorer { return scorer }
			c.Registerer = reg
		})
		r.well()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		truth, passes, samples, origins := scorer.last()
		// The forecast of the start is stored too.
		if passes != 1 || truth.Start != today.AddDays(-scoreDays).Start() || samples != 1 || origins < 4*scoreDays || origins > 4*scoreDays+2 {
			t.Errorf("at the start: %d passes, truth from %v, %d samples, %d origins", passes, truth.Start, samples, origins)
		}
		if f := r.forecast(); f.Score == nil || f.Score.Horizons[0].Arrivals.N != origins {
			t.Errorf("published with the score %+v", f.Score)
		}
		want := `
# HELP perrondrukte_forecast_coverage Part of what came within the 80 % interval of the forecasts of the last four weeks.
# TYPE perrondrukte_forecast_coverage gauge
perrondrukte_forecast_coverage{horizon="1h",of="arrivals",site="poort"} 0.8
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "perrondrukte_forecast_coverage"); err != nil {
			t.Error(err)
		}

		// An hour later it is today that is scored.
		scorer.setWorse(now())
		time.Sleep(time.Hour)
		r.well()
		if truth, passes, _, _ := scorer.last(); passes != 2 || truth.Start != today.Start() {
			t.Errorf("an hour later: pass %d, truth from %v", passes, truth.Start)
		}
		doubtful := func() bool {
			for _, d := range r.published().Doubts {
				if d.Kind == perron.DoubtForecast {
					return !d.Since.IsZero()
				}
			}
			return false
		}
		if !doubtful() {
			t.Errorf("staff are not told that forecasts are worse: %+v", r.published().Doubts)
		}
		scorer.setWorse(time.Time{})
		time.Sleep(time.Hour)
		r.well()
		if doubtful() {
			t.Errorf("staff are still told that forecasts are worse")
		}

		// At night the day is scored with all the forecasts of it, after the store
		// has been away for a while.
		st.setFail(errors.New("away"))
		time.Sleep(today.AddDays(1).At(4 * 60).Sub(now()))
		st.setFail(nil)
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		found := false
		scorer.mu.Lock()
		for _, p := range scorer.truths {
			found = found || p.Start == today.AddDays(-1).Start() && p.End.After(today.AddDays(1).Start())
		}
		scorer.mu.Unlock()
		if !found {
			t.Errorf("the day was not scored in the night after it: %v", scorer.truths)
		}
	})
}
