package forecast

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// tail is the part of the past errors that lies beyond either end of the
// interval, and fewDays how many days fewer than there are they count for: the
// next day is one more that can be unlike all of them.
const (
	tail    = 0.096
	fewDays = 1.5
)

// learnErrors sorts the standardised errors of the samples by the size of the
// mean and keeps their quantiles. h is the information of the regression.
func (f *fit) learnErrors(s *series, samples []sample, h *[features][features]float64) {
	type residual struct{ m, e, w float64 }
	all := make([]residual, len(samples))
	means := f.unseen(s, samples, h)
	width := make([]float64, s.perDay)
	count := make([]float64, s.perDay)
	var total, totalW, dayW, dayW2 float64
	for i := range samples {
		sm := &samples[i]
		m := means[i]
		all[i] = residual{m, (sm.y - m) / f.sd(m), sm.w}
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
	out := tail * days / (days + fewDays)
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
}

// unseen are the means of the samples by a regression that has not seen their
// day, to first order (a step of Newton's method away from what that day says),
// so that its errors are as large as those of a day to come.
func (f *fit) unseen(s *series, samples []sample, h *[features][features]float64) []float64 {
	out := make([]float64, len(samples))
	for i := range samples {
		out[i] = f.mean(&samples[i])
	}
	if s.without.has(PartFit) {
		return out
	}
	for from, to := 0, 0; from < len(samples); from = to {
		var g [features]float64
		for to = from; to < len(samples) && samples[to].day == samples[from].day; to++ {
			sm, m := &samples[to], out[to]
			e := sm.w * f.cut(sm.y-m, m) / (1 + f.phi*m)
			for a := range features {
				g[a] += e * sm.f[a]
			}
		}
		step, ok := solve(h, &g)
		if !ok {
			break
		}
		for i := from; i < to; i++ {
			var sum float64
			for a, v := range samples[i].f {
				sum += step[a] * v
			}
			out[i] *= math.Exp(-faith * math.Max(-0.5, math.Min(0.5, sum)))
		}
	}
	return out
}

// plain is a fit without data: errors as wide as experience elsewhere says.
func (f *fit) plain() {
	f.bins, f.quant, f.scale = []float64{math.Inf(1)}, [][3]float64{{-1.25, -0.05, 1.3}}, nil
}

// sd is the standard deviation of a count with this mean.
func (f *fit) sd(mean float64) float64 { return math.Sqrt(mean + f.phi*mean*mean + 0.1) }

// quantiles are the 10 %, 50 % and 90 % points of a count with this mean.
func (f *fit) quantiles(mean float64, slot int) (low, mid, high float64) {
	// Between the middles of two bins the quantiles are interpolated.
	i := sort.SearchFloat64s(f.bins, mean)
	i = min(i, len(f.bins)-1)
	q := f.quant[i]
	scale := 1.0
	if f.scale != nil {
		scale = f.scale[slot]
	}
	sd := f.sd(mean) * scale
	low = math.Max(0, mean+q[0]*sd)
	mid = math.Max(low, mean+q[1]*sd)
	high = math.Max(mid, mean+q[2]*sd)
	return low, mid, high
}
