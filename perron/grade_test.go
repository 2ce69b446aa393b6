package perron

import (
	"testing"
	"time"
)

func TestGradeOfASlot(t *testing.T) {
	site := &Site{Bays: 20}
	for name, c := range map[string]struct {
		slot Slot
		want Level
	}{
		"nobody there":         {Slot{}, Quiet},
		"three of four bays":   {Slot{OnSite: Exactly(15)}, Moderate},
		"one fewer":            {Slot{OnSite: Exactly(14)}, Quiet},
		"a wait":               {Slot{Wait: Exactly(10)}, Busy},
		"likely too late":      {Slot{Late: 0.51}, Late},
		"as likely as not":     {Slot{Late: 0.5}, Quiet},
		"too late with a wait": {Slot{Wait: Exactly(40), Late: 0.9}, Late},
	} {
		if got := site.GradeSlot(&c.slot); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := (&Site{}).Grade(0, 30); got != Quiet {
		t.Errorf("without bays that are known: %v", got)
	}
}

// A Grader remembers: what it said holds until it is clearly wrong.
func TestGrader(t *testing.T) {
	noon := time.Date(2026, 5, 30, 10, 0, 0, 0, time.UTC)
	closes := noon.Add(5 * time.Hour)
	g := Grader{Site: &Site{Bays: 20}}
	say := func(minute int, wait, onSite float64, f *Forecast) Graded {
		e := Estimate{Wait: Exactly(wait), OnSite: Exactly(onSite)}
		return g.Grade(noon.Add(time.Duration(minute)*time.Minute), &e, closes, f)
	}
	for i, c := range []struct {
		minute       int
		wait, onSite float64
		want         Graded
	}{
		{0, 0, 15, Graded{Band{0, 5}, Moderate, Steady}},
		{1, 0, 14, Graded{Band{0, 5}, Moderate, Steady}}, // a full yard is left a little later
		{2, 0, 13, Graded{Band{0, 5}, Quiet, Steady}},
		{3, 11, 20, Graded{Band{10, 15}, Busy, Rising}},
		{4, 15.5, 20, Graded{Band{10, 15}, Busy, Rising}}, // not yet clearly beyond
		{5, 9.5, 20, Graded{Band{10, 15}, Busy, Rising}},  // the level goes by the band that is shown
		{6, 4, 20, Graded{Band{0, 5}, Moderate, Rising}},
		{40, 4, 8, Graded{Band{0, 5}, Quiet, Steady}}, // of half an hour ago nothing is remembered
	} {
		if got := say(c.minute, c.wait, c.onSite, nil); got != c.want {
			t.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
	g.Forget()
	if got := say(41, 9.5, 20, nil); got.Band != (Band{5, 10}) {
		t.Errorf("after it has forgotten: %+v", got)
	}

	// A forecast goes before the last quarter of an hour, while it is fresh.
	f := &Forecast{Origin: noon.Add(41 * time.Minute)}
	for q := Quarter.Start(noon); len(f.Quarters) < 20; q = Quarter.Next(q) {
		f.Quarters = append(f.Quarters, Slot{Start: q, Minutes: 15, Open: true, Wait: Exactly(30), Basis: Expected})
	}
	if got := say(42, 9, 20, f); got.Trend != Rising {
		t.Errorf("with a forecast of more: %+v", got)
	}
	if got := say(60, 9, 20, f); got.Trend != Steady {
		t.Errorf("with one that is old: %+v", got)
	}
}

// Who cannot arrive in time is too late, and it is not taken back for a minute.
func TestGraderOfTheEnd(t *testing.T) {
	closes := time.Date(2026, 5, 30, 15, 0, 0, 0, time.UTC)
	g := Grader{Site: &Site{Bays: 20}}
	say := func(before time.Duration, wait float64) Level {
		e := Estimate{Wait: Exactly(wait)}
		return g.Grade(closes.Add(-before), &e, closes, nil).Level
	}
	for i, c := range []struct {
		before time.Duration
		wait   float64
		want   Level
	}{
		{40 * time.Minute, 30, VeryBusy}, // they get in at the last minute
		{40 * time.Minute, 31, Late},
		{40 * time.Minute, 28, Late},
		{40 * time.Minute, 26, Busy},
		{Travel + time.Second, 0, Quiet},
		{Travel, 0, Late},
	} {
		if got := say(c.before, c.wait); got != c.want {
			t.Errorf("%d: %v before closing with a wait of %v minutes: %v, want %v", i, c.before, c.wait, got, c.want)
		}
	}
}
