package collector

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func wantAcks(t *testing.T, r *rig, gateway string, want ...uint64) {
	t.Helper()
	if got := r.acks(gateway); !slices.Equal(got, want) {
		t.Errorf("acks %v, want %v", got, want)
	}
}

func TestStoredThenAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		r.send("pi-1", in(r.now()), in(r.now()))
		r.settle()
		wantAcks(t, r, "pi-1", 2)
		if b := r.shown(); b.OnSite.Mid != 2 || b.Level != perron.Quiet || b.Gates[0].InToday != 2 {
			t.Errorf("shown: %+v", b)
		}
		// Again, in whole and in part: nothing changes, the ack is repeated.
		r.sendAt("pi-1", 1, in(saturday), in(saturday))
		r.settle()
		time.Sleep(time.Second)
		r.sendAt("pi-1", 2, in(saturday), in(r.now()))
		r.settle()
		if got := r.acks("pi-1"); got[len(got)-1] != 3 {
			t.Errorf("acks %v, want 3 at the end", got)
		}
		if b := r.shown(); b.OnSite.Mid != 3 || b.Gates[0].InToday != 3 || r.store.stored() != 3 {
			t.Errorf("a batch that was sent twice counts twice: %+v", b)
		}
	})
}

func TestGapIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.sendAt("pi-1", 1, in(saturday))
		r.settle()
		r.sendAt("pi-1", 3, in(saturday))
		r.settle()
		r.sendAt("pi-1", 4, in(saturday))
		r.settle()
		wantAcks(t, r, "pi-1", 1, 1, 1) // a repeated ack makes the gateway go back
		if n := r.store.stored(); n != 1 {
			t.Errorf("%d events stored behind a gap", n)
		}
		r.sendAt("pi-1", 2, in(saturday))
		r.sendAt("pi-1", 3, in(saturday))
		r.sendAt("pi-1", 4, in(saturday))
		r.settle()
		if got := r.acks("pi-1"); got[len(got)-1] != 4 {
			t.Errorf("acks %v, want 4 at the end", got)
		}
	})
}

func TestLostNumbersAreAcknowledgedAndDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		b, err := broker.Events{Epoch: "e", Floor: 6, First: 6, Events: []perron.Event{in(saturday)}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r.receive(broker.EventsFilter, broker.EventsTopic("poort", "pi-1"), b)
		r.settle()
		wantAcks(t, r, "pi-1", 6)
		d := r.shown().Doubts
		if len(d) != 1 || d[0].Kind != perron.DoubtLost || d[0].Count != 5 || d[0].Gateway != "pi-1" {
			t.Errorf("doubts %+v, want 5 lost", d)
		}
	})
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		now := r.now()
		r.send("pi-1",
			in(now), in(now.Add(perron.MaxAhead)), // an even clock and one that is just not too far ahead
			in(now.Add(perron.MaxAhead+time.Second)), in(perron.Earliest.Add(-time.Second)), in(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)),
			in(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
			perron.Event{Time: now, Sensor: "nobody", Kind: perron.In},
			perron.Event{Time: now, Sensor: "lus-1", Kind: perron.In}, // a queue loop passes nobody
			perron.Event{Time: now, Sensor: "nobody", Kind: perron.On},
			perron.Event{Time: now, Sensor: "lus-1", Kind: perron.On})
		r.settle()
		wantAcks(t, r, "pi-1", 10)
		b := r.shown()
		if r.store.stored() != 3 || b.Gates[0].InToday != 2 {
			t.Errorf("%d stored, gates %+v; want 3 and 2 in", r.store.stored(), b.Gates)
		}
		if len(b.Doubts) != 1 || b.Doubts[0].Kind != perron.DoubtSetAside || b.Doubts[0].Count != 7 {
			t.Errorf("doubts %+v, want 7 set aside", b.Doubts)
		}
		reasons := map[string]uint64{}
		for _, l := range r.store.losses {
			reasons[l.Reason] += l.Count
		}
		if want := "map[ancient:2 future:2 unknown_sensor:3]"; fmt.Sprint(reasons) != want {
			t.Errorf("set aside for %v, want %s", reasons, want)
		}
	})
}

// What belongs to another collector is neither stored nor complained of.
func TestSitesOfOtherCollectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), func(c *Config) { c.Elsewhere = []*perron.Site{{ID: "buiten"}} })
		good, err := broker.Events{Epoch: "e", Floor: 1, First: 1, Events: []perron.Event{in(saturday)}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r.receive(broker.EventsFilter, broker.EventsTopic("buiten", "pi-1"), good)
		r.receive(broker.ActionsFilter, broker.ActionsTopic("buiten"), []byte("{}"))
		r.receive(broker.EventsFilter, broker.EventsTopic("haven", "pi-1"), good) // nobody's
		r.settle()
		if n := r.metric("foreign_total"); n != 1 || r.store.stored() != 0 {
			t.Errorf("%v foreign messages and %d stored, want 1 and none", n, r.store.stored())
		}
	})
}

func TestForeignAndMalformedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		good, err := broker.Events{Epoch: "e", Floor: 1, First: 1, Events: []perron.Event{in(saturday)}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{broker.EventsTopic("buiten", "pi-1"), broker.EventsTopic("poort", "pi-3"), "perron/v1/x"} {
			r.receive(broker.EventsFilter, topic, good)
		}
		for _, bad := range []string{"", "{", `{"v":9}`, string(make([]byte, broker.MaxMessage+1))} {
			r.receive(broker.EventsFilter, broker.EventsTopic("poort", "pi-1"), []byte(bad))
			r.receive(broker.StatusFilter, broker.StatusTopic("poort", "pi-1"), []byte(bad))
		}
		status, err := broker.EncodeStatus(perron.GatewayStatus{Site: "poort", Gateway: "pi-2", At: saturday, Online: true})
		if err != nil {
			t.Fatal(err)
		}
		r.receive(broker.StatusFilter, broker.StatusTopic("poort", "pi-1"), status) // in another's name
		r.receive(broker.ActionsFilter, broker.ActionsTopic("buiten"), []byte("{}"))
		r.send("pi-1", in(saturday))
		r.settle()
		wantAcks(t, r, "pi-1", 1) // the flow goes on
		if n := r.metric("foreign_total"); n != 4 {
			t.Errorf("%v foreign messages, want 4", n)
		}
		if n := r.metric("malformed_total", "poort", "pi-1"); n != 9 {
			t.Errorf("%v malformed messages, want 9", n)
		}
		if len(r.acks("pi-3")) > 0 || r.store.stored() != 1 {
			t.Error("a foreign message is stored or acknowledged")
		}
	})
}

func TestFullStoreRecovers(t *testing.T) {
	for _, cause := range []error{store.ErrFull, store.ErrUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newFakeStore(), at(saturday), nil)
			r.well()
			r.store.setFail(fmt.Errorf("disk: %w", cause))
			r.send("pi-1", in(r.now()))
			for range 10 { // the gateway sends it again and again meanwhile
				time.Sleep(5 * time.Second)
				r.sendAt("pi-1", 1, in(saturday))
			}
			synctest.Wait()
			wantAcks(t, r, "pi-1")
			if n := r.store.commits; n > 100 {
				t.Errorf("%d attempts in 50 seconds", n)
			}
			r.store.setFail(nil)
			time.Sleep(pace.MaxRetry)
			r.settle()
			if got := r.acks("pi-1"); len(got) == 0 || got[len(got)-1] != 1 {
				t.Errorf("acks %v, want 1", got)
			}
			if b := r.shown(); b.OnSite.Mid != 1 || r.store.stored() != 1 {
				t.Errorf("shown %v, stored %d", b.OnSite, r.store.stored())
			}
		})
	}
}

// queueLen is how many batches of a gateway may wait.
const queueLen = 32

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.store.setFail(store.ErrUnavailable)
		const sent = 100
		r.sendAt("pi-1", 1, in(saturday))
		synctest.Wait() // from here on the worker is busy with the first
		for i := range uint64(sent - 1) {
			r.sendAt("pi-1", i+2, in(saturday))
		}
		synctest.Wait()
		if n := r.metric("dropped_batches_total", "poort", "pi-1"); n != sent-1-queueLen {
			t.Errorf("%v batches dropped of %d, want all but the first and %d", n, sent, queueLen)
		}
		r.store.setFail(nil)
		time.Sleep(pace.MaxRetry)
		r.settle()
		acks := r.acks("pi-1")
		for next := acks[len(acks)-1] + 1; next <= sent; next++ { // go back N
			r.sendAt("pi-1", next, in(saturday))
			synctest.Wait()
		}
		r.settle()
		if n := r.store.stored(); n != sent {
			t.Errorf("%d events stored, want %d", n, sent)
		}
	})
}

// TestRecordedPastFlows sends what was recorded years ago, unsorted, and sees
// that the live state and the forecast are left alone.
func TestRecordedPastFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		rebuilds := r.rebuilds()
		recomputes := r.metric("recomputes_total", "poort")
		const batches = 40
		for i := range batches {
			events := make([]perron.Event, broker.MaxEvents)
			for j := range events {
				events[j] = in(time.Date(2016, 9, 19, 0, 0, (j*7919+i)%86400, 0, time.UTC))
			}
			r.send("pi-1", events...)
			synctest.Wait()
		}
		r.settle()
		if n := r.store.stored(); n != batches*broker.MaxEvents {
			t.Fatalf("%d events stored", n)
		}
		if n := r.rebuilds(); n != rebuilds {
			t.Errorf("%v rebuilds for the past", n-rebuilds)
		}
		if n := r.metric("recomputes_total", "poort"); n > recomputes+2 {
			t.Errorf("%v computations for the past", n-recomputes)
		}
		if b := r.shown(); b.Gates[0].InToday != 0 {
			t.Errorf("the past counts today: %+v", b.Gates)
		}
		time.Sleep(15 * time.Minute)
		r.well()
		if n := r.forecaster.fitted(); n != 1 {
			t.Errorf("%d fits, want only the one at the start: what is older than it learns from changes nothing", n)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	whole := Config{
		Store: newFakeStore(), Link: &fakeLink{}, Sites: []*perron.Site{poort()},
		NewEstimator: func(*perron.Site) Estimator { return nil }, NewForecaster: func(*perron.Site) Forecaster { return nil },
	}
	if _, err := New(whole); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no store":       func(c *Config) { c.Store = nil },
		"no link":        func(c *Config) { c.Link = nil },
		"no estimator":   func(c *Config) { c.NewEstimator = nil },
		"no forecaster":  func(c *Config) { c.NewForecaster = nil },
		"one site twice": func(c *Config) { c.Sites = append(c.Sites, poort()) },
	} {
		c := whole
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
