package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// A loop is covered by the queue when it is occupied for longer than a
	// passing vehicle takes, and stays covered through the gap between two
	// vehicles that move up.
	passing  = 8 * time.Second
	movingUp = 6 * time.Second
	// A loop that is occupied for this long without a gap, which a queue that moves
	// up leaves now and then, is stuck and says nothing; so is one
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
	soonest   = 0.5     // minutes; a shorter wait is not promised
	priorRate = 4.0     // entries that the prior of the entry rate is worth
	givingUp  = 0.0035  // of those ahead leave the queue, for each minute of it
	patience  = 45.0    // minutes of wait at which half of those who come drive on
	plausible = 0.6     // belief in a full yard from which on it is taken for full

	maxLoops = 32 // that are listened to

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
	unit  float64 // vehicles a minute that a full yard is expected to let through

	arrivals

	// entries and minutes with a queue, fading, measure the entry rate.
	entries, minutes float64
	free             vacancies
	unmatched        int // exits since the last entry
	bays             int
	untilMix         float64

	marg []float64

	// tape, when there is one, keeps what changed p, for a look back.
	tape *queueTape
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
		return at.Sub(l.since) >= passing && !l.stuck(at)
	}
	return l.off.Sub(l.since) >= passing && at.Sub(l.off) <= movingUp
}

