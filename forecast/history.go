package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	slotMinutes = 15
	perDay      = 24 * 60 / slotMinutes
	historyDays = 60 * 7 // that are kept
)

// history is how many entered, by civil slot.
type history struct {
	site    *perron.Site
	base    perron.Date  // day 0
	entries []float64    // day*perDay+slot; NaN where nothing is known
	seen    [perDay]bool // times of day at which something is known
	lastDay int          // of the counts and of the forecast origins
}

// learn takes in quarter-hour counts, all that there are. It returns the first
// instant of which something is known; false without any count.
func (h *history) learn(counts []perron.Count) (first time.Time, ok bool) {
	*h = history{site: h.site, lastDay: h.lastDay}
	var last time.Time
	for _, c := range counts {
		if c.Start.Before(perron.Earliest) {
			continue
		}
		if first.IsZero() || c.Start.Before(first) {
			first = c.Start
		}
		if c.Start.After(last) {
			last = c.Start
		}
	}
	if last.IsZero() {
		return first, false
	}
	h.base = perron.DateOf(first)
	if from := perron.DateOf(last).AddDays(-historyDays); h.base.Before(from) {
		h.base = from
		first = from.Start()
	}
	h.lastDay = h.day(last)
	h.entries = unknown((h.lastDay + 1) * perDay)
	h.fill(first, last)
	for _, c := range counts {
		h.addCount(c)
	}
	h.dropGaps()
	h.findSeen()
	return first, true
}

// learnToday puts the counts of the day of an origin in place of what was known of
// it. With a present state, quarters without a row are zeros.
func (h *history) learnToday(origin time.Time, recent []perron.Count, live bool) {
	today := h.day(origin)
	h.lastDay = max(h.lastDay, today)
	for len(h.entries) < (today+1)*perDay {
		h.entries = append(h.entries, math.NaN())
	}
	begin := perron.Quarter.Start(origin) // this quarter is not complete
	start := perron.DateOf(origin).Start()
	var last time.Time
	for _, c := range recent {
		if c.Start.Before(begin) && !c.Start.Before(start) && c.Start.After(last) {
			last = c.Start
		}
	}
	if live {
		last = begin.Add(-slotMinutes * time.Minute)
	}
	h.forgetSlots(today, 0, perDay)
	if last.Before(start) {
		return
	}
	h.fill(start, last)
	for _, c := range recent {
		if !c.Start.After(last) && !c.Start.Before(start) {
			h.addCount(c)
		}
	}
}

// on is a copy of the entries of a day.
func (h *history) on(day int) []float64 {
	if (day+1)*perDay > len(h.entries) {
		return unknown(perDay)
	}
	return slices.Clone(h.entries[day*perDay : (day+1)*perDay])
}

