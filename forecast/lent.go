package forecast

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	lendWeeks = 4 // of history that a pattern rests on, at least
	// priorWeight is for how many past days of a kind the borrowed pattern
	// counts.
	priorWeight = 0.7
)

// patternOf is the borrowed pattern by slot of a civil day, nil without one.
func (o *outsideFacts) patternOf(h *history, d perron.Date, kind int) []float64 {
	if len(o.patterns) == 0 {
		return nil
	}
	part := h.open(d)
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
	for _, p := range o.patterns {
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
		scale := float64(max(1, h.site.Bays)) / float64(p.Bays) / some
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

// addPatterns puts the borrowed patterns into a series, by kind of day.
func (o *outsideFacts) addPatterns(s *series, h *history) {
	if len(o.patterns) == 0 {
		return
	}
	s.lent = make([][]float64, perron.DayKinds)
	for d := s.days - 1; d >= 0; d-- { // the newest hours of each kind
		if k := s.kind[d]; s.lent[k] == nil && s.first[d] < s.first[d+1] {
			s.lent[k] = o.patternOf(h, h.base.AddDays(d), k)
		}
	}
}

// patternIn is what is usual in a series, by the hours of the newest day of each
// kind; false where no day speaks.
func patternIn(s *series, last int) (days [perron.DayKinds]perron.DayPattern, some bool) {
	newest := s.rows[last].day
	for kind := range days {
		for d := newest; d >= 0; d-- {
			lo, hi := s.first[d], s.first[d+1]
			if s.kind[d] != kind || lo == hi {
				continue
			}
			own := s.profile(kind, newest)
			if own.days == 0 {
				break
			}
			day := &days[kind]
			day.Open = perron.TimeOfDay(s.rows[lo].slot * slotMinutes)
			day.Close = perron.TimeOfDay((s.rows[hi-1].slot + 1) * slotMinutes)
			for slot := s.rows[lo].slot; slot <= s.rows[hi-1].slot; slot++ {
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
	return days, some
}
