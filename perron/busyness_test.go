package perron

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBandOf(t *testing.T) {
	for minutes, want := range map[float64]Band{
		-1: {0, 5}, 0: {0, 5}, 4.99: {0, 5}, 5: {5, 10}, 14.9: {10, 15}, 15: {15, 20}, 29: {20, 30}, 44: {30, 45},
		59.9: {45, 60}, 60: {60, 0}, 600: {60, 0}, math.Inf(1): {60, 0},
	} {
		if got := BandOf(minutes); got != want {
			t.Errorf("%v min: %v, want %v", minutes, got, want)
		}
	}
	if got := BandOf(math.NaN()); got != (Band{}) {
		t.Errorf("no number: %v", got)
	}
}

func TestBandHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		shown   Band
		minutes float64
		want    Band
	}{
		{"the first is taken as it is", Band{}, 17, Band{15, 20}},
		{"within", Band{10, 15}, 12, Band{10, 15}},
		{"a little over", Band{10, 15}, 16.4, Band{10, 15}},
		{"over by a tenth of the edge", Band{10, 15}, 16.5, Band{15, 20}},
		{"over by a minute at a low edge", Band{0, 5}, 5.9, Band{0, 5}},
		{"over by more than a minute at a low edge", Band{0, 5}, 6, Band{5, 10}},
		{"a little under", Band{10, 15}, 9.1, Band{10, 15}},
		{"under by a minute", Band{10, 15}, 9, Band{5, 10}},
		{"a little under the last", Band{60, 0}, 54.5, Band{60, 0}},
		{"under the last by a tenth", Band{60, 0}, 54, Band{45, 60}},
		{"a jump up", Band{0, 5}, 33, Band{30, 45}},
		{"a jump down", Band{60, 0}, 3, Band{0, 5}},
		{"up to the last", Band{45, 60}, 66, Band{60, 0}},
		{"not yet up to the last", Band{45, 60}, 65, Band{45, 60}},
		{"no number", Band{20, 30}, math.NaN(), Band{}},
	} {
		if got := c.shown.Hold(c.minutes); got != c.want {
			t.Errorf("%s: %v at %v min becomes %v, want %v", c.name, c.shown, c.minutes, got, c.want)
		}
	}
}

// A wait that trembles around an edge does not make the band flicker.
func TestBandDoesNotFlicker(t *testing.T) {
	for _, edge := range []float64{5, 10, 15, 20, 30, 45, 60} {
		b, changes := BandOf(edge), 0
		for i := range 100 {
			next := b.Hold(edge + 0.8*math.Sin(float64(i)))
			if next != b {
				changes++
			}
			b = next
		}
		if changes > 0 {
			t.Errorf("around %v min the band changes %d times", edge, changes)
		}
	}
}

func TestLevelOf(t *testing.T) {
	for _, c := range []struct {
		wait, load float64
		want       Level
	}{
		{0, 0, Quiet},
		{4.9, 0.7, Quiet},
		{0, 0.75, Moderate},
		{5, 0.2, Moderate},
		{9.9, 1.2, Moderate},
		{10, 1, Busy},
		{29.9, 1, Busy},
		{30, 1, VeryBusy},
		{math.NaN(), 0, Unknown},
		{0, math.NaN(), Unknown},
	} {
		if got := LevelOf(c.wait, c.load); got != c.want {
			t.Errorf("wait %v, load %v: %s, want %s", c.wait, c.load, got, c.want)
		}
	}
	ranks := map[Level]int{Quiet: 1, Moderate: 2, Busy: 3, VeryBusy: 4}
	for _, l := range []Level{Quiet, Moderate, Busy, VeryBusy, Closed, Late, Unknown} {
		if l.Rank() != ranks[l] {
			t.Errorf("%s: rank %d", l, l.Rank())
		}
	}
}

