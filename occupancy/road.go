package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// arrivalFactors are hypotheses on how many vehicles join the queue, as
// factors on what a full yard lets through.
var arrivalFactors = [8]float64{0.1, 0.3, 0.55, 0.8, 1.05, 1.4, 1.9, 2.8}

const (
	// A loop is covered by the queue when it is occupied for longer than a
	// passing vehicle takes, and stays covered through the gap between two
	// vehicles that move up.
	passing  = 8 * time.Second
	movingUp = 6 * time.Second
	// A loop that is occupied for this long is stuck and says nothing; so is one
	// under which nothing moves while that many are let in and a loop nearer to
	// the entrance sees the queue move up.
	stuckAfter   = 3 * time.Hour
	stuckEntries = 10
	// A queue reaches its loops in their order, but for a gap that travels along
	// it. Loops that contradict that for longer are not both right.
	travelling = 40 * time.Second

	entrance  = 15.0    // seconds that a lane takes to let one vehicle in
	doubtRate = 1.0 / 8 // a second, at which a loop talks the belief over
	settles   = 30.0    // minutes of queueing over which the entry rate is measured
	longest   = 300.0   // minutes; no answer is longer than that
	priorRate = 4.0     // entries that the prior of the entry rate is worth
	givingUp  = 0.0035  // of those ahead leave the queue, for each minute of it
	patience  = 45.0    // minutes of wait at which half of those who come drive on
	plausible = 0.6     // belief in a full yard from which on it is taken for full

	// What the 80 % ranges leave out on either side; see siteTail.
	queueTail = 0.13
	waitTail  = 0.13
)

// road is the belief about the queue outside: p[a*size+q] is the probability
// of arrival hypothesis a and q vehicles waiting.
type road struct {
	p     []float64
	size  int
	lanes float64
	loops []loop
	reach int     // distance of the last loop; 0 without loops
	unit  float64 // vehicles a minute that arrivalFactors multiply

	// entries and minutes with a queue, fading, measure the entry rate.
	entries, minutes float64
	free             vacancies
	unmatched        int // exits since the last entry
	bays             int
	untilMix         float64

	marg []float64
}

// loop is a presence loop of the approach road.
type loop struct {
	sensor   string
	distance int
	on       bool
	since    time.Time // occupied since, gaps between moving vehicles left out
	off      time.Time // free since
	edge     time.Time // of the latest change
	still    int       // entries since then
	trusted  bool      // see trust
}

func (l *loop) covered(at time.Time) bool {
	if l.since.IsZero() {
		return false
	}
	if l.on {
		held := at.Sub(l.since)
		return held >= passing && held < stuckAfter
	}
	return l.off.Sub(l.since) >= passing && at.Sub(l.off) <= movingUp
}

func (l *loop) stuck(at time.Time) bool {
	return l.on && at.Sub(l.since) >= stuckAfter
}

// trust decides which loops are believed. Where a loop is covered and one
// nearer to the entrance has been free for a while, one of them is broken: the
// nearer one if it is silent since, else the other, since vehicles still pass
// over the nearer one.
func (r *road) trust(at time.Time) {
	for i := range r.loops {
		l := &r.loops[i]
		l.trusted = !l.stuck(at)
		for j := range r.loops {
			near := &r.loops[j]
			if l.on && l.still >= stuckEntries && near.distance < l.distance && near.still < stuckEntries/2 {
				l.trusted = false
			}
		}
	}
	for i := range r.loops {
		far := &r.loops[i]
		if !far.trusted || !far.covered(at) || at.Sub(far.since) < travelling {
			continue
		}
		for j := range r.loops {
			near := &r.loops[j]
			if near.distance >= far.distance || !near.trusted || near.covered(at) || near.on || at.Sub(near.off) < travelling {
				continue
			}
			if near.edge.Sub(far.since) > travelling {
				far.trusted = false
				break
			}
			near.trusted = false
		}
	}
}

// roadView is what the queue needs to know of the rest of the site.
type roadView struct {
	full  float64 // probability that no bay is free
	exits float64 // vehicles a minute that leave the yard
	open  bool
	gone  bool // closed for so long that nobody queues any more
	prior float64
}