func (l *loop) stuck(at time.Time) bool {
	return l.on && at.Sub(l.edge) >= stuckAfter
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

func (r *road) init(site *perron.Site, service float64, d *demand) {
	r.lanes, r.bays = float64(max(1, site.Lanes)), max(1, site.Bays)
	for _, l := range site.QueueLoops {
		r.loops = append(r.loops, loop{sensor: l.Sensor, distance: max(1, l.Distance)})
		r.reach = max(r.reach, l.Distance)
	}
	r.size = max(site.RoadSpace, r.reach+r.reach/2+10, 30) + 1
	r.unit = math.Min(service, r.lanes*60/entrance)
	r.marg = make([]float64, r.size)
	r.arrivals.init(r.unit, d)
	r.p = make([]float64, len(r.factors)*r.size)
	r.untilMix = switchEvery
	r.empty()
}

func (r *road) copy(from *road) {
	p, loops, marg := r.p, r.loops, r.marg
	*r = *from
	r.tape = nil
	r.p = append(p[:0], from.p...)
	r.loops = append(loops[:0], from.loops...)
	r.marg = append(marg[:0], from.marg...)
}

func (r *road) empty() {
	clear(r.p)
	for a, w := range r.weights {
		r.p[a*r.size] = w
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
	for a := range r.factors {
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
			r.tape.add(at, queueStep{kind: cleared})
		}
		return
	}
	r.look(at)
	step := queueStep{kind: waited, open: v.open, deaf: r.deaf(), slot: uint8(slotOf(at)), minutes: dt / 60, full: v.full, like: 1}
	if v.open && !step.deaf {
		full := min(1, v.full/plausible)
		step.like = r.free.pass(step.minutes, full, v.exits, r.lanes)
		r.free.towards((1-math.Exp(-step.minutes))*r.marg[0], full)
	}
	r.listen(at, &step)
	keep := math.Exp(-doubtRate * dt)
	for a, f := range r.factors {
		p := r.p[a*r.size : (a+1)*r.size]
		r.step(p, f*r.base, &step)
		for i := range min(len(r.loops), maxLoops) {
			if h := step.heard >> (2 * i) & 3; h != 0 {
				hear(p, r.loops[i].distance, h == covered, keep, r.moves)
			}
		}
	}
	r.tape.add(at, step)
	if r.untilMix -= dt; r.untilMix <= 0 {
		r.mix(1-r.untilMix/60, v.full, r.blind(at))
		r.untilMix = switchEvery
	}
	r.settle()
	if v.open && !step.deaf {
		queued := 1 - r.marg[0]
		fade := math.Exp(-queued * step.minutes / settles)
		r.entries *= fade
		r.minutes = r.minutes*fade + queued*step.minutes
	}
}

// alone says of an empty road how likely it is that someone who comes has to
// wait, and that nobody was seen to enter in a step: without a queue one only
// forms when the yard is full or the lanes cannot keep up, and others would be
// seen.
func (r *road) alone(rate float64, s *queueStep) (block, alone float64) {
	switch {
	case s.open:
		block = r.blocked(rate, s.full)
		return block, math.Exp(-rate * (1 - block) * s.minutes)
	case r.reach > 0:
		return 0.2, 1 // early visitors: the loops will tell
	}
	return 0.02, 1
}

// grow lets the queue grow for a step.
func (r *road) grow(p []float64, rate, block, alone float64, s *queueStep) {
	last := len(p) - 1
	for q := last; q > 0; q-- {
		stay := 1.0
		if q < last {
			stay -= r.joins(q, rate, s.minutes)
		}
		from := r.joins(q-1, rate, s.minutes) * s.like
		if q == 1 {
			from = r.joins(0, rate, s.minutes) * block * alone
		}
		p[q] = p[q]*stay*s.like + p[q-1]*from
	}
	p[0] *= (1 - r.joins(0, rate, s.minutes)*block) * alone
}

// blocked is the probability that someone who comes to an empty road has to
// wait: no bay is free, or the lanes are taken.
func (r *road) blocked(rate, full float64) float64 {
	lane := r.lanes * 60 / entrance
	return min(0.99, full+(1-full)*min(1, rate/lane)*0.3)
}

// joins is the probability that one more vehicle joins behind q others.
func (r *road) joins(q int, rate, minutes float64) float64 {
	return min(0.9, rate*minutes*r.willing(q))
}

// willing is the part of those who come that join behind q others: fewer do
// when the wait looks long.
func (r *road) willing(q int) float64 {
	wait := float64(q) / r.unit / patience
	return 1 / (1 + wait*wait)
}

// listen asks the loops. States that contradict one lose weight the longer
// they do.
func (r *road) listen(at time.Time, s *queueStep) {
	r.trust(at)
	for i := range r.loops {
		l := &r.loops[i]
		switch {
		case i >= maxLoops || !l.trusted || l.on && !l.covered(at): // it cannot tell, or not yet
		case l.covered(at):
			s.heard |= covered << (2 * i)
		default:
			s.heard |= uncovered << (2 * i)
		}
	}
}

// hear lets a loop talk a belief over, but for the part to keep. What contradicts
// the loop is lost, which speaks against the arrivals that led to it, but for a
// part that moves to where the loop says: or a queue that outgrew all that was
// thought likely would never be found.
func hear(p []float64, distance int, covered bool, keep, moves float64) {
	d := min(distance, len(p))
	wrong, right := p[d:], d-1
	if covered {
		// The vehicles that cover it must be there.
		wrong, right = p[:d], d
	}
	var lost float64
	for q, v := range wrong {
		lost += v * (1 - keep)
		wrong[q] = v * keep
	}
	if right < len(p) {
		p[right] += moves * lost
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

// entry takes the head of the queue away, if there is one.
func (r *road) entry(at time.Time, full, exits float64, open bool) {
	if !open {
		return
	}
	queued := 1 - r.marg[0]
	r.entries += queued
	r.unmatched = 0
	for i := range r.loops {
		r.loops[i].still++
	}
	step := queueStep{kind: admitted, open: true, slot: uint8(slotOf(at)), full: full, like: r.free.entry(min(1, full/plausible), exits, r.lanes)}
	for a, f := range r.factors {
		r.step(r.p[a*r.size:(a+1)*r.size], f*r.base, &step)
	}
	r.tape.add(at, step)
	r.settle()
}

// admit takes the head of the queue away, or lets someone in who found none.
func admit(p []float64, alone, withQueue float64) {
	p[0] = p[0]*alone + p[1]*withQueue
	for q := 1; q < len(p)-1; q++ {
		p[q] = p[q+1] * withQueue
	}
	p[len(p)-1] = 0
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

// wait is the time until it is a newcomer's turn to be let in: none without a
// queue while a bay is free, else as many admissions as vehicles wait ahead, and
// one of its own that on average is partly over. Were they a
// Poisson process with a rate that is known from k entries, the wait behind s
// admissions would have mean s/rate and variance s/rate² + (s/rate)²/k (the
// queue-length estimator of Ibrahim and Whitt, M&SOM 11, 2009, with an unknown
// rate); exits of many bays are more even than that, hence the factors.
func (r *road) wait(seen, full, rate, known float64) perron.Interval {
	const points = 17
	var mean, sd, weight [points]float64
	used := 0
	add := func(steps, w float64) {
		mean[used] = steps / rate
		sd[used] = math.Sqrt(0.6*steps/rate/rate + 0.7*steps*steps/rate/rate/known)
		weight[used] = w
		used++
	}
	// Thin the belief to a few points of about equal weight.
	var sum, at, none float64
	for q, p := range r.marg {
		// The loops have the last word, as they have on the queue.
		x := math.Max(float64(q), seen)
		if x == 0 {
			// No queue: at once, or with the next bay that gets free.
			none = p * (1 - full)
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
		if want -= none; want <= 0 {
			return 0
		}
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
		Low:  min(longest, quantile(waitTail)),
		Mid:  min(longest, quantile(0.5)),
		High: min(longest, max(soonest, quantile(1-waitTail))),
	}
}
