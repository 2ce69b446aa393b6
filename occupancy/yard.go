package occupancy

import (
	"cmp"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	dwellSigma = 0.55    // of the logarithm of the dwell time of a vehicle
	priorSigma = 0.3     // of the logarithm of the factor
	ages       = 240     // minutes that an entry is remembered
	doubled    = 0.01    // of the passages are one vehicle counted twice
	doubleGap  = 3.0     // seconds within which most doubles come
	bounceGap  = 0.25    // seconds within which hardly a second vehicle follows
	overfull   = 0.6     // how likely an entry is into a yard beyond its bays, against one with room
	seenOut    = 1.0 / 6 // a minute, at which those who are left after closing leave

	// switchEvery and the two rates let the hypotheses change in the course of
	// a day: a sensor breaks, a full yard is slower.
	switchEvery  = 60.0
	switchErrors = 1.0 / (5 * 60) // a minute
	switchDwell  = 1.0 / (48 * 60)

	// siteTail is what the 80 % range of the number on site leaves out of the
	// belief on either side. By the letter it would be 10 %, but the belief is
	// wider than its errors: it takes vehicles to leave independently of each
	// other at a rate, while most know when they came, and it hedges between
	// hypotheses that err in opposite ways. 17 % was chosen with nine simulated
	// yards, four seeds each, and recorded arrivals in sight: the first hold 85 %
	// of the truth with it, the latter 82 %.
	siteTail = 0.17
)

// yard is the belief about the number on site: p[k*size+n] is the probability
// that hypothesis k = dwell*len(errorRates)+error holds and n vehicles are
// inside.
type yard struct {
	p, spare []float64
	size     int // states of n, 0 … size-1
	prior    prior
	bays     int
	holds    int     // vehicles inside with a queue outside: the bays, or what staff counted then
	typical  float64 // minutes

	// exits[i] is the rate, a minute, at which each vehicle leaves under dwell
	// hypothesis i, given when the vehicles entered.
	exits []float64
	// entered counts entries by the minute of the Unix epoch, see entriesOf.
	entered  []float64
	minute   int64 // newest
	ticking  bool  // minute is set
	ratesAt  time.Time
	untilMix float64 // seconds until the hypotheses mix again

	lastIn, lastOut time.Time
	inBounces       bounces
	outBounces      bounces
	flow            float64 // entries a minute, of late
	outflow         float64 // exits a minute, of late

	// What settle sums up of p: over n; of each hypothesis on the counters its
	// probability; and of each dwell hypothesis its probability and its share of
	// the mean of n.
	marg       []float64
	errs       [hypotheses]float64
	mass, mean []float64

	// tape, when there is one, keeps what changed p, for Smooth.
	tape *tape

	dead  []float64 // dead[i][age], see survival
	alive []float64
}

func (y *yard) init(site *perron.Site, prior prior) {
	y.prior = prior
	bays := max(1, site.Bays)
	y.bays, y.holds = bays, bays
	y.size = bays + bays/2 + 13
	y.typical = cmp.Or(site.TypicalDwell, 15)
	if !(y.typical > 0) {
		y.typical = 15
	}
	y.survival()
	y.exits = make([]float64, len(dwellFactors))
	y.entered = make([]float64, ages)
	y.untilMix = switchEvery
	hyps := len(dwellFactors) * len(errorRates)
	y.p, y.spare = make([]float64, hyps*y.size), make([]float64, hyps*y.size)
	y.marg = make([]float64, y.size)
	y.mass, y.mean = make([]float64, len(dwellFactors)), make([]float64, len(dwellFactors))
	for i, d := range prior.dwell {
		for j, e := range prior.errors {
			y.p[(i*len(errorRates)+j)*y.size] = d * e
		}
	}
	y.settle()
	y.rates(time.Time{})
}