func unknown(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// day is the number of civil days from the base to t.
func (h *history) day(t time.Time) int { return h.dayOf(perron.DateOf(t)) }

func (h *history) dayOf(d perron.Date) int {
	utc := func(d perron.Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }
	return int(math.Round(utc(d).Sub(utc(h.base)).Hours() / 24))
}

// index is the place of a quarter hour in entries, or -1. The hour that the clock
// repeats in October falls on the slots of the one before it.
func (h *history) index(t time.Time) int {
	i := h.day(t)*perDay + int(perron.TimeOfDayOf(t))/slotMinutes
	if i < 0 || i >= len(h.entries) {
		return -1
	}
	return i
}

// fill makes the quarters from first to last known zeros.
func (h *history) fill(first, last time.Time) {
	for i, end := max(0, h.index(first)), h.index(last); i <= end; i++ {
		h.entries[i] = 0
	}
}

func (h *history) addCount(c perron.Count) {
	if i := h.index(c.Start); i >= 0 && !math.IsNaN(h.entries[i]) {
		h.entries[i] += float64(max(0, c.In))
	}
}

// open says, by slot, which part of a day's quarters the site is open.
func (h *history) open(d perron.Date) (part [perDay]float64) {
	for _, s := range h.site.Hours.On(d) {
		for i := int(s.Open) / slotMinutes; i < perDay && i*slotMinutes < int(s.Close); i++ {
			from, to := max(int(s.Open), i*slotMinutes), min(int(s.Close), (i+1)*slotMinutes)
			part[i] += float64(to-from) / slotMinutes
		}
	}
	return part
}

// kindOf groups days: the weekday, or 7 for a public holiday on which the site
// opens.
func (h *history) kindOf(d perron.Date) int {
	if _, ok := h.site.Hours.Exceptions[d]; !ok && perron.HolidayOn(d).Public() && len(h.site.Hours.On(d)) > 0 {
		return 7
	}
	return int(d.Weekday())
}

// dropGaps turns silence that cannot be true into "unknown": a whole open day
// where others have many vehicles (the counters were down, or the site did not
// open on such days yet), a time of day at which none ever came on a busy kind
// of day (it was closed then), and two hours or more in which at least 25 are
// usual.
func (h *history) dropGaps() {
	const many = 25
	days := len(h.entries) / perDay
	kinds := make([]int, days)
	open := make([][perDay]float64, days)
	total := make([]float64, days)
	var sum, n float64
	for d := range days {
		date := h.base.AddDays(d)
		kinds[d], open[d] = h.kindOf(date), h.open(date)
		for s, part := range open[d] {
			if v := h.entries[d*perDay+s]; part > 0 && v > 0 {
				total[d] += v
			}
		}
		if total[d] > 0 {
			sum, n = sum+total[d], n+1
		}
	}
	usual := make([]float64, 8*perDay)
	count := make([]float64, 8*perDay)
	for d := range days {
		if total[d] == 0 && sum >= many*n && n > 0 {
			h.forgetSlots(d, 0, perDay)
		}
		for s := range perDay {
			if v := h.entries[d*perDay+s]; v >= 0 {
				usual[kinds[d]*perDay+s] += v
				count[kinds[d]*perDay+s]++
			}
		}
	}
	for i := range usual {
		if count[i] > 0 {
			usual[i] /= count[i]
		}
	}
	for d := range days {
		mean, slots := 0.0, 0.0
		for s, part := range open[d] {
			if part > 0 {
				mean, slots = mean+usual[kinds[d]*perDay+s], slots+1
			}
		}
		busy := slots > 0 && mean/slots >= 2
		from, missed := -1, 0.0
		for s := 0; s <= perDay; s++ {
			if s < perDay && open[d][s] > 0 && h.entries[d*perDay+s] == 0 {
				if from < 0 {
					from, missed = s, 0
				}
				missed += usual[kinds[d]*perDay+s]
				if busy && usual[kinds[d]*perDay+s] == 0 {
					h.forgetSlots(d, s, s+1)
				}
				continue
			}
			if from >= 0 && s-from >= 8 && missed >= many {
				h.forgetSlots(d, from, s)
			}
			from = -1
		}
	}
}

// findSeen notes at which times of day anybody ever counted: a yard that was
// counted for three hours of one day is not quiet for the rest of it. An hour
// around those times is taken to be like them.
func (h *history) findSeen() {
	h.seen = [perDay]bool{}
	for day := 0; day < len(h.entries); day += perDay {
		h.markSeen(h.entries[day:min(day+perDay, len(h.entries))])
	}
}

func (h *history) markSeen(in []float64) {
	const around = 4 // quarters
	for slot, v := range in {
		if math.IsNaN(v) {
			continue
		}
		for s := max(0, slot-around); s <= min(perDay-1, slot+around); s++ {
			h.seen[s] = true
		}
	}
}

// forgetSlots makes slots of a day unknown.
func (h *history) forgetSlots(day, from, to int) {
	for s := from; s < to; s++ {
		h.entries[day*perDay+s] = math.NaN()
	}
}
