package forecast_test

import (
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

func day(s string) perron.Date {
	d, err := perron.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// past simulates the days before d.
func past(site *perron.Site, d perron.Date, days int) []perron.Count {
	y := &simulate.Yard{Site: site, Seed: 5}
	var out []perron.Count
	for k := -days; k < 0; k++ {
		out = append(out, counts(y.Day(d.AddDays(k)))...)
	}
	return out
}

// remembered are the queues of the days before d.
func remembered(site *perron.Site, d perron.Date, days int) []perron.Sample {
	y := &simulate.Yard{Site: site, Seed: 5}
	var out []perron.Sample
	for k := -days; k < 0; k++ {
		for _, tr := range y.Day(d.AddDays(k)).Truth {
			out = append(out, perron.Sample{Estimate: perron.Estimate{At: tr.At, Queue: perron.Exactly(float64(tr.Queue))}})
		}
	}
	return out
}

func idle(at time.Time) perron.Estimate {
	return perron.Estimate{At: at, OnSite: perron.Interval{Low: 3, Mid: 5, High: 7}, EntryRate: 1.3}
}

func TestClockChanges(t *testing.T) {
	for _, c := range []struct {
		today           string
		quarters, hours int
	}{
		{"2026-03-28", 48 + 23*4, 7*24 - 1},
		{"2026-10-24", 48 + 25*4, 7*24 + 1},
		{"2026-06-06", 48 + 24*4, 7 * 24},
	} {
		site := poort()
		site.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 10 * 60, Close: 16 * 60}}
		d := day(c.today)
		m := forecast.New(site)
		m.Refit(past(site, d, 60))
		noon := d.At(12 * 60)
		f := m.Forecast(noon, nil, idle(noon))
		sane(t, f)
		if len(f.Quarters) != c.quarters || len(f.Hours) != c.hours {
			t.Errorf("%s: %d quarters and %d hours, want %d and %d", c.today, len(f.Quarters), len(f.Hours), c.quarters, c.hours)
		}
		if !f.Quarters[0].Start.Equal(noon) || !f.Hours[0].Start.Equal(d.Start()) {
			t.Errorf("%s: quarters from %v, hours from %v", c.today, f.Quarters[0].Start, f.Hours[0].Start)
		}
		open := 0
		for _, s := range f.Quarters {
			if perron.DateOf(s.Start) == d.AddDays(1) && s.Open {
				open++
				if s.Arrivals.Mid <= 0 || s.Basis != perron.Expected {
					t.Errorf("%v: %+v", s.Start, s)
				}
			}
		}
		if open != 24 {
			t.Errorf("%s: the day after is open for %d quarters, want 24", c.today, open)
		}
	}
}

func TestFirstSunday(t *testing.T) {
	site := poort()
	d := day("2026-05-16")
	history := past(site, d, 60)
	// From the first Sunday on it opens earlier than it ever did on other days.
	site.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 7 * 60, Close: 16 * 60}}
	m := forecast.New(site)
	m.Refit(history)
	noon := d.At(12 * 60)
	f := m.Forecast(noon, nil, idle(noon))
	sane(t, f)
	for _, tod := range []perron.TimeOfDay{7 * 60, 12 * 60} {
		s, ok := f.SlotAt(d.AddDays(1).At(tod))
		if !ok || !s.Open || s.Arrivals.Mid < 1 || s.Level.Rank() == 0 {
			t.Errorf("Sunday %s: %+v", tod, s)
		}
	}
}

func TestClosedByException(t *testing.T) {
	site := poort()
	d := day("2026-05-13")
	site.Hours.Exceptions = map[perron.Date]perron.Exception{d.AddDays(1): {}, day("2026-05-15"): {}}
	m := forecast.New(site)
	m.Refit(past(site, d, 60))
	noon := d.At(12 * 60)
	f := m.Forecast(noon, nil, idle(noon))
	sane(t, f)
	for _, s := range f.Quarters {
		if perron.DateOf(s.Start) == d.AddDays(1) && (s.Open || s.Level != perron.Closed || s.Arrivals != perron.Interval{}) {
			t.Fatalf("closed tomorrow: %+v", s)
		}
	}
	if s, ok := m.Typical(d.AddDays(1).At(12 * 60)); ok {
		t.Errorf("typical of a closed day: %+v", s)
	}
	if s, ok := m.Typical(noon); !ok || s.Level.Rank() == 0 || !s.Start.Equal(noon) {
		t.Errorf("typical of an open noon: %+v %v", s, ok)
	}
}

