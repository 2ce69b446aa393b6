package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

const (
	worseSeeds  = 2  // of each yard
	worseDays   = 84 // of a life without a fault
	worseFirst  = 28 // of them are not judged: too little is usual yet
	worseChange = 63 // days before a change
	worseLong   = 14 // days that one goes on
)

// worseYards are two of the demo and, at last, one with few vehicles, where a
// day says little.
var worseYards = []struct {
	site   string
	visits float64
}{{"poort", 760}, {"haven", 640}, {"buiten", 150}}

// worseChanges are what may make forecasts worse.
var worseChanges = []struct {
	name string
	make func(y *simulate.Yard)
	late float64 // the target of the median day; 0 is none
}{
	{"1.6 times as many come", func(y *simulate.Yard) { y.Visits *= 1.6 }, 7},
	{"all come two hours later", func(y *simulate.Yard) {
		y.Divert = func(t time.Time, _ float64) time.Time { return t.Add(2 * time.Hour) }
	}, 0},
	{"the entrance misses 40 %", func(y *simulate.Yard) { y.Faults.MissIn = 0.4 }, 0},
}

// A lived day is what was measured on it, what was said on it of the time to
// come, and what the estimator knew in the evening.
type lived struct {
	date    perron.Date
	counts  []perron.Count
	samples []perron.Sample
	said    []perron.Forecast
	x       occupancy.Experience
}

// live goes on for some days after others, and looks ahead as a collector does.
func live(y *simulate.Yard, past []lived, first perron.Date, days int) ([]lived, error) {
	all := slices.Clone(past)
	var x occupancy.Experience
	if len(past) > 0 {
		x, first = past[len(past)-1].x, past[len(past)-1].date.AddDays(1)
	}
	for i := range days {
		l := lived{date: first.AddDays(i)}
		day, est := y.Day(l.date), x.New(y.Site)
		for _, c := range counts(day) {
			if c.Out = 0; c.In > 0 {
				l.counts = append(l.counts, c)
			}
		}
		events := day.Events
		for _, p := range y.Site.Hours.Periods(l.date) {
			for t := p.Start; t.Before(p.End); t = t.Add(5 * time.Minute) {
				for len(events) > 0 && !events[0].Time.After(t) {
					est.Observe(events[0])
					events = events[1:]
				}
				v := est.Estimate(t)
				level := y.Site.Grade(v.Wait.Mid, v.OnSite.Mid)
				l.samples = append(l.samples, perron.Sample{Estimate: v, Level: level, Quality: perron.Measured})
			}
		}
		x = x.Learn(est)
		l.x = x
		all = append(all, l)
	}
	var counted []perron.Count
	var sampled []perron.Sample
	for _, l := range all {
		counted, sampled = append(counted, l.counts...), append(sampled, l.samples...)
	}
	err := forecast.Replay(y.Site, counted, sampled, first, first.AddDays(days).Start(), func(f perron.Forecast) error {
		f.Hours = nil // what is said by the hour is beyond what is judged
		day := slices.IndexFunc(all, func(l lived) bool { return l.date == perron.DateOf(f.Origin) })
		all[day].said = append(all[day].said, f)
		return nil
	})
	return all, err
}

// warnedWorse says of each evening whether staff are under the warning that
// forecasts have become worse.
func warnedWorse(site *perron.Site, days []lived) (out []bool) {
	s := forecast.NewScorer(site)
	for i, l := range days {
		s.Truth(l.date.Start(), l.date.End(), l.counts, l.samples)
		for _, before := range days[max(0, i-1) : i+1] {
			for j := range before.said {
				s.Forecast(&before.said[j])
			}
		}
		out = append(out, !s.Score(l.date.At(23*60)).WorseSince.IsZero())
	}
	return out
}

// A worsened yard is what staff were told without a change, and on which day
// after each, 1 being the first; 0 is never, -1 that the warning was on before.
type worsened struct {
	evenings, warned, alarms int
	day                      [3]int
}

func worseOf(k int, seed uint64) (w worsened, err error) {
	c := worseYards[k]
	y := &simulate.Yard{Seed: seed, Visits: c.visits}
	for _, s := range config.Almere().PerronSites() {
		if s.ID == c.site {
			y.Site = s
		}
	}
	// Other seasons with other seeds.
	sound, err := live(y, nil, perron.Date{Year: 2026, Month: 1 + 2*time.Month(seed%5), Day: 3}, worseDays)
	if err != nil {
		return w, err
	}
	was := false
	for i, on := range warnedWorse(y.Site, sound) {
		if i >= worseFirst {
			w.evenings++
			if on {
				w.warned++
				if !was {
					w.alarms++
				}
			}
		}
		was = on
	}
	// From other days of the week on, too.
	change := worseChange + 3*k
	for i, v := range worseChanges {
		changed := *y
		v.make(&changed)
		days, err := live(&changed, sound[:change], perron.Date{}, worseLong)
		if err != nil {
			return w, err
		}
		on := warnedWorse(y.Site, days)
		w.day[i] = slices.Index(on[change:], true) + 1
		if on[change-1] {
			w.day[i] = -1
		}
	}
	return w, nil
}

// worse shows how often staff are told without cause that forecasts have
// become worse, and how soon with one.
func (e *eval) worse() error {
	n := len(worseYards)
	found, failed := make([]worsened, n*worseSeeds), make([]error, n*worseSeeds)
	e.each(len(found), func(i int) { found[i], failed[i] = worseOf(i%n, e.seed+uint64(i/n)) })
	var all worsened
	for i, w := range found {
		if failed[i] != nil {
			return failed[i]
		}
		all.evenings, all.warned, all.alarms = all.evenings+w.evenings, all.warned+w.warned, all.alarms+w.alarms
	}
	t := e.table(fmt.Sprintf("Forecasts have become worse: %d yards, %d seeds from %d on", n, worseSeeds, e.seed),
		"what changes", "evenings", "with the warning", "false alarms a year")
	t.row("nothing", fmt.Sprint(all.evenings), fmt.Sprintf("%.1f %%", 100*float64(all.warned)/float64(all.evenings)),
		e.figure("worse without a change: alarms a year", "%.1f", 365*float64(all.alarms)/float64(all.evenings), anyLow, 1))
	if err := t.end(); err != nil {
		return err
	}
	t = e.table(fmt.Sprintf("Noticed within %d days of a change", worseLong), "what changes", "noticed", "of the small yard", "on before", "day: median", "earliest to latest")
	for i, v := range worseChanges {
		var days []int
		small, before := 0, 0
		for j, w := range found {
			switch {
			case w.day[i] < 0:
				before++
			case w.day[i] > 0:
				days = append(days, w.day[i])
				if j%n == n-1 {
					small++
				}
			}
		}
		slices.Sort(days)
		// The median of all: what is never noticed is noticed after all others.
		middle, median, span := worseLong+1, "–", "–"
		if len(days) > len(found)/2 {
			middle = days[len(found)/2]
			median = fmt.Sprint(middle)
		}
		if v.late > 0 {
			median = e.figure(v.name+": median day on which it is noticed", "%.0f", float64(middle), anyLow, v.late)
		}
		if len(days) > 0 {
			span = fmt.Sprintf("%d to %d", days[0], days[len(days)-1])
		}
		t.row(v.name, fmt.Sprintf("%d of %d", len(days), len(found)), fmt.Sprintf("%d of %d", small, worseSeeds), fmt.Sprint(before), median, span)
	}
	return t.end()
}
