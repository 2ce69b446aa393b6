package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// warningCases are the yards whose exit counter begins to miss 18 % at noon.
var warningCases = []yardCase{
	{"poort", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.01, MissOut: 0.02, Double: 0.005}, 0},
	{"one loop", 24, 1, 14, []int{6}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.03, Double: 0.01}, 0},
	{"no loops", 24, 1, 14, nil, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.03, Double: 0.01}, 0},
	{"large", 48, 2, 16, []int{5, 15, 30}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.04, Double: 0.01}, 0},
	{"small", 10, 1, 12, []int{3, 8, 16, 30}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.03, Double: 0.01}, 0},
	{"no queue", 24, 1, 14, []int{4, 12}, 350, simulate.Faults{MissIn: 0.02, MissOut: 0.03, Double: 0.01}, 0},
}

// A warned is how soon staff of one yard were warned of a fault, and how often
// without one.
type warned struct {
	days   int
	delays []float64 // minutes after noon, of the days on which a warning came
	false_ int       // days with a warning and without the fault
	inside errorSums // with the fault, from noon on
}

// warningsOf lives through Saturdays with the fault, and through the same ones
// without it, each after days that have taught.
func (e *eval) warningsOf(c yardCase) *warned {
	site := c.site()
	sound := &simulate.Yard{Site: site, Seed: e.seed, Visits: c.visit, Faults: c.fault, Dwell: simulate.Dwell{Median: c.dwell}}
	broken := *sound
	broken.Faults.Spells = []simulate.Spell{{Sensor: "main-out", From: 12 * 60, Trouble: simulate.Weak, Miss: 0.18}}
	w := &warned{}
	var x occupancy.Experience
	first := perron.Date{Year: 2026, Month: time.March, Day: 7}
	for k := -e.past; k < 7*e.weeks; k++ {
		d := first.AddDays(k)
		day := sound.Day(d)
		if k >= 0 && d.Weekday() == time.Saturday {
			w.days++
			if !e.warnedOf(x.New(site), day, nil).IsZero() {
				w.false_++
			}
			if at := e.warnedOf(x.New(site), broken.Day(d), &w.inside); !at.IsZero() {
				w.delays = append(w.delays, at.Sub(d.At(12*60)).Minutes())
			}
		}
		est := x.New(site)
		for _, ev := range day.Events {
			est.Observe(ev)
		}
		x = x.Learn(est)
	}
	slices.Sort(w.delays)
	return w
}

// warnedOf is when staff are first warned of a counter on a day, or zero.
func (e *eval) warnedOf(est *occupancy.Estimator, day simulate.Day, inside *errorSums) (first time.Time) {
	i := 0
	noon, close := day.Date.At(12*60), day.Date.At(17*60)
	for _, tr := range day.Truth {
		for ; i < len(day.Events) && !day.Events[i].Time.After(tr.At); i++ {
			est.Observe(day.Events[i])
		}
		if !tr.At.Before(close) {
			break
		}
		b := est.Belief()
		if first.IsZero() && (!b.Exits.DriftSince.IsZero() || !b.Entries.DriftSince.IsZero()) {
			first = tr.At
		}
		if inside != nil && tr.At.Minute()%5 == 0 && !tr.At.Before(noon) {
			inside.add(float64(tr.OnSite), est.Estimate(tr.At).OnSite)
		}
	}
	return first
}

// warnings shows how soon staff are told that a counter has begun to miss.
func (e *eval) warnings() error {
	found := make([]*warned, len(warningCases))
	e.each(len(found), func(i int) { found[i] = e.warningsOf(warningCases[i]) })
	t := e.table(fmt.Sprintf("A counter that begins to miss 18 %% of the exits at noon: %d Saturdays a yard, seed %d, %d days learned", e.weeks, e.seed, e.past),
		"yard", "warned within the hour", "median, minutes", "last", "never", "warned without a fault", "on site from noon on: error", "holds")
	within, days, alarms := 0, 0, 0
	for i, w := range found {
		n := 0
		for _, d := range w.delays {
			if d <= 60 {
				n++
			}
		}
		within, days, alarms = within+n, days+w.days, alarms+w.false_
		median, last := "–", "–"
		if len(w.delays) > 0 {
			median, last = fmt.Sprintf("%.0f", w.delays[len(w.delays)/2]), fmt.Sprintf("%.0f", w.delays[len(w.delays)-1])
		}
		t.row(warningCases[i].name, fmt.Sprintf("%d of %d", n, w.days), median, last, fmt.Sprint(w.days-len(w.delays)), fmt.Sprint(w.false_),
			fmt.Sprintf("%.2f", w.inside.mae()), fmt.Sprintf("%.3f", w.inside.coverage()))
	}
	t.row("all", e.figure("warned within the hour: part of the days", "%.2f", float64(within)/float64(days), 0.8, anyHigh), "", "", "",
		e.figure("warned without a fault: part of the days", "%.2f", float64(alarms)/float64(days), anyLow, 0.05), "", "")
	return t.end()
}