// TestLittleHistory: nothing, three days, a week, zeros all through.
func TestLittleHistory(t *testing.T) {
	d := day("2026-05-12") // a Tuesday
	noon := d.At(12 * 60)
	at := func(f perron.Forecast) perron.Slot {
		s, ok := f.SlotAt(d.At(14 * 60))
		if !ok {
			t.Fatal("no slot at 14:00")
		}
		return s
	}
	var zeros, threeHours []perron.Count
	for i := range 12 {
		threeHours = append(threeHours, perron.Count{Start: d.AddDays(-2).At(perron.TimeOfDay(9*60 + 15*i)), In: 8, Out: 8})
	}
	for k := -28; k < 0; k++ {
		for i := range 96 {
			zeros = append(zeros, perron.Count{Start: d.AddDays(k).Start().Add(time.Duration(i) * 15 * time.Minute)})
		}
	}
	site := poort()
	for _, c := range []struct {
		name    string
		history []perron.Count
		basis   perron.Quality
		low     float64 // of the median of arrivals
		high    float64
	}{
		{"none", nil, perron.QualityUnknown, 0, 0},
		{"three hours of a morning", threeHours, perron.QualityUnknown, 0, 0},
		{"three days", past(site, d, 3), perron.Typical, 2, 40},
		{"a week", past(site, d, 8), perron.Expected, 2, 40},
		{"zeros", zeros, perron.Expected, 0, 0.5},
		{"negative", []perron.Count{{Start: d.AddDays(-20).At(9 * 60), In: -5, Out: -5}}, perron.QualityUnknown, 0, 0},
		{"1970", []perron.Count{{Start: time.Unix(0, 0), In: 5}}, perron.QualityUnknown, 0, 0},
	} {
		m := forecast.New(site)
		m.Refit(c.history)
		f := m.Forecast(noon, nil, idle(noon))
		sane(t, f)
		s := at(f)
		if s.Basis != c.basis || s.Arrivals.Mid < c.low || s.Arrivals.Mid > c.high {
			t.Errorf("%s: %+v", c.name, s)
		}
		if c.basis == perron.QualityUnknown && (s.Level != perron.Unknown || len(f.Best) > 0) {
			t.Errorf("%s: level %s, best %v", c.name, s.Level, f.Best)
		}
		if _, ok := m.Typical(noon); ok != (c.basis != perron.QualityUnknown) {
			t.Errorf("%s: typical says %v", c.name, ok)
		}
		// Without a present state, or with one that makes no sense, it is typical.
		for _, now := range []perron.Estimate{{}, {At: noon, OnSite: perron.Exactly(math.NaN())}, idle(noon.Add(-time.Hour))} {
			f := m.Forecast(noon, nil, now)
			sane(t, f)
			if s := at(f); s.Basis == perron.Expected {
				t.Errorf("%s: expected without a state: %+v", c.name, s)
			}
		}
	}
}

// TestGapIsNotZero: a day on which nothing was counted does not halve what is
// usual.
func TestGapIsNotZero(t *testing.T) {
	site := poort()
	d := day("2026-05-16")
	all := past(site, d, 56)
	var gappy []perron.Count
	for _, c := range all {
		if perron.DateOf(c.Start) != d.AddDays(-7) && perron.DateOf(c.Start) != d.AddDays(-14) {
			gappy = append(gappy, c)
		}
	}
	sum := func(history []perron.Count) (v float64) {
		m := forecast.New(site)
		m.Refit(history)
		early := d.At(8 * 60)
		for _, s := range m.Forecast(early, nil, idle(early)).Quarters {
			if perron.DateOf(s.Start) == d {
				v += s.Arrivals.Mid
			}
		}
		return v
	}
	if a, b := sum(all), sum(gappy); b < 0.85*a || b > 1.15*a {
		t.Errorf("%.0f vehicles are expected with the gap, %.0f without", b, a)
	}
}

