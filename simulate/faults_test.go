package simulate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// busy is a Saturday with a queue.
var busy = date("2026-05-16")

func withFaults(f simulate.Faults) simulate.Day {
	return (&simulate.Yard{Site: site(24), Seed: 1, Visits: 800, Faults: f}).Day(busy)
}

func of(day simulate.Day, sensor string) (out []perron.Event) {
	for _, e := range day.Events {
		if e.Sensor == sensor {
			out = append(out, e)
		}
	}
	return out
}

func between(events []perron.Event, from, until perron.TimeOfDay) (inside, outside []perron.Event) {
	for _, e := range events {
		if !e.Time.Before(busy.At(from)) && e.Time.Before(busy.At(until)) {
			inside = append(inside, e)
		} else {
			outside = append(outside, e)
		}
	}
	return inside, outside
}

func TestDeadSensorIsSilent(t *testing.T) {
	const from, until = 11 * 60, 13*60 + 30
	whole := withFaults(simulate.Faults{MissOut: 0.05, Double: 0.02})
	for _, sensor := range []string{"main-out", "queue-2"} {
		day := withFaults(simulate.Faults{MissOut: 0.05, Double: 0.02, Spells: []simulate.Spell{
			{Sensor: sensor, From: from, Until: until, Trouble: simulate.Dead},
		}})
		if diff := cmp.Diff(whole.Truth, day.Truth); diff != "" {
			t.Errorf("%s: the truth changed: %s", sensor, diff)
		}
		lost, kept := between(of(whole, sensor), from, until)
		// A double of the last vehicle before may still come.
		now, outside := between(of(day, sensor), from, until)
		if len(lost) < 50 || len(now) > 1 {
			t.Errorf("%s: %d events in the dead time, %d without the fault", sensor, len(now), len(lost))
		}
		if n := len(kept) - len(outside); n < 0 || n > 1 {
			t.Errorf("%s: %d events outside the dead time, want %d", sensor, len(outside), len(kept))
		}
		for _, other := range []string{"main-in", "queue-1", "queue-3"} {
			if diff := cmp.Diff(of(whole, other), of(day, other)); diff != "" {
				t.Errorf("%s dead: %s changed: %s", sensor, other, diff)
			}
		}
	}
}

func TestStuckLoopIsOccupied(t *testing.T) {
	const from, until = 9*60 + 5, 16*60 + 45
	day := withFaults(simulate.Faults{Spells: []simulate.Spell{
		{Sensor: "queue-3", From: from, Until: until, Trouble: simulate.Stuck},
	}})
	on := false
	since := time.Time{}
	longest := time.Duration(0)
	for i, e := range of(day, "queue-3") {
		if (e.Kind == perron.On) == on {
			t.Fatalf("event %d is %s twice", i, e.Kind)
		}
		if on = e.Kind == perron.On; on {
			since = e.Time
		} else {
			longest = max(longest, e.Time.Sub(since))
		}
	}
	if want := busy.At(until).Sub(busy.At(from)); on || longest < want {
		t.Errorf("occupied for %v, at night %v; want %v", longest, on, want)
	}
	// A counter whose contact is stuck sees no edge.
	day = withFaults(simulate.Faults{Spells: []simulate.Spell{
		{Sensor: "main-in", From: from, Until: until, Trouble: simulate.Stuck},
	}})
	if in, out := between(of(day, "main-in"), from, until); len(in) != 0 || len(out) == 0 {
		t.Errorf("%d events from a stuck counter, %d before and after", len(in), len(out))
	}
}

// TestRateChangesAtNoon: the exit counter starts to miss every fifth vehicle.
func TestRateChangesAtNoon(t *testing.T) {
	var morning, afternoon [2]float64 // seen, true
	for seed := range uint64(10) {
		y := &simulate.Yard{Site: site(24), Seed: seed, Visits: 800, Faults: simulate.Faults{
			MissOut: 0.02, Spells: []simulate.Spell{{Sensor: "main-out", From: 12 * 60, Trouble: simulate.Weak, Miss: 0.2}},
		}}
		day := y.Day(busy)
		noon := busy.At(12 * 60)
		for _, v := range day.Vehicles {
			if v.Fate != simulate.Served {
				continue
			}
			if v.Left.Before(noon) {
				morning[1]++
			} else {
				afternoon[1]++
			}
		}
		for _, e := range of(day, "main-out") {
			if e.Time.Before(noon) {
				morning[0]++
			} else {
				afternoon[0]++
			}
		}
	}
	if m, a := morning[0]/morning[1], afternoon[0]/afternoon[1]; m < 0.965 || m > 0.995 || a < 0.77 || a > 0.83 {
		t.Errorf("%.3f of the exits reported before noon, %.3f after; want about 0.98 and 0.80", m, a)
	}
}

func TestTailgatersCountOnce(t *testing.T) {
	for _, part := range []float64{0.5, 1} {
		followers, lost := 0.0, 0.0
		for seed := range uint64(10) {
			y := simulate.Yard{Site: site(24), Seed: seed, Visits: 800}
			whole := of(y.Day(busy), "main-out")
			for i := 1; i < len(whole); i++ {
				if whole[i].Time.Sub(whole[i-1].Time) < 4*time.Second {
					followers++
				}
			}
			y.Faults.Tailgate = part
			lost += float64(len(whole) - len(of(y.Day(busy), "main-out")))
		}
		if want := part * followers; followers < 200 || lost < 0.85*want || lost > 1.15*want {
			t.Errorf("%.0f of %.0f close followers lost, want about %.0f", lost, followers, want)
		}
	}
}

func TestContactsBounce(t *testing.T) {
	whole := of(withFaults(simulate.Faults{}), "main-in")
	got := of(withFaults(simulate.Faults{Bounce: 0.1}), "main-in")
	bursts, extra, last := 0, 0, time.Time{}
	for i := 1; i < len(got); i++ {
		if got[i].Time.Sub(got[i-1].Time) > 260*time.Millisecond {
			continue
		}
		extra++
		if got[i].Time.Sub(last) > time.Second {
			bursts++
		}
		last = got[i].Time
	}
	if len(got)-len(whole) != extra {
		t.Errorf("%d events more, %d of them in bursts", len(got)-len(whole), extra)
	}
	if part := float64(bursts) / float64(len(whole)); part < 0.06 || part > 0.15 {
		t.Errorf("%.3f of the passages bounce, want about 0.1", part)
	}
	if per := float64(extra) / float64(bursts); per < 2 || per > 5 {
		t.Errorf("%.1f more passages a bounce, want 2 to 5", per)
	}
}

// TestSpellsComeByChance: one day in four has the spell, and the same ones
// each time.
func TestSpellsComeByChance(t *testing.T) {
	y := &simulate.Yard{Site: site(24), Seed: 1, Visits: 400, Faults: simulate.Faults{
		Spells: []simulate.Spell{{Sensor: "main-in", Trouble: simulate.Dead, Chance: 0.25}},
	}}
	dead, open := 0, 0
	for k := range 100 {
		day := y.Day(date("2026-03-02").AddDays(k))
		if len(day.Vehicles) == 0 {
			continue
		}
		open++
		if len(of(day, "main-in")) == 0 {
			dead++
		}
		if k < 5 {
			if diff := cmp.Diff(day, y.Day(day.Date)); diff != "" {
				t.Errorf("%s differs: %s", day.Date, diff)
			}
		}
	}
	if part := float64(dead) / float64(open); part < 0.13 || part > 0.4 {
		t.Errorf("%d of %d days have the spell, want about a quarter", dead, open)
	}
}