func (r *road) init(site *perron.Site, service float64) {
	r.lanes, r.bays = float64(max(1, site.Lanes)), max(1, site.Bays)
	for _, l := range site.QueueLoops {
		r.loops = append(r.loops, loop{sensor: l.Sensor, distance: max(1, l.Distance)})
		r.reach = max(r.reach, l.Distance)
	}
	r.size = max(site.RoadSpace, r.reach+r.reach/2+10, 30) + 1
	r.unit = math.Min(service, r.lanes*60/entrance)
	r.p = make([]float64, len(arrivalFactors)*r.size)
	r.marg = make([]float64, r.size)
	r.untilMix = switchEvery
	r.empty()
}

func (r *road) copy(from *road) {
	p, loops, marg := r.p, r.loops, r.marg
	*r = *from
	r.p = append(p[:0], from.p...)
	r.loops = append(loops[:0], from.loops...)
	r.marg = append(marg[:0], from.marg...)
}

func (r *road) empty() {
	clear(r.p)
	for a, f := range arrivalFactors {
		x := math.Log(f / 0.7)
		r.p[a*r.size] = math.Exp(-x * x / 2)
	}
	r.entries, r.minutes, r.unmatched = 0, 0, 0
	r.free.fresh(0)
	r.settle()
}

// exit takes in that a vehicle left the yard.
func (r *road) exit() {
	r.unmatched++
	r.free.exit()
}

// deaf says that so many have left since the last entry that the entries are
// not seen rather than stopped: they say nothing of the rate.
func (r *road) deaf() bool { return r.unmatched > 4+r.bays/3 }

func (r *road) loop(sensor string) int {
	for i := range r.loops {
		if r.loops[i].sensor == sensor {
			return i
		}
	}
	return -1
}

// silent says that no loop is occupied.
func (r *road) silent() bool {
	for i := range r.loops {
		if r.loops[i].on {
			return false
		}
	}
	return true
}

func (r *road) settle() {
	if !normalise(r.p) {
		r.empty()
		return
	}
	clear(r.marg)
	for a := range arrivalFactors {
		for q, v := range r.p[a*r.size : (a+1)*r.size] {
			r.marg[q] += v
		}
	}
}

// presence takes in that a loop became occupied or free.
func (r *road) presence(i int, at time.Time, on bool) {
	l := &r.loops[i]
	switch {
	case on && !l.on:
		if at.Before(l.off) {
			return // older than what is known
		}
		if !l.covered(at) {
			l.since = at
		}
		l.on, l.edge, l.still = true, at, 0
	case !on && l.on:
		if at.Before(l.since) {
			return
		}
		l.on, l.off, l.edge, l.still = false, at, at, 0
	}
}

// pass lets dt seconds pass.
func (r *road) pass(at time.Time, dt float64, v roadView) {
	if v.gone {
		if r.marg[0] < 1 {
			r.empty()
		}
		return
	}
	minutes := dt / 60
	quiet := 1.0 // the likelihood of no entry while there is a queue
	if v.open && !r.deaf() {
		full := min(1, v.full/plausible)
		quiet = r.free.pass(minutes, full, v.exits, r.lanes)
		r.free.towards((1-math.Exp(-minutes))*r.marg[0], full)
	}
	for a, f := range arrivalFactors {
		rate := f * r.unit
		p := r.p[a*r.size : (a+1)*r.size]
		// Without a queue one only forms when the yard is full or the lanes
		// cannot keep up, and others would be seen to enter.
		block, alone := 1.0, 1.0
		switch {
		case v.open:
			block = r.blocked(rate, v.full)
			alone = math.Exp(-rate * (1 - block) * minutes)
		case r.reach > 0:
			block = 0.2 // early visitors: the loops will tell
		default:
			block = 0.02
		}
		last := len(p) - 1
		for q := last; q > 0; q-- {
			stay := 1.0
			if q < last {
				stay -= r.joins(q, rate, minutes)
			}
			from := r.joins(q-1, rate, minutes) * quiet
			if q == 1 {
				from = r.joins(0, rate, minutes) * block * alone
			}
			p[q] = p[q]*stay*quiet + p[q-1]*from
		}
		p[0] *= (1 - r.joins(0, rate, minutes)*block) * alone
	}
	r.listen(at, dt)
	if r.untilMix -= dt; r.untilMix <= 0 {
		r.mix(1-r.untilMix/60, v.full, r.blind(at))
		r.untilMix = switchEvery
	}
	r.settle()
	if v.open && !r.deaf() {
		queued := 1 - r.marg[0]
		fade := math.Exp(-queued * minutes / settles)
		r.entries *= fade
		r.minutes = r.minutes*fade + queued*minutes
	}
}

