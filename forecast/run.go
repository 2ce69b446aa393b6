package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	paths  = 48
	inStep = 3 // steps in a slot
)

// draws are the fixed standard normal numbers of every path: one for each slot
// of a day, a third of whose variance is a level that wanders slowly (a busy
// hour is followed by a busy hour) and the rest the luck of the slot; behind
// them four for the start, the scatter of the wait and the rate of the entrance.
func draws() [][]float64 {
	const keep, level = 0.87, 0.58
	r := rand.New(rand.NewPCG(2026, 1))
	out := make([][]float64, paths)
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

// q90 is the 90 % point of the standard normal distribution.
const q90 = 1.2816

// at is the value of an interval at a standard normal z: a two-piece normal
// through the three quantiles, never below 0.
func at(v perron.Interval, z float64) float64 {
	if z < 0 {
		return math.Max(0, v.Mid+z/q90*(v.Mid-v.Low))
	}
	return math.Max(0, v.Mid+z/q90*(v.High-v.Mid))
}

// slotRun is a slot with its paths, so that hours can be summed of quarters.
type slotRun struct {
	perron.Slot
	arrivals *[paths]float64 // nil when closed or unknown
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

// giveUp is the part of those who wait that leaves the queue for each minute
// that the whole wait takes.
const giveUp = 0.0035

// wait is the minutes until it is the turn of someone who joins: the time in which
// the queue before them empties, since rate of them a minute are let in and some
// give up.
func (f *flow) wait(bays, rate, z float64) float64 {
	if f.queue < 0.5 {
		// A nearly full yard makes one wait for a bay now and then.
		full := math.Max(0, math.Min(1, (f.inside/bays-0.8)/0.2))
		return full / rate
	}
	steps := f.queue + 1
	minutes := math.Max(0, steps+0.5*z*math.Sqrt(steps)) / rate
	return math.Log1p(giveUp*minutes) / giveUp
}

// run sends the arrivals that are expected through the queue, from the present
// state on, or from this morning's opening without one.
func (m *Model) run(origin time.Time, now perron.Estimate, live bool) []slotRun {
	today := perron.DateOf(origin)
	begin := perron.Quarter.Start(origin)
	var out []slotRun
	for k := range ahead - 1 {
		d := today.AddDays(k)
		from := d.Start()
		var state *[paths]flow
		if k == 0 && live {
			from, state = begin, m.present(now)
		}
		basis := perron.Typical
		if live && m.asked >= 7 {
			basis = perron.Expected
		}
		day := m.runDay(d, from, origin, state, basis)
		for _, s := range day {
			if !s.Start.Before(begin) {
				if s.Start.Equal(begin) && live && s.Open {
					m.measured(&s.Slot, origin, now)
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// present draws the state of each path from the estimate.
func (m *Model) present(now perron.Estimate) *[paths]flow {
	var out [paths]flow
	for p := range out {
		z := m.luck[p][perDay:]
		out[p] = flow{
			inside: math.Min(at(now.OnSite, z[0]), float64(max(1, m.site.Bays))),
			queue:  at(now.Queue, z[1]),
		}
	}
	return &out
}

// runDay makes the slots of one civil day from an instant on. Its first step
// begins at begun when that lies within the first slot.
func (m *Model) runDay(d perron.Date, from, begun time.Time, state *[paths]flow, basis perron.Quality) []slotRun {
	origin := m.lastKnown()
	day := m.dayOf(d)
	part := m.open(d)
	expected := make([]perron.Interval, perDay)
	known := [perDay]bool{}
	if m.s != nil && day >= 0 && day < m.s.days && (origin >= 0 || m.s.prior != nil) {
		for i := m.s.first[day]; i < m.s.first[day+1]; i++ {
			r := m.s.rows[i]
			if i > origin || basis == perron.Typical {
				expected[r.slot], known[r.slot] = m.look(origin, i, basis)
				known[r.slot] = known[r.slot] && (m.seen[r.slot] || m.s.prior != nil)
			} else if !math.IsNaN(r.y) {
				expected[r.slot], known[r.slot] = perron.Exactly(r.y), true
			}
		}
	}
	capacity := m.capacity()
	if state == nil {
		state, capacity = &[paths]flow{}, m.capacityLater()
	}
	bays, lanes := float64(max(1, m.site.Bays)), float64(max(1, m.site.Lanes))
	rate := math.Min(capacity, lanes*4)
	room := m.room()
	// The part of those inside that leaves in a step, so that a full yard lets
	// through what it does in truth; the rate of a path is a little off from the
	// one that is known.
	const stepMinutes = float64(slotMinutes) / inStep
	var leave [paths]float64
	for p := range leave {
		leave[p] = math.Min(1, stepMinutes*rate*math.Exp(0.06*m.luck[p][perDay+3])/bays)
	}
	periods := m.site.Hours.Periods(d)
	openAt := func(t time.Time) (perron.Period, bool) {
		for _, p := range periods {
			if p.Contains(t) {
				return p, true
			}
		}
		return perron.Period{}, false
	}
	end := d.End()
	var out []slotRun
	var waits, inside [paths]float64
	for t, k := from, 0; t.Before(end); t, k = t.Add(slotMinutes*time.Minute), k+1 {
		slot := int(perron.TimeOfDayOf(t)) / slotMinutes
		s := slotRun{Slot: perron.Slot{Start: t, Minutes: slotMinutes, Basis: basis}}
		period, open := openAt(t)
		s.Open = open
		for p := range state {
			z := m.luck[p]
			waits[p] = state[p].wait(bays, rate, z[perDay+2])
			inside[p] = state[p].inside
		}
		if part[slot] > 0 && known[slot] {
			s.arrivals = new([paths]float64)
			for p := range state {
				s.arrivals[p] = at(expected[slot], m.luck[p][slot]) * stay(waits[p])
			}
			s.Arrivals = scaled(expected[slot], stay(median(waits[:])))
		}
		switch {
		case !open:
			s.OnSite, s.Level = spread(inside[:]), perron.Closed
			if part[slot] == 0 {
				s.OnSite = perron.Interval{}
			}
		case !known[slot]:
			s.Level, s.Basis = perron.Unknown, perron.QualityUnknown
		default:
			s.Late = tooLate(waits[:], period.End.Sub(t).Minutes())
			s.OnSite, s.Wait = spread(inside[:]), spread(waits[:])
			s.Level = m.site.GradeSlot(&s.Slot)
		}
		out = append(out, s)
		// On to the next slot.
		if s.arrivals == nil && empty(state) {
			continue
		}
		for i := range inStep {
			mid := t.Add(time.Duration((float64(i) + 0.5) * stepMinutes * float64(time.Minute)))
			if mid.Before(begun) && k == 0 {
				continue // before the present state
			}
			_, open := openAt(mid)
			for p := range state {
				switch {
				case !open:
					state[p].queue = 0
					state[p].inside -= state[p].inside * leave[p]
				case s.arrivals == nil:
					state[p].step(leave[p], 0, bays, lanes*4*stepMinutes, room)
				default:
					state[p].step(leave[p], s.arrivals[p]*stepMinutes/(slotMinutes*part[slot]), bays, lanes*4*stepMinutes, room)
				}
			}
		}
	}
	return out
}

// empty says that nobody is there in any path.
func empty(state *[paths]flow) bool {
	for _, f := range state {
		if f.inside > 0.01 || f.queue > 0 {
			return false
		}
	}
	return true
}

// look is what is expected of a row: with the level of today, or typically.
func (m *Model) look(origin, target int, basis perron.Quality) (perron.Interval, bool) {
	if basis == perron.Expected {
		return m.arrivals(origin, target)
	}
	r := m.s.rows[target]
	base := m.counter.before(r.day, max(0, r.day-m.asked)).long[r.slot]
	if math.IsNaN(base) {
		var ok bool
		if base, ok = m.borrow(target, target); !ok {
			return perron.Interval{}, false
		}
	}
	fit := &m.far[len(m.far)-1]
	var v perron.Interval
	v.Low, v.Mid, v.High = fit.quantiles(base+0.02, r.slot)
	return v, true
}

func (m *Model) typicalDay(day int) []perron.Slot {
	d := m.base.AddDays(day)
	var out []perron.Slot
	for _, s := range m.runDay(d, d.Start(), d.Start(), nil, perron.Typical) {
		out = append(out, s.Slot)
	}
	return out
}

// lastKnown is the newest row that is known, or -1.
func (m *Model) lastKnown() int {
	if m.counter == nil {
		return -1
	}
	return m.counter.known - 1
}

// measured puts the present into the slot of now.
func (m *Model) measured(s *perron.Slot, origin time.Time, now perron.Estimate) {
	s.OnSite, s.Wait, s.Late = now.OnSite, now.Wait, 0
	p, ok := m.site.Hours.At(s.Start)
	if !ok {
		s.Level = perron.Closed
		return
	}
	s.Late = 1 - below(now.Wait, p.End.Sub(origin).Minutes())
	s.Level = m.site.GradeSlot(s)
}

// below is the probability that a value of an interval, taken as in [at], is
// less than x.
func below(v perron.Interval, x float64) float64 {
	side := v.High - v.Mid
	if x < v.Mid {
		side = v.Mid - v.Low
	}
	if side <= 0 {
		if x > v.Mid {
			return 1
		}
		return 0
	}
	return 0.5 * math.Erfc(-(x-v.Mid)/side*q90/math.Sqrt2)
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

// scaled is an interval times a factor.
func scaled(v perron.Interval, by float64) perron.Interval {
	return perron.Interval{Low: v.Low * by, Mid: v.Mid * by, High: v.High * by}
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// spread is the interval of the paths' values; it sorts them.
func spread(v []float64) perron.Interval {
	slices.Sort(v)
	pick := func(q float64) float64 {
		x := q*float64(len(v)) - 0.5
		i := int(x)
		if i+1 >= len(v) {
			return v[len(v)-1]
		}
		return v[i] + (x-float64(i))*(v[i+1]-v[i])
	}
	return perron.Interval{Low: pick(0.1), Mid: pick(0.5), High: pick(0.9)}
}

// past are today's slots before the origin: arrivals as counted, and the rest
// as typical.
func (m *Model) past(today perron.Date, begin time.Time) []slotRun {
	if !today.Start().Before(begin) || m.s == nil {
		return nil
	}
	origin := m.lastKnown()
	var out []slotRun
	for _, s := range m.runDay(today, today.Start(), today.Start(), nil, perron.Typical) {
		if !s.Start.Before(begin) {
			break
		}
		i := m.s.at(m.dayOf(today), int(perron.TimeOfDayOf(s.Start))/slotMinutes)
		if i >= 0 && i <= origin && !math.IsNaN(m.s.rows[i].y) {
			joined := m.s.rows[i].y * m.stayedAt(s.Start)
			s.Arrivals = perron.Exactly(joined)
			s.arrivals = new([paths]float64)
			for p := range s.arrivals {
				s.arrivals[p] = joined
			}
		}
		out = append(out, s)
	}
	return out
}

// hours sums quarters to the hours of seven days.
func hours(quarters []slotRun, today perron.Date) []perron.Slot {
	out := []perron.Slot{}
	end := today.AddDays(7).Start()
	for i := 0; i < len(quarters); {
		start := perron.Hour.Start(quarters[i].Start)
		if !start.Before(end) {
			break
		}
		h := quarters[i].Slot
		h.Start, h.Minutes = start, 60
		var sum [paths]float64
		some := false
		for ; i < len(quarters) && perron.Hour.Start(quarters[i].Start).Equal(start); i++ {
			if h.Level == perron.Closed && quarters[i].Level != perron.Closed {
				// An hour in the middle of which the gates open is not closed.
				h = quarters[i].Slot
				h.Start, h.Minutes = start, 60
			}
			if a := quarters[i].arrivals; a != nil {
				some = true
				for p, v := range a {
					sum[p] += v
				}
			}
		}
		h.Arrivals = perron.Interval{}
		if some {
			h.Arrivals = spread(sum[:])
		}
		out = append(out, h)
	}
	return out
}
