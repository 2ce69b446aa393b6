package occupancy

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// The queue reaches a loop that is occupied for longer than a passing vehicle
	// takes, and through the gap between two vehicles that move up.
	passingTime = 8 * time.Second
	moveUpTime  = 6 * time.Second
	// A loop that is occupied for this long without a gap, which a queue that moves
	// up leaves now and then, is stuck and says nothing; so is one
	// under which nothing moves while that many are let in and a loop nearer to
	// the entrance sees the queue move up.
	stuckAfter = 3 * time.Hour
	// Some detectors hold through the gaps: before a full yard they are given longer.
	stuckWithoutGaps = 8 * time.Hour
	// A queue in which nothing moves for that long stands, or for as long as a full
	// yard takes to let so many in.
	standstillAfter   = 4 * time.Minute
	standstillEntries = 3
	stuckEntries      = 10
	// A queue reaches its loops in their order, but for a gap that travels along
	// it. Loops that contradict that for longer are not both right.
	gapTravelTime = 40 * time.Second

	doubtRate = 1.0 / 8 // per second, at which belief that a loop contradicts is lost

	maxLoops = 32 // that are read
)

// What a loop reads.
const (
	loopQueued = 1
	loopClear  = 2
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
	gaps     int           // while the queue was over it, as one that moves up leaves
	trusted  bool          // see loops.trust
}

// loops are those of the approach road, in any order.
type loops []loop

func loopsOf(site *perron.Site) (out loops) {
	for _, l := range site.QueueLoops {
		out = append(out, loop{sensor: l.Sensor, distance: max(1, l.Distance)})
	}
	return out
}

// reach is the distance of the last loop, in vehicles; 0 without loops.
func (ls loops) reach() (last int) {
	for i := range ls {
		last = max(last, ls[i].distance)
	}
	return last
}

func (l *loop) queued(at time.Time) bool {
	if l.since.IsZero() {
		return false
	}
	if l.on {
		return at.Sub(l.since) >= passingTime
	}
	return l.off.Sub(l.since) >= passingTime && at.Sub(l.off) <= moveUpTime
}

func (l *loop) stuck(at time.Time) bool {
	if l.gaps == 0 {
		return l.on && (l.idle >= stuckAfter || at.Sub(l.edge) >= stuckWithoutGaps)
	}
	return l.on && at.Sub(l.edge) >= stuckAfter
}

// trust decides which loops are believed. Where the queue is over a loop and one
// nearer to the entrance has been free for a while, one of them is broken: the
// nearer one if it is silent since, else the other, since vehicles still pass
// over the nearer one.
func (ls loops) trust(at time.Time) {
	for i := range ls {
		l := &ls[i]
		l.trusted = !l.stuck(at)
		for j := range ls {
			near := &ls[j]
			if l.on && l.still >= stuckEntries && near.distance < l.distance && near.still < stuckEntries/2 {
				l.trusted = false
			}
		}
	}
	for i := range ls {
		far := &ls[i]
		if !far.trusted || !far.queued(at) || at.Sub(far.since) < gapTravelTime {
			continue
		}
		for j := range ls {
			near := &ls[j]
			if near.distance >= far.distance || !near.trusted || near.queued(at) || near.on || at.Sub(near.off) < gapTravelTime {
				continue
			}
			if near.edge.Sub(far.since) > gapTravelTime {
				far.trusted = false
				break
			}
			near.trusted = false
		}
	}
}

func (ls loops) index(sensor string) int {
	for i := range ls {
		if ls[i].sensor == sensor {
			return i
		}
	}
	return -1
}

// free says that no loop is occupied.
func (ls loops) free() bool {
	for i := range ls {
		if ls[i].on {
			return false
		}
	}
	return true
}

// presence takes in that a loop became occupied or free.
func (ls loops) presence(i int, at time.Time, on bool) {
	l := &ls[i]
	switch {
	case on && !l.on:
		if at.Before(l.off) {
			return // older than what is known
		}
		if l.queued(at) {
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

// read is what the loops say, two bits each; 0 where one says nothing.
func (ls loops) read(at time.Time) (readings uint64) {
	ls.trust(at)
	for i := range ls {
		l := &ls[i]
		switch {
		case i >= maxLoops || !l.trusted || l.on && !l.queued(at): // it cannot tell, or not yet
		case l.queued(at):
			readings |= loopQueued << (2 * i)
		default:
			readings |= loopClear << (2 * i)
		}
	}
	return readings
}

// endUnseen says that the end of the queue is where no loop sees it.
func (ls loops) endUnseen(at time.Time) bool {
	for i := range ls {
		if l := &ls[i]; l.distance == ls.reach() {
			return l.queued(at) || !l.trusted
		}
	}
	return true
}

// standstill says that a queue is seen in which nothing moves, though it used to:
// the entrance is shut.
func (ls loops) standstill(at time.Time, serviceRate float64) bool {
	long := max(standstillAfter, time.Duration(standstillEntries/serviceRate*float64(time.Minute)))
	for i := range ls {
		if l := &ls[i]; l.trusted && l.gaps > 0 && l.queued(at) {
			return at.Sub(l.edge) > long
		}
	}
	return false
}

// queueSeen says that a loop that is believed sees the queue.
func (ls loops) queueSeen(at time.Time) bool {
	for i := range ls {
		if l := &ls[i]; l.trusted && l.queued(at) {
			return true
		}
	}
	return false
}