func TestBusynessAsOf(t *testing.T) {
	site := &Site{ID: "poort", Bays: 24, Hours: openDaily(t)}
	measured := civil(t, "2026-04-18 10:42")
	fresh := Busyness{
		Site: "poort",
		Estimate: Estimate{
			At: measured, OnSite: Interval{18, 20, 22}, Queue: Interval{8, 9, 12}, Wait: Interval{10, 12, 16},
			AtLeast: true, EntryRate: 0.8,
		},
		MeasuredAt: measured, StaleAt: measured.Add(5 * time.Minute),
		Quality: Measured, Level: Busy, Band: Band{10, 15}, Trend: Rising, TypicalLevel: Moderate,
	}
	with := func(change func(*Busyness)) Busyness {
		b := fresh
		change(&b)
		return b
	}
	closes, monday := civil(t, "2026-04-18 17:00").UTC(), civil(t, "2026-04-20 08:30").UTC()
	gone := func(b *Busyness) { // what a stale state no longer says
		b.OnSite, b.Queue, b.Wait, b.AtLeast, b.EntryRate = Interval{}, Interval{}, Interval{}, false, 0
		b.Band, b.Trend = Band{}, Steady
	}
	closure := &Closure{Since: measured, Reason: map[string]string{"nl": "Brand in container 3"}}

	for _, c := range []struct {
		name string
		in   Busyness
		at   string
		want Busyness
	}{
		{"fresh", fresh, "2026-04-18 10:43", with(func(b *Busyness) { b.ClosesAt = closes })},
		{"at its limit", fresh, "2026-04-18 10:47", with(func(b *Busyness) { b.ClosesAt = closes })},
		{"stale: what is usual stands in", fresh, "2026-04-18 10:48", with(func(b *Busyness) {
			gone(b)
			b.Level, b.Quality, b.ClosesAt = Unknown, Typical, closes
		})},
		{
			"stale and nothing is usual", with(func(b *Busyness) { b.TypicalLevel = Unknown }), "2026-04-18 10:48",
			with(func(b *Busyness) {
				gone(b)
				b.Level, b.Quality, b.ClosesAt, b.TypicalLevel = Unknown, QualityUnknown, closes, Unknown
			}),
		},
		{
			"never measured",
			Busyness{Site: "poort"},
			"2026-04-18 10:48",
			Busyness{Site: "poort", Level: Unknown, Quality: QualityUnknown, Trend: Steady, ClosesAt: closes},
		},
		{
			"the yard is closed and counts go on", with(func(b *Busyness) { b.StaleAt = civil(t, "2026-04-18 17:06") }), "2026-04-18 17:01",
			with(func(b *Busyness) {
				b.StaleAt, b.OpensAt = civil(t, "2026-04-18 17:06"), monday
				b.Level, b.Band, b.Wait, b.Trend = Closed, Band{}, Interval{}, Steady
			}),
		},
		{"closed and stale: nobody knows who is inside", fresh, "2026-04-18 22:00", with(func(b *Busyness) {
			gone(b)
			b.Level, b.Quality, b.OpensAt = Closed, QualityUnknown, monday
		})},
		{
			"closed by staff", with(func(b *Busyness) { b.Closure = closure }), "2026-04-18 10:43",
			with(func(b *Busyness) {
				b.Closure, b.ClosesAt = closure, closes
				b.Level, b.Band, b.Wait, b.Trend = Closed, Band{}, Interval{}, Steady
			}),
		},
		{
			"a closure outlives the measurement", with(func(b *Busyness) { b.Closure = closure }), "2026-04-18 12:00",
			with(func(b *Busyness) {
				gone(b)
				b.Closure, b.ClosesAt, b.Level, b.Quality = closure, closes, Closed, QualityUnknown
			}),
		},
		{
			"a closure ends by itself", with(func(b *Busyness) {
				b.Closure, b.Level, b.Band, b.Wait = &Closure{Since: measured, Until: civil(t, "2026-04-18 10:43")}, Closed, Band{}, Interval{}
			}), "2026-04-18 10:43",
			with(func(b *Busyness) {
				b.Level, b.Band, b.Wait, b.Trend, b.Quality, b.ClosesAt = Unknown, Band{}, Interval{}, Steady, Typical, closes
			}),
		},
		{
			"opened since the state was made", with(func(b *Busyness) {
				b.Level, b.Band, b.Wait, b.StaleAt = Closed, Band{}, Interval{}, civil(t, "2026-04-20 08:33")
			}), "2026-04-20 08:31",
			with(func(b *Busyness) {
				b.Level, b.Band, b.Wait, b.StaleAt = Unknown, Band{}, Interval{}, civil(t, "2026-04-20 08:33")
				b.Quality, b.Trend, b.ClosesAt = Typical, Steady, civil(t, "2026-04-20 17:00").UTC()
			}),
		},
		{
			"the last state of a dead collector says open until five", with(func(b *Busyness) { b.ClosesAt = closes }), "2026-04-19 12:00",
			with(func(b *Busyness) {
				gone(b)
				b.Level, b.Quality, b.OpensAt = Closed, QualityUnknown, monday
			}),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.in.AsOf(site, civil(t, c.at))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := got.AsOf(site, civil(t, c.at)); !cmp.Equal(again, got) {
				t.Errorf("a second look changes it:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func TestEffective(t *testing.T) {
	act := func(id string, kind ActionKind, undoes string) Action {
		return Action{ID: id, Site: "poort", Kind: kind, Undoes: undoes}
	}
	got := Effective([]Action{
		act("1", Close, ""),
		act("2", Undo, "1"),
		act("3", Recount, ""),
		act("4", Announce, ""),
		act("5", Undo, "4"),
		act("6", Undo, "5"), // the notice is back
		act("7", Undo, "absent"),
	})
	want := []Action{act("3", Recount, ""), act("4", Announce, "")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestForecastSlotAt(t *testing.T) {
	start := civil(t, "2026-04-18 10:00").UTC()
	f := Forecast{
		Measured: []Slot{{Start: start.Add(-15 * time.Minute), Minutes: 15}},
		Quarters: []Slot{{Start: start, Minutes: 15}, {Start: start.Add(15 * time.Minute), Minutes: 15}},
		Hours:    []Slot{{Start: start, Minutes: 60}, {Start: start.Add(time.Hour), Minutes: 60}},
	}
	for offset, want := range map[time.Duration]Slot{
		-time.Minute:     f.Measured[0],
		0:                f.Quarters[0],
		15 * time.Minute: f.Quarters[1],
		31 * time.Minute: f.Hours[0],
		time.Hour:        f.Hours[1],
	} {
		if got, ok := f.SlotAt(start.Add(offset)); !ok || got != want {
			t.Errorf("%v: %v, %v, want %v", offset, got, ok, want)
		}
	}
	if s, ok := f.SlotAt(start.Add(2 * time.Hour)); ok {
		t.Errorf("beyond the end: %v", s)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"poort": true, "a": true, "poort-1": true, "0": true, "a2345678901234567890123456789012": true,
		"": false, "Poort": false, "-a": false, "a-": false, "a_b": false, "a/b": false, "a+": false, "#": false, "poort ": false,
		"a23456789012345678901234567890123": false, "é": false, "a\n": false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
