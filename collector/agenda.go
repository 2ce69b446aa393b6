package collector

import "time"

// A task is something that a site is to do when it is due. What is due together
// is done in this order.
type task int

const (
	replay task = iota // go through the day again
	tick               // show the state, changed or not
	show               // show the state if it says something new
	mend               // make samples again
	tasks
)

// An agenda is what is due, and when.
type agenda struct {
	due [tasks]elapsed
	set [tasks]bool
}

// at puts a task on the agenda, or moves it.
func (a *agenda) at(t task, when elapsed) { a.due[t], a.set[t] = when, true }

// by puts a task on the agenda, for when it stands there or earlier.
func (a *agenda) by(t task, when elapsed) {
	if !a.set[t] || when < a.due[t] {
		a.at(t, when)
	}
}

// done takes a task off.
func (a *agenda) done(t task) { a.set[t] = false }

// has says whether a task is on the agenda.
func (a *agenda) has(t task) bool { return a.set[t] }

// isDue says whether it is time for a task.
func (a *agenda) isDue(t task, now elapsed) bool { return a.set[t] && a.due[t] <= now }

// idle is how long nothing is due.
func (a *agenda) idle(now elapsed) time.Duration {
	next := now.plus(time.Hour)
	for t := range tasks {
		if a.set[t] {
			next = min(next, a.due[t])
		}
	}
	return max(next.since(now), 0)
}
