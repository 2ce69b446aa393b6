package occupancy

import "time"

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
	stuckAfter = 3 * time.Hour
	// Some detectors hold through the gaps: before a full yard they are given longer.
	stuckWithoutGaps = 8 * time.Hour
	// A queue in which nothing moves for that long stands, or for as long as a full
	// yard takes to let so many in.
	standing     = 4 * time.Minute
	standEntries = 3
	stuckEntries = 10
	// A queue reaches its loops in their order, but for a gap that travels along
	// it. Loops that contradict that for longer are not both right.
	travelling = 40 * time.Second

	doubtRate = 1.0 / 8 // a second, at which a loop talks the belief over

	maxLoops = 32 // that are listened to
)

// loop is a presence loop of the approach road.
type loop struct {
	sensor   string
	distance int
	on       bool
	since    time.Time     // occupied since, gaps between moving vehicles left out
	off      time.Time     // free since
	edge     time.Time     // of the latest change
	still    int           // entries since then
	idle     time.Duration // since then, with a yard that was not full
	gaps     int           // while it was covered, which a queue that moves up leaves
	trusted  bool          // see trust
}

func (l *loop) covered(at time.Time) bool {
	if l.since.IsZero() {
		return false
	}
	if l.on {
		return at.Sub(l.since) >= passing
	}
	return l.off.Sub(l.since) >= passing && at.Sub(l.off) <= movingUp
}

func (l *loop) stuck(at time.Time) bool {
	if l.gaps == 0 {
		return l.on && (l.idle >= stuckAfter || at.Sub(l.edge) >= stuckWithoutGaps)
	}
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

// presence takes in that a loop became occupied or free.
func (r *road) presence(i int, at time.Time, on bool) {
	l := &r.loops[i]
	switch {
	case on && !l.on:
		if at.Before(l.off) {
			return // older than what is known
		}
		if l.covered(at) {
			l.gaps++
		} else {
			l.since = at
		}
		l.on, l.edge, l.still, l.idle = true, at, 0, 0
	case !on && l.on:
		if at.Before(l.since) {
			return
		}
		l.on, l.off, l.edge, l.still = false, at, at, 0
	}
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

// backedUp says that a loop sees people wait for bays, and not for the entrance:
// they enter as others leave, or nobody sees that they enter.
func (r *road) backedUp(at time.Time) bool {
	if r.free[0]+r.free[1] < 0.5 && !r.deaf(at) {
		return false
	}
	for i := range r.loops {
		if l := &r.loops[i]; l.trusted && l.covered(at) {
			return true
		}
	}
	return false
}

// stands says that a queue is seen in which nothing moves, though it used to:
// the entrance is shut.
func (r *road) stands(at time.Time) bool {
	long := max(standing, time.Duration(standEntries/r.unit*float64(time.Minute)))
	for i := range r.loops {
		if l := &r.loops[i]; l.trusted && l.gaps > 0 && l.covered(at) {
			return at.Sub(l.edge) > long
		}
	}
	return false
}