func (y *yard) copy(from *yard) {
	p, spare, exits, entered, marg := y.p, y.spare, y.exits, y.entered, y.marg
	mass, mean := y.mass, y.mean
	*y = *from
	y.tape = nil
	y.p = append(p[:0], from.p...)
	y.exits = append(exits[:0], from.exits...)
	y.entered = append(entered[:0], from.entered...)
	y.marg = append(marg[:0], from.marg...)
	y.mass = append(mass[:0], from.mass...)
	y.mean = append(mean[:0], from.mean...)
	if len(spare) != len(y.p) {
		spare = make([]float64, len(y.p))
	}
	y.spare = spare
}

// survival tables, by dwell hypothesis and age in minutes, how many of those
// who entered are still inside and how many leave in that minute, for a
// log-normal dwell.
func (y *yard) survival() {
	y.alive = make([]float64, len(dwellFactors)*ages)
	y.dead = make([]float64, len(dwellFactors)*ages)
	still := func(median, age float64) float64 {
		if age <= 0 {
			return 1
		}
		return 0.5 * math.Erfc(math.Log(age/median)/dwellSigma/math.Sqrt2)
	}
	for i, f := range dwellFactors {
		m := y.typical * f
		for a := range ages {
			y.alive[i*ages+a] = still(m, float64(a))
			y.dead[i*ages+a] = still(m, float64(a)-0.5) - still(m, float64(a)+0.5)
		}
	}
}

// rates sets the exit rate of each vehicle under each dwell hypothesis: who
// leaves in this minute over who is there, given the entries that were seen.
// Half a vehicle of unknown age stands in for those that were not.
func (y *yard) rates(at time.Time) {
	y.ratesAt = at
	for i, f := range dwellFactors {
		const unseen = 0.5
		leave, there := unseen/(y.typical*f), unseen
		alive, dead := y.alive[i*ages:(i+1)*ages], y.dead[i*ages:(i+1)*ages]
		for a := range ages {
			if c := *y.entriesOf(y.minute - int64(a)); c > 0 {
				leave += c * dead[a]
				there += c * alive[a]
			}
		}
		y.exits[i] = leave / there
	}
}

// tickMinute moves the entries' ring on to the minute of at.
func (y *yard) tickMinute(at time.Time) {
	m := at.Unix() / 60
	if !y.ticking || m-y.minute >= ages {
		clear(y.entered)
		y.minute, y.ticking = m, true
		return
	}
	for y.minute < m {
		y.minute++
		*y.entriesOf(y.minute) = 0
	}
}

// entriesOf is the place of a minute in the ring of entries. Minutes before 1970
// are negative: clocks that were never set make such times.
func (y *yard) entriesOf(minute int64) *float64 {
	return &y.entered[(minute%ages+ages)%ages]
}

// idle says whether the yard is empty as good as certainly.
func (y *yard) idle() bool { return y.marg[0] > 1-1e-4 }

// pass lets dt seconds pass without a passage. Who stays unseen leaves
// unseen, and the silence itself speaks for fewer vehicles.
func (y *yard) pass(at time.Time, dt float64, closed bool) {
	y.tickMinute(at)
	if at.Sub(y.ratesAt) >= 30*time.Second || y.ratesAt.IsZero() {
		y.rates(at)
	}
	fade := math.Exp(-dt / 60 / 20)
	y.flow *= fade
	y.outflow *= fade
	minutes := dt / 60
	born := 0.0 // of those whose entries nobody counts
	if !closed {
		born = min(0.9, y.outflow*minutes)
	}
	for j, e := range errorRates {
		if e.deadIn() {
			*y.entriesOf(y.minute) += born * y.errs[j]
		}
	}
	y.tape.add(y, step{kind: passed, minutes: minutes, closed: closed, born: born})
	for i := range dwellFactors {
		rate := y.exits[i]
		if closed {
			rate = max(rate, seenOut)
		}
		for j, e := range errorRates {
			p := y.row(i, j)
			quiet := math.Exp(-rate * (1 - e.out) * minutes)
			unseen := rate * e.out * minutes
			// n·unseen leave for n-1, and w = quiet to the power n.
			last := len(p) - 1
			w, gone := 1.0, 0.0
			for n := range last {
				next := min(1, float64(n+1)*unseen)
				p[n] = (p[n]*(1-gone) + p[n+1]*next) * w
				w *= quiet
				gone = next
			}
			p[last] *= (1 - gone) * w
			if born > 0 && e.deadIn() {
				p[last] += born * p[last-1]
				for n := last - 1; n > 0; n-- {
					p[n] += born * (p[n-1] - p[n])
				}
				p[0] -= born * p[0]
			}
		}
	}
	if y.untilMix -= dt; y.untilMix <= 0 {
		y.mix(1 + -y.untilMix/switchEvery)
		y.untilMix = switchEvery
	}
	y.settle()
}

