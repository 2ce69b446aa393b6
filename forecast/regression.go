package forecast

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A regression corrects the profile at one horizon: the mean is
// profile·exp(b·features), and the intervals are those of its errors.
type regression struct {
	b   [featureCount]float64
	phi float64 // over-dispersion: the variance is mean + phi·mean²
	intervals
	n       int
	outlier float64 // standard deviations beyond which errors are cut
}

// pair is an origin row and a target row.
type pair struct{ origin, target int }

// priorCoefficients are the coefficients in the absence of data: the level of the last
// three hours fades with the hours ahead, that of the week stays.
func priorCoefficients(hours float64) (b [featureCount]float64) {
	fade := func(v, by float64) float64 { return v * math.Exp(-hours/by) }
	b[fLast], b[fHour], b[fThree] = fade(0.22, 5), fade(0.22, 6), fade(0.15, 6)
	b[fToday], b[fDay], b[fWeek] = fade(0.15, 15), fade(0.12, 48), 0.15
	b[fShort], b[fSmooth], b[fPool], b[fSame] = -0.1, 0.45, 0.15, 0.05
	return b
}

// A sample is a pair of a past origin and target with what was known of it.
type trainingSample struct {
	f         [featureCount]float64
	p, y, w   float64 // profile, count, weight
	day, slot int     // of the target
}

// samplesOf are the pairs of which everything is known, older ones with less
// weight.
func (c *correction) samplesOf(pairs []pair, memory float64) []trainingSample {
	out := make([]trainingSample, 0, len(pairs))
	newest := 0
	if len(pairs) > 0 {
		newest = c.s.rows[pairs[len(pairs)-1].target].day
	}
	for _, pr := range pairs {
		r := c.s.rows[pr.target]
		if math.IsNaN(r.y) {
			continue
		}
		sm := trainingSample{y: r.y, day: r.day, slot: r.slot}
		sm.p = c.features(&sm.f, pr.origin, r.day, r.slot)
		if math.IsNaN(sm.p) {
			continue
		}
		sm.p += 0.02 // an empty slot stays possible
		sm.w = 1
		if !c.s.without.has(PartRecency) {
			sm.w = math.Exp2(-float64(newest-r.day) / (memory * float64(c.s.week)))
		}
		out = append(out, sm)
	}
	return out
}

// shrinkage is the part of the way from the plain numbers to what the past says that
// coefficients go: the past weeks are not those to come.
const shrinkage = 0.7

// fit fits the regression by quasi-likelihood (McCullagh and Nelder,
// Generalized Linear Models, 2nd ed., chapter 9: variance mean + phi·mean²),
// with a ridge towards the prior and less weight on older rows.
func (c *correction) fit(pairs []pair, prior [featureCount]float64, memory float64) regression {
	without := c.s.without
	ridge, part := 30.0, shrinkage
	if without.has(PartRidge) {
		ridge, part = 0.01, 1
	}
	out := regression{b: prior, phi: 0.05, outlier: 3}
	if without.has(PartOutliers) {
		out.outlier = math.Inf(1)
	}
	samples := c.samplesOf(pairs, memory)
	out.n = len(samples)
	if len(samples) < 60 {
		out.intervals = defaultIntervals()
		return out
	}
	var h [featureCount][featureCount]float64 // of the last round: the information, with the ridge
	for round := range 5 {
		// Over-dispersion by the method of moments, outliers cut.
		var num, den float64
		for i := range samples {
			sm := &samples[i]
			m := out.mean(sm)
			e := out.cut(sm.y-m, m)
			v := 1 / (1 + out.phi*m)
			num += sm.w * (e*e - m) * v * v
			den += sm.w * m * m * v * v
		}
		if den > 0 {
			out.phi = math.Max(0.001, math.Min(2, num/den))
		}
		if round == 4 || without.has(PartFit) {
			break
		}
		h = [featureCount][featureCount]float64{}
		var g [featureCount]float64
		t := dayDependence{day: -1}
		for i := range samples {
			sm := &samples[i]
			m := out.mean(sm)
			v := 1 / (1 + out.phi*m)
			e := out.cut(sm.y-m, m) // Huber
			t.add(sm, v*e, v*m)
			ge, he := sm.w*v*e, sm.w*v*m
			for a := range featureCount {
				g[a] += ge * sm.f[a]
				x := he * sm.f[a]
				for b := 0; b <= a; b++ {
					h[a][b] += x * sm.f[b]
				}
			}
		}
		for a := range featureCount {
			pull := ridge
			if a >= fSchool {
				pull *= 10 // one value a day or so: its slots tell the same thing many times
			} else if !without.has(PartDays) {
				pull *= t.ratio()
			}
			h[a][a] += pull
			g[a] -= pull * (out.b[a] - prior[a])
		}
		step, ok := solve(&h, &g)
		if !ok {
			break
		}
		for a := range featureCount {
			out.b[a] += math.Max(-1, math.Min(1, step[a]))
		}
	}
	for a := range fSchool {
		out.b[a] = prior[a] + part*(out.b[a]-prior[a])
	}
	if without.has(PartErrors) {
		out.intervals = normalIntervals()
		return out
	}
	out.intervals = newIntervals(c.s, samples, out.leaveDayOut(c.s, samples, &h), out.sd)
	return out
}

