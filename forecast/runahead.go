package forecast

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	pathCount = 48
	inStep    = 3 // steps in a slot
)

// drawPaths are the fixed standard normal numbers of every path: one for each slot
// of a day, a third of whose variance is a level that wanders slowly (a busy
// hour is followed by a busy hour) and the rest the luck of the slot; behind
// them four for the start, the scatter of the wait and the rate of the entrance.
func drawPaths() [][]float64 {
	const keep, level = 0.87, 0.58
	r := rand.New(rand.NewPCG(2026, 1))
	out := make([][]float64, pathCount)
	for p := range out {
		out[p] = make([]float64, perDay+4)
		if p%2 == 1 { // antithetic: the mean stays in the middle
			for i, v := range out[p-1] {
				out[p][i] = -v
			}
			continue
		}
		slow := r.NormFloat64()
		for i := range out[p] {
			fast := r.NormFloat64()
			out[p][i] = fast
			if i < perDay {
				out[p][i] = level*slow + math.Sqrt(1-level*level)*fast
			}
			slow = keep*slow + math.Sqrt(1-keep*keep)*r.NormFloat64()
		}
	}
	return out
}

// runSlot is a slot with its paths, so that hours can be summed of quarters.
type runSlot struct {
	perron.Slot
	arrivals *[pathCount]float64 // nil when closed or unknown
}

// A flow is the yard in one path: a fluid of vehicles through a queue and bays.
type flow struct{ inside, queue float64 }

// step lets a part of those inside leave, and then as many in as have come
// and fit, by bays and by what the lanes can do. A queue does not grow beyond
// its room.
func (f *flow) step(leave, arrivals, bays, lanes, room float64) {
	f.inside -= f.inside * leave
	room = math.Max(room, f.queue)
	f.queue += arrivals
	let := min(f.queue, max(0, bays-f.inside), lanes)
	f.queue = min(f.queue-let, room)
	f.inside += let
}

// admissionScatter is the standard deviation of the time that s admissions take,
// in units of the mean time of one and of √s. It is that of the service alone:
// each path has arrivals, a present state and a rate of its own beside it. What
// the estimator's range allows for, waitVariance in package occupancy, is more,
// since it has to cover what that belief does not hold.
const admissionScatter = 0.5

// wait is the minutes until it is the turn of someone who joins: the time in which
// the queue before them empties, since rate of them per minute are let in and some
// give up.
func (f *flow) wait(y *yard.Yard, rate, z float64) float64 {
	if f.queue < 0.5 {
		// A nearly full yard makes one wait for a bay now and then.
		full := math.Max(0, math.Min(1, (f.inside/y.Bays-0.8)/0.2))
		return full * y.OwnTurn / rate
	}
	steps := f.queue + y.OwnTurn
	minutes := math.Max(0, steps+admissionScatter*z*math.Sqrt(steps)) / rate
	return y.Reneged(minutes)
}

// rateScatter is by how much the rate of a full yard differs from the one that is
// known: the standard deviation of its logarithm. It was chosen with seven simulated
// yards, whose ranges hold 79 to 83 % of the waits with it.
const rateScatter = 0.1

// runAhead sends expected arrivals through the queue and the bays, on many paths
// with other luck.
type runAhead struct {
	site  *perron.Site // grades the slots
	yard  yard.Yard
	draws [][]float64 // by path; see drawPaths
}

// A dayAhead is what the run of one civil day is made of.
type dayAhead struct {
	date        perron.Date
	from        time.Time        // the first slot
	begun       time.Time        // of the state, within the first slot
	state       *[pathCount]flow // nil for an empty yard
	basis       perron.Quality   // of the slots
	periods     []perron.Period
	open        [perDay]float64 // part of each slot
	expected    [perDay]perron.Interval
	known       [perDay]bool // what is expected
	serviceRate float64      // vehicles per minute that a full yard lets through
	room        float64      // vehicles that a queue can have
}

