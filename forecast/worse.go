package forecast

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Forecasts have become worse when the errors of a few days lie further above
// those of the four weeks before than luck explains. The errors of one day hang
// together (it rains, or a street is closed), so that its many pairs are one
// piece of evidence and not hundreds: a day has one error for arrivals and one
// for waits, and only days are compared with days.
const (
	recentDays = 7  // that may be worse
	usualDays  = 28 // before them, which say what is usual
	fewestDays = 14 // of those that must be known
	// trailDays is how far back it is looked up since when forecasts have been
	// worse, so that a restart does not begin it anew.
	trailDays = 14

	// A day counts by how many standard deviations its error is above the mean,
	// less the allowance, and at most by mostOfDay, so that one day is never
	// enough and two are only when both are far beyond all others. These numbers
	// were chosen with simulated yards; docs/forecasting-measured.md has what came of it.
	allowance = 1.0
	mostOfDay = 2.0
	alarmAt   = 3.4
	alarmEnds = alarmAt / 2 // once worse it stays so until the sum is below

	// leastSpread is the least standard deviation of the logarithm of a day's
	// error: some weeks are alike by chance.
	leastSpread = 0.2
	// noLoss is added to the errors of days, so that none is beyond all measure
	// better than another.
	lossFloor = 0.02
	// fewestPairs of a day make an error at a horizon.
	fewestPairs = 8
)

// dayHorizons is how many of the horizons count: what is said up to a day
// ahead is what people go by.
const dayHorizons = 4

// pinballSums is the sum over pairs of the pinball loss, each in units of what such
// a pair scatters by, so that a Saturday can be compared with a Tuesday.
type pinballSums struct {
	n   int
	sum float64
}

func (l *pinballSums) add(v perron.Interval, truth, unit float64) {
	if x := pinballLoss(v, truth) / unit; !math.IsNaN(x) && !math.IsInf(x, 0) {
		l.n++
		l.sum += x
	}
}

// dayError is the logarithm of the mean loss of a day, all horizons alike.
func (t *dayScore) dayError(of func(h int) pinballSums) (v float64, ok bool) {
	sum, n := 0.0, 0.0
	for h := range dayHorizons {
		if l := of(h); l.n >= fewestPairs {
			sum, n = sum+l.sum/float64(l.n), n+1
		}
	}
	return math.Log(sum/n + lossFloor), n > 0
}

// worseSince is when the day was over on whose evening forecasts were first
// found worse, if they still are. It follows from what is kept of the days, but
// for what is longer ago than that reaches.
func (s *Scorer) worseSince(today perron.Date) time.Time {
	first := today.AddDays(-trailDays)
	var since time.Time
	if s.worse.Before(first.Start()) {
		since = s.worse
	}
	for d := first; !today.Before(d); d = d.AddDays(1) {
		over := s.closing(d)
		if over.After(s.to) {
			break // the morning alone says little of a day
		}
		switch sum := s.evidence(d); {
		case since.IsZero() && sum > alarmAt:
			since = over
		case sum < alarmEnds:
			since = time.Time{}
		}
	}
	return since
}

// closing is when the site closes for the day.
func (s *Scorer) closing(d perron.Date) time.Time {
	if p := s.site.Hours.Periods(d); len(p) > 0 {
		return p[len(p)-1].End
	}
	return d.End()
}

// evidence is how much speaks for forecasts being worse on the evening of a
// day: nothing when too few days are known.
func (s *Scorer) evidence(d perron.Date) (most float64) {
	for _, of := range []func(t *dayScore, h int) pinballSums{
		func(t *dayScore, h int) pinballSums { return t[h].lossOfArrivals },
		func(t *dayScore, h int) pinballSums { return t[h].lossOfWait },
	} {
		usual := s.errors(d.AddDays(1-recentDays-usualDays), usualDays, of)
		most = math.Max(most, cumulativeSum(usual, s.errors(d.AddDays(1-recentDays), recentDays, of)))
	}
	return most
}

// errors are those of the days, from one on, that have any.
func (s *Scorer) errors(from perron.Date, days int, of func(t *dayScore, h int) pinballSums) (out []float64) {
	for i := range days {
		if t := s.days[from.AddDays(i)]; t != nil {
			if v, ok := t.dayError(func(h int) pinballSums { return of(t, h) }); ok {
				out = append(out, v)
			}
		}
	}
	return out
}

// cumulativeSum is the greatest sum over the last one, two, three … of the recent days
// of how far each lies above what is usual: Page's cumulative sum ("Continuous
// Inspection Schemes", Biometrika 41, 1954), within a week.
func cumulativeSum(usual, recent []float64) (most float64) {
	if len(usual) < fewestDays {
		return 0
	}
	n, mean, square := float64(len(usual)), 0.0, 0.0
	for _, v := range usual {
		mean += v / n
	}
	for _, v := range usual {
		square += (v - mean) * (v - mean)
	}
	spread := math.Max(leastSpread, math.Sqrt(square/(n-1)))
	sum := 0.0
	for i := len(recent) - 1; i >= 0; i-- {
		sum += math.Min(mostOfDay, (recent[i]-mean)/spread-allowance)
		most = math.Max(most, sum)
	}
	return most
}
