package collector

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// hold lets a gateway say what its outbox holds.
func (r *rig) hold(gateway, epoch string, next, waiting uint64) {
	r.t.Helper()
	r.status(gateway, func(s *perron.GatewayStatus) { s.Epoch, s.Next, s.Waiting = epoch, next, waiting })
}

func (r *rig) sendOf(gateway, epoch string, first uint64, events ...perron.Event) {
	r.t.Helper()
	b, err := broker.Events{Epoch: epoch, Floor: 1, First: first, Events: events}.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.receive(broker.EventsFilter, broker.EventsTopic("poort", gateway), b)
}

// What an outbox held when it was deleted is lost: as much as its last status
// told of, less what was stored of that. A collector that was not running when
// it happened knows it too, and it is shown until the day is over.
func TestOutboxThatIsGoneIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		r := start(t, st, now, nil)
		e := in(r.now())
		r.hold("pi-1", "one", 1, 0)
		r.hold("pi-2", "e", 1, 0)
		r.sendOf("pi-1", "one", 1, e, e, e)
		r.settle()
		time.Sleep(time.Minute)
		r.hold("pi-1", "one", 101, 100) // 3 of them are stored, which it does not know yet
		r.settle()
		if got := doubts(r.shown()); got != "[]" {
			t.Errorf("while it only waits: %s", got)
		}
		heard := r.now()
		r.stop()
		time.Sleep(10 * time.Minute)
		r = start(t, st, now, nil)
		r.sendOf("pi-1", "two", 1, in(r.now()), in(r.now()))
		r.hold("pi-2", "e", 1, 0)
		r.settle()
		check := func(r *rig, want string, since time.Time) {
			t.Helper()
			b := r.shown()
			if got := doubts(b); got != want {
				t.Fatalf("doubts %s, want %s", got, want)
			}
			for _, d := range b.Doubts {
				if d.Kind == perron.DoubtOutbox && !d.Since.Equal(since) && d.Count == 97 {
					t.Errorf("since %v, want %v", d.Since, since)
				}
			}
		}
		r.hold("pi-1", "two", 3, 0)
		r.settle()
		since := heard.Add(-50 * time.Millisecond) // of settle
		check(r, "[outbox_gone pi-1 97]", since)

		// It goes in order, with everything stored: nothing is lost with it.
		r.status("pi-1", func(s *perron.GatewayStatus) { s.Epoch, s.Next, s.Online = "two", 3, false })
		r.hold("pi-1", "three", 1, 0)
		r.settle()
		check(r, "[outbox_gone pi-1 97]", since)

		// Nobody knows what it has seen since it was heard.
		unheard := r.now()
		time.Sleep(time.Minute)
		r.hold("pi-1", "four", 1, 0)
		r.hold("pi-2", "e", 1, 0)
		r.settle()
		check(r, "[outbox_gone pi-1 97 outbox_gone pi-1]", since)
		if d := r.shown().Doubts[1]; unheard.Sub(d.Since) > time.Second {
			t.Errorf("since %v, want about %v", d.Since, unheard)
		}

		// A restart changes nothing.
		r.stop()
		r = start(t, st, now, nil)
		r.hold("pi-1", "four", 1, 0)
		r.hold("pi-2", "e", 1, 0)
		r.settle()
		check(r, "[outbox_gone pi-1 97 outbox_gone pi-1]", since)
		time.Sleep(24 * time.Hour)
		r.hold("pi-1", "four", 1, 0)
		r.hold("pi-2", "e", 1, 0)
		r.settle()
		check(r, "[]", since)
	})
}

// Batches may be on their way for long, and two devices with one name take
// turns: neither is a loss in the end.
func TestOutboxThatIsNotGoneIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		r := start(t, st, at(saturday), nil)
		e := in(r.now())
		say := func(epoch string, next, waiting uint64, want string) {
			t.Helper()
			r.hold("pi-1", epoch, next, waiting)
			r.hold("pi-2", "e", 1, 0)
			r.settle()
			if got := doubts(r.shown()); got != want {
				t.Errorf("doubts %s, want %s", got, want)
			}
		}
		say("one", 11, 10, "[]")
		say("two", 1, 0, "[outbox_gone pi-1 10]")
		r.sendOf("pi-1", "one", 1, e, e, e, e)
		say("two", 1, 0, "[outbox_gone pi-1 6]")
		say("one", 11, 10, "[outbox_gone pi-1]") // the other one may be gone
		say("two", 1, 0, "[outbox_gone pi-1 6]")
		r.sendOf("pi-1", "one", 5, e, e, e, e, e, e)
		say("two", 1, 0, "[outbox_gone pi-1]")
		if n := len(st.losses); n != 1 || st.losses[0].Reason != "one" || st.losses[0].Count != 0 {
			t.Errorf("saved: %+v", st.losses)
		}
		if n := r.stored(); n != 10 {
			t.Errorf("%d stored, want 10", n)
		}
	})
}

func (r *rig) stored() int { return r.store.stored() }

// While the store is away nothing of this is forgotten, and events wait behind.
func TestOutboxThatIsGoneWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		r := start(t, st, at(saturday), nil)
		r.hold("pi-1", "one", 8, 7)
		r.settle()
		st.setFail(store.ErrUnavailable)
		r.hold("pi-1", "two", 3, 2)
		r.sendOf("pi-1", "two", 1, in(r.now()), in(r.now()))
		time.Sleep(10 * time.Second)
		if acks := r.acks("pi-1"); len(acks) != 0 {
			t.Errorf("acknowledged %v without a store", acks)
		}
		st.setFail(nil)
		time.Sleep(10 * time.Second)
		r.hold("pi-2", "e", 1, 0)
		r.settle()
		if got := doubts(r.shown()); got != "[outbox_gone pi-1 7]" || st.stored() != 2 {
			t.Errorf("doubts %s, %d stored", got, st.stored())
		}
	})
}
