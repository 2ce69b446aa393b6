package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	dwellGuessSigma = 0.3     // of the logarithm of the factor
	agesKept        = 240     // minutes that an entry is remembered
	overfullWeight  = 0.6     // how likely an entry is into a yard beyond its bays, against one with room
	closingExitRate = 1.0 / 6 // per minute, at which those who are left after closing leave

	// siteTail is what the 80 % range of the number on site leaves out of the
	// belief on either side. By the letter it would be 10 %, but the belief is
	// wider than its errors: it takes vehicles to leave independently of each
	// other at a rate, while most know when they came, and it hedges between
	// hypotheses that err in opposite ways. 17 % was chosen with nine simulated
	// yards, four seeds each, and recorded arrivals in sight: the first hold 85 %
	// of the truth with it, the latter 82 %.
	siteTail = 0.17
)

// onSite is the belief about the number on site: p[k*size+n] is the probability
// that hypothesis k = dwell*errorHypotheses + error holds and n vehicles are
// inside.
type onSite struct {
	p, spare []float64
	size     int // states of n, 0 … size-1
	prior    prior
	site     yard.Yard
	bays     int
	capacity int // vehicles inside with a queue outside: the bays, or what staff counted then

	// exitRates[i] is the rate, per minute, at which each vehicle leaves under dwell
	// hypothesis i, given when the vehicles entered.
	exitRates []float64
	// entered counts entries by the minute of the Unix epoch, see entriesOf.
	entered     []float64
	minute      int64 // newest
	ticking     bool  // minute is set
	ratesAt     time.Time
	untilSwitch float64 // seconds until the hypotheses switch again

	lastIn, lastOut time.Time
	entryBounces    bounceCounts
	exitBounces     bounceCounts
	entryRate       float64 // per minute, of late
	recentExits     float64 // per minute, of late

	// What summarise sums up of p: over n; of each hypothesis on the counters its
	// probability; and of each dwell hypothesis its probability and its share of
	// the mean of n.
	marginal                 []float64
	errorWeights             [errorHypotheses]float64
	dwellWeights, dwellMeans []float64

	// trace, when there is one, keeps what changed p, for Smooth.
	trace *trace

	leaving []float64 // dead[i][age], see tabulateSurvival
	staying []float64
}

func (y *onSite) init(site yard.Yard, prior prior) {
	y.prior = prior
	bays := int(site.Bays)
	y.site, y.bays, y.capacity = site, bays, bays
	y.size = bays + bays/2 + 13
	y.tabulateSurvival()
	y.exitRates = make([]float64, len(dwellFactors))
	y.entered = make([]float64, agesKept)
	y.untilSwitch = switchSeconds
	hyps := len(dwellFactors) * len(errorHypothesisTable)
	y.p, y.spare = make([]float64, hyps*y.size), make([]float64, hyps*y.size)
	y.marginal = make([]float64, y.size)
	y.dwellWeights, y.dwellMeans = make([]float64, len(dwellFactors)), make([]float64, len(dwellFactors))
	for i, d := range prior.dwell {
		for j, e := range prior.errors {
			y.p[(i*len(errorHypothesisTable)+j)*y.size] = d * e
		}
	}
	y.summarise()
	y.updateExitRates(time.Time{})
}

func (y *onSite) copy(from *onSite) {
	p, spare, exits, entered, marg := y.p, y.spare, y.exitRates, y.entered, y.marginal
	mass, mean := y.dwellWeights, y.dwellMeans
	*y = *from
	y.trace = nil
	y.p = append(p[:0], from.p...)
	y.exitRates = append(exits[:0], from.exitRates...)
	y.entered = append(entered[:0], from.entered...)
	y.marginal = append(marg[:0], from.marginal...)
	y.dwellWeights = append(mass[:0], from.dwellWeights...)
	y.dwellMeans = append(mean[:0], from.dwellMeans...)
	if len(spare) != len(y.p) {
		spare = make([]float64, len(y.p))
	}
	y.spare = spare
}

// tabulateSurvival tables, by dwell hypothesis and age in minutes, how many of those
// who entered are still inside and how many leave in that minute, for a
// log-normal dwell.
func (y *onSite) tabulateSurvival() {
	y.staying = make([]float64, len(dwellFactors)*agesKept)
	y.leaving = make([]float64, len(dwellFactors)*agesKept)
	for i, f := range dwellFactors {
		m := y.site.Dwell * f
		for a := range agesKept {
			y.staying[i*agesKept+a] = y.site.Staying(m, float64(a))
			y.leaving[i*agesKept+a] = y.site.Staying(m, float64(a)-0.5) - y.site.Staying(m, float64(a)+0.5)
		}
	}
}

