package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	scoreDays = 28 // that a score is made of
	// ScoreDays is how many days of truth a Scorer makes use of.
	ScoreDays = usualDays + recentDays + trailDays

	leastWait = 5.0 // minutes: less is no wait worth telling
)

// scoredHorizons are the leads, in minutes, that are scored together: more than the
// one before and up to this.
var scoredHorizons = []int{60, 3 * 60, 6 * 60, 24 * 60, 48 * 60, 8 * 24 * 60}

// hourlyHorizon is the first of the horizons at which forecasts are by the hour.
const hourlyHorizon = 5

// A Scorer compares forecasts with what came. It keeps sums by day, not the
// forecasts. It is not safe for concurrent use.
type Scorer struct {
	site     *perron.Site
	from, to time.Time // of the truth that is known
	// By the Unix time of the quarter in which it starts; absent where it was
	// not measured.
	arrivals map[int64]float64
	waits    map[int64]float64
	days     map[perron.Date]*dayScore
	worse    time.Time
}

type dayScore [6]struct {
	arrivals, wait             errorSums
	idle, unforeseen           int
	lossOfArrivals, lossOfWait pinballSums
}

// errorSums sums up pairs of a forecast and its truth.
type errorSums struct {
	n                                 int
	truth, off, bias, pinball, within float64
}

// NewScorer returns a Scorer that knows no truth.
func NewScorer(site *perron.Site) *Scorer {
	return &Scorer{site: site, days: make(map[perron.Date]*dayScore)}
}

// Truth says what was measured from the start of a day until to: counts a
// quarter, gates summed, and samples in order of time. What was scored of
// those days is forgotten, so that the forecasts of them can be scored (again):
// all that were made since a week before.
// See [perron.Came] for what counts as measured.
func (s *Scorer) Truth(from, to time.Time, counts []perron.Count, samples []perron.Sample) {
	s.from, s.to = from, to
	for d := range s.days {
		if start := d.Start(); !start.Before(from) && start.Before(to) || d.Before(perron.DateOf(to).AddDays(-ScoreDays-1)) {
			delete(s.days, d)
		}
	}
	s.arrivals, s.waits = perron.Came(from, to, counts, samples)
}

// Forecast scores what a forecast said of the days of which the truth is
// known, where the site is open and anything was expected.
func (s *Scorer) Forecast(f *perron.Forecast) {
	for i, slots := range [2][]perron.Slot{f.Quarters, f.Hours} {
		for j := range slots {
			v := &slots[j]
			lead := int(v.Start.Sub(f.Origin) / time.Minute)
			h, _ := slices.BinarySearch(scoredHorizons, lead)
			if lead <= 0 || h >= len(scoredHorizons) || !v.Open || v.Basis == perron.QualityUnknown || v.Start.Before(s.from) {
				continue
			}
			if (i == 1) != (h >= hourlyHorizon) || v.Minutes != slotMinutes && i == 0 {
				continue // of two days ahead there are quarters and hours
			}
			if !v.Start.Before(s.to) {
				break
			}
			s.score(h, v)
		}
	}
}

// score compares a slot with its truth, if that is known. Whether a wait counts
// is decided by what was said, never by what came: intervals that hold as often
// as they should do not hold on the days that are picked because they turned
// out badly (Lerch and others, "Forecaster's Dilemma: Extreme Events and
// Forecast Evaluation", Statistical Science 32, 2017).
func (s *Scorer) score(h int, v *perron.Slot) {
	d := perron.DateOf(v.Start)
	day := s.days[d]
	if day == nil {
		day = &dayScore{}
		s.days[d] = day
	}
	t := &day[h]
	came, known := 0.0, true
	for m := 0; m < v.Minutes; m += slotMinutes {
		n, ok := s.arrivals[v.Start.Add(time.Duration(m)*time.Minute).Unix()]
		came, known = came+n, known && ok
	}
	if known {
		t.arrivals.add(v.Arrivals, came, 0)
		// Counts scatter by their root.
		t.lossOfArrivals.add(v.Arrivals, came, math.Sqrt(v.Arrivals.Mid+1))
	}
	if wait, ok := s.waits[v.Start.Unix()]; ok {
		// Long waits scatter more than short ones, and by what was said of them.
		t.lossOfWait.add(v.Wait, wait, math.Max(leastWait, v.Wait.High))
		switch {
		case v.Wait.High >= leastWait:
			t.wait.add(v.Wait, wait, wholeMinute)
		case v.Wait.High < leastWait: // and not NaN
			t.idle++
			if wait >= leastWait {
				t.unforeseen++
			}
		}
	}
}

