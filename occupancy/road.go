package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	entryRateMinutes = 30.0  // minutes of queueing over which the entry rate is measured
	longestWait      = 300.0 // minutes; no answer is longer than that
	shortestRange    = 0.5   // minutes; a shorter wait is not promised
	priorEntries     = 4.0   // entries that the prior of the entry rate is worth
	fullBelief       = 0.6   // belief in a full yard from which on it is taken for full

	// What the 80 % ranges leave out on either side; see siteTail.
	queueTail = 0.13
	waitTail  = 0.12
)

// nightGap is for how long nothing passes between two days.
const nightGap = 3 * time.Hour

// road is what is known of the approach road: the belief about the queue, the
// loops, and what the passages tell of free bays and of the rate of entries.
type road struct {
	queueBelief
	loops loops

	// Entries and minutes with a queue, fading, measure the entry rate.
	queueEntries, queueMinutes float64
	vacancies                  vacancies
	exitsSinceEntry            int
	exitsUnexplained           int       // of those, in whose places someone may have entered unseen
	lastPassage                time.Time // of the latest entry or exit
	untilSwitch                float64   // seconds until the hypotheses switch again

	// trace, when there is one, keeps what changed the belief, for a look back.
	trace *queueTrace
}

// siteView is what the queue needs to know of the rest of the site.
type siteView struct {
	full       float64 // probability that no bay is free
	exits      float64 // vehicles per minute that leave the yard
	open       bool
	closedLong bool // closed for so long that nobody queues any more
}

func newRoad(site *perron.Site, y yard.Yard, serviceRate float64, d *demand, patience [patienceHypotheses]float64) road {
	r := road{loops: loopsOf(site), untilSwitch: switchSeconds}
	r.queueBelief = newQueueBelief(newQueueModel(y, r.loops, serviceRate), d, patience)
	r.vacancies.reset(0)
	return r
}

func (r *road) copy(from *road) {
	belief, loops := r.queueBelief, r.loops
	*r = *from
	r.trace = nil
	r.queueBelief = belief
	r.queueBelief.copy(&from.queueBelief)
	r.loops = append(loops[:0], from.loops...)
}

// empty puts all belief on nobody; the patience keeps its weights.
func (r *road) empty() {
	r.clear(r.patienceWeights())
	r.queueEntries, r.queueMinutes, r.exitsSinceEntry, r.exitsUnexplained = 0, 0, 0, 0
	for i := range r.loops {
		r.loops[i].gaps = 0
	}
	r.vacancies.reset(0)
	r.summarise()
}

// apply changes the belief by a step, and keeps it for a look back.
func (r *road) apply(at time.Time, s *queueStep) {
	r.advance(s)
	r.trace.add(at, *s)
	r.settle()
}

// settle sums up, and starts from nobody where nothing is believed any more.
func (r *road) settle() {
	if !r.summarise() {
		r.empty()
	}
}

// exit takes in that a vehicle left the yard. While the entries are not seen it
// stands for one: before a full yard as many enter as leave.
func (r *road) exit(at time.Time, full float64, open bool) {
	r.lastPassage = at
	r.exitsSinceEntry++
	r.exitsUnexplained++
	r.vacancies.exit()
	if r.loops.standstill(at, r.serviceRate) {
		r.exitsUnexplained = 0 // nobody took their places
	}
	if !open || !r.entriesUnseen(at) {
		return
	}
	unseen := r.exitsUnexplained // at first more than one, of which it is known only now
	r.exitsUnexplained = 0
	step := queueStep{kind: queueAssumedAdmission, open: true, slot: uint8(slotOf(at)), full: min(1, full/fullBelief)}
	for range unseen {
		r.advance(&step)
		r.trace.add(at, step)
		r.queueEntries += (1 - r.marginal[0]) * step.full
	}
	r.settle()
}

// entriesUnseen says that so many have left since the last entry that the entries are
// not seen rather than stopped.
func (r *road) entriesUnseen(at time.Time) bool {
	return r.exitsSinceEntry > 4+int(r.site.Bays)/3 && !r.loops.standstill(at, r.serviceRate)
}

// backedUp says that a loop sees people wait for bays, and not for the entrance:
// they enter as others leave, or nobody sees that they enter.
func (r *road) backedUp(at time.Time) bool {
	if r.vacancies[0]+r.vacancies[1] < 0.5 && !r.entriesUnseen(at) {
		return false
	}
	return r.loops.queueSeen(at)
}

// elapse lets dt seconds pass.
func (r *road) elapse(at time.Time, dt float64, v siteView) {
	if v.closedLong {
		if r.marginal[0] < 1 {
			r.empty()
			r.trace.add(at, queueStep{kind: queueCleared})
		}
		return
	}
	r.expectDemand(at)
	if v.full < fullBelief/2 {
		for i := range r.loops {
			r.loops[i].idle += time.Duration(dt * float64(time.Second))
		}
	}
	step := queueStep{kind: queueTime, open: v.open, entriesUnseen: r.entriesUnseen(at), slot: uint8(slotOf(at)), minutes: dt / 60, full: v.full, likelihood: 1}
	if v.open && !step.entriesUnseen {
		full := min(1, v.full/fullBelief)
		step.likelihood = r.vacancies.elapse(step.minutes, full, v.exits, &r.site)
		r.vacancies.pullTowards((1-math.Exp(-step.minutes))*r.marginal[0], full)
	}
	step.loops = r.loops.read(at)
	r.advance(&step)
	r.weighLoops(&step, math.Exp(-doubtRate*dt))
	r.trace.add(at, step)
	if r.untilSwitch -= dt; r.untilSwitch <= 0 {
		r.switchHypotheses(1-r.untilSwitch/60, v.full, r.loops.endUnseen(at))
		r.untilSwitch = switchSeconds
	}
	r.settle()
	if v.open && (step.entriesUnseen || at.Sub(r.lastPassage) < nightGap) {
		queued := 1 - r.marginal[0]
		if step.entriesUnseen {
			queued *= min(1, v.full/fullBelief) // as exits count for entries
		}
		fade := math.Exp(-queued * step.minutes / entryRateMinutes)
		r.queueEntries *= fade
		r.queueMinutes = r.queueMinutes*fade + queued*step.minutes
	}
}

// entry takes the head of the queue away, if there is one.
func (r *road) entry(at time.Time, full, exits float64, open bool) {
	if !open {
		return
	}
	queued := 1 - r.marginal[0]
	r.queueEntries += queued
	r.exitsSinceEntry, r.exitsUnexplained = 0, 0
	for i := range r.loops {
		r.loops[i].still++
	}
	if at.Sub(r.lastPassage) >= nightGap {
		r.earlyArrivals(at)
	}
	r.lastPassage = at
	step := queueStep{kind: queueAdmission, open: true, slot: uint8(slotOf(at)), full: full, likelihood: r.vacancies.entry(min(1, full/fullBelief), exits, &r.site)}
	r.apply(at, &step)
}

// earlyArrivals takes in that with the first entry after a night those may come in who came
// before the gates opened, which is no sign that as many go on coming.
func (r *road) earlyArrivals(at time.Time) {
	step := queueStep{kind: queueEarlyArrivals}
	r.apply(at, &step)
}