// updateExitRates sets the exit rate of each vehicle under each dwell hypothesis: who
// leaves in this minute over who is there, given the entries that were seen.
// Half a vehicle of unknown age stands in for those that were not.
func (y *onSite) updateExitRates(at time.Time) {
	y.ratesAt = at
	for i, f := range dwellFactors {
		const unseen = 0.5
		leave, there := unseen/(y.site.Dwell*f), unseen
		alive, dead := y.staying[i*agesKept:(i+1)*agesKept], y.leaving[i*agesKept:(i+1)*agesKept]
		for a := range agesKept {
			if c := *y.entriesOf(y.minute - int64(a)); c > 0 {
				leave += c * dead[a]
				there += c * alive[a]
			}
		}
		y.exitRates[i] = leave / there
	}
}

// tickMinute moves the entries' ring on to the minute of at.
func (y *onSite) tickMinute(at time.Time) {
	m := at.Unix() / 60
	if !y.ticking || m-y.minute >= agesKept {
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
func (y *onSite) entriesOf(minute int64) *float64 {
	return &y.entered[(minute%agesKept+agesKept)%agesKept]
}

// idle says whether the yard is empty as good as certainly.
func (y *onSite) idle() bool { return y.marginal[0] > 1-1e-4 }

// elapse lets dt seconds pass without a passage. Who stays unseen leaves
// unseen, and the silence itself speaks for fewer vehicles.
func (y *onSite) elapse(at time.Time, dt float64, closed bool) {
	y.tickMinute(at)
	if at.Sub(y.ratesAt) >= 30*time.Second || y.ratesAt.IsZero() {
		y.updateExitRates(at)
	}
	fade := math.Exp(-dt / 60 / 20)
	y.entryRate *= fade
	y.recentExits *= fade
	minutes := dt / 60
	born := 0.0 // of those whose entries nobody counts
	if !closed {
		born = min(0.9, y.recentExits*minutes)
	}
	for j, e := range errorHypothesisTable {
		if e.entriesDead() {
			*y.entriesOf(y.minute) += born * y.errorWeights[j]
		}
	}
	y.trace.add(y.exitRates, step{kind: stepTime, minutes: minutes, closed: closed, born: born})
	for i := range dwellFactors {
		rate := y.exitRates[i]
		if closed {
			rate = max(rate, closingExitRate)
		}
		for j, e := range errorHypothesisTable {
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
			if born > 0 && e.entriesDead() {
				p[last] += born * p[last-1]
				for n := last - 1; n > 0; n-- {
					p[n] += born * (p[n-1] - p[n])
				}
				p[0] -= born * p[0]
			}
		}
	}
	if y.untilSwitch -= dt; y.untilSwitch <= 0 {
		y.switchHypotheses(1 + -y.untilSwitch/switchSeconds)
		y.untilSwitch = switchSeconds
	}
	y.summarise()
}

// compare takes in what a queue tells: evidence on the hypotheses on the counters,
// and that about as many are inside as there are bays.
func (y *onSite) compare(evidence *[errorHypotheses]float64) {
	y.trace.add(y.exitRates, step{kind: stepComparison, evidence: *evidence, vehicles: y.capacity})
	full := y.nearCapacity(y.capacity)
	for i := range dwellFactors {
		for j, w := range evidence {
			for n, p := 0, y.row(i, j); n < len(p); n++ {
				p[n] *= w * full[n]
			}
		}
	}
	y.summarise()
}

// nearCapacity is how well each number inside agrees with a queue that waits for
// bays, of which more or fewer may be in use than there are said to be. It is for
// one comparison in several minutes, of which each says much the same.
func (y *onSite) nearCapacity(holds int) []float64 {
	out := make([]float64, y.size)
	for n := range out {
		z := float64(n-holds) / (2 + 0.15*float64(y.bays))
		out[n] = math.Pow(0.1+0.9*math.Exp(-z*z/2), 0.4)
	}
	return out
}

func (y *onSite) row(dwell, errs int) []float64 {
	k := (dwell*len(errorHypothesisTable) + errs) * y.size
	return y.p[k : k+y.size]
}

// summarise sums up, and repairs: a belief that the events have ruled out
// altogether starts again from what the entries of late make likely. The sums
// are those of probabilities; p itself is scaled only when it gets small.
func (y *onSite) summarise() {
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
	for n := range y.marginal {
		y.marginal[n] *= f
	}
	for i := range y.dwellWeights {
		y.dwellWeights[i] *= f
		y.dwellMeans[i] *= f
	}
	for j := range y.errorWeights {
		y.errorWeights[j] *= f
	}
}

func (y *onSite) sums() (total float64) {
	clear(y.marginal)
	y.errorWeights = [errorHypotheses]float64{}
	for i := range dwellFactors {
		var mass, mean float64
		for j := range errorHypothesisTable {
			marg := y.marginal
			x, own := 0.0, 0.0
			for n, v := range y.row(i, j)[:len(marg)] {
				marg[n] += v
				own += v
				mean += v * x
				x++
			}
			mass += own
			y.errorWeights[j] += own
		}
		y.dwellWeights[i], y.dwellMeans[i] = mass, mean
		total += mass
	}
	return total
}

func (y *onSite) restart() {
	y.trace.add(y.exitRates, step{kind: stepRestart})
	for i := range dwellFactors {
		mean := 0.0
		for a := range agesKept {
			mean += *y.entriesOf(y.minute - int64(a)) * y.staying[i*agesKept+a]
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

// switchHypotheses lets the hypotheses switch, for a number of minutes.
func (y *onSite) switchHypotheses(minutes float64) {
	y.trace.add(y.exitRates, step{kind: stepSwitch, minutes: minutes})
	toPrior := 1 - math.Exp(-errorSwitchRate*minutes)
	for i := range dwellFactors {
		all := y.spare[:y.size]
		clear(all)
		for j := range errorHypothesisTable {
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
	step := (1 - math.Exp(-dwellSwitchRate*minutes)) / 2
	copy(y.spare, y.p)
	stride := len(errorHypothesisTable) * y.size
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

// overfullFrom is the number beyond which hardly anyone is let in.
func (y *onSite) overfullFrom() int { return y.bays + y.bays/4 + 2 }

// entry shifts the belief up by the vehicle that was seen, and by one more
// where one before it was missed. It returns how likely a double it was.
func (y *onSite) entry(at time.Time) (double float64) {
	y.tickMinute(at)
	double = doubleProbability(at, y.lastIn, y.entryRate, &y.entryBounces)
	y.lastIn = at
	y.entryRate += 1.0 / 20
	*y.entriesOf(y.minute) += 1 - double
	crowded := y.overfullFrom()
	y.trace.add(y.exitRates, step{kind: stepEntry, double: double})
	for i := range dwellFactors {
		for j, e := range errorHypothesisTable {
			p := y.row(i, j)
			more, seen := (1-double)*e.missedPerSeen(), e.seenPart()
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
					v *= overfullWeight
				}
				p[n] = v * seen
			}
		}
	}
	y.summarise()
	return double
}

// exit shifts the belief down. The more vehicles are inside, the likelier an
// exit is, so it is also evidence for many; it cannot come from an empty yard
// unless an entry was missed.
func (y *onSite) exit(at time.Time) (double float64) {
	y.tickMinute(at)
	double = doubleProbability(at, y.lastOut, y.recentExits, &y.exitBounces)
	y.lastOut = at
	y.recentExits += 1.0 / 20
	mean := max(y.exitRate(), 0.05)
	odds := double / (1 - double) * mean // of a double, as a rate
	stray := 0.004 * mean                // a vehicle that entered unseen leaves
	y.trace.add(y.exitRates, step{kind: stepExit, base: odds + stray})
	for i := range dwellFactors {
		for j, e := range errorHypothesisTable {
			p := y.row(i, j)
			rate := y.exitRates[i] * (1 - e.out)
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
	y.summarise()
	return double
}

// recount gathers the belief around the number that staff counted, one off at
// most now and then, and weighs the hypotheses by it.
func (y *onSite) recount(vehicles int) {
	if vehicles >= y.size {
		y.grow(vehicles + 10)
	}
	y.trace.add(y.exitRates, step{kind: stepRecount, vehicles: vehicles})
	for i := range dwellFactors {
		for j := range errorHypothesisTable {
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
	y.summarise()
}

// grow makes room for more vehicles than the bays suggested.
func (y *onSite) grow(size int) {
	p := make([]float64, len(dwellFactors)*len(errorHypothesisTable)*size)
	for k := range len(dwellFactors) * len(errorHypothesisTable) {
		copy(p[k*size:], y.p[k*y.size:(k+1)*y.size])
	}
	y.p, y.spare, y.size = p, make([]float64, len(p)), size
	y.marginal = make([]float64, size)
}

// empty puts all belief on nobody; the hypotheses keep their weights.
func (y *onSite) empty() {
	y.trace.add(y.exitRates, step{kind: stepEmpty})
	for k := 0; k < len(y.p); k += y.size {
		var sum float64
		for n := range y.size {
			sum += y.p[k+n]
			y.p[k+n] = 0
		}
		y.p[k] = sum
	}
	clear(y.entered)
	y.entryRate, y.recentExits, y.capacity = 0, 0, y.bays
	y.summarise()
	y.updateExitRates(y.ratesAt)
}

func (y *onSite) interval() perron.Interval { return quantiles(y.marginal, siteTail) }

// fullness is the probability that no bay is free, or nearly none: the belief
// is never sharp enough to tell the last bay.
func (y *onSite) fullness() float64 {
	var sum float64
	for _, v := range y.marginal[y.bays-y.bays/16-1:] {
		sum += v
	}
	return math.Min(1, sum)
}

// exitRate is the expected number of vehicles that leave in a minute.
func (y *onSite) exitRate() float64 {
	var sum float64
	for i, rate := range y.exitRates {
		sum += y.dwellMeans[i] * rate
	}
	return sum
}

// servicePrior is how many vehicles per minute a full yard lets through: bays
// over the mean dwell that is believed.
func (y *onSite) servicePrior() float64 {
	var dwell float64
	for i, f := range dwellFactors {
		dwell += y.dwellWeights[i] * f
	}
	return y.site.ServiceRate(dwell * y.site.Dwell)
}