// present draws the state of each path from the estimate.
func (r *runAhead) present(now perron.Estimate) *[pathCount]flow {
	var out [pathCount]flow
	for p := range out {
		z := r.draws[p][perDay:]
		out[p] = flow{
			inside: math.Min(quantileAt(now.OnSite, z[0]), r.yard.Bays),
			queue:  quantileAt(now.Queue, z[1]),
		}
	}
	return &out
}

// day makes the slots of one civil day.
func (r *runAhead) day(d *dayAhead) []runSlot {
	state := d.state
	if state == nil {
		state = &[pathCount]flow{}
	}
	bays, gate := r.yard.Bays, r.yard.GateRate()
	rate, room := math.Min(d.serviceRate, gate), d.room
	// The part of those inside that leaves in a step, so that a full yard lets
	// through what it does in truth; the rate of a path is a little off from the
	// one that is known.
	const stepMinutes = float64(slotMinutes) / inStep
	var leave [pathCount]float64
	for p := range leave {
		leave[p] = math.Min(1, stepMinutes*rate*math.Exp(rateScatter*r.draws[p][perDay+3])/bays)
	}
	openAt := func(t time.Time) (perron.Period, bool) {
		for _, p := range d.periods {
			if p.Contains(t) {
				return p, true
			}
		}
		return perron.Period{}, false
	}
	end := d.date.End()
	var out []runSlot
	var waits, inside [pathCount]float64
	for t, k := d.from, 0; t.Before(end); t, k = t.Add(slotMinutes*time.Minute), k+1 {
		slot := int(perron.TimeOfDayOf(t)) / slotMinutes
		s := runSlot{Slot: perron.Slot{Start: t, Minutes: slotMinutes, Basis: d.basis}}
		period, open := openAt(t)
		s.Open = open
		for p := range state {
			z := r.draws[p]
			waits[p] = state[p].wait(&r.yard, rate, z[perDay+2])
			inside[p] = state[p].inside
		}
		if d.open[slot] > 0 && d.known[slot] {
			s.arrivals = new([pathCount]float64)
			for p := range state {
				s.arrivals[p] = quantileAt(d.expected[slot], r.draws[p][slot]) * r.yard.JoinsUsually(waits[p])
			}
			s.Arrivals = scaled(d.expected[slot], r.yard.JoinsUsually(median(waits[:])))
		}
		switch {
		case !open:
			s.OnSite, s.Level = intervalOf(inside[:]), perron.Closed
			if d.open[slot] == 0 {
				s.OnSite = perron.Interval{}
			}
		case !d.known[slot]:
			s.Level, s.Basis = perron.Unknown, perron.QualityUnknown
		default:
			s.Late = tooLate(waits[:], period.End.Sub(t).Minutes())
			s.OnSite, s.Wait = intervalOf(inside[:]), intervalOf(waits[:])
			s.Level = r.site.GradeSlot(&s.Slot)
		}
		out = append(out, s)
		// On to the next slot.
		if s.arrivals == nil && allEmpty(state) {
			continue
		}
		for i := range inStep {
			mid := t.Add(time.Duration((float64(i) + 0.5) * stepMinutes * float64(time.Minute)))
			if mid.Before(d.begun) && k == 0 {
				continue // before the present state
			}
			_, open := openAt(mid)
			for p := range state {
				switch {
				case !open:
					state[p].queue = 0
					state[p].inside -= state[p].inside * leave[p]
				case s.arrivals == nil:
					state[p].step(leave[p], 0, bays, gate*stepMinutes, room)
				default:
					state[p].step(leave[p], s.arrivals[p]*stepMinutes/(slotMinutes*d.open[slot]), bays, gate*stepMinutes, room)
				}
			}
		}
	}
	return out
}

// allEmpty says that nobody is there in any path.
func allEmpty(state *[pathCount]flow) bool {
	for _, f := range state {
		if f.inside > 0.01 || f.queue > 0 {
			return false
		}
	}
	return true
}

// tooLate is the part of the paths in which the wait takes longer than until
// closing time, in minutes.
func tooLate(waits []float64, closes float64) float64 {
	n := 0
	for _, w := range waits {
		if w >= closes {
			n++
		}
	}
	return float64(n) / float64(len(waits))
}
