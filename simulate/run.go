package simulate

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A visit is a vehicle in seconds after the start of the day.
type visit struct {
	arrived float64
	started float64 // began to be let in; NaN when never
	entered float64 // passed the entry sensor
	left    float64 // passed the exit, or gave up
	fate    Fate
	joined  bool // stood in the queue, if only for an instant
}

type stepKind uint8

const (
	closing stepKind = iota
	opening
	lanes // some close or open again
	leave
	served // through the entrance
	renege
	arrive
)

type step struct {
	at   float64
	kind stepKind
	id   int // vehicle or span; how many lanes more
}

type steps []step

func (s steps) Len() int { return len(s) }
func (s steps) Less(i, j int) bool {
	if s[i].at != s[j].at {
		return s[i].at < s[j].at
	}
	if s[i].kind != s[j].kind {
		return s[i].kind < s[j].kind
	}
	return s[i].id < s[j].id
}
func (s steps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *steps) Push(x any)   { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// A change is the state of the yard from an instant on.
type change struct {
	at            float64
	inside, queue int
	ready         bool // someone who comes now is let in at once
	moved         bool // the queue moved up one place
}

// A run is the simulation of one day.
type run struct {
	rand     *rand.Rand
	dwell    Dwell
	bays     int
	lanes    int
	room     int // vehicles that fit on the road
	balk     float64
	spans    []span
	loops    []int // distances
	arrivals []float64

	pending  steps
	vehicles []visit
	queue    []int
	inside   int
	atGate   int // being let in
	open     bool
	closes   float64 // of the current span
	changes  []change
	// passing are the instants at which a vehicle drove over a queue loop that
	// the queue did not reach, by loop.
	passing [][]float64
}

func newRun(y *Yard, r *rand.Rand, spans []span) *run {
	s := &run{
		rand: r, dwell: y.dwell(), bays: max(1, y.Site.Bays), lanes: max(1, y.Site.Lanes),
		room: y.Site.RoadSpace, spans: spans, balk: y.Balk,
	}
	if s.room <= 0 {
		s.room = 40
	}
	for _, l := range y.Site.QueueLoops {
		s.loops = append(s.loops, l.Distance)
	}
	s.passing = make([][]float64, len(s.loops))
	return s
}

// closeLanes plans what staff do with the lanes on a day.
func (s *run) closeLanes(closings []LaneClosing, d perron.Date) {
	start := d.Start()
	all := s.lanes
	for _, c := range closings {
		n := min(max(0, c.Lanes), all)
		s.pending = append(s.pending,
			step{d.At(c.From).Sub(start).Seconds(), lanes, -n}, step{d.At(c.Until).Sub(start).Seconds(), lanes, n})
	}
}

// entranceTime is the median number of seconds that it takes one vehicle to
// be let in.
const entranceTime = 11

func (s *run) all() {
	for i, p := range s.spans {
		s.pending = append(s.pending, step{p.open, opening, i}, step{p.close, closing, i})
	}
	for i, t := range s.arrivals {
		s.vehicles = append(s.vehicles, visit{arrived: t, started: math.NaN()})
		s.pending = append(s.pending, step{t, arrive, i})
	}
	heap.Init(&s.pending)
	for len(s.pending) > 0 {
		e := heap.Pop(&s.pending).(step)
		s.advance(e)
		moved := s.admit(e.at)
		s.changes = append(s.changes, change{
			at: e.at, inside: s.inside, queue: len(s.queue), moved: moved,
			ready: s.open && s.atGate < s.lanes && s.inside+s.atGate < s.bays,
		})
	}
}

func (s *run) advance(e step) {
	switch e.kind {
	case opening:
		s.open, s.closes = true, s.spans[e.id].close
	case closing:
		s.open = false
		for _, id := range s.queue {
			s.vehicles[id].fate, s.vehicles[id].left = TurnedAway, e.at
		}
		s.queue = s.queue[:0]
	case arrive:
		s.arrive(e)
	case renege:
		if i := slices.Index(s.queue, e.id); i >= 0 {
			s.queue = slices.Delete(s.queue, i, i+1)
			s.vehicles[e.id].fate, s.vehicles[e.id].left = Reneged, e.at
		}
	case served:
		v := &s.vehicles[e.id]
		s.atGate--
		s.inside++
		v.fate, v.entered = Served, e.at
		full := float64(s.inside) / float64(s.bays)
		stay := logNormal(s.rand, s.dwell.Median*60, s.dwell.Sigma) * (1 + s.dwell.Crowding*full*full)
		// After closing time staff see everyone out within a quarter of an hour.
		v.left = math.Max(e.at+30, math.Min(e.at+math.Max(stay, 60), s.closes+60+840*s.rand.Float64()))
		heap.Push(&s.pending, step{v.left, leave, e.id})
	case lanes:
		s.lanes += e.id
	case leave:
		s.inside--
	}
}

// arrive lets a vehicle join the queue, unless the road is full or the queue
// looks too long.
func (s *run) arrive(e step) {
	v := &s.vehicles[e.id]
	patience := logNormal(s.rand, 75*60, 0.6)
	luck := s.rand.Float64()
	ahead := len(s.queue)
	// A guess by eye, in minutes: one bay comes free every dwell over bays.
	guess := float64(ahead) * s.dwell.Median * 1.25 / float64(s.bays)
	away := 0.7 * (1 - math.Exp(-math.Pow(guess/45, 2)))
	if s.balk > 0 {
		away = 1 - math.Exp(-math.Max(0, float64(ahead-8))/s.balk)
	}
	if ahead >= s.room || luck < away {
		v.fate, v.left = Balked, e.at
		return
	}
	v.joined = true
	for k, distance := range s.loops {
		if ahead < distance {
			// It drives from the far end of the queue's road to its place.
			s.passing[k] = append(s.passing[k], e.at)
		}
	}
	s.queue = append(s.queue, e.id)
	heap.Push(&s.pending, step{e.at + patience, renege, e.id})
}

// admit sends the head of the queue to a free lane while there is room inside.
func (s *run) admit(now float64) (moved bool) {
	for s.open && len(s.queue) > 0 && s.atGate < s.lanes && s.inside+s.atGate < s.bays {
		id := s.queue[0]
		s.queue = s.queue[1:]
		s.atGate++
		s.vehicles[id].started = now
		heap.Push(&s.pending, step{now + logNormal(s.rand, entranceTime, 0.35), served, id})
		moved = true
	}
	return moved
}

func (s *run) report(start time.Time) []Vehicle {
	at := func(sec float64) time.Time { return start.Add(time.Duration(sec * float64(time.Second))) }
	out := make([]Vehicle, len(s.vehicles))
	for i, v := range s.vehicles {
		out[i] = Vehicle{Arrived: at(v.arrived), Left: at(v.left), Fate: v.fate}
		if v.fate == Served {
			out[i].Let, out[i].Entered = at(v.started), at(v.entered)
		}
	}
	return out
}

// truth samples the run every minute.
func (s *run) truth(start, end time.Time) []Truth {
	n := int(end.Sub(start).Minutes())
	out := make([]Truth, n)
	next := 0 // change after t
	w := waits{run: s}
	for m := range out {
		t := float64(m) * 60
		for next < len(s.changes) && s.changes[next].at <= t {
			next++
		}
		tr := Truth{At: start.Add(time.Duration(m) * time.Minute), Wait: w.at(t)}
		if next > 0 {
			tr.OnSite, tr.Queue = s.changes[next-1].inside, s.changes[next-1].queue
		}
		out[m] = tr
	}
	return out
}

// waits answers, for rising instants, how long someone who joins would wait.
// They are let in at the first instant after all who stand before them have
// gone at which the entrance is ready, or at which it takes the one who in
// truth came next.
type waits struct {
	run    *run
	joined int     // vehicles up to here arrived by t
	ahead  float64 // when the last of them that queued has left the queue
	ready  int     // first change that is ready and not over by then
	after  int
}

func (w *waits) at(t float64) float64 {
	s := w.run
	for w.joined < len(s.vehicles) && s.vehicles[w.joined].arrived <= t {
		if v := s.vehicles[w.joined]; v.joined {
			gone := v.left // reneged or turned away
			if v.fate == Served {
				gone = v.started
			}
			w.ahead = math.Max(w.ahead, gone)
		}
		w.joined++
	}
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].close > t })
	if i == len(s.spans) || t < s.spans[i].open-early {
		return -1
	}
	from := math.Max(t, w.ahead)
	let := s.readyFrom(&w.ready, from)
	for w.after = max(w.after, w.joined); w.after < len(s.vehicles) && s.vehicles[w.after].fate != Served; {
		w.after++
	}
	if w.after < len(s.vehicles) {
		let = math.Min(let, math.Max(from, s.vehicles[w.after].started))
	}
	if let >= s.spans[i].close {
		return -1
	}
	return (let - t) / 60
}