// wholeMinute is by how much a wait may be beyond a range and still be in it:
// ranges are told in whole minutes, and a low end of some seconds is told as none.
const wholeMinute = 0.5

// add takes in one pair. A truth that is no farther beyond the range than the
// grain counts as within.
func (t *errorSums) add(v perron.Interval, truth, grain float64) {
	pinball := pinballLoss(v, truth)
	if math.IsNaN(pinball) || math.IsInf(pinball, 0) {
		return
	}
	t.n++
	t.truth += truth
	t.off += math.Abs(v.Mid - truth)
	t.bias += v.Mid - truth
	t.pinball += pinball
	if truth >= v.Low-grain-1e-9 && truth <= v.High+grain+1e-9 {
		t.within++
	}
}

// pinballLoss is the mean loss of what was said of a truth. The loss of the
// quantile q of a truth y is q·(y−x) or (1−q)·(x−y), whichever is positive
// (Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978); its mean
// is a proper score (Gneiting and Raftery, JASA 102, 2007, section 6).
func pinballLoss(v perron.Interval, truth float64) float64 {
	loss := func(q, x float64) float64 { return math.Max(q*(truth-x), (1-q)*(x-truth)) }
	return (loss(0.1, v.Low) + loss(0.5, v.Mid) + loss(0.9, v.High)) / 3
}

func (t *errorSums) join(o *errorSums) {
	t.n += o.n
	t.truth += o.truth
	t.off += o.off
	t.bias += o.bias
	t.pinball += o.pinball
	t.within += o.within
}

func (t *errorSums) accuracy() perron.Accuracy {
	if t.n == 0 {
		return perron.Accuracy{}
	}
	n := float64(t.n)
	round := func(v float64) float64 { return math.Round(v*1000) / 1000 }
	return perron.Accuracy{
		N: t.n, Mean: round(t.truth / n), MAE: round(t.off / n), Bias: round(t.bias / n),
		Pinball: round(t.pinball / n), Coverage: round(t.within / n),
	}
}

// Score sums up the last 28 days until the truth that is known ends, and says
// whether forecasts have become worse than they were.
func (s *Scorer) Score(now time.Time) perron.Score {
	today := perron.DateOf(now)
	from := today.AddDays(1 - scoreDays)
	out := perron.Score{From: from.Start(), To: today.AddDays(1).Start()}
	total, days := s.between(from, today)
	out.Days = days
	for h, upTo := range scoredHorizons {
		v := perron.HorizonScore{UpTo: upTo, Minutes: slotMinutes, Idle: total[h].idle, Unforeseen: total[h].unforeseen}
		if h > 0 {
			v.Over = scoredHorizons[h-1]
		}
		if h >= hourlyHorizon {
			v.Minutes = 60
		}
		v.Arrivals, v.Wait = total[h].arrivals.accuracy(), total[h].wait.accuracy()
		out.Horizons = append(out.Horizons, v)
	}
	s.worse = s.worseSince(today)
	out.WorseSince = s.worse
	return out
}

// between sums up days, both included, and counts those with anything in them.
func (s *Scorer) between(from, to perron.Date) (sum *dayScore, days int) {
	sum = &dayScore{}
	for d := from; !to.Before(d); d = d.AddDays(1) {
		day := s.days[d]
		if day == nil {
			continue
		}
		some := false
		for h := range day {
			sum[h].arrivals.join(&day[h].arrivals)
			sum[h].wait.join(&day[h].wait)
			sum[h].idle += day[h].idle
			sum[h].unforeseen += day[h].unforeseen
			some = some || day[h].arrivals.n > 0 || day[h].wait.n > 0 || day[h].idle > 0
		}
		if some {
			days++
		}
	}
	return sum, days
}
