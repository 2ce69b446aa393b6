package perron

import (
	"cmp"
	"slices"
	"time"
)

// A Span is a part of a civil day during which the site admits vehicles.
type Span struct{ Open, Close TimeOfDay }

// Hours are a site's opening hours. The most particular rule wins: an
// exception for the date, then a holiday, then the weekday. A site is closed
// on every Dutch public holiday that Holidays does not name.
type Hours struct {
	Weekly     [7][]Span          // by time.Weekday
	Holidays   map[Holiday][]Span // hours on a holiday; absent is closed, but for Good Friday
	Exceptions map[Date]Exception
}

// An Exception replaces the hours of one date.
type Exception struct {
	Spans  []Span            // empty is closed
	Reason map[string]string // by language tag, shown to residents; may be nil
}

// A Period is a stretch of time, Start included, End not.
type Period struct{ Start, End time.Time }

// Contains says whether t lies in the period.
func (p Period) Contains(t time.Time) bool { return !t.Before(p.Start) && t.Before(p.End) }

// On returns the opening spans of a civil day, in order.
func (h *Hours) On(d Date) []Span {
	if e, ok := h.Exceptions[d]; ok {
		return e.Spans
	}
	if hol := HolidayOn(d); hol != NoHoliday {
		if spans, ok := h.Holidays[hol]; ok || hol.Public() {
			return spans
		}
	}
	return h.Weekly[d.Weekday()]
}

// Periods returns the opening periods that begin on the civil day, in UTC.
// Spans that touch are one period, and one that a clock change leaves without
// length is none.
func (h *Hours) Periods(d Date) []Period {
	spans := h.On(d)
	spans = slices.SortedFunc(slices.Values(spans), func(a, b Span) int { return cmp.Compare(a.Open, b.Open) })
	out := make([]Period, 0, len(spans))
	for _, s := range spans {
		p := Period{d.At(s.Open), d.At(s.Close)}
		switch last := len(out) - 1; {
		case !p.Start.Before(p.End):
		case last >= 0 && !p.Start.After(out[last].End):
			if p.End.After(out[last].End) {
				out[last].End = p.End
			}
		default:
			out = append(out, p)
		}
	}
	return out
}

// At returns the opening period that t falls in.
func (h *Hours) At(t time.Time) (Period, bool) {
	for _, p := range h.Periods(DateOf(t)) {
		if p.Contains(t) {
			return p, true
		}
	}
	return Period{}, false
}

// Open says whether the site admits vehicles at t.
func (h *Hours) Open(t time.Time) bool { _, ok := h.At(t); return ok }

// NextDay returns the first opening period on a civil day after that of t,
// looking a year ahead.
func (h *Hours) NextDay(t time.Time) (Period, bool) { return h.Next(DateOf(t).End().Add(-1)) }

// Next returns the first opening period that starts after t, looking a year
// ahead.
func (h *Hours) Next(t time.Time) (Period, bool) {
	for d, i := DateOf(t), 0; i < 366; d, i = d.AddDays(1), i+1 {
		for _, p := range h.Periods(d) {
			if p.Start.After(t) {
				return p, true
			}
		}
	}
	return Period{}, false
}