// blocked is the probability that someone who comes to an empty road has to
// wait: no bay is free, or the lanes are taken.
func (r *road) blocked(rate, full float64) float64 {
	lane := r.lanes * 60 / entrance
	return min(0.99, full+(1-full)*min(1, rate/lane)*0.3)
}

// joins is the probability that one more vehicle joins behind q others: fewer
// do when the wait looks long.
func (r *road) joins(q int, rate, minutes float64) float64 {
	wait := float64(q) / r.unit / patience
	return min(0.9, rate*minutes/(1+wait*wait))
}

// listen lets the loops talk the belief over: states that contradict a loop
// lose weight the longer they do.
func (r *road) listen(at time.Time, dt float64) {
	keep := math.Exp(-doubtRate * dt)
	r.trust(at)
	for i := range r.loops {
		l := &r.loops[i]
		if !l.trusted || l.on && !l.covered(at) {
			continue // it cannot tell, or not yet
		}
		covered := l.covered(at)
		for a := range arrivalFactors {
			p := r.p[a*r.size : (a+1)*r.size]
			d := min(l.distance, len(p))
			if covered {
				// The vehicles that cover it must be there: below it, belief
				// that is lost comes back at the loop.
				var lost float64
				for q := range p[:d] {
					lost += p[q] * (1 - keep)
					p[q] *= keep
				}
				if d < len(p) {
					p[d] += lost
				}
			} else {
				var lost float64
				for q := d; q < len(p); q++ {
					lost += p[q] * (1 - keep)
					p[q] *= keep
				}
				p[d-1] += lost
			}
		}
	}
}

// blind says that the end of the queue is where no loop sees it.
func (r *road) blind(at time.Time) bool {
	for i := range r.loops {
		if l := &r.loops[i]; l.distance == r.reach {
			return l.covered(at) || !l.trusted
		}
	}
	return true
}

// mix lets the arrival hypotheses move to their neighbours, and behind a full
// yard to those with which a yard gets full: more come than it lets through.
// Where loops see the end of the queue they know better.
func (r *road) mix(minutes, full float64, blind bool) {
	const rate = 1.0 / 40
	pull := 1.0 / 600
	if blind {
		pull = 1.0 / 20
		if r.reach == 0 {
			pull = 1.0 / 400
		}
	}
	// Where loops see part of the queue, a queue that does not reach them
	// speaks against the highest; without any nothing does.
	centre, spread := 1.6, 0.45
	if r.reach == 0 {
		centre, spread = 1.3, 0.4
	}
	var crowd [8]float64
	var sum float64
	for a, f := range arrivalFactors {
		x := math.Log(f/centre) / spread
		crowd[a] = math.Exp(-x * x / 2)
		sum += crowd[a]
	}
	towards := (1 - math.Exp(-pull*minutes*full))
	for q := 1; q < r.size; q++ {
		var all float64
		for a := range arrivalFactors {
			all += r.p[a*r.size+q]
		}
		for a := range arrivalFactors {
			r.p[a*r.size+q] += towards * (all*crowd[a]/sum - r.p[a*r.size+q])
		}
	}
	step := (1 - math.Exp(-rate*minutes)) / 2
	for q := range r.size {
		before := r.p[q]
		for a := range arrivalFactors {
			here := r.p[a*r.size+q]
			v := here
			if a > 0 {
				v += step * (before - here)
			}
			if a+1 < len(arrivalFactors) {
				v += step * (r.p[(a+1)*r.size+q] - here)
			}
			before = here
			r.p[a*r.size+q] = v
		}
	}
}

