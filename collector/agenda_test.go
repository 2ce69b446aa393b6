package collector

import (
	"testing"
	"time"
)

func TestAgenda(t *testing.T) {
	second := elapsed(time.Second)
	var a agenda
	if got := a.idle(0); got != time.Hour {
		t.Errorf("with nothing to do it waits %v", got)
	}
	a.by(mend, 9*second)
	a.by(mend, 12*second) // not later than it stands there
	a.at(tick, 15*second)
	a.at(tick, 10*second) // moved
	a.by(show, 11*second)
	a.by(show, 4*second)
	if got := a.idle(second); got != 3*time.Second {
		t.Errorf("waits %v, want 3 s for what is to be shown", got)
	}
	for _, c := range []struct {
		t    task
		at   elapsed
		want bool
	}{{show, 3 * second, false}, {show, 4 * second, true}, {mend, 9 * second, true}, {tick, 9 * second, false}, {tick, 10 * second, true}, {replay, 99 * second, false}} {
		if got := a.isDue(c.t, c.at); got != c.want {
			t.Errorf("task %d at %v: due %v", c.t, time.Duration(c.at), got)
		}
	}
	a.done(show)
	if a.has(show) || a.isDue(show, 99*second) || !a.has(mend) {
		t.Error("what is done is still there, or more than that is gone")
	}
	if got := a.idle(20 * second); got != 0 {
		t.Errorf("waits %v although something is due", got)
	}
}
