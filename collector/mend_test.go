package collector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// history writes the stored samples as runs of minutes after saturday noon
// with the same number on site: "1-5:3 9-9:4/closed".
func (s *fakeStore) history() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var runs []string
	var first, last int
	var what string
	flush := func() {
		if what != "" {
			runs = append(runs, fmt.Sprintf("%d-%d:%s", first, last, what))
		}
	}
	for _, m := range s.samples["poort"] {
		minute, is := int(m.At.Sub(saturday).Minutes()), fmt.Sprint(m.OnSite.Mid)
		if m.Level == perron.Closed {
			is += "/closed"
		}
		if is != what || minute != last+1 {
			flush()
			first, what = minute, is
		}
		last = minute
	}
	flush()
	return strings.Join(runs, " ")
}

// minutes lets time pass in which the gateways are well.
func (r *rig) minutes(n int) {
	r.t.Helper()
	for range 2 * n {
		time.Sleep(30 * time.Second)
		r.well()
	}
}

// TestOutageLeavesNoHole: the broker is away for half an hour, in which the
// gateways go on counting. What they tell afterwards fills the history.
func TestOutageLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		r := start(t, st, at(saturday), nil)
		r.well()
		r.send("pi-1", in(r.now()))
		r.minutes(5)
		r.send("pi-1", in(r.now()))
		time.Sleep(35 * time.Minute)
		if got := st.history(); got != "1-5:1 6-10:2" {
			t.Fatalf("while nothing is heard: %s", got)
		}
		var backlog []perron.Event
		for m := 10; m <= 40; m += 10 {
			backlog = append(backlog, in(saturday.Add(time.Duration(m)*time.Minute)))
		}

		r.send("pi-1", backlog...)
		r.minutes(4)
		if got := st.history(); got != "1-5:1 6-9:2 10-19:3 20-29:4 30-39:5 40-44:6" {
			t.Errorf("after the backlog: %s", got)
		}
		// The other gateway's comes later, and corrects what is there.
		r.send("pi-2", perron.Event{Time: saturday.Add(25 * time.Minute), Sensor: "side-out", Kind: perron.Out})
		r.minutes(3)
		if got := st.history(); got != "1-5:1 6-9:2 10-19:3 20-24:4 25-29:3 30-39:4 40-47:5" {
			t.Errorf("after the other backlog: %s", got)
		}
		if f := r.forecast().Measured[49]; f.Basis != perron.Measured || f.OnSite.Mid != 3 {
			t.Errorf("the quarter in the outage: %+v", f)
		}
	})
}

// TestRestartFillsTheHistory: nobody collects for an hour. Where the counters
// were counting the history is filled, where nothing counted it stays empty,
// and what was saved stays as it was.
func TestRestartFillsTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		r := start(t, st, now, nil)
		r.well()
		r.send("pi-1", in(r.now()))
		r.minutes(5)
		r.act(perron.Action{ID: "a1", Kind: perron.Recount, Vehicles: 7})
		r.stop()
		before := st.history()
		if before != "1-5:1" {
			t.Fatalf("before: %s", before)
		}
		for i, e := range []perron.Event{
			in(saturday.Add(10 * time.Minute)), in(saturday.Add(20 * time.Minute)), // power is cut here
			in(saturday.Add(55 * time.Minute)),
		} {
			st.records = append(st.records, perron.Record{Event: e, Site: "poort", Gateway: "pi-1", Epoch: "old", Seq: uint64(i)})
		}
		st.actions = append(st.actions,
			perron.Action{ID: "a2", Site: "poort", At: saturday.Add(12 * time.Minute), Kind: perron.Close},
			perron.Action{ID: "a3", Site: "poort", At: saturday.Add(15 * time.Minute), Kind: perron.Reopen})
		time.Sleep(saturday.Add(time.Hour).Sub(now()))
		again := start(t, st, now, nil)
		again.minutes(3)
		if got := st.history(); got != "1-5:1 6-9:7 10-11:8 12-14:8/closed 15-19:8 55-63:10" {
			t.Errorf("after a restart: %s", got)
		}
	})
}

// TestMendingIsBounded: late events that trickle in for ten minutes do not keep
// the history being computed all the time.
func TestMendingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		estimators := 0
		r := start(t, newFakeStore(), at(saturday), func(c *Config) {
			fresh := c.NewEstimator
			c.NewEstimator = func(s *perron.Site) Estimator { estimators++; return fresh(s) }
		})
		r.well()
		r.minutes(1)
		began, rebuilt := estimators, r.rebuilds()
		for i := range 600 {
			r.send("pi-1", in(saturday.Add(time.Duration(i-3600)*time.Second)))
			time.Sleep(time.Second)
		}
		r.minutes(2)
		if n := estimators - began - int(r.rebuilds()-rebuilt); n < 2 || n > 13 {
			t.Errorf("history computed %d times in twelve minutes", n)
		}
		if !slices.ContainsFunc(r.store.samples["poort"], func(s perron.Sample) bool {
			return s.At.Equal(saturday.Add(-55*time.Minute)) && s.OnSite.Mid == 301
		}) {
			t.Errorf("history: %s", r.store.history())
		}
	})
}
