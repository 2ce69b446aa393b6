package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// A way is how those who ask are sent.
type way int

const (
	nowhere way = iota // nobody asks
	first              // all are sent to the first quarter of the shortest wait that is forecast
	spread             // as the pages do it
)

var wayNames = [...]string{"nobody asks", "all to the best quarter", "spread by room"}

// A crowd lives through Saturdays on which part of the visitors asks for the
// best moment before they set out and goes when they are told, if that spares
// them ten minutes: half of them half an hour before opening, the others half an
// hour to four hours before they meant to come. Their Saturdays are what the forecast learns from next.
type crowd struct {
	way   way
	share float64
	guide perron.Guide

	peak, mean, long []float64 // a Saturday each: minutes
	missed           float64   // vehicles that did not get in
	moved, came      float64
	hour             [24]float64 // of the longest wait
}

const spared = 10.0 // minutes that make one come at another time

// live has eight weeks of history and then Saturdays with advice.
func (c *crowd) live(seed uint64, saturdays int) {
	site := sixDays(24, 14, 1, road)
	plain := &simulate.Yard{Site: site, Seed: seed, Visits: 560}
	m := forecast.New(site)
	start := perron.Date{Year: 2026, Month: time.March, Day: 2}
	var history []perron.Count
	done := 0
	c.guide = perron.Guide{}
	for k := 0; done < saturdays; k++ {
		d := start.AddDays(k)
		day := plain.Day(d)
		if k >= 56 && d.Weekday() == time.Saturday {
			m.Refit(history)
			day = c.saturday(m, plain, d)
			c.score(day)
			done++
		}
		history = append(history, counts(day)...)
		m.Remember(samples(day))
	}
}

// saturday goes through a day a quarter at a time: what happens from then on
// follows from who was told what before.
func (c *crowd) saturday(m *forecast.Model, plain *simulate.Yard, d perron.Date) simulate.Day {
	if c.way == nowhere {
		return plain.Day(d)
	}
	type visitor struct {
		comes, asks time.Time
		luck        float64
	}
	var asking []visitor
	open := d.At(8*60 + 30)
	listed := *plain
	listed.Divert = func(comes time.Time, luck float64) time.Time {
		// One number says who asks, how early, and where among the moments.
		if luck < c.share {
			u := luck / c.share
			early := 30 + 210*math.Mod(u*7919, 1) // half an hour to four hours before
			asks := comes.Add(-time.Duration(early) * time.Minute)
			breakfast := open.Add(-30 * time.Minute)
			if asks.Before(breakfast) || math.Mod(u*999331, 1) < 0.5 {
				asks = breakfast
			}
			asking = append(asking, visitor{comes, asks, math.Mod(u*104729, 1)})
		}
		return comes
	}
	day := listed.Day(d)
	c.came += float64(len(day.Vehicles))
	told := map[time.Time]time.Time{}
	led := *plain
	led.Divert = func(comes time.Time, _ float64) time.Time {
		if other, ok := told[comes]; ok {
			return other
		}
		return comes
	}
	changed := false
	for now := open.Add(-30 * time.Minute); now.Before(d.At(16 * 60)); now = now.Add(15 * time.Minute) {
		if changed {
			day, changed = led.Day(d), false
		}
		tr := day.Truth[int(now.Sub(d.Start()).Minutes())]
		f := m.Forecast(now, before(counts(day), now), perron.Estimate{
			At: now, OnSite: perron.Exactly(float64(tr.OnSite)), Queue: perron.Exactly(float64(tr.Queue)),
			Wait: perron.Exactly(math.Max(0, tr.Wait)), EntryRate: rateOf(24, 14),
		})
		for _, v := range asking {
			if v.asks.Before(now) || !v.asks.Before(now.Add(15*time.Minute)) {
				continue
			}
			meant, ok := f.SlotAt(v.comes)
			advised, some := c.advice(f.Best, now, v.luck)
			if !ok || !some || average(meant.Wait)-average(advised.Wait) < spared {
				continue
			}
			// Somewhere within the quarter that they were told.
			told[v.comes] = advised.Start.Add(time.Duration(v.luck * 15 * float64(time.Minute)))
			changed = true
			c.moved++
		}
	}
	return led.Day(d)
}