// judge takes in what a queue tells: evidence on the hypotheses on the counters,
// and that about as many are inside as there are bays.
func (y *yard) judge(evidence *[hypotheses]float64) {
	y.tape.add(y, step{kind: judged, evidence: *evidence, vehicles: y.holds})
	full := y.aboutFull(y.holds)
	for i := range dwellFactors {
		for j, w := range evidence {
			for n, p := 0, y.row(i, j); n < len(p); n++ {
				p[n] *= w * full[n]
			}
		}
	}
	y.settle()
}

// aboutFull is how well each number inside agrees with a queue that waits for
// bays, of which more or fewer may be in use than there are said to be. It is for
// one look in several minutes, of which each tells much the same.
func (y *yard) aboutFull(holds int) []float64 {
	out := make([]float64, y.size)
	for n := range out {
		z := float64(n-holds) / (2 + 0.15*float64(y.bays))
		out[n] = math.Pow(0.1+0.9*math.Exp(-z*z/2), 0.4)
	}
	return out
}

func (y *yard) row(dwell, errs int) []float64 {
	k := (dwell*len(errorRates) + errs) * y.size
	return y.p[k : k+y.size]
}

// settle sums up, and repairs: a belief that the events have ruled out
// altogether starts again from what the entries of late make likely. The sums
// are those of probabilities; p itself is scaled only when it gets small.
func (y *yard) settle() {
	total := y.sums()
	if !(total > 1e-250) || math.IsInf(total, 0) {
		y.restart()
		total = y.sums()
	}
	f := 1 / total
	if total < 1e-60 {
		for i := range y.p {
			y.p[i] *= f
		}
	}
	for n := range y.marg {
		y.marg[n] *= f
	}
	for i := range y.mass {
		y.mass[i] *= f
		y.mean[i] *= f
	}
	for j := range y.errs {
		y.errs[j] *= f
	}
}

func (y *yard) sums() (total float64) {
	clear(y.marg)
	y.errs = [hypotheses]float64{}
	for i := range dwellFactors {
		var mass, mean float64
		for j := range errorRates {
			marg := y.marg
			x, own := 0.0, 0.0
			for n, v := range y.row(i, j)[:len(marg)] {
				marg[n] += v
				own += v
				mean += v * x
				x++
			}
			mass += own
			y.errs[j] += own
		}
		y.mass[i], y.mean[i] = mass, mean
		total += mass
	}
	return total
}

func (y *yard) restart() {
	y.tape.add(y, step{kind: restarted})
	for i := range dwellFactors {
		mean := 0.0
		for a := range ages {
			mean += *y.entriesOf(y.minute - int64(a)) * y.alive[i*ages+a]
		}
		mean = math.Min(mean, float64(y.size-1))
		sd := math.Max(2, math.Sqrt(mean))
		for j, e := range y.prior.errors {
			for n, p := 0, y.row(i, j); n < len(p); n++ {
				z := (float64(n) - mean) / sd
				p[n] = math.Exp(-z*z/2) * y.prior.dwell[i] * e
			}
		}
	}
	normalise(y.p)
}

