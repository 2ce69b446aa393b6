package forecast

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// What comes from outside the counts: the weather of a slot and the school
// holidays of its day, both against what they were when the usual was made.

const weatherDays = 28 // that the usual weather is made of

// outside is the weather of a row as regressors; zero where it is not known.
type outside struct {
	warm float64 // ten degrees above the usual of that hour
	rain float64 // log(1 + mm in that hour), less the usual
	wet  float64 // part of the open hours of the day with rain, less the usual
}

// Weather tells the model of the weather, past and coming; what it knew of
// other hours stays. It is used as regressors from the next Refit on, and with
// fresh values in each Forecast. Implausible hours are ignored, and a slot whose
// weather is not known is forecast as without.
func (m *Model) Weather(hours []perron.Weather) {
	for _, w := range hours {
		if !w.Plausible() {
			continue
		}
		at := perron.Hour.Start(w.Hour).Unix()
		if old, ok := m.weather[at]; !ok || old != w {
			m.weather[at] = w
			m.fresh = true
		}
	}
}

// forgetWeather drops what is older than the days that are kept.
func (m *Model) forgetWeather() {
	before := m.base.AddDays(-weatherDays).Start().Unix()
	for at := range m.weather {
		if at < before {
			delete(m.weather, at)
		}
	}
}

// usually is a running mean over the last days of something that a day may
// lack.
type usually struct {
	values []float64
	next   int
	sum, n float64
}

func (u *usually) mean() (float64, bool) {
	if u.n < weatherDays/4 {
		return 0, false
	}
	return u.sum / u.n, true
}

func (u *usually) add(v float64) {
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

// addOutside fills in the regressors of the rows of a series. Days rise.
func (m *Model) addOutside(s *series) {
	m.fresh = false
	s.school = make([]float64, s.days)
	for d := range s.days {
		date := m.base.AddDays(d)
		for _, r := range m.site.SchoolHolidays {
			if r.Contains(date) {
				s.school[d] = 1
				s.outside = true
				break
			}
		}
	}
	if len(m.weather) == 0 {
		return
	}
	s.outside = true
	var warmth, rains [24]usually
	var wetness usually
	for d := -weatherDays; d < s.days; d++ {
		date := m.base.AddDays(d)
		var known [24]bool
		var warm, rain [24]float64
		var hours, wetHours float64
		open := m.open(date)
		for h := range known {
			warm[h], rain[h] = math.NaN(), math.NaN()
			w, ok := m.weather[date.At(perron.TimeOfDay(h*60)).Unix()]
			if !ok {
				continue
			}
			known[h], warm[h], rain[h] = true, w.Temperature, math.Log1p(w.Rain)
			if open[h*60/slotMinutes] > 0 || open[min(perDay-1, h*60/slotMinutes+2)] > 0 {
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
				h := s.rows[i].slot * slotMinutes / 60
				x := &s.rows[i].x
				if usual, ok := warmth[h].mean(); ok && known[h] {
					x.warm = math.Max(-1.5, math.Min(1.5, (warm[h]-usual)/10))
				}
				if usual, ok := rains[h].mean(); ok && known[h] {
					x.rain = math.Max(-1.5, math.Min(1.5, rain[h]-usual))
				}
				if usual, ok := wetness.mean(); ok && !math.IsNaN(wet) {
					x.wet = wet - usual
				}
			}
		}
		for h := range known {
			warmth[h].add(warm[h])
			rains[h].add(rain[h])
		}
		wetness.add(wet)
	}
}
