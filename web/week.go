package web

import (
	"slices"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// A weekDay is one of the seven small days of a perron page.
type weekDay struct {
	Short      string // "za 9"
	Full       string // "Zaterdag 9 mei"
	Today      bool
	Closed     bool
	Reason     string // why it is closed, when it is a holiday or an exception
	ReasonLang string // set when the reason is in another language
	Times      string
	Bars       []bar
	Run        words.Direction
	From       string // labels of its axis
	To         string
	Summary    string
	Cells      map[int]row // by civil hour, for the table
}

// A weekView is the week ahead with its table.
type weekView struct {
	Days  []weekDay
	Hours []int // the civil hours that occur, for the rows of the table
	// Kinds are what occurs, for the legend; none when all is expected.
	Kinds []string
}

// Cell is a day's hour in words, empty when it is closed then.
func (d weekDay) Cell(hour int) row { return d.Cells[hour] }

// viewWeek draws seven days from today. All days share one time axis, so that
// the same hour stands at the same place.
func viewWeek(w *words.Language, site *perron.Site, f *perron.Forecast, now time.Time) weekView {
	today := perron.DateOf(now)
	first, last := 24, 0
	for i := range 7 {
		d := today.AddDays(i)
		periods := site.Hours.Periods(d)
		if len(periods) == 0 {
			continue
		}
		from, to := window(periods)
		first = min(first, from.In(perron.Amsterdam).Hour())
		// To may be midnight, the 24th hour.
		last = max(last, int(perron.TimeOfDayOf(to.Add(-time.Minute)))/60+1)
	}
	var v weekView
	if first >= last {
		first, last = 8, 18
	}
	for h := first; h < last; h++ {
		v.Hours = append(v.Hours, h)
	}
	for i := range 7 {
		v.Days = append(v.Days, viewWeekDay(w, site, f, today.AddDays(i), now, first, last))
	}
	for _, kind := range []string{"m", "e", "t", "u", "n"} {
		if slices.ContainsFunc(v.Days, func(d weekDay) bool {
			return slices.ContainsFunc(d.Bars, func(b bar) bool { return strings.HasPrefix(b.Class, kind) })
		}) {
			v.Kinds = append(v.Kinds, kind)
		}
	}
	if len(v.Kinds) == 1 && v.Kinds[0] == "e" {
		v.Kinds = nil // the sentence above says as much
	}
	return v
}

func viewWeekDay(w *words.Language, site *perron.Site, f *perron.Forecast, d perron.Date, now time.Time, first, last int) weekDay {
	today := perron.DateOf(now)
	spans := site.Hours.On(d)
	v := weekDay{
		Short: w.ShortWeekday(d.Weekday()), Full: w.NearDay(d, today), Today: d == today,
		Times: w.Spans(spans), Cells: make(map[int]row), Run: w.Run(),
		From: w.TimeOfDay(perron.TimeOfDay(first * 60)), To: w.TimeOfDay(perron.TimeOfDay(last * 60)),
	}
	if len(spans) == 0 {
		v.Closed, v.Summary = true, w.T("state.closed")
		v.Reason = w.Holiday(d)
		if ex, ok := site.Hours.Exceptions[d]; ok {
			if text, lang := w.Local(ex.Reason); text != "" {
				v.Reason, v.ReasonLang = text, lang
			}
		}
		return v
	}
	if f == nil {
		v.Summary = w.T("summary.nothing")
		return v
	}
	var slots []perron.Slot
	// A day of 24 hours as the clock counts them, so that all days share it.
	at := func(hour int) time.Time { return time.Time{}.Add(time.Duration(hour) * time.Hour) }
	axis := timeAxis{at(first), at(last), w.Run()}
	for i := range f.Hours {
		s := &f.Hours[i]
		if perron.DateOf(s.Start) != d || s.Level == perron.Closed || !openWithin(&site.Hours, s) {
			continue
		}
		if t, ok := todayIn(f, s); ok {
			s = &t
		}
		hour := s.Start.In(perron.Amsterdam).Hour()
		class, word := kindOf(s, now)
		slots = append(slots, *s)
		v.Bars = append(v.Bars, newBar(s, class, axis, at(hour), at(hour+1), site.Bays))
		v.Cells[hour] = newRow(w, s, class, word)
	}
	v.Summary = w.Summary(clip(slots, site.Hours.Periods(d)))
	return v
}

// todayIn is an hour of today that has begun: as the quarter that is running,
// and when it is over as its first quarter that was measured, since a forecast
// of an hour, too, is that of its first quarter.
func todayIn(f *perron.Forecast, hour *perron.Slot) (perron.Slot, bool) {
	end := hour.Start.Add(time.Duration(hour.Minutes) * time.Minute)
	from := f.Measured
	if end.After(f.Origin) {
		from = f.Quarters[:min(1, len(f.Quarters))]
	}
	for _, s := range from {
		if s.Level.Rank() > 0 && s.Open && !s.Start.Before(hour.Start) && s.Start.Before(end) && !s.Start.After(f.Origin) {
			s.Start, s.Minutes = hour.Start, hour.Minutes
			return s, true
		}
	}
	return perron.Slot{}, false
}

// openWithin says whether the site is open at any time in the slot: with a
// slot of an hour and an opening at half past, Open alone would miss it.
func openWithin(h *perron.Hours, s *perron.Slot) bool {
	end := s.Start.Add(time.Duration(s.Minutes) * time.Minute)
	for _, p := range h.Periods(perron.DateOf(s.Start)) {
		if p.Start.Before(end) && p.End.After(s.Start) {
			return true
		}
	}
	return false
}

// clip cuts slots to the opening periods, so that a summary never names a time
// at which the site is closed.
func clip(slots []perron.Slot, periods []perron.Period) []perron.Slot {
	var out []perron.Slot
	for _, s := range slots {
		end := s.Start.Add(time.Duration(s.Minutes) * time.Minute)
		for _, p := range periods {
			from, to := s.Start, end
			if p.Start.After(from) {
				from = p.Start
			}
			if p.End.Before(to) {
				to = p.End
			}
			if from.Before(to) {
				c := s
				c.Start, c.Minutes = from, int(to.Sub(from)/time.Minute)
				out = append(out, c)
			}
		}
	}
	return out
}
