package forecast

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/perrondrukte/perrondrukte/perron"
)

// tail is the part of the past errors that lies beyond either end of the
// interval, and fewDays how many days fewer than there are they count for: the
// next day is one more that can be unlike all of them.
const (
	tailPart    = 0.096
	missingDays = 1.5
)

// intervals are the quantiles of errors, by the size of what is expected.
type intervals struct {
	bins  []float64    // upper limits of the mean
	quant [][3]float64 // 10 %, 50 % and 90 % of standardised errors, by bin
	scale []float64    // of the error by slot of the day, relative; nil for 1
}

// defaultIntervals are as wide as those of other series.
func defaultIntervals() intervals {
	return intervals{bins: []float64{math.Inf(1)}, quant: [][3]float64{{-1.25, -0.05, 1.3}}}
}

// normalIntervals are those of a normal distribution.
func normalIntervals() intervals {
	return intervals{bins: []float64{math.Inf(1)}, quant: [][3]float64{{-q90, 0, q90}}}
}

// newIntervals sorts the standardised errors of samples by the size of their
// means and keeps their quantiles. sd is the deviation of a count with a mean.
func newIntervals(s *series, samples []trainingSample, means []float64, sd func(float64) float64) (f intervals) {
	type residual struct{ m, e, w float64 }
	all := make([]residual, len(samples))
	width := make([]float64, s.perDay)
	count := make([]float64, s.perDay)
	var total, totalW, dayW, dayW2 float64
	for i := range samples {
		sm := &samples[i]
		m := means[i]
		all[i] = residual{m, (sm.y - m) / sd(m), sm.w}
		a := math.Min(4, math.Abs(all[i].e))
		width[sm.slot] += sm.w * a
		count[sm.slot] += sm.w
		total, totalW = total+sm.w*a, totalW+sm.w
		if i == 0 || sm.day != samples[i-1].day {
			dayW, dayW2 = dayW+sm.w, dayW2+sm.w*sm.w
		}
	}
	f.scale = make([]float64, s.perDay)
	usual := total / totalW
	for i := range f.scale {
		f.scale[i] = 1
		if usual > 0 && !s.without.has(PartClasses) {
			sum, n := 15*usual, 15.0
			for k := -1; k <= 1; k++ {
				if j := i + k; j >= 0 && j < s.perDay {
					sum, n = sum+width[j], n+count[j]
				}
			}
			f.scale[i] = sum / n / usual
		}
	}
	for i := range samples {
		all[i].e /= f.scale[samples[i].slot]
	}
	slices.SortFunc(all, func(a, b residual) int { return cmp.Compare(a.m, b.m) })
	parts := max(1, min(6, len(all)/150))
	if s.without.has(PartClasses) {
		parts = 1
	}
	days := dayW * dayW / dayW2
	out := tailPart * days / (days + missingDays)
	for i := range parts {
		part := all[i*len(all)/parts : (i+1)*len(all)/parts]
		f.bins = append(f.bins, part[len(part)-1].m)
		slices.SortFunc(part, func(a, b residual) int { return cmp.Compare(a.e, b.e) })
		var w, sum float64
		for _, r := range part {
			w += r.w
		}
		var q [3]float64
		at := 0
		for _, r := range part {
			sum += r.w
			for at < 3 && sum >= [3]float64{out, 0.5, 1 - out}[at]*w {
				q[at] = r.e
				at++
			}
		}
		f.quant = append(f.quant, q)
	}
	return f
}

// quantiles are the 10 %, 50 % and 90 % points of a count with this mean and
// standard deviation.
func (f *intervals) quantiles(mean, sd float64, slot int) (v perron.Interval) {
	// Between the middles of two bins the quantiles are interpolated.
	i := sort.SearchFloat64s(f.bins, mean)
	i = min(i, len(f.bins)-1)
	q := f.quant[i]
	scale := 1.0
	if f.scale != nil {
		scale = f.scale[slot]
	}
	sd *= scale
	v.Low = math.Max(0, mean+q[0]*sd)
	v.Mid = math.Max(v.Low, mean+q[1]*sd)
	v.High = math.Max(v.Mid, mean+q[2]*sd)
	return v
}
