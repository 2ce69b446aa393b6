package forecast

import "math"

// features of a forecast: logarithms of ratios, all 0 when nothing speaks
// against the profile.
const (
	fConst  = iota // the profile as a whole is too high or too low
	fLast          // the newest slot against its profile
	fHour          // the last hour
	fThree         // the last three hours
	fToday         // today so far
	fDay           // the last day's worth of slots
	fWeek          // the last week
	fShort         // the profile of the last weeks against that of eight
	fSmooth        // the slot's neighbours
	fPool          // all kinds of day
	fSame          // the same slot on the day of the origin, or the day before
	fSchool        // school holidays, against those in the profile
	fWarm          // the weather against the usual: see outside
	fRain
	fWet
	features
)

// leads are the distances in days, target from origin, for which a profile is
// kept; a lead between two uses the later.
var leads = []int{0, 1, 2, 4, 7}

func leadIndex(days int) int {
	for i, l := range leads {
		if days <= l {
			return i
		}
	}
	return len(leads) - 1
}

// A counter forecasts a series. It keeps, for each row, the profile as it was
// known before the row's day, so that errors of the past are honest ones.
type counter struct {
	s     *series
	hour  int         // slots in an hour, at least 1
	past  [][]profile // past[lead][day]
	far   map[[2]int]*profile
	known int     // rows that are known: 0 … known-1
	kappa float64 // counts that ratios are damped with
	// Sums over rows 0 … i-1 of what was counted and what the profile said.
	sumY, sumP []float64
}

func newCounter(s *series, hour, known int) *counter {
	c := &counter{s: s, hour: max(1, hour), past: make([][]profile, len(leads)), far: map[[2]int]*profile{}}
	for i := range leads {
		c.past[i] = make([]profile, s.days)
	}
	var sum, n float64
	for _, r := range s.rows[:known] {
		if !math.IsNaN(r.y) {
			sum, n = sum+r.y, n+1
		}
	}
	c.kappa = 2
	if n > 0 {
		c.kappa += 0.3 * sum / n
	}
	c.sumY, c.sumP = make([]float64, 1, len(s.rows)+1), make([]float64, 1, len(s.rows)+1)
	c.learn(known)
	return c
}

// learn takes in the rows up to known.
func (c *counter) learn(known int) {
	for i := c.known; i < known; i++ {
		r := c.s.rows[i]
		p := c.expect(r.day, r.slot, 0)
		y := r.y
		if math.IsNaN(y) || math.IsNaN(p) {
			y, p = 0, 0
		}
		c.sumY = append(c.sumY, c.sumY[i]+y)
		c.sumP = append(c.sumP, c.sumP[i]+p)
	}
	c.known = known
}

// before is the profile of a day as it was known lead days ahead.
func (c *counter) before(day, lead int) *profile {
	i := leadIndex(lead)
	if lead > leads[i] {
		// Further ahead than leads go: what is known has a profile of its own.
		key := [2]int{day, lead}
		p := c.far[key]
		if p == nil {
			v := c.s.profile(c.s.kind[day], day-1-lead)
			p = &v
			c.far[key] = p
		}
		return p
	}
	p := &c.past[i][day]
	if p.long == nil {
		*p = c.s.profile(c.s.kind[day], day-1-leads[i])
	}
	return p
}

func (c *counter) expect(day, slot, lead int) float64 { return c.before(day, lead).long[slot] }

// level is the logarithm of counted over expected in the rows from … to-1.
func (c *counter) level(from, to int) float64 {
	from = max(0, from)
	if from >= to {
		return 0
	}
	v := math.Log((c.sumY[to] - c.sumY[from] + c.kappa) / (c.sumP[to] - c.sumP[from] + c.kappa))
	return math.Max(-1.5, math.Min(1.5, v))
}

