package forecast

import "math"

// An unusual day says little about what is usual: a holiday, a storm, a broken
// counter. But the first days of a new level look the same. So a day counts
// for less where it is far from others of its kind, and the days around it are
// not.

const (
	weeksAround = 2   // weeks before and after a day that it is compared with
	unusual     = 3.5 // robust standard deviations from which a day counts for less
	leastDays   = 10  // of which something is known, to weigh any
)

// logSize is the logarithm of the mean count of a day that is over, NaN where
// too little is known of it.
func (s *series) logSize(day int) float64 {
	if s.logSizes == nil {
		s.logSizes = make([]float64, s.days)
	}
	if v := s.logSizes[day]; v != 0 {
		return v
	}
	var sum, n float64
	for _, r := range s.rows[s.first[day]:s.first[day+1]] {
		if !math.IsNaN(r.y) {
			sum, n = sum+r.y, n+1
		}
	}
	v := math.NaN()
	if n > 0 && 2*n >= float64(s.first[day+1]-s.first[day]) {
		v = math.Log((sum + 5) / n)
	}
	s.logSizes[day] = v
	return v
}

// dayWeights is what each of the days from … last counts for in a profile, at
// most 1. It is kept, since profiles of other kinds of day ask the same.
func (s *series) dayWeights(from, last int) []float64 {
	if v, ok := s.weights[last]; ok {
		return v
	}
	if s.weights == nil {
		s.weights = map[int][]float64{}
	}
	v := s.findDayWeights(from, last)
	s.weights[last] = v
	return v
}

func (s *series) findDayWeights(from, last int) []float64 {
	out := make([]float64, max(0, last-from+1))
	off := make([]float64, len(out)) // from the median of the kind
	byKind := map[int][]float64{}
	for i := range out {
		out[i] = 1
		off[i] = s.logSize(from + i)
		if !math.IsNaN(off[i]) {
			byKind[s.kind[from+i]] = append(byKind[s.kind[from+i]], off[i])
		}
	}
	for kind, v := range byKind {
		usual := math.NaN()
		if len(v) >= 3 {
			usual = median(v)
		}
		for i := range off {
			if s.kind[from+i] == kind {
				off[i] -= usual
			}
		}
	}
	far := make([]float64, len(out)) // from the days around
	var near, all []float64
	for i, v := range off {
		near = near[:0]
		for _, u := range off[max(0, i-weeksAround*s.week):min(len(off), i+weeksAround*s.week+1)] {
			if !math.IsNaN(u) {
				near = append(near, u)
			}
		}
		if !math.IsNaN(v) {
			far[i] = math.Abs(v - median(near))
			all = append(all, far[i])
		}
	}
	if len(all) < leastDays {
		return out
	}
	limit := unusual * math.Max(0.05, 1.4826*median(all))
	for i, v := range far {
		if v > limit {
			out[i] = (limit / v) * (limit / v)
		}
	}
	return out
}
