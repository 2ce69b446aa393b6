package words

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Level is the word for a level.
func (l *Language) Level(v perron.Level) string { return l.T("level." + string(v)) }

// Wait says a band in words: "10–15 min".
func (l *Language) Wait(b perron.Band, atLeast bool) string {
	switch {
	case b == (perron.Band{}):
		return l.T("wait.unknown")
	case atLeast && b.Min > 0:
		return l.T("wait.atleast", "Min", b.Min)
	case b.Max == 0:
		return l.T("wait.over", "Min", b.Min)
	case b.Min == 0:
		return l.T("wait.under", "Max", b.Max)
	}
	return l.T("wait.between", "Min", b.Min, "Max", b.Max)
}

// longest is the largest wait in minutes that a range names as its end.
const longest = 90

// WaitRange says an expected wait by its interval, on whole 5 minutes:
// "15–25 min".
func (l *Language) WaitRange(i perron.Interval) string {
	lo := int(math.Floor(i.Low/5)) * 5
	hi := int(math.Ceil(i.High/5)) * 5
	switch {
	case math.IsNaN(i.Low) || math.IsNaN(i.High):
		return l.T("wait.unknown")
	case hi <= 5:
		return l.T("wait.under", "Max", 5)
	case lo >= 60:
		return l.T("wait.over", "Min", 60)
	case lo <= 0:
		return l.T("wait.upto", "Max", min(hi, longest))
	case hi > longest:
		return l.T("wait.atleast", "Min", lo)
	}
	return l.T("wait.between", "Min", lo, "Max", hi)
}

// ShortWait is a wait in minutes as short as a cell of a table is: "< 5", "12",
// "60+".
func (l *Language) ShortWait(minutes float64, atLeast bool) string {
	n := int(math.Round(minutes))
	switch {
	case atLeast:
		return l.T("board.over", "Min", n)
	case n < 5:
		return l.T("board.under", "Max", 5)
	}
	return l.Number(n)
}

// Age says how old a measurement is, as a browser does by Intl.RelativeTimeFormat
// in its short style: "2 min. geleden".
func (l *Language) Age(measured, now time.Time) string {
	minutes := int(now.Sub(measured) / time.Minute)
	if minutes < 1 {
		return l.T("age.now")
	}
	return l.N("age.minutes", minutes)
}

// OnSite says how many vehicles are inside; never a bare number.
func (l *Language) OnSite(i perron.Interval) string {
	n := int(math.Round(i.Mid))
	if n < 1 {
		return l.T("onsite.none")
	}
	return l.N("onsite.vehicles", n)
}

// Visits says how many vehicles came in today.
func (l *Language) Visits(n int) string {
	if n < 1 {
		return l.T("visits.none")
	}
	return l.N("visits.today", n)
}

// Queue says how many vehicles wait outside.
func (l *Language) Queue(i perron.Interval, atLeast bool) string {
	if atLeast {
		if n := int(math.Floor(i.Low)); n > 0 {
			return l.N("queue.atleast", n)
		}
	}
	n := int(math.Round(i.Mid))
	if n < 1 {
		return l.T("queue.none")
	}
	return l.N("queue.vehicles", n)
}

// LastMeasured says since when there is no measurement.
func (l *Language) LastMeasured(at, now time.Time) string {
	switch {
	case at.IsZero():
		return l.T("state.never")
	case perron.DateOf(at) == perron.DateOf(now):
		return l.T("state.unknown", "Time", l.Clock(at))
	}
	return l.T("state.unknownday", "Day", l.DayOfMonth(perron.DateOf(at)))
}
