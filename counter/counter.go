// Package counter says how much a cumulative counter has counted from one
// reading to the next: a Modbus register, or the total that a device sends with
// every message. It is pure: readings go in, steps come out. It does no I/O,
// starts no goroutine and reads no clock.
//
// Such a counter only ever counts up, but it has a width and goes round, it
// begins at zero again when it was without power, it says the same thing twice,
// and another device can come to stand in its place. Nothing is guessed: a step
// counts what has certainly passed, and says when there may have been more.
package counter

import (
	"iter"
	"time"
)

// A Counter is what is known of a device.
type Counter struct {
	// Bits is the width, 1 to 64: the value that follows 2^Bits-1 is 0.
	Bits int
	// MinHeadway is the shortest time between two counts. More counts than it
	// allows are not believed; 0 is [DefaultMinHeadway].
	MinHeadway time.Duration
	// MaxUnread is how much is believed to have been counted between two
	// readings at most, however far apart they are; 0 is [DefaultMaxUnread].
	MaxUnread uint64
}

const (
	// DefaultMinHeadway is half of what the fastest lanes reach: a lane carries
	// some 2,000 vehicles an hour, 1.8 s each, and a counter sees axles of
	// trailers too.
	DefaultMinHeadway = 500 * time.Millisecond
	// DefaultMaxUnread is what a busy perron counts in more than three weeks.
	DefaultMaxUnread = 50_000
)

// A State is what has to be remembered of a counter. The zero State is that of
// one that was never read. As JSON it survives a restart, without the monotonic
// part of its time.
type State struct {
	Value uint64    `json:"value"`
	At    time.Time `json:"at,omitzero"`
}

// Known says whether the counter was ever read.
func (s State) Known() bool { return !s.At.IsZero() }

// A Reading is a value and when it was current. Times with a monotonic clock
// reading are compared by it.
type Reading struct {
	Value uint64
	At    time.Time
	// Gap says that since the reading before the device could not be reached, or
	// that nobody asked: it may have been without power.
	Gap bool
	// Untimed says that the times of this reading and the one before do not tell
	// how long it was in between: a clock was set or may have been wrong.
	Untimed bool
}

// A Kind is what happened between two readings.
type Kind string

// The kinds.
const (
	// First: there is nothing to compare with. Nothing is counted.
	First Kind = "first"
	// Same: the value has not changed, or the reading came twice.
	Same Kind = "same"
	// Forward: it has counted.
	Forward Kind = "forward"
	// Wrapped: it has counted, past its highest value.
	Wrapped Kind = "wrapped"
	// Reset: it began at zero again, or may have. What it shows was counted since;
	// what it counted before that and after the last reading is not known.
	Reset Kind = "reset"
	// Back: it is lower, and neither going round nor beginning at zero explains
	// it. Nothing is counted.
	Back Kind = "back"
	// Jump: it is higher by more than can have passed. Nothing is counted.
	Jump Kind = "jump"
	// Late: the reading is older than the one before. It changes nothing.
	Late Kind = "late"
	// Wide: the value does not fit the width. The reading changes nothing.
	Wide Kind = "wide"
)

// Odd says whether the kind is one to look at twice: where it can, a reader
// reads again before it believes it.
func (k Kind) Odd() bool { return k == Wrapped || k == Reset || k == Back || k == Jump }

// A Step is what happened between two readings.
type Step struct {
	Kind Kind
	// Delta is how many are to be counted.
	Delta uint64
	// Doubt says that there may have been more than Delta.
	Doubt bool
	// Refused is how much more the counter shows that was not believed, for a
	// Jump.
	Refused uint64
	// From and To are the readings' times: what was counted passed after From
	// and not after To. From is zero when it is not known, or later than To
	// because of a clock that was set.
	From, To time.Time
}

// Step compares a reading with what was remembered, and returns what is to be
// remembered next.
func (c Counter) Step(was State, r Reading) (State, Step) {
	next := State{r.Value, r.At}
	step := Step{From: was.At, To: r.At}
	if r.Untimed {
		step.From = time.Time{}
	}
	top := ^uint64(0) >> (64 - c.Bits) // the highest value
	switch {
	case r.Value > top:
		step.Kind, step.Doubt = Wide, true
		return was, step
	case !was.Known():
		step.Kind = First
		return next, step
	case !r.Untimed && r.At.Before(was.At):
		step.Kind = Late
		return was, step
	}
	most := c.most(was, r)
	switch {
	case r.Value >= was.Value:
		step.Kind, step.Delta = Forward, r.Value-was.Value
		if step.Delta == 0 {
			step.Kind = Same
		}
		// It may have begun at zero again and have got as far as it was, or further.
		step.Doubt = r.Gap && r.Value <= most
		if step.Delta > most {
			step.Kind, step.Delta, step.Doubt, step.Refused = Jump, 0, true, step.Delta
		}
	default:
		round := top - was.Value + 1 + r.Value
		wrapped, reset := round <= min(most, top/2), r.Value <= most
		switch {
		case wrapped && !r.Gap:
			step.Kind, step.Delta = Wrapped, round
		case reset:
			// If it went round there were more by what was left to the top; that
			// is not certain.
			step.Kind, step.Delta, step.Doubt = Reset, r.Value, true
		default:
			step.Kind, step.Doubt = Back, true
		}
	}
	return next, step
}

// most is how much can have been counted between two readings.
func (c Counter) most(was State, r Reading) uint64 {
	most, headway := c.MaxUnread, c.MinHeadway
	if most == 0 {
		most = DefaultMaxUnread
	}
	if headway <= 0 {
		headway = DefaultMinHeadway
	}
	if r.Untimed {
		return most
	}
	// One more than there are headways, and one for readings that are not
	// exactly as old as they say.
	return min(most, uint64(r.At.Sub(was.At)/headway)+2)
}

// Times spreads the step's counts evenly over the time in which they happened,
// each in the middle of its share. Where that time is not known, all are at its
// end.
func (s Step) Times() iter.Seq[time.Time] { return Spread(s.From, s.To, s.Delta) }

// Spread yields n times between from and to, evenly, in UTC and without
// monotonic reading; to itself n times when from is zero or not before it.
func Spread(from, to time.Time, n uint64) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		var width time.Duration
		if !from.IsZero() && from.Before(to) {
			width = to.Sub(from)
		}
		// From the end, which is the younger reading of the clock.
		end := to.Round(0).UTC()
		for i := range n {
			back := float64(width) * (float64(n-i) - 0.5) / float64(n)
			if !yield(end.Add(-time.Duration(back))) {
				return
			}
		}
	}
}
