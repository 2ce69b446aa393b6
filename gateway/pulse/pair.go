package pulse

import "time"

// A Pair tells from two loops which way vehicles go. It is the state machine
// of one lane; a Machine has one for each sensor of type pair.
//
// "First" is the loop that a vehicle reaches first, whichever that is, so one
// table serves both directions:
//
//	state            | first on    first off   second on   second off    timeout
//	-----------------+-----------------------------------------------------------
//	free             | first       .           .           .             .
//	first            | .           between     both        .             .
//	between (timed)  | first       .           hopped      .             free
//	both             | .           second      .           backing       .
//	backing          | .           free        both        .             .
//	second           | follow      .           .           COUNT free    .
//	follow           | .           second      .           doubt         .
//	doubt (timed)    | .           free        COUNT both  .             COUNT first
//	hopped           | hopfollow   .           .           COUNT free    .
//	hopfollow        | .           hopped      .           COUNT first   .
//
// A vehicle is counted when it leaves the second loop, with the time of that
// edge. Backing out never counts. In "follow" the first loop is taken again
// while a vehicle is still on the second: the next vehicle tailgates, or this
// one reverses. When the second loop then becomes free, "doubt" waits: if the
// second loop is reached again, or nothing happens for MaxGap, the next vehicle
// stands on the first loop and the one before it has passed; if the first loop
// becomes free within MaxGap, the vehicle has reversed all the way. The states
// with "hop" are for loops so far apart, or vehicles so short, that neither
// loop is touched in between: there a reversing vehicle cannot look like that,
// so nothing is in doubt.
//
// A loop that is stuck says nothing about direction. While one is, each vehicle
// that leaves the other loop is counted in the configured direction, and the
// sensor's health tells that this is a guess. What does not fit the table (an
// edge was lost) makes the pair unsure: it counts nothing until both loops are
// free.
type Pair struct {
	maxGap  time.Duration
	state   state
	from    int // the loop that is "first"
	on      [2]bool
	stuck   [2]bool
	timerAt time.Time
	leftAt  time.Time // in doubt: when the second loop became free
}

// A Passage is what Pair found: when OK, a vehicle that went from the first
// configured loop to the second, or in reverse.
type Passage struct {
	At      time.Time
	Reverse bool
	OK      bool
	// Why says why nothing was counted of what was seen, if it was anything.
	Why Verdict
}

type state uint8

const (
	free state = iota
	first
	between
	both
	backing
	second
	follow
	doubt
	hopped
	hopfollow
	unsure
)

type signal uint8

const (
	firstOn signal = iota
	firstOff
	secondOn
	secondOff
	timeout
)

type step struct {
	to    state
	count bool
}

var table = map[state]map[signal]step{
	free:      {firstOn: {to: first}},
	first:     {firstOff: {to: between}, secondOn: {to: both}},
	between:   {firstOn: {to: first}, secondOn: {to: hopped}, timeout: {to: free}},
	both:      {firstOff: {to: second}, secondOff: {to: backing}},
	backing:   {firstOff: {to: free}, secondOn: {to: both}},
	second:    {firstOn: {to: follow}, secondOff: {to: free, count: true}},
	follow:    {firstOff: {to: second}, secondOff: {to: doubt}},
	doubt:     {firstOff: {to: free}, secondOn: {to: both, count: true}, timeout: {to: first, count: true}},
	hopped:    {firstOn: {to: hopfollow}, secondOff: {to: free, count: true}},
	hopfollow: {firstOff: {to: hopped}, secondOff: {to: first, count: true}},
}

// NewPair returns a pair with both loops free.
func NewPair(maxGap time.Duration) *Pair { return &Pair{maxGap: maxGap} }

// Edge takes in that loop 0 or 1 became active or free, after having done what
// was due before.
func (p *Pair) Edge(loop int, active bool, at time.Time) Passage {
	if p.on[loop] == active {
		return Passage{}
	}
	p.on[loop] = active
	if p.stuck[0] || p.stuck[1] {
		return p.oneLoop(loop, active, at)
	}
	if p.state == unsure {
		p.settle()
		return Passage{}
	}
	if p.state == free && active {
		p.from = loop
	}
	var s signal
	switch {
	case loop == p.from && active:
		s = firstOn
	case loop == p.from:
		s = firstOff
	case active:
		s = secondOn
	default:
		s = secondOff
	}
	return p.pass(s, at)
}

// oneLoop is Edge while a loop is stuck.
func (p *Pair) oneLoop(loop int, active bool, at time.Time) Passage {
	if p.stuck[loop] { // it became free: not stuck any more
		p.stuck[loop] = false
		p.settle()
		return Passage{}
	}
	return Passage{At: at, OK: !active}
}

// Advance does what is due at now.
func (p *Pair) Advance(now time.Time) Passage {
	if at, ok := p.Deadline(); !ok || now.Before(at) {
		return Passage{}
	}
	return p.pass(timeout, now)
}

// Deadline is when Advance has something to do.
func (p *Pair) Deadline() (time.Time, bool) {
	return p.timerAt, p.state == between || p.state == doubt
}

func (p *Pair) pass(s signal, at time.Time) Passage {
	next, ok := table[p.state][s]
	if !ok {
		p.settle()
		return Passage{At: at, Why: Unclear}
	}
	counted := Passage{At: at, Reverse: p.from == 1, OK: next.count}
	if next.to == free && !next.count {
		counted.Why = TurnedBack
		if p.state == between {
			counted.Why = OneLoopOnly
		}
	}
	if p.state == doubt {
		counted.At = p.leftAt
	}
	p.state = next.to
	if p.state == between || p.state == doubt {
		p.timerAt, p.leftAt = at.Add(p.maxGap), at
	}
	return counted
}

// Stuck says that a loop has been active for too long to be a vehicle. It ends
// when the loop becomes free.
func (p *Pair) Stuck(loop int) {
	if p.on[loop] && !p.stuck[loop] {
		p.stuck[loop] = true
		p.state = unsure
	}
}

// Reset tells the level of a loop without there having been an edge.
func (p *Pair) Reset(loop int, active bool) {
	p.on[loop] = active
	if !active {
		p.stuck[loop] = false
	}
	p.settle()
}

// settle is free when both loops are, and otherwise unsure.
func (p *Pair) settle() {
	p.state = unsure
	if !p.on[0] && !p.on[1] {
		p.state = free
	}
}
