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
	featureCount
)

// A correction says by how much the newest counts differ from what is usual: it
// keeps sums of both, and makes the regressors of a target of them.
type correction struct {
	s        *series
	profiles *profiles
	hour     int     // slots in an hour, at least 1
	known    int     // rows that are known: 0 … known-1
	damping  float64 // counts that ratios are damped with
	// Sums over rows 0 … i-1 of what was counted and of the profile.
	sumY, sumP []float64
}

// newCorrection starts with so many known rows.
func newCorrection(s *series, hour, known int) *correction {
	c := &correction{s: s, profiles: newProfiles(s), hour: max(1, hour)}
	var sum, n float64
	for _, r := range s.rows[:known] {
		if !math.IsNaN(r.y) {
			sum, n = sum+r.y, n+1
		}
	}
	c.damping = 2
	if n > 0 {
		c.damping += 0.3 * sum / n
	}
	c.sumY, c.sumP = make([]float64, 1, len(s.rows)+1), make([]float64, 1, len(s.rows)+1)
	c.learn(known)
	return c
}

// learn takes in the rows up to known.
func (c *correction) learn(known int) {
	for i := c.known; i < known; i++ {
		r := c.s.rows[i]
		p := c.profiles.of(r.day, 0).long[r.slot]
		y := r.y
		if math.IsNaN(y) || math.IsNaN(p) {
			y, p = 0, 0
		}
		c.sumY = append(c.sumY, c.sumY[i]+y)
		c.sumP = append(c.sumP, c.sumP[i]+p)
	}
	c.known = known
}

// rewind forgets what is known from a row on, and learns up to another.
func (c *correction) rewind(from, known int) {
	c.known = min(c.known, from)
	c.sumY, c.sumP = c.sumY[:c.known+1], c.sumP[:c.known+1]
	c.learn(known)
}

// level is the logarithm of counted over expected in the rows from … to-1.
func (c *correction) level(from, to int) float64 {
	from = max(0, from)
	if from >= to {
		return 0
	}
	v := math.Log((c.sumY[to] - c.sumY[from] + c.damping) / (c.sumP[to] - c.sumP[from] + c.damping))
	return math.Max(-1.5, math.Min(1.5, v))
}

// features fills in the regressors for a target, seen from the end of row origin
// (-1 for before the first). It returns the profile's value, NaN without one.
func (c *correction) features(f *[featureCount]float64, origin, day, slot int) float64 {
	from := day
	if origin >= 0 {
		from = c.s.rows[origin].day
	}
	p := c.profiles.of(day, day-from)
	base := p.long[slot]
	if math.IsNaN(base) {
		return base
	}
	ratio := func(a float64) float64 {
		if math.IsNaN(a) {
			return 0
		}
		return math.Max(-1.5, math.Min(1.5, math.Log((a+c.damping)/(base+c.damping))))
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
		leaveOut(c.s.without, f)
	}
	return base
}

// leaveOut zeroes the regressors of parts that are left out.
func leaveOut(p Part, f *[featureCount]float64) {
	for part, list := range map[Part][]int{
		PartToday: {fLast, fHour, fThree, fToday, fSame},
		PartWeek:  {fDay, fWeek},
		PartNear:  {fShort, fSmooth, fPool},
	} {
		if p.has(part) {
			for _, i := range list {
				f[i] = 0
			}
		}
	}
}
