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
	ahead      state
	aheadValid bool

	// recent passages, for a recount that arrives late.
	recent []passage
	today  lesson
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
	at      time.Time // zero before the first event
	heard   time.Time // of the newest event
	rest    time.Time // next instant at which the yard is known to be empty
	resting bool      // rest is such an instant, not just when to look again
	open    bool
	openTil time.Time // when open must be looked up again
	closed  time.Time // since when the site is closed; zero while open
	// recounted is the last recount since the yard was last empty.
	recounted time.Time
	yard      yard
	road      road
	balance   balance
}

// New returns an estimator with an empty yard that has learned nothing yet.
func New(site *perron.Site) *Estimator { return Experience{}.New(site) }

// New returns an estimator with an empty yard that starts from what was
// learned.
func (x Experience) New(site *perron.Site) *Estimator {
	e := &Estimator{site: site, experience: x}
	e.live.yard.init(site, x.prior())
	e.live.road.init(site, e.live.yard.servicePrior(), x.demand, x.patience())
	e.live.road.tape = &queueTape{}
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
	} else if loop = e.live.road.loop(ev.Sensor); loop < 0 {
		return
	}
	e.aheadValid = false
	e.advance(&e.live, ev.Time)
	e.live.heard = e.live.at
	switch at := e.live.at; ev.Kind {
	case perron.In:
		full := e.live.yard.fullness()
		e.live.road.entry(at, full, e.live.yard.exitRate(), e.live.open)
		e.live.balance.passage(e.live.yard.entry(at), true)
		e.remember(at, +1)
		e.study(at)
	case perron.Out:
		e.live.balance.passage(e.live.yard.exit(at), false)
		e.live.road.exit(at, e.live.yard.fullness(), e.live.open)
		e.remember(at, -1)
		e.study(at)
	case perron.On, perron.Off:
		// Presences keep their own time, even a late one: it may only matter
		// for how long a loop has been occupied.
		e.live.road.presence(loop, ev.Time, ev.Kind == perron.On)
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
	e.aheadValid = false
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
		e.live.yard.holds = max(0, vehicles)
	}
	e.live.yard.recount(max(0, vehicles))
	e.live.recounted = at
}

// Estimate is the state at now, from the events so far. It changes nothing
// that a later event depends on. A now before the newest event is answered as
// of that event.
func (e *Estimator) Estimate(now time.Time) perron.Estimate {
	if !e.aheadValid || now.Before(e.ahead.at) {
		e.ahead.copy(&e.live)
		e.aheadValid = true
	}
	e.advance(&e.ahead, now)
	s := &e.ahead
	out := perron.Estimate{At: now, Recounted: s.recounted}
	out.OnSite = s.yard.interval()
	q := s.road.question(s.at, s.yard.fullness(), s.yard.servicePrior())
	out.Queue, out.Wait, out.AtLeast, out.EntryRate = q.queue, q.wait, q.atLeast, q.rate
	return out
}

func (s *state) copy(from *state) {
	yard, road := s.yard, s.road
	*s = *from
	s.yard, s.road = yard, road
	s.yard.copy(&from.yard)
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
	silence = 40 * time.Hour
	// early is how long before opening time the first may queue.
	early = 30 * time.Minute
)

// advance lets time pass without events.
func (e *Estimator) advance(s *state, to time.Time) {
	if s.at.IsZero() {
		s.at = to
		s.rest, s.resting = e.nextRest(to)
		return
	}
	if to.Sub(s.at) > silence {
		s.yard.empty()
		s.road.empty()
		s.balance.forget()
		s.recounted = time.Time{}
		s.at = to.Add(-time.Hour)
		s.openTil = s.at
		s.rest, s.resting = e.nextRest(s.at)
	}
	for s.at.Before(to) {
		if !s.at.Before(s.openTil) {
			e.look(s)
		}
		if !s.at.Before(s.rest) {
			if s.resting {
				s.yard.empty()
				s.road.empty()
				s.balance.forget()
				if s.recounted.Before(s.rest) {
					s.recounted = time.Time{}
				}
			}
			s.rest, s.resting = e.nextRest(s.at)
		}
		left := to.Sub(s.at)
		if s.yard.idle() && s.road.silent() {
			// Nothing happens in an empty yard, and nobody queues before one.
			if skip := min(left, s.rest.Sub(s.at), s.openTil.Sub(s.at)); skip > slowTick {
				if s.open {
					s.road.empty()
				}
				s.balance.forget()
				s.at = s.at.Add(skip)
				continue
			}
		}
		tick := tick
		if s.at.Sub(s.heard) > 10*time.Minute {
			tick = slowTick
		}
		dt := min(left, tick)
		s.at = s.at.Add(dt)
		s.yard.pass(s.at, dt.Seconds(), !s.closed.IsZero())
		s.road.pass(s.at, dt.Seconds(), roadView{
			full: s.yard.fullness(), exits: s.yard.exitRate(),
			open: s.open, gone: !s.closed.IsZero() && s.at.Sub(s.closed) > turnedAwayAfter && s.openTil.Sub(s.at) > early,
			prior: s.yard.servicePrior(),
		})
		s.weigh(dt.Minutes())
	}
}

// weigh judges the counters by the queue.
func (s *state) weigh(minutes float64) {
	y := &s.yard
	s.balance.mix(1-math.Exp(-switchErrors*minutes), &y.errs, &y.prior.errors)
	if evidence, ok := s.balance.pass(minutes, y.exitRate(), s.open && s.road.backedUp(s.at), y.bays); ok {
		y.judge(&evidence)
	}
}

// look finds out whether the site is open at s.at, and until when that holds.
func (e *Estimator) look(s *state) {
	s.closed = time.Time{}
	if !e.hasHours() {
		s.open, s.openTil = true, s.at.Add(24*time.Hour)
		return
	}
	s.open, s.openTil = false, s.at.Add(24*time.Hour)
	for _, p := range e.site.Hours.Periods(perron.DateOf(s.at)) {
		switch {
		case p.Contains(s.at):
			s.open, s.openTil, s.closed = true, p.End, time.Time{}
			return
		case !p.End.After(s.at):
			s.closed = p.End
		}
	}
	if p, ok := e.site.Hours.Next(s.at); ok {
		s.openTil = p.Start
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

// quantiles of a distribution over 0, 1, 2, …: the median and a range around it
// that leaves out tail on either side. Each number stands for the stretch half
// way to its neighbours and belongs to the range when its middle does: to count
// every number that the range touches would make it too wide by one.
func quantiles(p []float64, tail float64) perron.Interval {
	var total float64
	for _, v := range p {
		total += v
	}
	last := float64(len(p) - 1)
	low, mid, high := last, last, last
	var sum float64
	wants := [3]float64{tail * total, 0.5 * total, (1 - tail) * total}
	i := 0
	for n, v := range p {
		for i < 3 && v > 0 && sum+v >= wants[i] {
			x := float64(n) - 0.5 + (wants[i]-sum)/v
			switch i {
			case 0:
				low = math.Ceil(x)
			case 1:
				mid = float64(n)
			case 2:
				high = math.Floor(x)
			}
			i++
		}
		sum += v
	}
	return perron.Interval{Low: math.Max(0, math.Min(low, mid)), Mid: mid, High: math.Max(high, mid)}
}

// normalise scales p to a sum of 1 and says whether that was possible.
func normalise(p []float64) bool {
	var sum float64
	for _, v := range p {
		sum += v
	}
	if !(sum > 1e-280) || math.IsInf(sum, 0) {
		return false
	}
	f := 1 / sum
	for i := range p {
		p[i] *= f
	}
	return true
}
