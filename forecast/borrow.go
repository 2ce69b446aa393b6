package forecast

import (
	"math"
	"slices"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	lendWeeks = 4 // of history that a pattern rests on, at least
	// priorWeight is for how many past days of a kind the borrowed pattern
	// counts.
	priorWeight = 0.7
)

// Pattern is what is usual here, for sites that have no history; false while
// this one has too little.
func (m *Model) Pattern() (perron.Pattern, bool) {
	p := perron.Pattern{Bays: m.site.Bays, Weeks: m.weeks}
	if m.s == nil || m.weeks < lendWeeks {
		return p, false
	}
	some := false
	last := m.lastKnown()
	for kind := range perron.DayKinds {
		// The newest day of the kind gives its hours.
		for d := m.s.rows[last].day; d >= 0; d-- {
			lo, hi := m.s.first[d], m.s.first[d+1]
			if m.s.kind[d] != kind || lo == hi {
				continue
			}
			own := m.s.profile(kind, m.s.rows[last].day)
			if own.days == 0 {
				break
			}
			day := &p.Days[kind]
			day.Open = perron.TimeOfDay(m.s.rows[lo].slot * slotMinutes)
			day.Close = perron.TimeOfDay((m.s.rows[hi-1].slot + 1) * slotMinutes)
			for slot := m.s.rows[lo].slot; slot <= m.s.rows[hi-1].slot; slot++ {
				v := own.long[slot]
				if math.IsNaN(v) {
					v = 0 // between two openings
				}
				day.Arrivals = append(day.Arrivals, v)
			}
			some = true
			break
		}
	}
	return p, some
}

// Borrow gives the model what is usual at other sites. It counts for less than
// a day of its own, so that it carries the first days and is soon outweighed;
// a weekday on which this site never opened has nothing else. Patterns are
// scaled by bays and, once there are own counts, by those; a pattern runs from
// opening to closing, whatever the hours.
func (m *Model) Borrow(patterns []perron.Pattern) {
	patterns = slices.DeleteFunc(slices.Clone(patterns), func(p perron.Pattern) bool { return p.Bays <= 0 })
	m.lent = patterns
	m.fresh = true
}

// priorOf is the borrowed pattern by slot of a civil day, nil without one.
func (m *Model) priorOf(d perron.Date, kind int) []float64 {
	if len(m.lent) == 0 {
		return nil
	}
	part := m.open(d)
	first, last := -1, -1
	for s, v := range part {
		if v > 0 {
			if first < 0 {
				first = s
			}
			last = s
		}
	}
	if first < 0 {
		return nil
	}
	var sum [perDay]float64
	var n float64
	for _, p := range m.lent {
		days := []perron.DayPattern{p.Days[kind]}
		if len(days[0].Arrivals) == 0 {
			days = p.Days[:] // any day will do
		}
		var mean [perDay]float64
		var some float64
		for _, day := range days {
			k := len(day.Arrivals)
			if k == 0 {
				continue
			}
			some++
			for s := first; s <= last; s++ {
				at := (float64(s-first)+0.5)/float64(last-first+1)*float64(k) - 0.5
				i := max(0, min(k-1, int(math.Floor(at))))
				j := min(k-1, i+1)
				w := math.Max(0, at-float64(i))
				mean[s] += (1-w)*day.Arrivals[i] + w*day.Arrivals[j]
			}
		}
		if some == 0 {
			continue
		}
		n++
		scale := float64(max(1, m.site.Bays)) / float64(p.Bays) / some
		for s := range mean {
			sum[s] += mean[s] * scale
		}
	}
	if n == 0 {
		return nil
	}
	out := unknown(perDay)
	for s, v := range part {
		if v > 0 {
			out[s] = math.Max(0, sum[s]/n)
		}
	}
	return out
}

// addPrior puts the borrowed patterns into a series, by kind of day.
func (m *Model) addPrior(s *series) {
	if len(m.lent) == 0 {
		return
	}
	s.prior = make([][]float64, perron.DayKinds)
	for d := s.days - 1; d >= 0; d-- { // the newest hours of each kind
		if k := s.kind[d]; s.prior[k] == nil && s.first[d] < s.first[d+1] {
			s.prior[k] = m.priorOf(m.base.AddDays(d), k)
		}
	}
}

// level is how own counts compare to the borrowed pattern up to a day; 1
// without any, and little is made of few.
func (s *series) level(last int) float64 {
	var own, prior float64
	for d := max(0, last-profileWeeks*s.week+1); d <= last; d++ {
		p := s.prior[s.kind[d]]
		if p == nil {
			continue
		}
		for _, r := range s.rows[s.first[d]:s.first[d+1]] {
			if !math.IsNaN(r.y) && !math.IsNaN(p[r.slot]) {
				own, prior = own+r.y, prior+p[r.slot]
			}
		}
	}
	const steady = 20 // vehicles
	return (own + steady) / (prior + steady)
}