// entry takes the head of the queue away, if there is one.
func (r *road) entry(_ time.Time, full, exits float64, open bool) {
	if !open {
		return
	}
	queued := 1 - r.marg[0]
	r.entries += queued
	r.unmatched = 0
	for i := range r.loops {
		r.loops[i].still++
	}
	withQueue := r.free.entry(min(1, full/plausible), exits, r.lanes)
	for a, f := range arrivalFactors {
		p := r.p[a*r.size : (a+1)*r.size]
		alone := f * r.unit * (1 - r.blocked(f*r.unit, full))
		p[0] = p[0]*alone + p[1]*withQueue
		for q := 1; q < len(p)-1; q++ {
			p[q] = p[q+1] * withQueue
		}
		p[len(p)-1] = 0
	}
	r.settle()
}

// answer is what the road says to a newcomer.
type answer struct {
	queue, wait perron.Interval // vehicles, minutes
	atLeast     bool
	rate        float64 // entries a minute
}

func (r *road) question(at time.Time, full, prior float64) answer {
	prior = math.Min(prior, r.lanes*60/entrance)
	known := priorRate + r.entries
	rate := known / (priorRate/prior + r.minutes)
	out := answer{queue: quantiles(r.marg, queueTail), rate: rate}
	seen := 0.0 // vehicles that the loops see
	r.trust(at)
	for i := range r.loops {
		l := &r.loops[i]
		if !l.covered(at) || !l.trusted {
			continue
		}
		d := float64(l.distance)
		seen = math.Max(seen, d)
		out.queue.Low = math.Max(out.queue.Low, d)
		out.queue.Mid = math.Max(out.queue.Mid, d)
		out.queue.High = math.Max(out.queue.High, d)
		out.atLeast = out.atLeast || l.distance == r.reach
	}
	out.wait = r.wait(seen, full, rate, known)
	return out
}

// wait is the time until a newcomer is inside: as many admissions as vehicles
// wait ahead, and one of its own that on average is partly over. Were they a
// Poisson process with a rate that is known from k entries, the wait behind s
// admissions would have mean s/rate and variance s/rate² + (s/rate)²/k (the
// queue-length estimator of Ibrahim and Whitt, M&SOM 11, 2009, with an unknown
// rate); exits of many bays are more even than that, hence the factors.
func (r *road) wait(seen, full, rate, known float64) perron.Interval {
	const points = 17
	var mean, sd, weight [points]float64
	used := 0
	add := func(steps, w float64) {
		mean[used] = steps/rate + entrance/60
		sd[used] = math.Sqrt(0.6*steps/rate/rate + 0.7*steps*steps/rate/rate/known + 0.005)
		weight[used] = w
		used++
	}
	// Thin the belief to a few points of about equal weight.
	var sum, at float64
	for q, p := range r.marg {
		// The loops have the last word, as they have on the queue.
		x := math.Max(float64(q), seen)
		if x == 0 {
			// No queue: the entrance only, or the next bay that gets free.
			add(0, p*(1-full))
			add(0.7, p*full)
			continue
		}
		sum += p
		at += p * x
		if sum >= 1.0/(points-2) && used < points-1 || q == len(r.marg)-1 {
			if sum > 1e-12 {
				// The next admission is under way; some of the others give up.
				mean := at / sum
				add(0.7+mean*(1-math.Min(0.2, givingUp*mean/rate)), sum)
			}
			sum, at = 0, 0
		}
	}
	quantile := func(want float64) float64 {
		lo, hi := 0.0, 0.0
		for i := range used {
			hi = math.Max(hi, mean[i]+4*sd[i])
		}
		for range 24 {
			x, below := (lo+hi)/2, 0.0
			for i := range used {
				below += weight[i] * 0.5 * math.Erfc((mean[i]-x)/sd[i]/math.Sqrt2)
			}
			if below < want {
				lo = x
			} else {
				hi = x
			}
		}
		return (lo + hi) / 2
	}
	return perron.Interval{
		Low: min(longest, quantile(waitTail)), Mid: min(longest, quantile(0.5)), High: min(longest, quantile(1-waitTail)),
	}
}
