package collector

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A gateway whose card cannot be written to is online, and nothing waits in its
// outbox, but it does not count.
func TestGatewayThatCannotKeepIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		since := r.now()
		for range 12 {
			time.Sleep(30 * time.Second)
			r.status("pi-1", func(s *perron.GatewayStatus) { s.FailingSince = since })
			r.status("pi-2", nil)
		}
		r.settle()
		b := r.shown()
		if b.MeasuredAt.After(since) || b.Level != perron.Unknown {
			t.Errorf("6 minutes after it failed: level %v, measured %v after that", b.Level, b.MeasuredAt.Sub(since))
		}
		if got := doubts(b); got != "[outbox_failing pi-1]" {
			t.Errorf("doubts %s", got)
		}
		r.well()
		if b := r.shown(); b.Level != perron.Quiet || len(b.Doubts) != 0 {
			t.Errorf("when it is well again: %v, doubts %s", b.Level, doubts(b))
		}
	})
}

// What passes while a gateway has no power is never counted, however well it
// is afterwards.
func TestGatewayThatWasOffIsDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		boot := r.now()
		say := func() {
			r.status("pi-1", func(s *perron.GatewayStatus) { s.Started = boot })
			r.status("pi-2", func(s *perron.GatewayStatus) { s.Started = saturday })
			r.settle()
		}
		say()
		time.Sleep(20 * time.Second) // an update
		boot = r.now()
		say()
		if got := doubts(r.shown()); got != "[]" {
			t.Errorf("after a short restart: doubts %s", got)
		}
		for range 20 { // a dead link, but the device ran
			time.Sleep(30 * time.Second)
			r.status("pi-2", func(s *perron.GatewayStatus) { s.Started = saturday })
		}
		off := r.now() // last heard
		say()
		if got := doubts(r.shown()); got != "[]" {
			t.Errorf("after a dead link: doubts %s", got)
		}
		time.Sleep(10 * time.Minute)
		boot = boot.Add(time.Second) // its clock stood still meanwhile
		say()
		b := r.shown()
		if got := doubts(b); got != "[gateway_was_off pi-1]" || !b.Doubts[0].Since.Equal(off) {
			t.Errorf("after a power cut: doubts %s since %v, want %v", got, b.Doubts, off)
		}
		r.status("pi-1", func(s *perron.GatewayStatus) { s.Started, s.Damaged = boot, 1 })
		r.settle()
		if got := doubts(r.shown()); got != "[gateway_was_off pi-1 outbox_damaged pi-1]" {
			t.Errorf("with a damaged outbox: doubts %s", got)
		}
		time.Sleep(14 * time.Hour) // pi-1 has been silent again, but not restarted
		say()
		if got := doubts(r.shown()); got != "[]" {
			t.Errorf("the next day: doubts %s", got)
		}
	})
}

// A gateway knows itself when it was not running, and a collector that was
// started since hears it. Unsure times are doubted for the day that they fall
// on, also by a collector that did not see them come.
func TestWhatTheGatewayKnowsSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		r := start(t, st, now, nil)
		off := perron.Outage{From: saturday.Add(-3 * time.Hour), Until: saturday.Add(-2 * time.Hour)}
		say := func(r *rig) {
			r.status("pi-1", func(s *perron.GatewayStatus) {
				s.Started = off.Until
				s.Outages = []perron.Outage{{From: off.From.AddDate(0, 0, -1), Until: off.Until.AddDate(0, 0, -1)}, off}
			})
			r.status("pi-2", func(s *perron.GatewayStatus) { s.Outages = []perron.Outage{} })
			r.settle()
		}
		unsure := in(r.now().Add(-time.Minute))
		unsure.Unsure = true
		yesterday := in(saturday.AddDate(0, 0, -1))
		yesterday.Unsure = true
		r.send("pi-1", unsure, unsure, yesterday)
		say(r)
		check := func(b perron.Busyness) {
			t.Helper()
			if got := doubts(b); got != "[gateway_was_off pi-1 times_unsure pi-1 2]" || !b.Doubts[0].Since.Equal(off.From) || !b.Doubts[1].Since.Equal(unsure.Time) {
				t.Errorf("doubts %s since %v", got, b.Doubts)
			}
		}
		check(r.shown())
		r.stop()
		again := start(t, st, now, nil)
		say(again)
		check(again.shown())
		time.Sleep(24 * time.Hour)
		say(again)
		if got := doubts(again.shown()); got != "[]" {
			t.Errorf("the next day: doubts %s", got)
		}
	})
}

// A store without transactions may hold events of a batch that it did not
// settle when the collector was killed. They are sent again, and are part of
// today only once.
func TestUnsettledEventsCountOnceAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		r := start(t, st, now, nil)
		r.well()
		r.send("pi-1", in(r.now()), in(r.now()))
		r.settle()
		r.stop()
		for seq := uint64(3); seq <= 4; seq++ { // of three that came
			st.records = append(st.records, perron.Record{
				Event: in(saturday), Site: "poort", Gateway: "pi-1", Gate: "main", Epoch: "e", Seq: seq,
			})
		}
		again := start(t, st, now, nil)
		again.sendAt("pi-1", 3, in(saturday), in(saturday), in(saturday))
		again.well()
		if b := again.shown(); b.OnSite.Mid != 5 || b.Gates[0].InToday != 5 {
			t.Errorf("on site %v, gates %+v, want 5", b.OnSite, b.Gates)
		}
	})
}

// A device that counts by itself may have begun at zero again: staff hear of it
// until the day is over.
func TestGapOfCounterIsDoubtedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.well()
		from := r.now().Add(-time.Minute)
		gaps := []perron.CounterGap{
			{Kind: "forward", From: from.Add(-24 * time.Hour), To: from.Add(-23 * time.Hour), Counted: 40},
			{Kind: "forward", From: from, To: from.Add(10 * time.Second), Counted: 7},
			{Kind: "reset", From: from.Add(20 * time.Second), To: from.Add(40 * time.Second), Counted: 2, Missed: true},
			{Kind: "jump", From: from.Add(40 * time.Second), To: from.Add(41 * time.Second), Refused: 500, Missed: true},
			{Kind: "same", From: from.Add(42 * time.Second), To: from.Add(50 * time.Second), Missed: true},
		}
		say := func(health perron.SensorHealth) {
			r.status("pi-1", func(s *perron.GatewayStatus) {
				s.Sensors = []perron.SensorStatus{{Sensor: "main-in", Health: health, Since: from, Gaps: gaps}}
			})
			r.status("pi-2", nil)
			r.settle()
		}
		say(perron.SensorSilent)
		b := r.shown()
		if got := doubts(b); got != "[counter_gap pi-1/main-in counter_jump pi-1/main-in 500 counter_reset pi-1/main-in sensor_silent pi-1/main-in times_spread pi-1/main-in 9]" {
			t.Fatalf("doubts %s", got)
		}
		if d := b.Doubts[4]; !d.Since.Equal(from) {
			t.Errorf("gap: %+v", d)
		}
		time.Sleep(24 * time.Hour)
		say(perron.SensorOK)
		if got := doubts(r.shown()); got != "[]" {
			t.Errorf("the day after: doubts %s", got)
		}
	})
}
