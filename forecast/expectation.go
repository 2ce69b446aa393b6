package forecast

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// nearSlots are the horizons within a day that have a regression of their own.
var nearSlots = []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 34}

// An expectation is how many vehicles are expected: the profile, corrected by a
// regression for each horizon.
type expectation struct {
	series     *series
	correction *correction
	near       []regression // by nearSlots
	far        []regression // by leads, from 1 on
	lastDay    int          // of the origins
}

// known says whether any past day speaks, or another site's.
func (x *expectation) known() bool { return x.lastKnown() >= 0 || x.series.lent != nil }

// train fits a regression for each horizon.
func (x *expectation) train() {
	from := max(0, x.lastDay-trainWeeks*7)
	s := x.series
	x.near, x.far = x.near[:0], x.far[:0]
	for _, h := range nearSlots {
		var pairs []pair
		for t := s.first[from] + h; t < x.correction.known; t++ {
			if s.rows[t].day == s.rows[t-h].day {
				pairs = append(pairs, pair{t - h, t})
			}
		}
		x.near = append(x.near, x.correction.fit(pairs, priorCoefficients(float64(h*slotMinutes)/60), trainMemory))
	}
	for _, lead := range leads[1:] {
		var pairs []pair
		for t := s.first[from]; t < x.correction.known; t++ {
			if o := s.at(s.rows[t].day-lead, s.rows[t].slot); o >= 0 {
				pairs = append(pairs, pair{o, t})
			}
		}
		x.far = append(x.far, x.correction.fit(pairs, priorCoefficients(float64(24*lead)), trainMemory))
	}
}

// regressionFor chooses the regression for a target row.
func (x *expectation) regressionFor(origin, target int) *regression {
	o, t := x.series.rows[origin], x.series.rows[target]
	if t.day > o.day {
		return &x.far[max(1, leadIndex(t.day-o.day))-1]
	}
	best := 0
	for i, h := range nearSlots {
		if h <= target-origin {
			best = i
		}
	}
	return &x.near[best]
}

// of is what is expected of a row: with the level of today, or typically.
func (x *expectation) of(origin, target int, basis perron.Quality) (perron.Interval, bool) {
	if basis == perron.Expected {
		return x.corrected(origin, target)
	}
	r := x.series.rows[target]
	base := x.correction.profiles.of(r.day, max(0, r.day-x.lastDay)).long[r.slot]
	if math.IsNaN(base) {
		var ok bool
		if base, ok = x.nearest(target, target); !ok {
			return perron.Interval{}, false
		}
	}
	fit := &x.far[len(x.far)-1]
	return fit.around(base+0.02, r.slot), true
}

// corrected are the quantiles of the number that joins in a row's slot, seen
// from the row origin. Without any past day the answer is false.
func (x *expectation) corrected(origin, target int) (v perron.Interval, ok bool) {
	r := x.series.rows[target]
	var f [featureCount]float64
	if origin < 0 {
		return x.of(origin, target, perron.Typical)
	}
	base := x.correction.features(&f, origin, r.day, r.slot)
	if math.IsNaN(base) {
		base, ok = x.nearest(origin, target)
		if !ok {
			return v, false
		}
		f = [featureCount]float64{}
		f[fWeek], f[fThree] = x.correction.level(origin+1-5*perDay, origin+1), x.correction.level(origin+1-12, origin+1)
	}
	fit := x.regressionFor(origin, target)
	return fit.around((base+0.02)*fit.factor(&f), r.slot), true
}

// nearest is the profile of the nearest slot of the day that has one: the site
// opens at a time of day at which it never did.
func (x *expectation) nearest(origin, target int) (float64, bool) {
	r := x.series.rows[target]
	lead := max(0, r.day-x.series.rows[origin].day)
	p := x.correction.profiles.of(r.day, lead).long
	for k := 1; k < perDay; k++ {
		for _, s := range []int{r.slot - k, r.slot + k} {
			if s >= 0 && s < perDay && !math.IsNaN(p[s]) {
				return p[s], true
			}
		}
	}
	return 0, false
}

// lastKnown is the newest row that is known, or -1.
func (x *expectation) lastKnown() int { return x.correction.known - 1 }

// day is what is expected in the slots of a day: what was counted of it where it
// is over, and with the basis Typical nothing but the usual. seen are the times of
// day at which anything was ever counted.
func (x *expectation) day(day int, basis perron.Quality, seen *[perDay]bool) (expected [perDay]perron.Interval, known [perDay]bool) {
	if day < 0 || day >= x.series.days || !x.known() {
		return expected, known
	}
	origin := x.lastKnown()
	for i := x.series.first[day]; i < x.series.first[day+1]; i++ {
		r := x.series.rows[i]
		if i > origin || basis == perron.Typical {
			expected[r.slot], known[r.slot] = x.of(origin, i, basis)
			known[r.slot] = known[r.slot] && (seen[r.slot] || x.series.lent != nil)
		} else if !math.IsNaN(r.y) {
			expected[r.slot], known[r.slot] = perron.Exactly(r.y), true
		}
	}
	return expected, known
}

// learnToday puts the arrivals of today so far into the series.
func (x *expectation) learnToday(today int, arrivals []float64) {
	s := x.series
	lo, hi := s.first[today], s.first[today+1]
	known := lo
	for i := lo; i < hi; i++ {
		s.rows[i].y = arrivals[s.rows[i].slot]
		if !math.IsNaN(s.rows[i].y) {
			known = i + 1
		}
	}
	x.correction.rewind(lo, known)
}
