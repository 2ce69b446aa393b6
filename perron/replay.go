package perron

import (
	"slices"
	"time"
)

// A Follower follows one site through a day.
type Follower interface {
	Observe(e Event)
	Recount(at time.Time, vehicles int)
}

// A Replay takes a follower through what happened at a site: events and staff's
// recounts in the order of their time. Of one instant the events come first:
// staff have seen what passed before they count. Whatever goes through a day
// again does it with a Replay, so that all agree.
type Replay struct {
	to       Follower
	events   []Event
	recounts []Action
}

// NewReplay begins before the first event. Events and actions are each in the
// order of their time; of the actions only recounts matter, and those that were
// taken back must not be among them (see [Effective]). Neither list is changed.
func NewReplay(to Follower, events []Event, actions []Action) *Replay {
	isRecount := func(a Action) bool { return a.Kind == Recount }
	r := &Replay{to: to, events: events, recounts: actions}
	if i := slices.IndexFunc(actions, func(a Action) bool { return !isRecount(a) }); i >= 0 {
		r.recounts = slices.Clone(actions[:i])
		for _, a := range actions[i:] {
			if isRecount(a) {
				r.recounts = append(r.recounts, a)
			}
		}
	}
	return r
}

// Next is when the next thing happens; ok is false at the end.
func (r *Replay) Next() (at time.Time, ok bool) {
	switch {
	case len(r.events) == 0 && len(r.recounts) == 0:
		return time.Time{}, false
	case r.recountIsNext():
		return r.recounts[0].At, true
	}
	return r.events[0].Time, true
}

func (r *Replay) recountIsNext() bool {
	return len(r.recounts) > 0 && (len(r.events) == 0 || r.recounts[0].At.Before(r.events[0].Time))
}

// Step lets the next thing happen and says whether it was an event. At the end
// it does nothing.
func (r *Replay) Step() (event bool) {
	switch {
	case len(r.events) == 0 && len(r.recounts) == 0:
	case r.recountIsNext():
		r.to.Recount(r.recounts[0].At, r.recounts[0].Vehicles)
		r.recounts = r.recounts[1:]
	default:
		r.to.Observe(r.events[0])
		r.events = r.events[1:]
		return true
	}
	return false
}

// Until lets everything happen up to t, inclusive.
func (r *Replay) Until(t time.Time) {
	for at, ok := r.Next(); ok && !at.After(t); at, ok = r.Next() {
		r.Step()
	}
}
