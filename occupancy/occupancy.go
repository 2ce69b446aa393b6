// Package occupancy says how many vehicles are on a site, how many wait
// outside and how long a newcomer would wait, from passages and presences
// alone. It does no I/O, starts no goroutine and takes the time as an argument.
//
// The number on site is a hidden state. Entries minus exits drifts, because
// sensors miss vehicles and count some twice; so the belief is a distribution
// over 0, 1, 2, … that every event and every quiet minute changes by Bayes'
// rule (the forward algorithm of a hidden Markov model: Rabiner, Proceedings of
// the IEEE 77, 1989). Dwell time and error rates are part of the hidden state:
// a grid of hypotheses that the same events weigh against each other.
//
// The queue outside is a second, smaller belief: presence loops bound it,
// entries shorten it, a full yard lets it grow.
package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

// An Estimator follows one site. It starts with an empty yard and wants events
// in the order of their time; one that is a little late counts as of now. It
// is not safe for concurrent use.
type Estimator struct {
	site       *perron.Site
	experience Experience
	live       state // at the newest event
	// ahead is live carried forward without events to the latest question, so
	// that asking every few seconds stays cheap.
	projected      state
	projectedValid bool

	// recent passages, for a recount that arrives late.
	recent  []passage
	summary daySummary
}

type passage struct {
	at    time.Time
	delta int
}

// keepRecent is for how long a recount may be late and still be set against
// the passages since.
const keepRecent = 30 * time.Minute

// state is all that changes with time.
type state struct {
	at        time.Time // zero before the first event
	lastEvent time.Time // of the newest event
	restAt    time.Time // next instant at which the yard is known to be empty
	resting   bool      // rest is such an instant, not just when to ask again
	open      bool
	openUntil time.Time // when open must be looked up again
	closed    time.Time // since when the site is closed; zero while open
	// recounted is the last recount since the yard was last empty.
	recounted time.Time
	onSite    onSite
	road      road
	balance   counterBalance
}

// New returns an estimator with an empty yard that has learned nothing yet.
func New(site *perron.Site) *Estimator { return Experience{}.New(site) }

// New returns an estimator with an empty yard that starts from what was
// learned.
func (x Experience) New(site *perron.Site) *Estimator { return x.NewUnder(yard.Usual(), site) }

// NewUnder is New for a yard with other physics than the usual.
func (x Experience) NewUnder(p yard.Physics, site *perron.Site) *Estimator {
	e := &Estimator{site: site, experience: x}
	y := p.Of(site)
	e.live.onSite.init(y, x.prior())
	e.live.road = newRoad(site, y, e.live.onSite.servicePrior(), x.demand, x.patienceWeights())
	e.live.road.trace = &queueTrace{}
	return e
}

// Observe takes in one event. Events of sensors that the site does not have
// are ignored.
func (e *Estimator) Observe(ev perron.Event) {
	if ev.Time.IsZero() {
		return
	}
	loop := -1
	if ev.Kind.Passage() {
		if _, ok := e.site.GateOf(ev.Sensor); !ok && len(e.site.Gates) > 0 {
			return
		}
	} else if loop = e.live.road.loops.index(ev.Sensor); loop < 0 {
		return
	}
	e.projectedValid = false
	e.advance(&e.live, ev.Time)
	e.live.lastEvent = e.live.at
	switch at := e.live.at; ev.Kind {
	case perron.In:
		full := e.live.onSite.fullness()
		e.live.road.entry(at, full, e.live.onSite.exitRate(), e.live.open)
		e.live.balance.passage(e.live.onSite.entry(at), true)
		e.remember(at, +1)
		e.recordBelief(at)
	case perron.Out:
		e.live.balance.passage(e.live.onSite.exit(at), false)
		e.live.road.exit(at, e.live.onSite.fullness(), e.live.open)
		e.remember(at, -1)
		e.recordBelief(at)
	case perron.On, perron.Off:
		// Presences keep their own time, even a late one: it may only matter
		// for how long a loop has been occupied.
		e.live.road.loops.presence(loop, ev.Time, ev.Kind == perron.On)
	}
}

func (e *Estimator) remember(at time.Time, delta int) {
	drop := 0
	for drop < len(e.recent) && at.Sub(e.recent[drop].at) > keepRecent {
		drop++
	}
	e.recent = append(e.recent[:0], e.recent[drop:]...)
	e.recent = append(e.recent, passage{at, delta})
}

// Recount takes in that staff counted vehicles on site at that time. A recount
// that is older than the newest event is carried forward by the passages since.
func (e *Estimator) Recount(at time.Time, vehicles int) {
	e.projectedValid = false
	if e.live.at.Before(at) || e.live.at.IsZero() {
		e.advance(&e.live, at)
	}
	for _, p := range e.recent {
		if p.at.After(at) {
			vehicles += p.delta
		}
	}
	if e.live.road.backedUp(e.live.at) {
		// With people waiting outside, that is what it holds now.
		e.live.onSite.capacity = max(0, vehicles)
	}
	e.live.onSite.recount(max(0, vehicles))
	e.live.recounted = at
}

