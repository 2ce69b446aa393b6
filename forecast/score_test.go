package forecast

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perrondrukte/perrondrukte/perron"
)

// scoredSite is open from 9 to 12.
func scoredSite() *perron.Site {
	s := &perron.Site{ID: "poort", Bays: 10, Lanes: 1}
	for d := range s.Hours.Weekly {
		s.Hours.Weekly[d] = []perron.Span{{Open: 9 * 60, Close: 12 * 60}}
	}
	return s
}

// measured is a morning with so many entries a quarter and that wait.
func measured(d perron.Date, in int, wait float64) (counts []perron.Count, samples []perron.Sample) {
	for t := d.At(9 * 60); t.Before(d.At(12 * 60)); t = t.Add(15 * time.Minute) {
		counts = append(counts, perron.Count{Start: t, In: in})
		for m := range 15 {
			var s perron.Sample
			s.At, s.Wait, s.Level = t.Add(time.Duration(m)*time.Minute), perron.Exactly(wait), perron.Quiet
			samples = append(samples, s)
		}
	}
	return counts, samples
}

// said is a forecast of a day's morning.
func said(origin time.Time, d perron.Date, in, wait perron.Interval) *perron.Forecast {
	f := &perron.Forecast{Site: "poort", Origin: origin}
	for t := d.At(9 * 60); t.Before(d.At(12 * 60)); t = t.Add(15 * time.Minute) {
		f.Quarters = append(f.Quarters, perron.Slot{Start: t, Minutes: 15, Open: true, Arrivals: in, Wait: wait, Basis: perron.Expected})
	}
	return f
}

func TestScore(t *testing.T) {
	d := perron.Date{Year: 2026, Month: 6, Day: 10}
	s := NewScorer(scoredSite())
	counts, samples := measured(d, 10, 12)
	s.Truth(d.Start(), d.End(), counts, samples)
	// At nine: the quarter of nine is no forecast any more; four are up to an
	// hour ahead, the other seven further.
	s.Forecast(said(d.At(9*60), d, perron.Interval{Low: 5, Mid: 8, High: 9}, perron.Interval{Low: 5, Mid: 15, High: 30}))
	got := s.Score(d.At(13 * 60))
	if got.Days != 1 || len(got.Horizons) != len(scoredHorizons) {
		t.Fatalf("%+v", got)
	}
	// 10 %: 0.1·5, 50 %: 0.5·2, 90 %: 0.9·1; a third of 2.4.
	want := perron.HorizonScore{
		UpTo: 60, Minutes: 15,
		Arrivals: perron.Accuracy{N: 4, Mean: 10, MAE: 2, Bias: -2, Pinball: 0.8},
		// 0.1·7, 0.5·3, 0.1·18; a third of 4.
		Wait: perron.Accuracy{N: 4, Mean: 12, MAE: 3, Bias: 3, Pinball: 1.333, Coverage: 1},
	}
	if diff := cmp.Diff(want, got.Horizons[0]); diff != "" {
		t.Errorf("up to an hour ahead (-want +got):\n%s", diff)
	}
	want.Over, want.UpTo, want.Arrivals.N, want.Wait.N = 60, 180, 7, 7
	if diff := cmp.Diff(want, got.Horizons[1]); diff != "" {
		t.Errorf("up to three hours ahead (-want +got):\n%s", diff)
	}
	if n := got.Horizons[2].Arrivals.N; n != 0 {
		t.Errorf("%d pairs more than three hours ahead", n)
	}
	// The truth of the day again: what was scored of it is forgotten.
	s.Truth(d.Start(), d.End(), counts, samples)
	if got := s.Score(d.At(13 * 60)); got.Days != 0 {
		t.Errorf("after the truth came again: %+v", got)
	}
}