func average(v perron.Interval) float64 { return 0.3*v.Low + 0.4*v.Mid + 0.3*v.High }

func (c *crowd) advice(moments []perron.Moment, now time.Time, luck float64) (perron.Moment, bool) {
	// Nobody is there within a quarter of an hour.
	now = now.Add(15 * time.Minute)
	if c.way == spread {
		return c.guide.Choose(moments, now, uint64(luck*math.MaxUint64))
	}
	best, ok := perron.Moment{}, false
	for _, m := range moments {
		if m.Start.Before(now) {
			m.Start = now
		}
		if m.Start.Before(m.End) && (!ok || average(m.Wait) < average(best.Wait)) {
			best, ok = m, true
		}
	}
	return best, ok
}

func (c *crowd) score(day simulate.Day) {
	var waits []float64
	for _, v := range day.Vehicles {
		switch v.Fate {
		case simulate.Served:
			waits = append(waits, v.Entered.Sub(v.Arrived).Minutes())
		default:
			c.missed++
		}
	}
	slices.Sort(waits)
	sum := 0.0
	for _, w := range waits {
		sum += w
	}
	worst, at := 0.0, time.Time{}
	for _, tr := range day.Truth {
		if tr.Wait > worst {
			worst, at = tr.Wait, tr.At
		}
	}
	if !at.IsZero() {
		c.hour[at.In(perron.Amsterdam).Hour()]++
	}
	c.peak = append(c.peak, worst)
	c.mean = append(c.mean, sum/float64(len(waits)))
	c.long = append(c.long, waits[len(waits)*9/10])
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// crowd shows what advice does when many follow it.
func (e *eval) crowd() error {
	const seeds, saturdays = 4, 6
	type run struct {
		way   way
		share float64
	}
	runs := []run{{nowhere, 0}}
	for _, share := range []float64{0.1, 0.3, 0.5} {
		runs = append(runs, run{first, share}, run{spread, share})
	}
	crowds := make([]*crowd, len(runs))
	e.each(len(runs), func(i int) {
		crowds[i] = &crowd{way: runs[i].way, share: runs[i].share}
		for k := range uint64(seeds) {
			crowds[i].live(e.seed+100*(k+1), saturdays)
		}
	})
	t := e.table(fmt.Sprintf("Advice that many follow: %d simulated Saturdays, minutes of waiting", seeds*saturdays),
		"who asks", "sent", "came at another time", "longest wait of the day", "nine of ten wait less than", "mean wait", "not served", "longest wait before 12", "12–14", "from 14")
	base := crowds[0]
	for i, c := range crowds {
		part := func(from, to int) string {
			n := 0.0
			for h := from; h < to; h++ {
				n += c.hour[h]
			}
			return fmt.Sprintf("%.0f", n)
		}
		peak, wait := fmt.Sprintf("%.1f", mean(c.peak)), fmt.Sprintf("%.1f", mean(c.mean))
		moved := "–"
		if c.came > 0 {
			moved = fmt.Sprintf("%.0f %%", 100*c.moved/c.came)
		}
		name := fmt.Sprintf("%.0f %%", 100*runs[i].share)
		if c.way == spread {
			peak = e.figure(name+" ask and are spread: longest wait", "%.1f", mean(c.peak), anyLow, mean(base.peak))
			wait = e.figure(name+" ask and are spread: mean wait", "%.1f", mean(c.mean), anyLow, mean(base.mean))
		}
		t.row(name, wayNames[c.way], moved, peak, fmt.Sprintf("%.1f", mean(c.long)), wait, fmt.Sprintf("%.0f", c.missed/seeds/saturdays),
			part(0, 12), part(12, 14), part(14, 24))
	}
	return t.end()
}
