package web

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// A weekdayHours is a line of the table of opening hours.
type weekdayHours struct {
	Day   string
	Times string
	Today bool
	Open  bool
}

// A specialDay is a coming date whose hours differ from its weekday's.
type specialDay struct {
	Day        string
	Reason     string
	ReasonLang string // set when the reason is in another language
	Times      string
}

// specialAhead is how many days ahead special days are listed.
const specialAhead = 61

// weekHours lists the ordinary week, Monday first.
func weekHours(w *words.Language, h *perron.Hours, today perron.Date) []weekdayHours {
	out := make([]weekdayHours, 0, 7)
	for i := 1; i <= 7; i++ {
		d := i % 7
		spans := h.Weekly[d]
		out = append(out, weekdayHours{
			Day:   w.Capital(w.Weekday(time.Weekday(d))),
			Times: w.Spans(spans), Open: len(spans) > 0, Today: int(today.Weekday()) == d,
		})
	}
	return out
}

// specialDays lists the coming holidays and exceptions whose hours differ from
// the ordinary ones or that carry a reason.
func specialDays(w *words.Language, h *perron.Hours, today perron.Date) []specialDay {
	var out []specialDay
	for i := range specialAhead {
		d := today.AddDays(i)
		spans := h.On(d)
		if ex, ok := h.Exceptions[d]; ok {
			text, lang := w.Local(ex.Reason)
			s := specialDay{Day: w.Capital(w.Day(d)), Reason: text, ReasonLang: lang, Times: w.Spans(spans)}
			if text == "" {
				s.Reason = w.Holiday(d)
			}
			out = append(out, s)
			continue
		}
		if perron.HolidayOn(d).Public() && (len(spans) > 0 || len(h.Weekly[d.Weekday()]) > 0) {
			out = append(out, specialDay{Day: w.Capital(w.Day(d)), Reason: w.Holiday(d), Times: w.Spans(spans)})
		}
	}
	return out
}