// TestScoreLeavesOut has cases in which there is no truth, or none that a
// forecast could know.
func TestScoreLeavesOut(t *testing.T) {
	d := perron.Date{Year: 2026, Month: 6, Day: 10}
	in, wait := perron.Interval{Low: 8, Mid: 10, High: 12}, perron.Interval{Low: 10, Mid: 12, High: 15}
	for _, c := range []struct {
		name           string
		change         func(counts []perron.Count, samples []perron.Sample, f *perron.Forecast) []perron.Sample
		arrivals, wait int // pairs left, of 11
		idle           int
		unforeseen     int
	}{
		{"all is known", func(_ []perron.Count, s []perron.Sample, _ *perron.Forecast) []perron.Sample { return s }, 11, 11, 0, 0},
		{"a hole of ten minutes", func(_ []perron.Count, s []perron.Sample, _ *perron.Forecast) []perron.Sample {
			return append(s[:15:15], s[25:]...)
		}, 10, 10, 0, 0},
		{"staff closed for a while", func(_ []perron.Count, s []perron.Sample, _ *perron.Forecast) []perron.Sample {
			for i := 20; i < 40; i++ {
				s[i].Level = perron.Closed
			}
			return s
		}, 9, 9, 0, 0},
		{"the queue is beyond the last loop", func(_ []perron.Count, s []perron.Sample, _ *perron.Forecast) []perron.Sample {
			for i := 30; i < 45; i++ {
				s[i].AtLeast = true
			}
			return s
		}, 11, 11, 0, 0},
		{"a typical forecast without any past", func(_ []perron.Count, s []perron.Sample, f *perron.Forecast) []perron.Sample {
			for i := range f.Quarters {
				f.Quarters[i].Basis = perron.QualityUnknown
			}
			return s
		}, 0, 0, 0, 0},
		{"not a number", func(_ []perron.Count, s []perron.Sample, f *perron.Forecast) []perron.Sample {
			f.Quarters[5].Arrivals.High, f.Quarters[6].Wait.Mid = math.NaN(), math.Inf(1)
			return s
		}, 10, 10, 0, 0},
		{"nobody waits and nobody was expected to", func(_ []perron.Count, s []perron.Sample, f *perron.Forecast) []perron.Sample {
			for i := range s {
				s[i].Wait = perron.Exactly(0)
			}
			for i := range f.Quarters {
				f.Quarters[i].Wait.High = 4
			}
			f.Quarters[3].Wait.High = 20
			return s
		}, 11, 1, 10, 0},
		{"what is picked is picked by what was said", func(_ []perron.Count, s []perron.Sample, f *perron.Forecast) []perron.Sample {
			for i := range f.Quarters[:8] {
				f.Quarters[i].Wait = perron.Interval{Low: 0, Mid: 1, High: 4}
			}
			return s // they wait 12 minutes all the time
		}, 11, 4, 7, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			counts, samples := measured(d, 10, 12)
			f := said(d.At(9*60), d, in, wait)
			samples = c.change(counts, samples, f)
			s := NewScorer(scoredSite())
			s.Truth(d.Start(), d.End(), counts, samples)
			s.Forecast(f)
			var arrivals, waits, idle, unforeseen int
			for _, h := range s.Score(d.At(13 * 60)).Horizons {
				arrivals, waits, idle = arrivals+h.Arrivals.N, waits+h.Wait.N, idle+h.Idle
				unforeseen += h.Unforeseen
				for _, a := range []perron.Accuracy{h.Arrivals, h.Wait} {
					if a.N > 0 && !(a.MAE >= 0 && a.MAE < 100 && a.Coverage >= 0 && a.Coverage <= 1) {
						t.Errorf("up to %d min: %+v", h.UpTo, a)
					}
				}
			}
			if arrivals != c.arrivals || waits != c.wait || idle != c.idle || unforeseen != c.unforeseen {
				t.Errorf("%d arrivals, %d waits, %d idle, %d unforeseen, want %d, %d, %d, %d", arrivals, waits, idle, unforeseen, c.arrivals, c.wait, c.idle, c.unforeseen)
			}
		})
	}
}

// TestScoreCountsThoseInTheQueue: who came is who went in and by whom the queue
// grew.
func TestScoreCountsThoseInTheQueue(t *testing.T) {
	d := perron.Date{Year: 2026, Month: 6, Day: 10}
	counts, samples := measured(d, 10, 12)
	for i := range samples {
		samples[i].Queue = perron.Exactly(float64(i / 15 * 2)) // two more each quarter
	}
	s := NewScorer(scoredSite())
	s.Truth(d.Start(), d.End(), counts, samples)
	s.Forecast(said(d.At(9*60), d, perron.Exactly(12), perron.Exactly(12)))
	got := s.Score(d.At(13 * 60)).Horizons[1].Arrivals
	// In the last quarter the site closes upon a queue: who came is not known.
	want := perron.Accuracy{N: 6, Mean: 12, Coverage: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestScoreByTheHour: what is said more than two days ahead is said by the hour.
func TestScoreByTheHour(t *testing.T) {
	d := perron.Date{Year: 2026, Month: 6, Day: 10}
	counts, samples := measured(d, 10, 12)
	s := NewScorer(scoredSite())
	s.Truth(d.Start(), d.End(), counts, samples)
	f := &perron.Forecast{Site: "poort", Origin: d.AddDays(-4).At(10 * 60)}
	for h := 9; h < 12; h++ {
		f.Hours = append(f.Hours, perron.Slot{
			Start: d.At(perron.TimeOfDay(h * 60)), Minutes: 60, Open: true,
			Arrivals: perron.Exactly(44), Wait: perron.Exactly(10), Basis: perron.Typical,
		})
	}
	s.Forecast(f)
	got := s.Score(d.At(13 * 60)).Horizons[hourlyHorizon]
	want := perron.HorizonScore{
		Over: 48 * 60, UpTo: 8 * 24 * 60, Minutes: 60,
		Arrivals: perron.Accuracy{N: 3, Mean: 40, MAE: 4, Bias: 4},
		Wait:     perron.Accuracy{N: 3, Mean: 12, MAE: 2, Bias: -2},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(perron.Accuracy{}, "Pinball")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWorse lets forecasts become worse after a month and recover a month
// later, and wants to be told within three days and left in peace otherwise.
func TestWorse(t *testing.T) {
	start := perron.Date{Year: 2026, Month: 3, Day: 1}
	s := NewScorer(scoredSite())
	var since, until int
	for i := range 90 {
		d := start.AddDays(i)
		// The counts scatter from 7 to 13.
		in := 10 + (i*3)%7 - 3
		if i >= 40 && i < 55 {
			in = 20 // a street is closed and all come here
		}
		counts, samples := measured(d, in, 0)
		s.Truth(d.Start(), d.End(), counts, samples)
		for h := range 3 {
			// 80 % of the time the interval holds it.
			s.Forecast(said(d.At(perron.TimeOfDay(h*4*60)), d, perron.Interval{Low: 7.5, Mid: 10, High: 13}, perron.Exactly(0)))
		}
		switch worse := !s.Score(d.At(23 * 60)).WorseSince.IsZero(); {
		case worse && since == 0:
			since = i
		case !worse && since > 0 && until == 0:
			until = i
		case worse && until > 0:
			t.Fatalf("day %d: worse again", i)
		}
	}
	if since < 40 || since > 43 {
		t.Errorf("noticed on day %d what began on day 40", since)
	}
	if until < 55 || until > 62 {
		t.Errorf("over on day %d what ended on day 55", until)
	}
}
