package forecast

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// What comes from outside the counts: the weather of a slot and the school
// holidays of its day, both against what they were when the usual was made; and
// what is usual at other sites.

const weatherDays = 28 // that the usual weather is made of

// external is the weather of a row as regressors; zero where it is not known.
type external struct {
	warm float64 // ten degrees above the usual of that hour
	rain float64 // log(1 + mm in that hour), less the usual
	wet  float64 // part of the open hours of the day with rain, less the usual
}

// runningMean is a running mean over the last days of something that a day may
// lack.
type runningMean struct {
	values []float64
	next   int
	sum, n float64
}

func (u *runningMean) mean() (float64, bool) {
	if u.n < weatherDays/4 {
		return 0, false
	}
	return u.sum / u.n, true
}

func (u *runningMean) add(v float64) {
	if len(u.values) < weatherDays {
		u.values = append(u.values, math.NaN())
		u.next = len(u.values) - 1
	} else {
		u.next = (u.next + 1) % weatherDays
	}
	if old := u.values[u.next]; !math.IsNaN(old) {
		u.sum, u.n = u.sum-old, u.n-1
	}
	u.values[u.next] = v
	if !math.IsNaN(v) {
		u.sum, u.n = u.sum+v, u.n+1
	}
}

// outsideFacts are what is known from outside the counts.
type outsideFacts struct {
	weather  map[int64]perron.Weather // by the Unix time of the hour
	patterns []perron.Pattern         // what is usual at other sites
	stale    bool                     // they are newer than the series
}

// addWeather takes in hours; what is known of others stays.
func (o *outsideFacts) addWeather(hours []perron.Weather) {
	for _, w := range hours {
		if !w.Plausible() {
			continue
		}
		at := perron.Hour.Start(w.Hour).Unix()
		if old, ok := o.weather[at]; !ok || old != w {
			o.weather[at] = w
			o.stale = true
		}
	}
}

// forget drops what is older than the days that are kept.
func (o *outsideFacts) forget(base perron.Date) {
	before := base.AddDays(-weatherDays).Start().Unix()
	for at := range o.weather {
		if at < before {
			delete(o.weather, at)
		}
	}
}

// addRegressors fills in the regressors of the rows of a series. Days rise.
func (o *outsideFacts) addRegressors(s *series, h *history) {
	o.stale = false
	s.school = make([]float64, s.days)
	for d := range s.days {
		date := h.base.AddDays(d)
		for _, r := range h.site.SchoolHolidays {
			if r.Contains(date) {
				s.school[d] = 1
				s.outside = true
				break
			}
		}
	}
	if len(o.weather) == 0 {
		return
	}
	s.outside = true
	var warmth, rains [24]runningMean
	var wetness runningMean
	for d := -weatherDays; d < s.days; d++ {
		date := h.base.AddDays(d)
		var known [24]bool
		var warm, rain [24]float64
		var hours, wetHours float64
		open := h.open(date)
		for hour := range known {
			warm[hour], rain[hour] = math.NaN(), math.NaN()
			w, ok := o.weather[date.At(perron.TimeOfDay(hour*60)).Unix()]
			if !ok {
				continue
			}
			known[hour], warm[hour], rain[hour] = true, w.Temperature, math.Log1p(w.Rain)
			if open[hour*60/slotMinutes] > 0 || open[min(perDay-1, hour*60/slotMinutes+2)] > 0 {
				hours++
				if w.Rain >= 0.2 {
					wetHours++
				}
			}
		}
		wet := math.NaN()
		if hours >= 4 {
			wet = wetHours / hours
		}
		if d >= 0 {
			for i := s.first[d]; i < s.first[d+1]; i++ {
				hour := s.rows[i].slot * slotMinutes / 60
				x := &s.rows[i].x
				if usual, ok := warmth[hour].mean(); ok && known[hour] {
					x.warm = math.Max(-1.5, math.Min(1.5, (warm[hour]-usual)/10))
				}
				if usual, ok := rains[hour].mean(); ok && known[hour] {
					x.rain = math.Max(-1.5, math.Min(1.5, rain[hour]-usual))
				}
				if usual, ok := wetness.mean(); ok && !math.IsNaN(wet) {
					x.wet = wet - usual
				}
			}
		}
		for hour := range known {
			warmth[hour].add(warm[hour])
			rains[hour].add(rain[hour])
		}
		wetness.add(wet)
	}
}
