package collector

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func (r *rig) rebuilds() float64 {
	return r.metric("rebuilds_total", "poort")
}

func doubts(b perron.Busyness) string {
	var out []string
	for _, d := range b.Doubts {
		s := string(d.Kind) + " " + d.Gateway
		if d.Sensor != "" {
			s += "/" + d.Sensor
		}
		if d.Count > 0 {
			s += fmt.Sprint(" ", d.Count)
		}
		out = append(out, s)
	}
	return fmt.Sprint(out)
}

func TestStalenessComesFromTheGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown || !b.MeasuredAt.IsZero() || len(b.Doubts) != 0 {
			t.Errorf("before any word: %+v", b)
		}
		r.status("pi-1", nil)
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown {
			t.Errorf("with word of one gateway of two: %v", b.Level)
		}
		r.status("pi-2", nil)
		r.settle()
		b := r.shown()
		if b.Level != perron.Quiet || !b.StaleAt.Equal(b.MeasuredAt.Add(5*time.Minute)) || b.Quality != perron.Measured {
			t.Errorf("with word of both: %+v", b)
		}

		// pi-2 falls silent. The state lasts as long as it may, and says so.
		last := r.now()
		r.well()
		for range 9 {
			time.Sleep(30 * time.Second)
			r.status("pi-1", nil)
		}
		r.settle()
		b = r.shown()
		if b.Level != perron.Quiet || !b.MeasuredAt.Equal(last) {
			t.Errorf("4.5 minutes after the last word: level %v, measured at %v, want %v", b.Level, b.MeasuredAt, last)
		}
		if got := doubts(b); got != "[gateway_offline pi-2]" {
			t.Errorf("doubts %s", got)
		}
		time.Sleep(31 * time.Second)
		r.status("pi-1", nil)
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown || b.Quality != perron.Typical || b.TypicalLevel != perron.Busy || b.OnSite != (perron.Interval{}) {
			t.Errorf("after 5 minutes of silence: %+v", b)
		}
		r.well()
		if b := r.shown(); b.Level != perron.Quiet || len(b.Doubts) != 0 {
			t.Errorf("when it is back: %+v", b)
		}
	})
}

func TestBacklogHoldsTheMeasurementBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		oldest := r.now().Add(-2 * time.Minute)
		r.status("pi-1", func(s *perron.GatewayStatus) { s.Waiting, s.OldestWaiting = 3, oldest })
		r.status("pi-2", nil)
		r.settle()
		b := r.shown()
		if !b.MeasuredAt.Equal(oldest) || doubts(b) != "[backlog pi-1 3]" {
			t.Errorf("measured at %v, doubts %s; want %v and a backlog", b.MeasuredAt, doubts(b), oldest)
		}
		r.send("pi-1", in(oldest), in(oldest.Add(time.Minute)))
		r.settle()
		if b := r.shown(); !b.MeasuredAt.Equal(oldest.Add(time.Minute)) {
			t.Errorf("an event does not raise the measurement: %v", b.MeasuredAt)
		}
	})
}

func TestClockAheadDoesNotKeepAStateFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.status("pi-1", func(s *perron.GatewayStatus) { s.At = s.At.Add(24 * time.Hour) })
		r.status("pi-2", func(s *perron.GatewayStatus) { s.At = s.At.Add(24 * time.Hour) })
		r.settle()
		if b := r.published(); b.MeasuredAt.After(r.now()) {
			t.Errorf("measured at %v, in the future", b.MeasuredAt)
		}
	})
}

func TestDoubtsOfAGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		no := false
		r.status("pi-1", func(s *perron.GatewayStatus) {
			s.ClockSynced, s.Dropped, s.LostEdges, s.LossUnseen = &no, 4, 2, true
			s.Sensors = []perron.SensorStatus{
				{Sensor: "main-in", Health: perron.SensorOK},
				{Sensor: "lus-1", Health: perron.SensorStuck, Since: r.now()},
				{Sensor: "main-out", Health: perron.SensorChatter},
				{Sensor: "side-out", Health: perron.SensorFinished},
			}
		})
		r.status("pi-2", nil)
		r.settle()
		want := "[clock_unsynced pi-1 edges_lost pi-1 2 loss_unseen pi-1 outbox_full pi-1 4 sensor_fault pi-1/main-out sensor_stuck pi-1/lus-1]"
		if got := doubts(r.shown()); got != want {
			t.Errorf("doubts %s, want %s", got, want)
		}
		// The next day only what is new counts.
		time.Sleep(14 * time.Hour)
		r.status("pi-1", func(s *perron.GatewayStatus) { s.Dropped, s.LostEdges = 5, 2 })
		r.status("pi-2", nil)
		r.settle()
		if got := doubts(r.shown()); got != "[outbox_full pi-1 1]" {
			t.Errorf("doubts of the next day: %s", got)
		}
		// A last will has no more to say.
		r.status("pi-1", func(s *perron.GatewayStatus) { *s = perron.GatewayStatus{Site: s.Site, Gateway: s.Gateway} })
		r.settle()
		if got := doubts(r.shown()); got != "[gateway_offline pi-1 outbox_full pi-1 1]" {
			t.Errorf("doubts after the last will: %s", got)
		}
	})
}

func TestLateEventsAreWorkedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		now := r.now()
		// Out before in leaves one too many on site; only the order tells.
		r.send("pi-1", out(now.Add(-time.Hour)), in(now))
		r.settle()
		before := r.rebuilds()
		r.send("pi-2", in(now.Add(-2*time.Hour)))
		time.Sleep(time.Second)
		r.settle()
		if b := r.shown(); b.OnSite.Mid != 1 || b.Gates[0].InToday != 2 || b.Gates[0].OutToday != 1 {
			t.Errorf("on site %v, gates %+v; want 1, 2 in, 1 out", b.OnSite.Mid, b.Gates)
		}
		if n := r.rebuilds() - before; n != 1 {
			t.Errorf("%v rebuilds for one late event", n)
		}
	})
}

func TestUnevenGatewaysCauseNoRebuildStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		before := r.rebuilds()
		const n = 500
		for i := range n { // ten seconds of 50 pulses a second, each half a second behind the other gateway
			now := r.now()
			if i%2 == 0 {
				r.send("pi-1", in(now))
			} else {
				r.send("pi-2", out(now.Add(-500*time.Millisecond)))
			}
			synctest.Wait()
			time.Sleep(20 * time.Millisecond)
		}
		r.settle()
		b := r.shown()
		if b.Gates[0].InToday != n/2 || b.Gates[0].OutToday != n/2 {
			t.Errorf("gates %+v", b.Gates)
		}
		if got := r.rebuilds() - before; got > 1 {
			t.Errorf("%v rebuilds in ten seconds", got)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := r.rebuilds() - before; got == 0 || got > 2 {
			t.Errorf("%v rebuilds to heal the order", got)
		}
	})
}

// TestOrderDoesNotMatter sends one day in order and shuffled, with duplicates,
// and wants one state.
func TestOrderDoesNotMatter(t *testing.T) {
	var states [3]perron.Busyness
	for i, seed := range []uint64{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newFakeStore(), at(saturday), nil)
			rnd := rand.New(rand.NewPCG(7, 7))
			var events []perron.Event
			for at := saturday.Add(-2 * time.Hour); at.Before(saturday); at = at.Add(time.Duration(1+rnd.IntN(60)) * time.Second) {
				if rnd.IntN(2) == 0 {
					events = append(events, in(at))
				} else {
					events = append(events, out(at))
				}
			}
			if seed > 0 {
				rand.New(rand.NewPCG(seed, seed)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			}
			for first := 1; len(events) > 0; {
				n := min(7, len(events))
				r.sendAt("pi-1", uint64(first), events[:n]...)
				if first%3 == 0 {
					r.sendAt("pi-1", uint64(first), events[:n]...)
				}
				synctest.Wait()
				events, first = events[n:], first+n
			}
			time.Sleep(time.Minute)
			r.well()
			states[i] = timeless(r.shown())
			if n := r.rebuilds(); n > 5 {
				t.Errorf("%v rebuilds", n)
			}
		})
	}
	for i := range states {
		if diff := cmp.Diff(states[0], states[i]); diff != "" {
			t.Errorf("shuffled (-in order +shuffled):\n%s", diff)
		}
	}
}

