package collector

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A fragile estimator panics at a vehicle from one sensor, until it is mended.
type fragile struct {
	*fakeEstimator
	broken *atomic.Bool
}

func (e fragile) Observe(ev perron.Event) {
	if e.broken.Load() && ev.Sensor == "side-out" {
		panic("made to break")
	}
	e.fakeEstimator.Observe(ev)
}

// An error of the program that one site's events have found leaves the others
// alone. The site is shown as unknown, staff are told, and it comes back with
// what is stored.
func TestAPanicInOneSiteLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		haven := &perron.Site{
			ID: "haven", Name: "Haven", Bays: 5, Lanes: 1, Hours: poort().Hours, Gateways: []string{"pi-3"},
			Gates: []perron.Gate{{ID: "main", Sensors: []string{"main-in", "main-out"}}},
		}
		r := start(t, newFakeStore(), at(saturday), func(c *Config) {
			c.Sites = append(c.Sites, haven)
			c.NewEstimator = func(*perron.Site) Estimator { return fragile{&fakeEstimator{t: t}, &broken} }
		})
		r.well()
		if n, err := testutil.GatherAndCount(r.registry, "perrondrukte_collector_panics_total"); err != nil || n != 2 {
			t.Errorf("%d sites have a counter of panics from the start, want 2 (%v): what begins at 1 does not rise", n, err)
		}
		r.send("pi-1", in(r.now()), in(r.now()))
		r.settle()
		if b := r.shown(); b.Level != perron.Quiet || b.OnSite.Mid != 2 {
			t.Fatalf("before the fault: %+v", b)
		}

		r.send("pi-1", perron.Event{Time: r.now(), Sensor: "side-out", Kind: perron.Out})
		r.settle()
		if got := r.acks("pi-1"); len(got) == 0 || got[len(got)-1] != 3 {
			t.Errorf("acknowledged %v, want 3: the event is stored, whatever becomes of the state", got)
		}
		b := r.shown()
		if b.Level != perron.Unknown || doubts(b) != "[program_failed  1]" {
			t.Errorf("after the fault: level %v, doubts %s", b.Level, doubts(b))
		}
		// The events of today make it fail each time it begins anew.
		time.Sleep(10 * time.Second)
		r.well()
		if n := r.metric("panics_total", "poort"); n != 4 {
			t.Errorf("%v panics after 10 seconds, want 4: at 0, 1, 3 and 7 seconds", n)
		}
		if err := r.Alive(); err != nil {
			t.Errorf("the watchdog would end the other sites: %v", err)
		}

		payload, err := broker.Events{Epoch: "e", Floor: 1, First: 1, Events: []perron.Event{in(r.now())}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r.receive(broker.EventsFilter, broker.EventsTopic("haven", "pi-3"), payload)
		r.settle()
		if got := r.sites["haven"].board.asOf(r.now()).OnSite.Mid; got != 1 {
			t.Errorf("the other site has %v on site, want 1", got)
		}

		broken.Store(false)
		time.Sleep(10 * time.Second)
		r.well()
		if b := r.shown(); b.Level != perron.Quiet || b.OnSite.Mid != 1 || !strings.Contains(doubts(b), "program_failed  4") {
			t.Errorf("when it is mended: level %v, %v on site, doubts %s", b.Level, b.OnSite.Mid, doubts(b))
		}
		if n := len(r.store.records); n != 4 {
			t.Errorf("%d events are stored, want 4", n)
		}
	})
}

// A clock that was never set must not make a state: neither fresh nor of 1970.
func TestAnUnsetClockSaysNothingOfThePresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		unset := time.Unix(0, 0)
		for _, gateway := range []string{"pi-1", "pi-2"} {
			r.status(gateway, func(s *perron.GatewayStatus) { s.At, s.Started = unset.Add(40*time.Second), unset.Add(-time.Second) })
		}
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown || !b.MeasuredAt.IsZero() {
			t.Errorf("by clocks that were never set: level %v, measured at %v", b.Level, b.MeasuredAt)
		}
		r.well()
		if b := r.shown(); b.Level != perron.Quiet {
			t.Errorf("when they are set: %v", b.Level)
		}

		// A retained status of a clock that is ahead does not keep it online.
		s := perron.GatewayStatus{Site: "poort", Gateway: "pi-1", At: r.now().Add(24 * time.Hour), Online: true, Epoch: "e"}
		payload, err := broker.EncodeStatus(s)
		if err != nil {
			t.Fatal(err)
		}
		r.link.handlers[broker.StatusFilter](broker.Message{Topic: broker.StatusTopic("poort", "pi-1"), Payload: payload, Retained: true})
		for range 5 {
			time.Sleep(30 * time.Second)
			r.status("pi-2", nil)
		}
		r.settle()
		if got := doubts(r.shown()); got != "[gateway_offline pi-1]" {
			t.Errorf("doubts %s", got)
		}
	})
}