// vector fills in the features for a target, seen from the end of row origin
// (-1 for before the first). It returns the profile's value, NaN without one.
func (c *counter) vector(f *[features]float64, origin, day, slot int) float64 {
	from := day
	if origin >= 0 {
		from = c.s.rows[origin].day
	}
	p := c.before(day, day-from)
	base := p.long[slot]
	if math.IsNaN(base) {
		return base
	}
	ratio := func(a float64) float64 {
		if math.IsNaN(a) {
			return 0
		}
		return math.Max(-1.5, math.Min(1.5, math.Log((a+c.kappa)/(base+c.kappa))))
	}
	next := origin + 1
	f[fConst] = 1
	f[fLast] = c.level(next-1, next)
	f[fHour] = c.level(next-c.hour, next)
	f[fThree] = c.level(next-3*c.hour, next)
	f[fToday] = 0
	if origin >= 0 {
		f[fToday] = c.level(c.s.first[from], next)
	}
	perDay := c.s.perDay
	if origin >= 0 && from > 0 {
		perDay = max(1, c.s.first[from]-c.s.first[max(0, from-1)])
	}
	f[fDay] = c.level(next-perDay, next)
	f[fWeek] = c.level(c.s.first[max(0, from-c.s.week)], next)
	f[fShort] = ratio(p.short[slot])
	f[fSmooth] = ratio(p.smooth[slot])
	f[fPool] = ratio(p.pool[slot])
	f[fSame] = 0
	for d := from; d >= 0 && d >= from-1; d-- {
		if i := c.s.at(d, slot); i >= 0 && i < next {
			f[fSame] = c.level(i, i+1)
			break
		}
	}
	f[fSchool], f[fWarm], f[fRain], f[fWet] = 0, 0, 0, 0
	if c.s.outside {
		f[fSchool] = c.s.school[day] - p.school
		if i := c.s.at(day, slot); i >= 0 {
			x := &c.s.rows[i].x
			f[fWarm], f[fRain], f[fWet] = x.warm, x.rain, x.wet
		}
	}
	if c.s.without != 0 {
		c.s.without.mask(f)
	}
	return base
}

// A fit is the regression for one horizon: mean = profile · exp(b·features),
// and the distribution of the errors around it.
type fit struct {
	b     [features]float64
	phi   float64      // over-dispersion: the variance is mean + phi·mean²
	bins  []float64    // upper limits of the mean
	quant [][3]float64 // 10 %, 50 % and 90 % of standardised errors, by bin
	scale []float64    // of the error by slot of the day, relative
	n     int

	outlier float64 // standard deviations beyond which errors are cut
}

// pair is an origin row and a target row.
type pair struct{ origin, target int }

// prior are the coefficients in the absence of data: the level of the last
// three hours fades with the hours ahead, that of the week stays.
func prior(hours float64) (b [features]float64) {
	fade := func(v, by float64) float64 { return v * math.Exp(-hours/by) }
	b[fLast], b[fHour], b[fThree] = fade(0.22, 5), fade(0.22, 6), fade(0.15, 6)
	b[fToday], b[fDay], b[fWeek] = fade(0.15, 15), fade(0.12, 48), 0.15
	b[fShort], b[fSmooth], b[fPool], b[fSame] = -0.1, 0.45, 0.15, 0.05
	return b
}

// A sample is a pair of a past origin and target with what was known of it.
type sample struct {
	f         [features]float64
	p, y, w   float64 // profile, count, weight
	day, slot int     // of the target
}

