package perron

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // devices and small containers carry no zone files
)

// Amsterdam is the civil time of every site.
var Amsterdam = mustLoad("Europe/Amsterdam")

func mustLoad(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the zone is compiled in by time/tzdata
	}
	return loc
}

// A Date is a civil day in Amsterdam. Its text form is 2006-01-02.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the civil day that t falls on.
func DateOf(t time.Time) Date {
	y, m, d := t.In(Amsterdam).Date()
	return Date{y, m, d}
}

// ParseDate reads 2006-01-02.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date like 2026-12-24", s)
	}
	y, m, d := t.Date()
	return Date{y, m, d}, nil
}

// Start is the first instant of the day, in UTC.
func (d Date) Start() time.Time { return d.At(0) }

// End is the first instant of the next day, in UTC.
func (d Date) End() time.Time { return d.AddDays(1).Start() }

// At is the instant of a time of day, in UTC. In the hour that a clock change
// skips it is the instant an hour later on the clock, in the hour that it
// repeats the second of the two.
func (d Date) At(tod TimeOfDay) time.Time {
	return time.Date(d.Year, d.Month, d.Day, int(tod)/60, int(tod)%60, 0, 0, Amsterdam).UTC()
}

// AddDays moves by n civil days.
func (d Date) AddDays(n int) Date {
	y, m, day := time.Date(d.Year, d.Month, d.Day+n, 0, 0, 0, 0, time.UTC).Date()
	return Date{y, m, day}
}

// Weekday of the date.
func (d Date) Weekday() time.Weekday {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Weekday()
}

// Before orders dates.
func (d Date) Before(o Date) bool {
	if d.Year != o.Year {
		return d.Year < o.Year
	}
	if d.Month != o.Month {
		return d.Month < o.Month
	}
	return d.Day < o.Day
}

// String is 2006-01-02.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(b []byte) error {
	v, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// A TimeOfDay counts minutes since civil midnight, 0 to 1440.
type TimeOfDay int

// ParseTimeOfDay reads 8:30, 08:30 or 24:00.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	hours, minutes, _ := strings.Cut(s, ":")
	h, ok := digits(hours, 1, 2)
	m, ok2 := digits(minutes, 2, 2)
	if !ok || !ok2 || m > 59 || h*60+m > 1440 {
		return 0, fmt.Errorf("%q is not a time of day like 08:30", s)
	}
	return TimeOfDay(h*60 + m), nil
}

// digits reads a number of least to most decimal digits, without a sign.
func digits(s string, least, most int) (n int, ok bool) {
	if len(s) < least || len(s) > most {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// TimeOfDayOf is the civil time of day of t, cut to the minute.
func TimeOfDayOf(t time.Time) TimeOfDay {
	l := t.In(Amsterdam)
	return TimeOfDay(l.Hour()*60 + l.Minute())
}

// String is 08:30.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// A Step is the length of a counting interval. Days and weeks are civil, so a
// day has 23, 24 or 25 hours; weeks begin on Monday.
type Step string

const (
	Quarter Step = "15m"
	Hour    Step = "1h"
	Day     Step = "1d"
	Week    Step = "1w"
)

// ParseStep reads the text of a step.
func ParseStep(s string) (Step, error) {
	switch v := Step(s); v {
	case Quarter, Hour, Day, Week:
		return v, nil
	}
	return "", fmt.Errorf("%q is not one of 15m, 1h, 1d, 1w", s)
}

// Start is the beginning, in UTC, of the interval that t falls in. The civil
// offset is a whole number of hours, so quarters and hours are those of UTC.
func (s Step) Start(t time.Time) time.Time {
	switch s {
	case Quarter:
		return t.UTC().Truncate(15 * time.Minute)
	case Hour:
		return t.UTC().Truncate(time.Hour)
	case Week:
		d := DateOf(t)
		return d.AddDays(-(int(d.Weekday()) + 6) % 7).Start()
	default:
		return DateOf(t).Start()
	}
}

// Next is the beginning of the interval after the one that t falls in.
func (s Step) Next(t time.Time) time.Time {
	switch s {
	case Quarter:
		return s.Start(t).Add(15 * time.Minute)
	case Hour:
		return s.Start(t).Add(time.Hour)
	case Week:
		return DateOf(s.Start(t)).AddDays(7).Start()
	default:
		return DateOf(t).End()
	}
}