// mix lets the hypotheses switch, for a number of minutes.
func (y *yard) mix(minutes float64) {
	y.tape.add(y, step{kind: mixed, minutes: minutes})
	toPrior := 1 - math.Exp(-switchErrors*minutes)
	for i := range dwellFactors {
		all := y.spare[:y.size]
		clear(all)
		for j := range errorRates {
			for n, v := range y.row(i, j) {
				all[n] += v
			}
		}
		for j, e := range y.prior.errors {
			for n, p := 0, y.row(i, j); n < len(p); n++ {
				p[n] += toPrior * (e*all[n] - p[n])
			}
		}
	}
	// Dwell moves to its neighbours.
	step := (1 - math.Exp(-switchDwell*minutes)) / 2
	copy(y.spare, y.p)
	stride := len(errorRates) * y.size
	for i := range dwellFactors {
		here := y.p[i*stride : (i+1)*stride]
		for _, o := range []int{i - 1, i + 1} {
			if o < 0 || o >= len(dwellFactors) {
				continue
			}
			own, other := y.spare[i*stride:(i+1)*stride], y.spare[o*stride:(o+1)*stride]
			for n := range here {
				here[n] += step * (other[n] - own[n])
			}
		}
	}
}

// bounces counts how many passages follow within bounceGap, which tells a
// contact that chatters from vehicles that by chance come together.
type bounces struct{ short, total float64 }

func (b *bounces) count(gap float64) {
	const memory = 2000 // passages
	b.total++
	if gap > 0 && gap < bounceGap {
		b.short++
	}
	if b.total > memory {
		b.short, b.total = b.short/2, b.total/2
	}
}

// odds is the probability that a passage within bounceGap of the one before is
// a bounce: what is beyond the part that chance makes of a flow, in vehicles a
// minute. It starts with that part.
func (b *bounces) odds(flow float64) float64 {
	const known = 100 // passages that the start is worth
	chance := max(flow, 0.5) * bounceGap / 60
	return 1 - chance*(known+b.total)/(chance*known+b.short)
}

// again is the probability that a passage is the previous one counted twice.
func again(at, last time.Time, flow float64, b *bounces) float64 {
	gap := at.Sub(last).Seconds()
	b.count(gap)
	if last.IsZero() || gap > doubleGap {
		return doubled / 10
	}
	// Against doubles stand the vehicles that truly come within the gap.
	odds := doubled / (doubled + max(flow, 0.5)*doubleGap/60)
	if gap > 0 && gap < bounceGap { // none at all is a clock of whole seconds
		odds = max(odds, b.odds(flow))
	}
	return odds
}

// crowded is the number beyond which hardly anyone is let in.
func (y *yard) crowded() int { return y.bays + y.bays/4 + 2 }

// entry shifts the belief up by the vehicle that was seen, and by one more
// where one before it was missed. It returns how likely a double it was.
func (y *yard) entry(at time.Time) (double float64) {
	y.tickMinute(at)
	double = again(at, y.lastIn, y.flow, &y.inBounces)
	y.lastIn = at
	y.flow += 1.0 / 20
	*y.entriesOf(y.minute) += 1 - double
	crowded := y.crowded()
	y.tape.add(y, step{kind: entered, double: double})
	for i := range dwellFactors {
		for j, e := range errorRates {
			p := y.row(i, j)
			more, seen := (1-double)*e.beside(), e.seen()
			one := 1 - double - more
			last := len(p) - 1
			p[last] += p[last-1] // the top cannot be left upwards
			p[last-1] = 0
			for n := last; n >= 0; n-- {
				v := p[n] * double
				if n >= 1 {
					v += p[n-1] * one
				}
				if n >= 2 {
					v += p[n-2] * more
				}
				if n == last {
					v += p[n] * (1 - double)
				}
				if n > crowded {
					v *= overfull
				}
				p[n] = v * seen
			}
		}
	}
	y.settle()
	return double
}

