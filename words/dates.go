package words

import (
	"fmt"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Clock is the civil time of day, "8:30".
func (l *Language) Clock(t time.Time) string { return l.TimeOfDay(perron.TimeOfDayOf(t)) }

// TimeOfDay is "8:30"; the end of a day is "24:00".
func (l *Language) TimeOfDay(t perron.TimeOfDay) string {
	return l.T("date.clock", "Hour", l.digits(int(t)/60, 1), "Minute", l.digits(int(t)%60, 2))
}

// Hour is the full hour "8:00"; the 24th is "24:00".
func (l *Language) Hour(h int) string { return l.TimeOfDay(perron.TimeOfDay(h * 60)) }

// Tick is an hour as it stands at an axis, "8".
func (l *Language) Tick(hour int) string { return l.digits(hour, 1) }

// Weekday is "zaterdag".
func (l *Language) Weekday(d time.Weekday) string { return l.T(fmt.Sprintf("weekday.d%d", d)) }

// ShortWeekday is "za".
func (l *Language) ShortWeekday(d time.Weekday) string { return l.T(fmt.Sprintf("weekday.s%d", d)) }

// Day is "zaterdag 9 mei".
func (l *Language) Day(d perron.Date) string { return l.date("date.day", d) }

// DayOfMonth is "9 mei".
func (l *Language) DayOfMonth(d perron.Date) string { return l.date("date.dayofmonth", d) }

// Date is "9 mei 2026".
func (l *Language) Date(d perron.Date) string { return l.date("date.date", d) }

// FullDate is "zaterdag 9 mei 2026".
func (l *Language) FullDate(d perron.Date) string { return l.date("date.fulldate", d) }

func (l *Language) date(id string, d perron.Date) string {
	return l.T(id, "Weekday", l.Weekday(d.Weekday()), "Day", l.digits(d.Day, 1),
		"Month", l.T(fmt.Sprintf("month.m%d", d.Month)), "Year", l.digits(d.Year, 1))
}

// When is "8:30" on the day of now and "za 9 mei, 8:30" on another.
func (l *Language) When(at, now time.Time) string {
	d := perron.DateOf(at)
	if d == perron.DateOf(now) {
		return l.Clock(at)
	}
	return l.T("date.moment", "Weekday", l.ShortWeekday(d.Weekday()), "Day", l.DayOfMonth(d), "Time", l.Clock(at))
}

// AsOf says of what time of day something is.
func (l *Language) AsOf(now time.Time) string { return l.T("overview.asof", "Time", l.Clock(now)) }

// NearDay is "Vandaag", "Morgen", or the day's full name.
func (l *Language) NearDay(d, today perron.Date) string {
	switch d {
	case today:
		return l.T("day.today")
	case today.AddDays(1):
		return l.T("day.tomorrow")
	}
	return l.Capital(l.Day(d))
}

// Opens says when a closed site opens again.
func (l *Language) Opens(at, now time.Time) string {
	today, day := perron.DateOf(now), perron.DateOf(at)
	clock := l.Clock(at)
	switch {
	case day == today:
		return l.T("hours.today", "Time", clock)
	case day == today.AddDays(1):
		return l.T("hours.tomorrow", "Time", clock)
	case day.Before(today.AddDays(7)):
		return l.Capital(l.T("hours.weekday", "Day", l.Weekday(day.Weekday()), "Time", clock))
	}
	return l.T("hours.date", "Day", l.Day(day), "Time", clock)
}

// Span is "8:30–17:00".
func (l *Language) Span(from, to time.Time) string {
	return l.T("hours.span", "From", l.Clock(from), "To", l.Clock(to))
}

// Spans are the hours of a day: "8:30–12:00 en 13:00–17:00", or that it is
// closed.
func (l *Language) Spans(spans []perron.Span) string {
	if len(spans) == 0 {
		return l.T("hours.closed")
	}
	parts := make([]string, 0, len(spans))
	for _, s := range spans {
		parts = append(parts, l.T("hours.span", "From", l.TimeOfDay(s.Open), "To", l.TimeOfDay(s.Close)))
	}
	return strings.Join(parts, " "+l.T("hours.and")+" ")
}

// Holiday is the name of the holiday on a day; empty when it is none.
func (l *Language) Holiday(d perron.Date) string {
	if hol := perron.HolidayOn(d); hol != perron.NoHoliday {
		return l.T("holiday." + string(hol))
	}
	return ""
}