// dayDependence measures how much the errors of a day depend on each other: the variance of
// their sum, as a multiple of what it would be if they did not. A regression
// that takes them for independent is as many times too sure of itself.
type dayDependence struct {
	day                           int
	weight, errorSum, varianceSum float64 // of the day: weight, sum of errors and of their variances
	sums, vars                    float64
}

func (t *dayDependence) add(sm *trainingSample, e, v float64) {
	if sm.day != t.day {
		t.close()
		t.day, t.weight = sm.day, sm.w
	}
	t.errorSum, t.varianceSum = t.errorSum+e, t.varianceSum+v
}

func (t *dayDependence) close() {
	t.sums, t.vars = t.sums+t.weight*t.errorSum*t.errorSum, t.vars+t.weight*t.varianceSum
	t.errorSum, t.varianceSum = 0, 0
}

func (t *dayDependence) ratio() float64 {
	t.close()
	if !(t.vars > 0) {
		return 1
	}
	return math.Max(1, t.sums/t.vars)
}

func (f *regression) factor(x *[featureCount]float64) float64 {
	var sum float64
	for i, v := range x {
		sum += f.b[i] * v
	}
	return math.Exp(math.Max(-1.5, math.Min(1.5, sum)))
}

// mean is what is expected of a sample.
func (f *regression) mean(sm *trainingSample) float64 { return sm.p * f.factor(&sm.f) }

// cut is an error around a mean, no larger than that of an outlier.
func (f *regression) cut(e, mean float64) float64 {
	limit := f.outlier * math.Sqrt(mean+f.phi*mean*mean+1)
	return math.Max(-limit, math.Min(limit, e))
}

// sd is the standard deviation of a count with this mean.
func (f *regression) sd(mean float64) float64 { return math.Sqrt(mean + f.phi*mean*mean + 0.1) }

// leaveDayOut are the means of the samples by a regression that has not seen their
// day, to first order (a step of Newton's method away from what that day says),
// so that its errors are as large as those of a day to come.
func (f *regression) leaveDayOut(s *series, samples []trainingSample, h *[featureCount][featureCount]float64) []float64 {
	out := make([]float64, len(samples))
	for i := range samples {
		out[i] = f.mean(&samples[i])
	}
	if s.without.has(PartFit) {
		return out
	}
	for from, to := 0, 0; from < len(samples); from = to {
		var g [featureCount]float64
		for to = from; to < len(samples) && samples[to].day == samples[from].day; to++ {
			sm, m := &samples[to], out[to]
			e := sm.w * f.cut(sm.y-m, m) / (1 + f.phi*m)
			for a := range featureCount {
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
			out[i] *= math.Exp(-shrinkage * math.Max(-0.5, math.Min(0.5, sum)))
		}
	}
	return out
}

// around are the 10 %, 50 % and 90 % points of a count with this mean.
func (f *regression) around(mean float64, slot int) perron.Interval {
	return f.quantiles(mean, f.sd(mean), slot)
}

// solve is Cholesky's method for the symmetric positive definite h, of which
// the lower half is used.
func solve(h *[featureCount][featureCount]float64, g *[featureCount]float64) (x [featureCount]float64, ok bool) {
	var l [featureCount][featureCount]float64
	for i := range featureCount {
		for j := 0; j <= i; j++ {
			sum := h[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i == j {
				if !(sum > 1e-12) {
					return x, false
				}
				l[i][i] = math.Sqrt(sum)
			} else {
				l[i][j] = sum / l[j][j]
			}
		}
	}
	var y [featureCount]float64
	for i := range featureCount {
		sum := g[i]
		for k := range i {
			sum -= l[i][k] * y[k]
		}
		y[i] = sum / l[i][i]
	}
	for i := featureCount - 1; i >= 0; i-- {
		sum := y[i]
		for k := i + 1; k < featureCount; k++ {
			sum -= l[k][i] * x[k]
		}
		x[i] = sum / l[i][i]
	}
	return x, true
}

const (
	trainWeeks  = 16
	trainMemory = 5.0 // half-life in weeks
)

// pastPairs are the pairs h rows apart whose target is known at origin.
func pastPairs(s *series, origin, h, weeks int) []pair {
	from := s.first[max(0, s.rows[origin].day-weeks*s.week)]
	var out []pair
	for t := max(from, h); t <= origin; t++ {
		out = append(out, pair{t - h, t})
	}
	return out
}
