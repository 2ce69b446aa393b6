package web

import (
	"math"
	"sort"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A heatmap is the average number of vehicles that come in, by weekday
// (Monday first) and civil hour.
type heatmap struct {
	// Mean is the average by weekday and hour; NaN where there is nothing to
	// average.
	Mean [7][24]float64
	// First and Last are the hours, both included, in which anything came in;
	// Last is below First when nothing did.
	First, Last int
	Max         float64
	MaxDay      int
	MaxHour     int
}

// newHeatmap averages hourly counts. A day counts only when anything passed
// on it, so that holidays and days before the first measurement do not pull
// the averages down. An hour that a clock change repeats counts twice, one
// that it skips not at all.
func newHeatmap(counts []perron.Count) heatmap {
	var sum, hours [7][24]float64
	dates := make(map[perron.Date]bool)
	for _, c := range counts {
		if c.In == 0 && c.Out == 0 {
			continue
		}
		d := perron.DateOf(c.Start)
		dates[d] = true
		sum[mondayFirst(d)][c.Start.In(perron.Amsterdam).Hour()] += float64(c.In)
	}
	for d := range dates {
		for t := d.Start(); t.Before(d.End()); t = t.Add(time.Hour) {
			hours[mondayFirst(d)][t.In(perron.Amsterdam).Hour()]++
		}
	}
	h := heatmap{First: 24, Last: -1}
	for d := range 7 {
		for hour := range 24 {
			h.Mean[d][hour] = sum[d][hour] / hours[d][hour] // 0/0 is NaN: nothing to average
			if sum[d][hour] == 0 {
				continue
			}
			h.First, h.Last = min(h.First, hour), max(h.Last, hour)
			if h.Mean[d][hour] > h.Max {
				h.Max, h.MaxDay, h.MaxHour = h.Mean[d][hour], d, hour
			}
		}
	}
	return h
}

func mondayFirst(d perron.Date) int { return (int(d.Weekday()) + 6) % 7 }

// heatSteps is how many colours the heatmap has.
const heatSteps = 7

// step is the colour of a cell, 1 to heatSteps; 0 for nothing.
func (h *heatmap) step(v float64) int {
	if !(v > 0) || h.Max == 0 {
		return 0
	}
	return min(heatSteps, 1+int(v/h.Max*heatSteps))
}

// A dayTotal is what came in on a day.
type dayTotal struct {
	Date perron.Date
	In   int
	// Hour is the start of the hour in which most came in, PeakIn that number.
	Hour   time.Time
	PeakIn int
}

// dayTotals sums hourly counts by civil day, busiest first.
func dayTotals(counts []perron.Count) []dayTotal {
	byDate := make(map[perron.Date]*dayTotal)
	byHour := make(map[time.Time]int)
	for _, c := range counts {
		byHour[c.Start] += c.In
	}
	for start, in := range byHour {
		d := perron.DateOf(start)
		t := byDate[d]
		if t == nil {
			t = &dayTotal{Date: d}
			byDate[d] = t
		}
		t.In += in
		if in > t.PeakIn || in == t.PeakIn && (t.Hour.IsZero() || start.Before(t.Hour)) {
			t.Hour, t.PeakIn = start, in
		}
	}
	out := make([]dayTotal, 0, len(byDate))
	for _, t := range byDate {
		if t.In > 0 {
			out = append(out, *t)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].In != out[j].In {
			return out[i].In > out[j].In
		}
		return out[j].Date.Before(out[i].Date)
	})
	return out
}

// A period of the planner, both days included.
type period struct{ From, To perron.Date }

func (p period) days() int {
	return int(math.Round(p.To.Start().Sub(p.From.Start()).Hours()/24)) + 1
}

const (
	plannerWeeks   = 8   // what is shown when nothing was chosen
	plannerMaxDays = 400 // what is shown at most
)

// choosePeriod reads the chosen period; complaint is a message id when what
// was asked for could not be shown as it was. last is the latest day that has
// counts, today when there are none.
func choosePeriod(from, to string, last perron.Date) (p period, complaint string) {
	p = period{last.AddDays(1 - 7*plannerWeeks), last}
	if from == "" && to == "" {
		return p, ""
	}
	f, err1 := perron.ParseDate(from)
	t, err2 := perron.ParseDate(to)
	if err1 != nil || err2 != nil || t.Before(f) || f.Before(perron.DateOf(perron.Earliest)) {
		return p, "planner.badrange"
	}
	if chosen := (period{f, t}); chosen.days() <= plannerMaxDays {
		return chosen, ""
	}
	return period{t.AddDays(1 - plannerMaxDays), t}, "planner.toolong"
}
