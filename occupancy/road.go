package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	entrance  = 15.0   // seconds that a lane takes to let one vehicle in
	settles   = 30.0   // minutes of queueing over which the entry rate is measured
	longest   = 300.0  // minutes; no answer is longer than that
	soonest   = 0.5    // minutes; a shorter wait is not promised
	priorRate = 4.0    // entries that the prior of the entry rate is worth
	givingUp  = 0.0035 // of those ahead leave the queue, for each minute of it
	gatherers = 8.0    // mean number of those who wait for the gates to open, where some do
	plausible = 0.6    // belief in a full yard from which on it is taken for full

	// What the 80 % ranges leave out on either side; see siteTail.
	queueTail = 0.13
	waitTail  = 0.12
)

// road is the belief about the queue outside: p[(k*len(factors)+a)*size+q] is the
// probability of patience k, arrival hypothesis a and q vehicles waiting.
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
	unmatched        int       // exits since the last entry
	undecided        int       // of those, in whose places someone may have entered unseen
	passed           time.Time // of the latest entry or exit
	bays             int
	untilMix         float64

	marg []float64
	// stay is, by patience and queue, the part of those who come that joins.
	stay      [][]float64
	usualStay []float64

	// tape, when there is one, keeps what changed p, for a look back.
	tape *queueTape
}

// roadView is what the queue needs to know of the rest of the site.
type roadView struct {
	full  float64 // probability that no bay is free
	exits float64 // vehicles a minute that leave the yard
	open  bool
	gone  bool // closed for so long that nobody queues any more
	prior float64
}

func (r *road) init(site *perron.Site, service float64, d *demand, patient [len(patiences)]float64) {
	r.lanes, r.bays = float64(max(1, site.Lanes)), max(1, site.Bays)
	for _, l := range site.QueueLoops {
		r.loops = append(r.loops, loop{sensor: l.Sensor, distance: max(1, l.Distance)})
		r.reach = max(r.reach, l.Distance)
	}
	r.size = max(site.RoadSpace, r.reach+r.reach/2+10, 30) + 1
	r.unit = math.Min(service, r.lanes*60/entrance)
	r.marg = make([]float64, r.size)
	r.arrivals.init(r.unit, d)
	r.stay = make([][]float64, len(patiences))
	for k, minutes := range patiences {
		r.stay[k] = r.willing(minutes)
	}
	r.usualStay = r.willing(usualPatience)
	r.p = make([]float64, len(patiences)*len(r.factors)*r.size)
	for k, w := range patient {
		r.p[k*len(r.factors)*r.size] = w
	}
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
	kept := r.patience()
	clear(r.p)
	for k, keep := range kept {
		for a, w := range r.weights {
			r.p[(k*len(r.factors)+a)*r.size] = keep * w
		}
	}
	r.entries, r.minutes, r.unmatched, r.undecided = 0, 0, 0, 0
	for i := range r.loops {
		r.loops[i].gaps = 0
	}
	r.free.fresh(0)
	r.settle()
}

// exit takes in that a vehicle left the yard. While the entries are not seen it
// stands for one: before a full yard as many enter as leave.
func (r *road) exit(at time.Time, full float64, open bool) {
	r.passed = at
	r.unmatched++
	r.undecided++
	r.free.exit()
	if r.stands(at) {
		r.undecided = 0 // nobody took their places
	}
	if !open || !r.deaf(at) {
		return
	}
	unseen := r.undecided // at first more than one, of which it is known only now
	r.undecided = 0
	step := queueStep{kind: supposed, open: true, slot: uint8(slotOf(at)), full: min(1, full/plausible)}
	for range unseen {
		r.each(func(p []float64, _ float64, stay []float64) { r.step(p, 0, stay, &step) })
		r.tape.add(at, step)
		r.entries += (1 - r.marg[0]) * step.full
	}
	r.settle()
}

// deaf says that so many have left since the last entry that the entries are
// not seen rather than stopped.
func (r *road) deaf(at time.Time) bool { return r.unmatched > 4+r.bays/3 && !r.stands(at) }

