package web

import (
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
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
func weekHours(w *words, h *perron.Hours, today perron.Date) []weekdayHours {
	out := make([]weekdayHours, 0, 7)
	for i := 1; i <= 7; i++ {
		d := i % 7
		spans := h.Weekly[d]
		out = append(out, weekdayHours{
			Day:   capital(w.Weekday(time.Weekday(d))),
			Times: w.spans(spans), Open: len(spans) > 0, Today: int(today.Weekday()) == d,
		})
	}
	return out
}

func (w *words) spans(spans []perron.Span) string {
	if len(spans) == 0 {
		return w.T("perron.closed")
	}
	parts := make([]string, 0, len(spans))
	for _, s := range spans {
		parts = append(parts, w.TimeOfDay(s.Open)+"–"+w.TimeOfDay(s.Close))
	}
	return w.figures(strings.Join(parts, " "+w.T("perron.and")+" "))
}

// specialDays lists the coming holidays and exceptions whose hours differ from
// the ordinary ones or that carry a reason.
func specialDays(w *words, h *perron.Hours, today perron.Date) []specialDay {
	var out []specialDay
	for i := range specialAhead {
		d := today.AddDays(i)
		spans := h.On(d)
		if ex, ok := h.Exceptions[d]; ok {
			text, lang := w.Local(ex.Reason)
			s := specialDay{Day: capital(w.Day(d)), Reason: text, Times: w.spans(spans)}
			if text != "" && lang != w.tag {
				s.ReasonLang = lang
			}
			if text == "" {
				s.Reason = holidayName(w, d)
			}
			out = append(out, s)
			continue
		}
		if perron.HolidayOn(d).Public() && (len(spans) > 0 || len(h.Weekly[d.Weekday()]) > 0) {
			out = append(out, specialDay{Day: capital(w.Day(d)), Reason: holidayName(w, d), Times: w.spans(spans)})
		}
	}
	return out
}

func holidayName(w *words, d perron.Date) string {
	if hol := perron.HolidayOn(d); hol != perron.NoHoliday {
		return w.T("holiday." + string(hol))
	}
	return ""
}
