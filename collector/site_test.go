package collector

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A tiring estimator takes its time.
type tiring struct {
	*fakeEstimator
	estimate, observe time.Duration
}

func (e tiring) Estimate(now time.Time) perron.Estimate {
	time.Sleep(e.estimate)
	return e.fakeEstimator.Estimate(now)
}

func (e tiring) Observe(ev perron.Event) {
	time.Sleep(e.observe)
	e.fakeEstimator.Observe(ev)
}

func tire(t *testing.T, estimate, observe time.Duration) func(*Config) {
	return func(c *Config) {
		c.NewEstimator = func(*perron.Site) Estimator { return tiring{&fakeEstimator{t: t}, estimate, observe} }
	}
}

// states is how often the state of the site was published.
func (r *rig) states() (n int) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	for _, m := range r.link.sent {
		if m.Topic == broker.BusynessTopic("poort") {
			n++
		}
	}
	return n
}

func within(t *testing.T, what string, n, least, most float64) {
	t.Helper()
	if n < least || n > most {
		t.Errorf("%v %s, want %v to %v", n, what, least, most)
	}
}

func TestStatesArePaced(t *testing.T) {
	shown := func(r *rig) float64 { return r.metric("recomputes_total", "poort") }
	crowd := func(r *rig) float64 { // a second of it
		before := shown(r)
		for range 200 {
			r.send("pi-1", in(r.now()))
			time.Sleep(5 * time.Millisecond)
		}
		return shown(r) - before
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		time.Sleep(time.Second)
		before := r.states()
		r.send("pi-1", in(r.now()))
		synctest.Wait()
		if n := r.states() - before; n != 1 {
			t.Errorf("%d states at once after a pause", n)
		}
		within(t, "times shown in a second", crowd(r), 35, 41)
	})
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), tire(t, 20*time.Millisecond, 0))
		r.well()
		within(t, "times shown in a second, where that takes a fiftieth of it", crowd(r), 8, 11)
	})
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		time.Sleep(time.Second)
		before := r.states()
		time.Sleep(time.Minute)
		within(t, "states in a minute in which nothing happens", float64(r.states()-before), 4, 6) // and two forecasts
		before = r.states()
		for range 60 {
			time.Sleep(time.Second)
			r.status("pi-1", nil)
			r.status("pi-2", nil)
		}
		within(t, "states in a minute in which only times change", float64(r.states()-before), 12, 16)
	})
	synctest.Test(t, func(t *testing.T) { // as in a demonstration
		began := time.Now()
		fast := func() time.Time { return saturday.Add(60 * time.Since(began)) }
		r := start(t, newFakeStore(), fast, func(c *Config) { c.Speed = 60 })
		r.well()
		before := shown(r)
		time.Sleep(time.Second)
		within(t, "times shown in a minute of a fast clock", shown(r)-before, 4, 6)
		r.well()
		before = shown(r)
		time.Sleep(10 * time.Second) // beyond the time at which it turns unknown
		within(t, "times shown in ten minutes of a fast clock", shown(r)-before, 40, 60)
	})
}

func TestReplaysArePaced(t *testing.T) {
	trickle := func(r *rig) float64 { // ten seconds of late events
		before := r.rebuilds()
		for range 100 {
			r.send("pi-1", in(r.now().Add(-20*time.Second)))
			time.Sleep(100 * time.Millisecond)
		}
		return r.rebuilds() - before
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		r.send("pi-1", in(r.now()))
		r.settle()
		within(t, "replays in ten seconds", trickle(r), 18, 21)
		// The last of them is shown when it is done, with nothing else to wake the site.
		time.Sleep(replayApart + showApart)
		synctest.Wait()
		if b := r.published(); b.OnSite.Mid != 101 {
			t.Errorf("%v on site, want 101", b.OnSite.Mid)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), tire(t, 0, 10*time.Millisecond))
		r.well()
		for range 10 {
			r.send("pi-1", in(r.now()))
		}
		time.Sleep(time.Second)
		within(t, "replays in ten seconds, of which each takes longer", trickle(r), 2, 5)
	})
}

// What lies in the inbox when the day is read is read, and not told as well.
func TestAJumpOfTheClockCountsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump atomic.Int64
		clock := at(saturday)
		r := start(t, newFakeStore(), func() time.Time { return clock().Add(time.Duration(jump.Load())) }, nil)
		r.well()
		jump.Store(int64(48 * time.Hour))
		r.send("pi-1", in(r.now()))
		r.well()
		if b := r.shown(); b.OnSite.Mid != 1 || b.Gates[0].InToday != 1 {
			t.Errorf("%v on site and %d in today after one vehicle", b.OnSite.Mid, b.Gates[0].InToday)
		}
	})
}

// An event may be of tomorrow, by a clock that is a little ahead. It is not lost
// when the program begins anew before midnight.
func TestARestartKnowsWhatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		midnight := perron.DateOf(saturday).End()
		st, now := newFakeStore(), at(midnight.Add(-time.Minute))
		r := start(t, st, now, nil)
		r.send("pi-1", in(midnight.Add(30*time.Second)))
		r.well()
		r.stop()
		again := start(t, st, now, nil)
		time.Sleep(2 * time.Minute)
		again.well()
		if b := again.shown(); b.Gates[0].InToday != 1 {
			t.Errorf("%d in today, want 1", b.Gates[0].InToday)
		}
	})
}

// Samples are mended soon after late events have ceased to come.
func TestMendingComesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		r.send("pi-1", in(r.now()))
		r.minutes(5)
		time.Sleep(60*time.Second - mendQuiet - time.Second)
		r.send("pi-1", in(saturday.Add(90*time.Second)))
		r.well()
		time.Sleep(mendQuiet + 2*time.Second)
		synctest.Wait()
		if got := r.store.history(); got != "1-1:1 2-6:2" {
			t.Errorf("history %s", got)
		}
	})
}

// A part that went well for long begins anew at once, as it did the first time;
// the failures of another day are not counted on.
func TestWhatFailedLongAgoIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := at(saturday)
		r := start(t, newFakeStore(), now, nil)
		d := r.sites["poort"].desk
		var runs []time.Duration
		began := time.Now()
		r.guard(t.Context(), d, "test", func() {
			runs = append(runs, time.Since(began).Round(time.Second))
			switch len(runs) {
			case 4:
				time.Sleep(24 * time.Hour)
			case 6:
				return
			}
			panic("made to break")
		}, nil)
		day := 24 * time.Hour
		want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, day + 8*time.Second, day + 10*time.Second}
		for i := range want {
			if runs[i] != want[i] {
				t.Errorf("ran at %v, want %v", runs, want)
				break
			}
		}
		r.well()
		if f := d.failure.get(); f.Count != 2 || perron.DateOf(f.Since) != perron.DateOf(now()) {
			t.Errorf("failures of today: %+v", f)
		}
	})
}