// TestLevelOfToday: a Saturday that began with half as many again goes on
// busier than a typical one.
func TestLevelOfToday(t *testing.T) {
	site := poort()
	d := day("2026-05-16")
	m := forecast.New(site)
	m.Refit(past(site, d, 56))
	noon := d.At(12 * 60)
	var usual, busy, quiet []perron.Count
	for at := d.At(8*60 + 30); at.Before(noon); at = at.Add(15 * time.Minute) {
		s, ok := m.Typical(at)
		if !ok {
			t.Fatalf("no typical slot at %v", at)
		}
		n := s.Arrivals.Mid
		usual = append(usual, perron.Count{Start: at, In: int(n)})
		busy = append(busy, perron.Count{Start: at, In: int(1.4 * n)})
		quiet = append(quiet, perron.Count{Start: at, In: int(0.6 * n)})
	}
	at := func(recent []perron.Count) float64 {
		f := m.Forecast(noon, recent, idle(noon))
		s, _ := f.SlotAt(d.At(12*60 + 15)) // before a queue keeps anyone away
		return s.Arrivals.Mid
	}
	q, u, b := at(quiet), at(usual), at(busy)
	if !(q < 0.9*u && b > 1.1*u) {
		t.Errorf("arrivals at 12:15 after a quiet, usual and busy morning: %.1f %.1f %.1f", q, u, b)
	}
}

// TestLate: who joins a long queue shortly before closing does not get in.
func TestLate(t *testing.T) {
	site := poort()
	d := day("2026-05-16")
	m := forecast.New(site)
	m.Refit(past(site, d, 56))
	now := d.At(16*60 + 32)
	f := m.Forecast(now, nil, perron.Estimate{
		At: now, OnSite: perron.Exactly(24), Queue: perron.Exactly(44), Wait: perron.Exactly(35), EntryRate: 1.25,
	})
	sane(t, f)
	for i, want := range []perron.Level{perron.Late, perron.Late, perron.Closed} {
		if got := f.Quarters[i].Level; got != want {
			t.Errorf("%v: level %s, want %s", f.Quarters[i].Start, got, want)
		}
	}
	if len(f.Best) != 0 {
		t.Errorf("best moments %v half an hour before closing", f.Best)
	}
}

// TestBestMoments: on a busy Saturday the morning and the end of the afternoon
// are advised, on a quiet Tuesday nothing is.
func TestBestMoments(t *testing.T) {
	site := poort()
	m := forecast.New(site)
	saturday := day("2026-05-16")
	m.Remember(remembered(site, saturday, 56))
	m.Refit(past(site, saturday, 56))
	early := saturday.At(8*60 + 30)
	f := m.Forecast(early, nil, perron.Estimate{At: early, EntryRate: 1.2})
	if len(f.Best) == 0 || len(f.Best) > 3 {
		t.Fatalf("best moments %v", f.Best)
	}
	worst := 0.0
	for _, s := range f.Quarters[:34] {
		worst = math.Max(worst, s.Wait.Mid)
	}
	for i, b := range f.Best {
		if b.Wait.Mid > worst/2 || b.Start.Before(early) || b.Start.After(saturday.At(16*60+30)) {
			t.Errorf("moment %+v while the worst wait is %.0f", b, worst)
		}
		if i > 0 && b.Start.Before(f.Best[i-1].End) {
			t.Errorf("moments overlap: %v", f.Best)
		}
	}
	tuesday := saturday.AddDays(3).At(9 * 60)
	if f := m.Forecast(tuesday, nil, idle(tuesday)); len(f.Best) != 0 {
		t.Errorf("best moments of a quiet Tuesday: %v", f.Best)
	}
}

// TestQuietEntranceIsNotSlow: in the evening few come in because few come. That
// is not the rate at which tomorrow's queue is let in.
func TestQuietEntranceIsNotSlow(t *testing.T) {
	site := poort()
	d := day("2026-05-15")
	m := forecast.New(site)
	samples := remembered(site, d, 56)
	for i := range samples {
		samples[i].EntryRate = 0.7
		if samples[i].Queue.Mid >= 3 {
			samples[i].EntryRate = 1.3
		}
	}
	m.Remember(samples)
	m.Refit(past(site, d, 56))
	evening := d.At(16*60 + 45)
	wait := func(rate float64) (sum float64) {
		f := m.Forecast(evening, nil, perron.Estimate{At: evening, OnSite: perron.Exactly(4), EntryRate: rate})
		sane(t, f)
		for _, s := range f.Quarters {
			if perron.DateOf(s.Start) == d.AddDays(1) {
				sum += s.Wait.High
			}
		}
		return sum
	}
	if slow, quick := wait(0.7), wait(1.3); slow != quick || slow < 5 {
		t.Errorf("tomorrow's waits add up to %.0f minutes after a quiet evening, to %.0f after one with a quick entrance", slow, quick)
	}
}