func TestRestartKnowsToday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		r := start(t, st, now, nil)
		r.well()
		r.send("pi-1", in(r.now()), in(r.now()), in(r.now()), in(r.now().Add(time.Hour))) // the last is set aside
		r.settle()
		r.act(perron.Action{ID: "a1", Kind: perron.Recount, Vehicles: 7})
		r.act(perron.Action{ID: "a2", Kind: perron.Announce, Text: map[string]string{"nl": "Glas vol"}})
		time.Sleep(10 * time.Second)
		r.send("pi-1", out(r.now()))
		r.send("pi-2", perron.Event{Time: r.now(), Sensor: "side-out", Kind: perron.Out})
		r.settle()
		before := r.shown()
		r.stop()

		// The store is away at first; then nobody says anything.
		st.setFail(store.ErrUnavailable)
		again := start(t, st, now, nil)
		time.Sleep(3 * time.Second)
		if again.link.count() > 0 {
			t.Error("a state is published before today is known")
		}
		st.setFail(nil)
		time.Sleep(pace.MaxRetry)
		again.settle()
		after := again.shown()
		if before.OnSite.Mid != 5 || before.Quality != perron.Corrected {
			t.Errorf("before: %+v", before)
		}
		if diff := cmp.Diff(timeless(before), timeless(after)); diff != "" {
			t.Errorf("the restart changes the state:\n%s", diff)
		}
		if !after.MeasuredAt.Equal(before.MeasuredAt) {
			t.Errorf("measured at %v, was %v", after.MeasuredAt, before.MeasuredAt)
		}
		// What is sent again is known; what is new counts on.
		again.seq = r.seq
		again.sendAt("pi-1", 1, in(saturday), in(saturday), in(saturday), in(saturday), out(saturday), in(again.now()))
		again.settle()
		if b := again.shown(); b.OnSite.Mid != 6 || b.Gates[0].InToday != 4 {
			t.Errorf("after more: on site %v, gates %+v", b.OnSite, b.Gates)
		}
	})
}

func TestDayWindowsAtClockChanges(t *testing.T) {
	for _, c := range []struct {
		name     string
		date     perron.Date
		quarters int
	}{
		{"summer time begins", perron.Date{Year: 2026, Month: 3, Day: 29}, 92},
		{"summer time ends", perron.Date{Year: 2026, Month: 10, Day: 25}, 100},
		{"ordinary", perron.Date{Year: 2026, Month: 5, Day: 30}, 96},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				midnight := c.date.Start()
				r := start(t, newFakeStore(), at(midnight.Add(-30*time.Second)), nil)
				r.well()
				r.send("pi-1", in(midnight.Add(-time.Minute)), in(midnight.Add(10*time.Second))) // one belongs to the day to come
				r.settle()
				if b := r.shown(); b.Gates[0].InToday != 1 {
					t.Errorf("before midnight: %+v", b.Gates[0])
				}
				time.Sleep(time.Minute)
				r.well()
				if b := r.shown(); b.Gates[0].InToday != 1 || b.Gates[0].InHour != 1 || b.OnSite.Mid != 1 {
					t.Errorf("after midnight: %+v, on site %v", b.Gates[0], b.OnSite.Mid)
				}
				// One vehicle each hour of the clock, up to the end of the day.
				for n := 2; ; n++ {
					next := perron.Hour.Next(r.now()).Add(time.Minute)
					if !next.Before(c.date.End()) {
						if want := c.quarters / 4; n-1 != want {
							t.Errorf("%d hours, want %d", n-1, want)
						}
						break
					}
					time.Sleep(next.Sub(r.now()))
					r.send("pi-1", in(r.now()))
					r.well()
					if g := r.shown().Gates[0]; g.InToday != n || g.InHour != 1 {
						t.Fatalf("at %v: %+v, want %d today and 1 this hour", r.now(), g, n)
					}
				}
				time.Sleep(c.date.End().Sub(r.now()) + time.Second)
				r.well()
				if b := r.shown(); b.Gates[0].InToday != 0 || b.OnSite.Mid != 0 {
					t.Errorf("the next day: %+v, on site %v", b.Gates[0], b.OnSite.Mid)
				}
				if f := r.forecast(); len(f.Measured) != 0 {
					t.Errorf("%d quarters measured at midnight", len(f.Measured))
				}
			})
		})
	}
}

func TestClockThatJumpsReadsTheDayAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		var offset atomic.Int64
		clock := at(saturday)
		r := start(t, st, func() time.Time { return clock().Add(time.Duration(offset.Load())) }, nil)
		r.send("pi-1", in(r.now()))
		r.settle()
		offset.Store(int64(72 * time.Hour))
		time.Sleep(tickEvery)
		r.well()
		if b := r.shown(); b.Gates[0].InToday != 0 {
			t.Errorf("three days on: %+v", b.Gates[0])
		}
		offset.Store(0)
		time.Sleep(tickEvery)
		r.well()
		if b := r.shown(); b.Gates[0].InToday != 1 {
			t.Errorf("and back: %+v", b.Gates[0])
		}
	})
}

func TestStaffActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		r.send("pi-1", in(r.now()))
		r.settle()
		r.act(perron.Action{ID: "a1", Kind: perron.Recount, Vehicles: 9})
		if b := r.shown(); b.OnSite.Mid != 9 || b.Quality != perron.Corrected {
			t.Errorf("after a recount: %+v", b)
		}
		time.Sleep(time.Second)
		r.send("pi-1", in(r.now()))
		r.settle()
		r.act(perron.Action{ID: "a2", Kind: perron.Undo, Undoes: "a1"})
		if b := r.shown(); b.OnSite.Mid != 2 || b.Quality != perron.Measured {
			t.Errorf("after taking it back: on site %v, %v", b.OnSite.Mid, b.Quality)
		}
		why := map[string]string{"nl": "Storing"}
		r.act(perron.Action{ID: "a3", Kind: perron.Close, Text: why})
		if b := r.shown(); b.Level != perron.Closed || b.Closure == nil || b.Closure.Reason["nl"] != "Storing" || b.Band != (perron.Band{}) {
			t.Errorf("after closing: %+v", b)
		}
		time.Sleep(2 * time.Minute)
		r.well()
		if e := r.forecaster.present(); e.Wait != (perron.Interval{}) || e.OnSite.Mid != 2 {
			t.Errorf("the forecast is told %+v while closed", e)
		}
		r.act(perron.Action{ID: "a4", Kind: perron.Reopen})
		if b := r.shown(); b.Level != perron.Quiet || b.Closure != nil {
			t.Errorf("after reopening: %+v", b)
		}
		// A closure that ends by itself does so at once.
		ends := r.now().Add(10*time.Minute + 7*time.Second)
		r.act(perron.Action{ID: "a4b", Kind: perron.Close, Text: why, Until: ends})
		if b := r.shown(); b.Level != perron.Closed || b.Closure == nil || !b.Closure.Until.Equal(ends) {
			t.Errorf("closed for a while: %+v", b)
		}
		for r.now().Before(ends.Add(-30 * time.Second)) {
			time.Sleep(20 * time.Second)
			r.well()
		}
		time.Sleep(ends.Sub(r.now()) + 10*time.Millisecond)
		synctest.Wait()
		if b := r.published(); b.Level != perron.Quiet || b.Closure != nil {
			t.Errorf("when its time has come: %v, %+v", b.Level, b.Closure)
		}
		r.act(perron.Action{ID: "a5", Kind: perron.Announce, Text: why})
		if b := r.shown(); b.Notice == nil || b.Notice.ID != "a5" {
			t.Errorf("after a notice: %+v", b.Notice)
		}
		r.act(perron.Action{ID: "a6", Kind: perron.Withdraw})
		if b := r.shown(); b.Notice != nil {
			t.Errorf("after withdrawing it: %+v", b.Notice)
		}
		// A nudge that is lost is made up for within a minute.
		r.store.mu.Lock()
		r.store.actions = append(r.store.actions, perron.Action{ID: "a7", Site: "poort", At: r.now(), Kind: perron.Recount, Vehicles: 3})
		r.store.mu.Unlock()
		time.Sleep(actionsEvery)
		r.well()
		if b := r.shown(); b.OnSite.Mid != 3 {
			t.Errorf("an action without a nudge: on site %v", b.OnSite.Mid)
		}
	})
}

func TestBandsHoldAndLevelsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		enter := func(n int) perron.Busyness {
			for range n {
				r.send("pi-1", in(r.now()))
			}
			r.settle()
			return r.shown()
		}
		leave := func(n int) perron.Busyness {
			for range n {
				r.send("pi-1", out(r.now()))
			}
			r.settle()
			return r.shown()
		}
		for _, c := range []struct {
			b     perron.Busyness
			band  perron.Band
			level perron.Level
		}{
			{enter(8), perron.Band{Min: 0, Max: 5}, perron.Quiet},
			{enter(1), perron.Band{Min: 0, Max: 5}, perron.Moderate}, // 9 of 12 bays
			{enter(3), perron.Band{Min: 10, Max: 15}, perron.Busy},   // 10 minutes
			{enter(1), perron.Band{Min: 10, Max: 15}, perron.Busy},   // 15 is not yet beyond the band
			{enter(1), perron.Band{Min: 20, Max: 30}, perron.Busy},   // 20
			{enter(2), perron.Band{Min: 20, Max: 30}, perron.Busy},   // 30: the band holds, and the level with it
			{enter(1), perron.Band{Min: 30, Max: 45}, perron.VeryBusy},
			{leave(1), perron.Band{Min: 30, Max: 45}, perron.VeryBusy}, // 30
			{leave(9), perron.Band{Min: 0, Max: 5}, perron.Quiet},      // 7 of 12 bays
		} {
			if c.b.Band != c.band || c.b.Level != c.level {
				t.Errorf("wait %v, on site %v: band %v, level %v; want %v, %v", c.b.Wait.Mid, c.b.OnSite.Mid, c.b.Band, c.b.Level, c.band, c.level)
			}
		}
	})
}

func TestOpeningHoursTurnTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opens := time.Date(2026, 5, 30, 6, 30, 0, 0, time.UTC)
		r := start(t, newFakeStore(), at(opens.Add(-40*time.Second)), nil)
		r.well()
		if b := r.shown(); b.Level != perron.Closed || !b.OpensAt.Equal(opens) {
			t.Errorf("before opening: %v, opens at %v", b.Level, b.OpensAt)
		}
		time.Sleep(opens.Sub(r.now()) + 10*time.Millisecond)
		synctest.Wait()
		if b := r.published(); b.Level != perron.Quiet {
			t.Errorf("at opening time the state says %v", b.Level)
		}
		// Late: there is no time left to come and get in.
		closes := time.Date(2026, 5, 30, 15, 0, 0, 0, time.UTC)
		time.Sleep(closes.Sub(r.now()) - 16*time.Minute)
		r.well()
		if b := r.shown(); b.Level != perron.Quiet {
			t.Errorf("a quarter before closing with nobody there: %v", b.Level)
		}
		for range 11 {
			r.send("pi-1", in(r.now()))
		}
		r.well()
		if b := r.shown(); b.Level == perron.Late {
			t.Errorf("a quarter before closing with a wait of %v: %v", b.Wait.Mid, b.Level)
		}
		r.send("pi-1", in(r.now()))
		r.well()
		if b := r.shown(); b.Level != perron.Late {
			t.Errorf("a quarter before closing with a wait of %v: %v", b.Wait.Mid, b.Level)
		}
		// It is not taken back for a minute and said again.
		for _, want := range []bool{true, false} {
			r.send("pi-1", out(r.now()))
			r.well()
			if b := r.shown(); (b.Level == perron.Late) != want {
				t.Errorf("after too late, with a wait of %v: %v", b.Wait.Mid, b.Level)
			}
		}
		time.Sleep(closes.Sub(r.now()) + 10*time.Millisecond)
		synctest.Wait()
		if b := r.published(); b.Level != perron.Closed {
			t.Errorf("at closing time the state says %v", b.Level)
		}
	})
}