// Estimate is the state at now, from the events so far. It changes nothing
// that a later event depends on. A now before the newest event is answered as
// of that event.
func (e *Estimator) Estimate(now time.Time) perron.Estimate {
	if !e.projectedValid || now.Before(e.projected.at) {
		e.projected.copy(&e.live)
		e.projectedValid = true
	}
	e.advance(&e.projected, now)
	s := &e.projected
	out := perron.Estimate{At: now, Recounted: s.recounted}
	out.OnSite = s.onSite.interval()
	q := s.road.answer(s.at, s.onSite.fullness(), s.onSite.servicePrior())
	out.Queue, out.Wait, out.AtLeast, out.EntryRate = q.queue, q.wait, q.atLeast, q.rate
	return out
}

func (s *state) copy(from *state) {
	yard, road := s.onSite, s.road
	*s = *from
	s.onSite, s.road = yard, road
	s.onSite.copy(&from.onSite)
	s.road.copy(&from.road)
}

const (
	// Time passes in ticks, and in slow ones where little happens.
	tick     = 20 * time.Second
	slowTick = time.Minute
	// emptyAfter is how long after closing time everyone has left.
	emptyAfter = 75 * time.Minute
	// turnedAwayAfter is how long after closing time nobody queues any more.
	turnedAwayAfter = 10 * time.Minute
	// silence is for how long without any event time is followed step by step.
	longestSilence = 40 * time.Hour
	// early is how long before opening time the first may queue.
	earlyMinutes = 30 * time.Minute
)

// advance lets time pass without events.
func (e *Estimator) advance(s *state, to time.Time) {
	if s.at.IsZero() {
		s.at = to
		s.restAt, s.resting = e.nextRest(to)
		return
	}
	if to.Sub(s.at) > longestSilence {
		s.onSite.empty()
		s.road.empty()
		s.balance.reset()
		s.recounted = time.Time{}
		s.at = to.Add(-time.Hour)
		s.openUntil = s.at
		s.restAt, s.resting = e.nextRest(s.at)
	}
	for s.at.Before(to) {
		if !s.at.Before(s.openUntil) {
			e.lookUpHours(s)
		}
		if !s.at.Before(s.restAt) {
			if s.resting {
				s.onSite.empty()
				s.road.empty()
				s.balance.reset()
				if s.recounted.Before(s.restAt) {
					s.recounted = time.Time{}
				}
			}
			s.restAt, s.resting = e.nextRest(s.at)
		}
		left := to.Sub(s.at)
		if s.onSite.idle() && s.road.loops.free() {
			// Nothing happens in an empty yard, and nobody queues before one.
			if skip := min(left, s.restAt.Sub(s.at), s.openUntil.Sub(s.at)); skip > slowTick {
				if s.open {
					s.road.empty()
				}
				s.balance.reset()
				s.at = s.at.Add(skip)
				continue
			}
		}
		tick := tick
		if s.at.Sub(s.lastEvent) > 10*time.Minute {
			tick = slowTick
		}
		dt := min(left, tick)
		s.at = s.at.Add(dt)
		s.onSite.elapse(s.at, dt.Seconds(), !s.closed.IsZero())
		s.road.elapse(s.at, dt.Seconds(), siteView{
			full: s.onSite.fullness(), exits: s.onSite.exitRate(),
			open: s.open, closedLong: !s.closed.IsZero() && s.at.Sub(s.closed) > turnedAwayAfter && s.openUntil.Sub(s.at) > earlyMinutes,
		})
		s.compareCounters(dt.Minutes())
	}
}

// compareCounters weighs the hypotheses on the counters by the queue.
func (s *state) compareCounters(minutes float64) {
	y := &s.onSite
	s.balance.switchHypotheses(1-math.Exp(-errorSwitchRate*minutes), &y.errorWeights, &y.prior.errors)
	if evidence, ok := s.balance.elapse(minutes, y.exitRate(), s.open && s.road.backedUp(s.at), y.bays); ok {
		y.compare(&evidence)
	}
}

// lookUpHours finds out whether the site is open at s.at, and until when that holds.
func (e *Estimator) lookUpHours(s *state) {
	s.closed = time.Time{}
	if !e.hasHours() {
		s.open, s.openUntil = true, s.at.Add(24*time.Hour)
		return
	}
	s.open, s.openUntil = false, s.at.Add(24*time.Hour)
	for _, p := range e.site.Hours.Periods(perron.DateOf(s.at)) {
		switch {
		case p.Contains(s.at):
			s.open, s.openUntil, s.closed = true, p.End, time.Time{}
			return
		case !p.End.After(s.at):
			s.closed = p.End
		}
	}
	if p, ok := e.site.Hours.Next(s.at); ok {
		s.openUntil = p.Start
	}
}

func (e *Estimator) hasHours() bool {
	for _, spans := range e.site.Hours.Weekly {
		if len(spans) > 0 {
			return true
		}
	}
	return len(e.site.Hours.Exceptions) > 0
}

// nextRest is the next instant after t at which the yard is surely empty: a
// while after the last closing time of a day. Without opening hours there is
// none.
func (e *Estimator) nextRest(t time.Time) (at time.Time, empty bool) {
	if e.hasHours() {
		for d, i := perron.DateOf(t).AddDays(-1), 0; i < 8; d, i = d.AddDays(1), i+1 {
			periods := e.site.Hours.Periods(d)
			if len(periods) == 0 {
				continue
			}
			rest := periods[len(periods)-1].End.Add(emptyAfter)
			if rest.After(t) && !e.site.Hours.Open(rest) {
				return rest, true
			}
		}
	}
	return t.Add(7 * 24 * time.Hour), false
}