// exit shifts the belief down. The more vehicles are inside, the likelier an
// exit is, so it is also evidence for many; it cannot come from an empty yard
// unless an entry was missed.
func (y *yard) exit(at time.Time) (double float64) {
	y.tickMinute(at)
	double = again(at, y.lastOut, y.outflow, &y.outBounces)
	y.lastOut = at
	y.outflow += 1.0 / 20
	mean := max(y.exitRate(), 0.05)
	odds := double / (1 - double) * mean // of a double, as a rate
	stray := 0.004 * mean                // a vehicle that entered unseen leaves
	y.tape.add(y, step{kind: left, base: odds + stray})
	for i := range dwellFactors {
		for j, e := range errorRates {
			p := y.row(i, j)
			rate := y.exits[i] * (1 - e.out)
			last := len(p) - 1
			for n := 0; n <= last; n++ {
				v := p[n] * (odds + stray)
				if n < last {
					v += p[n+1] * float64(n+1) * rate
				}
				p[n] = v
			}
		}
	}
	y.settle()
	return double
}

// recount gathers the belief around the number that staff counted, one off at
// most now and then, and judges the hypotheses by it.
func (y *yard) recount(vehicles int) {
	if vehicles >= y.size {
		y.grow(vehicles + 10)
	}
	y.tape.add(y, step{kind: recounted, vehicles: vehicles})
	for i := range dwellFactors {
		for j := range errorRates {
			p := y.row(i, j)
			var sum, near float64
			for n, v := range p {
				sum += v
				z := float64(n-vehicles) / 4
				near += v * math.Exp(-z*z/2)
			}
			weight := near + 0.05*sum
			for n := range p {
				z := float64(n-vehicles) / 0.6
				p[n] = weight * math.Exp(-z*z/2)
			}
		}
	}
	y.settle()
}

// grow makes room for more vehicles than the bays suggested.
func (y *yard) grow(size int) {
	p := make([]float64, len(dwellFactors)*len(errorRates)*size)
	for k := range len(dwellFactors) * len(errorRates) {
		copy(p[k*size:], y.p[k*y.size:(k+1)*y.size])
	}
	y.p, y.spare, y.size = p, make([]float64, len(p)), size
	y.marg = make([]float64, size)
}

// empty puts all belief on nobody; the hypotheses keep their weights.
func (y *yard) empty() {
	y.tape.add(y, step{kind: emptied})
	for k := 0; k < len(y.p); k += y.size {
		var sum float64
		for n := range y.size {
			sum += y.p[k+n]
			y.p[k+n] = 0
		}
		y.p[k] = sum
	}
	clear(y.entered)
	y.flow, y.outflow, y.holds = 0, 0, y.bays
	y.settle()
	y.rates(y.ratesAt)
}

func (y *yard) interval() perron.Interval { return quantiles(y.marg, siteTail) }

// fullness is the probability that no bay is free, or nearly none: the belief
// is never sharp enough to tell the last bay.
func (y *yard) fullness() float64 {
	var sum float64
	for _, v := range y.marg[y.bays-y.bays/16-1:] {
		sum += v
	}
	return math.Min(1, sum)
}

// exitRate is the expected number of vehicles that leave in a minute.
func (y *yard) exitRate() float64 {
	var sum float64
	for i, rate := range y.exits {
		sum += y.mean[i] * rate
	}
	return sum
}

// servicePrior is how many vehicles a minute a full yard lets through: bays
// over the mean dwell that is believed.
func (y *yard) servicePrior() float64 {
	var dwell float64
	for i, f := range dwellFactors {
		dwell += y.mass[i] * f
	}
	dwell *= y.typical * math.Exp(dwellSigma*dwellSigma/2)
	return float64(y.bays) / dwell
}