// samplesOf are the pairs of which everything is known, older ones with less
// weight.
func (c *counter) samplesOf(pairs []pair, memory float64) []sample {
	out := make([]sample, 0, len(pairs))
	newest := 0
	if len(pairs) > 0 {
		newest = c.s.rows[pairs[len(pairs)-1].target].day
	}
	for _, pr := range pairs {
		r := c.s.rows[pr.target]
		if math.IsNaN(r.y) {
			continue
		}
		sm := sample{y: r.y, day: r.day, slot: r.slot}
		sm.p = c.vector(&sm.f, pr.origin, r.day, r.slot)
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

// faith is the part of the way from the plain numbers to what the past says that
// coefficients go: the past weeks are not those to come.
const faith = 0.7

// train fits the regression by quasi-likelihood (McCullagh and Nelder,
// Generalized Linear Models, 2nd ed., chapter 9: variance mean + phi·mean²),
// with a ridge towards the prior and less weight on older rows.
func (c *counter) train(pairs []pair, prior [features]float64, memory float64) fit {
	without := c.s.without
	ridge, part := 30.0, faith
	if without.has(PartRidge) {
		ridge, part = 0.01, 1
	}
	out := fit{b: prior, phi: 0.05, outlier: 3}
	if without.has(PartOutliers) {
		out.outlier = math.Inf(1)
	}
	samples := c.samplesOf(pairs, memory)
	out.n = len(samples)
	if len(samples) < 60 {
		out.plain()
		return out
	}
	var h [features][features]float64 // of the last round: the information, with the ridge
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
		h = [features][features]float64{}
		var g [features]float64
		t := together{day: -1}
		for i := range samples {
			sm := &samples[i]
			m := out.mean(sm)
			v := 1 / (1 + out.phi*m)
			e := out.cut(sm.y-m, m) // Huber
			t.add(sm, v*e, v*m)
			ge, he := sm.w*v*e, sm.w*v*m
			for a := range features {
				g[a] += ge * sm.f[a]
				x := he * sm.f[a]
				for b := 0; b <= a; b++ {
					h[a][b] += x * sm.f[b]
				}
			}
		}
		for a := range features {
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
		for a := range features {
			out.b[a] += math.Max(-1, math.Min(1, step[a]))
		}
	}
	for a := range fSchool {
		out.b[a] = prior[a] + part*(out.b[a]-prior[a])
	}
	if without.has(PartErrors) {
		out.bins, out.quant = []float64{math.Inf(1)}, [][3]float64{{-q90, 0, q90}}
		return out
	}
	out.learnErrors(c.s, samples, &h)
	return out
}

// together measures how much the errors of a day hang together: the variance of
// their sum, as a multiple of what it would be if they did not. A regression
// that takes them for independent is as many times too sure of itself.
type together struct {
	day        int
	w, e, v    float64 // of the day: weight, sum of errors and of their variances
	sums, vars float64
}

func (t *together) add(sm *sample, e, v float64) {
	if sm.day != t.day {
		t.close()
		t.day, t.w = sm.day, sm.w
	}
	t.e, t.v = t.e+e, t.v+v
}

func (t *together) close() {
	t.sums, t.vars = t.sums+t.w*t.e*t.e, t.vars+t.w*t.v
	t.e, t.v = 0, 0
}

func (t *together) ratio() float64 {
	t.close()
	if !(t.vars > 0) {
		return 1
	}
	return math.Max(1, t.sums/t.vars)
}

func (f *fit) factor(x *[features]float64) float64 {
	var sum float64
	for i, v := range x {
		sum += f.b[i] * v
	}
	return math.Exp(math.Max(-1.5, math.Min(1.5, sum)))
}

// mean is what is expected of a sample.
func (f *fit) mean(sm *sample) float64 { return sm.p * f.factor(&sm.f) }

// cut is an error around a mean, no larger than that of an outlier.
func (f *fit) cut(e, mean float64) float64 {
	limit := f.outlier * math.Sqrt(mean+f.phi*mean*mean+1)
	return math.Max(-limit, math.Min(limit, e))
}

// solve is Cholesky's method for the symmetric positive definite h, of which
// the lower half is used.
func solve(h *[features][features]float64, g *[features]float64) (x [features]float64, ok bool) {
	var l [features][features]float64
	for i := range features {
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
	var y [features]float64
	for i := range features {
		sum := g[i]
		for k := range i {
			sum -= l[i][k] * y[k]
		}
		y[i] = sum / l[i][i]
	}
	for i := features - 1; i >= 0; i-- {
		sum := y[i]
		for k := i + 1; k < features; k++ {
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