// readyFrom is the first instant from t on at which the entrance is ready. The
// cursor makes rising questions cheap.
func (s *run) readyFrom(cursor *int, t float64) float64 {
	for ; *cursor < len(s.changes); *cursor++ {
		over := *cursor+1 < len(s.changes) && s.changes[*cursor+1].at <= t
		if c := s.changes[*cursor]; c.ready && !over {
			return math.Max(c.at, t)
		}
	}
	return math.Inf(1)
}

// presences are the stretches in which queue loop k is occupied: standing
// vehicles with a gap each time the queue moves up, and passing ones.
func (s *run) presences(k int) []span {
	const (
		passes = 1.3 // seconds over the loop
		gap    = 1.8 // between two vehicles that move up
		stride = 0.7 // seconds until the next vehicle in a queue starts to move
	)
	distance := s.loops[k]
	var out []span
	covered := math.NaN() // since
	for _, c := range s.changes {
		switch here := c.queue >= distance; {
		case here && math.IsNaN(covered):
			covered = c.at + 4
		case !here && !math.IsNaN(covered):
			out = append(out, span{covered, c.at + stride*float64(distance) + 1})
			covered = math.NaN()
		case here && c.moved:
			off := c.at + stride*float64(distance)
			if off > covered {
				out = append(out, span{covered, off})
				covered = off + gap
			}
		}
	}
	for _, t := range s.passing[k] {
		out = append(out, span{t, t + passes})
	}
	return joined(out)
}

// joined are spans by time, those that touch made one.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.open, b.open) })
	merged := spans[:0]
	for _, p := range spans {
		if p.close <= p.open {
			continue
		}
		if n := len(merged); n > 0 && p.open <= merged[n-1].close+0.05 {
			merged[n-1].close = math.Max(merged[n-1].close, p.close)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}