func (r *road) settle() {
	if !normalise(r.p) {
		r.empty()
		return
	}
	clear(r.marg)
	r.each(func(p []float64, _ float64, _ []float64) {
		for q, v := range p {
			r.marg[q] += v
		}
	})
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
	if v.full < plausible/2 {
		for i := range r.loops {
			r.loops[i].idle += time.Duration(dt * float64(time.Second))
		}
	}
	step := queueStep{kind: waited, open: v.open, deaf: r.deaf(at), slot: uint8(slotOf(at)), minutes: dt / 60, full: v.full, like: 1}
	if v.open && !step.deaf {
		full := min(1, v.full/plausible)
		step.like = r.free.pass(step.minutes, full, v.exits, r.lanes)
		r.free.towards((1-math.Exp(-step.minutes))*r.marg[0], full)
	}
	r.listen(at, &step)
	keep := math.Exp(-doubtRate * dt)
	r.each(func(p []float64, rate float64, stay []float64) {
		r.step(p, rate, stay, &step)
		for i := range min(len(r.loops), maxLoops) {
			if h := step.heard >> (2 * i) & 3; h != 0 {
				hear(p, r.loops[i].distance, h == covered, keep, r.moves)
			}
		}
	})
	r.tape.add(at, step)
	if r.untilMix -= dt; r.untilMix <= 0 {
		r.mix(1-r.untilMix/60, v.full, r.blind(at))
		r.untilMix = switchEvery
	}
	r.settle()
	if v.open && (step.deaf || at.Sub(r.passed) < night) {
		queued := 1 - r.marg[0]
		if step.deaf {
			queued *= min(1, v.full/plausible) // as exits count for entries
		}
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
func (r *road) grow(p []float64, rate, block, alone float64, willing []float64, s *queueStep) {
	last := len(p) - 1
	for q := last; q > 0; q-- {
		stay := 1.0
		if q < last {
			stay -= joins(rate*willing[q], s.minutes)
		}
		from := joins(rate*willing[q-1], s.minutes) * s.like
		if q == 1 {
			from = joins(rate, s.minutes) * block * alone
		}
		p[q] = p[q]*stay*s.like + p[q-1]*from
	}
	p[0] *= (1 - joins(rate, s.minutes)*block) * alone
}

// blocked is the probability that someone who comes to an empty road has to
// wait: no bay is free, or the lanes are taken.
func (r *road) blocked(rate, full float64) float64 {
	lane := r.lanes * 60 / entrance
	return min(0.99, full+(1-full)*min(1, rate/lane)*0.3)
}

// joins is the probability that one more vehicle joins.
func joins(rate, minutes float64) float64 { return min(0.9, rate*minutes) }

// entry takes the head of the queue away, if there is one.
func (r *road) entry(at time.Time, full, exits float64, open bool) {
	if !open {
		return
	}
	queued := 1 - r.marg[0]
	r.entries += queued
	r.unmatched, r.undecided = 0, 0
	for i := range r.loops {
		r.loops[i].still++
	}
	if at.Sub(r.passed) >= night {
		r.gather(at)
	}
	r.passed = at
	step := queueStep{kind: admitted, open: true, slot: uint8(slotOf(at)), full: full, like: r.free.entry(min(1, full/plausible), exits, r.lanes)}
	r.each(func(p []float64, rate float64, stay []float64) { r.step(p, rate, stay, &step) })
	r.tape.add(at, step)
	r.settle()
}

// gather takes in that with the first entry after a night those may come in who came
// before the gates opened, which is no sign that as many go on coming.
func (r *road) gather(at time.Time) {
	step := queueStep{kind: gathered}
	r.each(func(p []float64, _ float64, stay []float64) { r.step(p, 0, stay, &step) })
	r.tape.add(at, step)
	r.settle()
}

// gatheredBefore lets that many more wait: nobody as likely as not, else a
// geometric number.
func gatheredBefore(p []float64) {
	const stay = gatherers / (1 + gatherers)
	carry := 0.0 // of the geometric part, from fewer
	for q, v := range p {
		carry = carry*stay + v*(1-stay)
		p[q] = (v + carry) / 2
	}
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
