package perron

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func tod(t *testing.T, s string) TimeOfDay {
	t.Helper()
	v, err := ParseTimeOfDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func span(t *testing.T, from, to string) Span {
	t.Helper()
	return Span{tod(t, from), tod(t, to)}
}

func date(t *testing.T, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// civil reads a time of the clock in Almere.
func civil(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, Amsterdam)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// openDaily is open from 8:30 to 17:00 but on Sundays.
func openDaily(t *testing.T) Hours {
	t.Helper()
	var h Hours
	for day := time.Monday; day <= time.Saturday; day++ {
		h.Weekly[day] = []Span{span(t, "08:30", "17:00")}
	}
	return h
}

func TestHoursPrecedence(t *testing.T) {
	h := openDaily(t)
	h.Weekly[time.Saturday] = []Span{span(t, "13:00", "16:00"), span(t, "08:30", "12:00")}
	h.Weekly[time.Wednesday] = []Span{span(t, "08:30", "12:00"), span(t, "12:00", "20:00")}
	h.Holidays = map[Holiday][]Span{
		KingsDay: {span(t, "10:00", "16:00")},
		NewYear:  {span(t, "12:00", "14:00")},
	}
	h.Exceptions = map[Date]Exception{
		date(t, "2026-12-24"): {Spans: []Span{span(t, "08:30", "15:00")}},
		date(t, "2027-01-01"): {},                                         // closed, although the holiday has hours
		date(t, "2026-05-14"): {Spans: []Span{span(t, "09:00", "10:00")}}, // open, although it is a holiday
	}
	for _, c := range []struct {
		at   string
		want string // closing time; "" is closed
	}{
		{"2026-04-20 08:29", ""},
		{"2026-04-20 08:30", "17:00"},
		{"2026-04-20 16:59", "17:00"},
		{"2026-04-20 17:00", ""},
		{"2026-04-19 12:00", ""}, // Sunday
		{"2026-04-25 08:30", "12:00"},
		{"2026-04-25 12:30", ""},
		{"2026-04-25 13:00", "16:00"},
		{"2026-04-22 11:00", "20:00"}, // spans that touch are one
		{"2026-04-27 09:59", ""},      // King's Day has hours of its own
		{"2026-04-27 10:00", "16:00"},
		{"2026-04-06 12:00", ""},      // Easter Monday is closed unless configured
		{"2026-04-03 12:00", "17:00"}, // Good Friday is an ordinary Friday
		{"2026-05-05 12:00", "17:00"}, // Liberation Day outside a lustrum
		{"2026-05-14 09:30", "10:00"}, // exception beats holiday
		{"2026-05-14 12:00", ""},
		{"2026-12-24 16:00", ""}, // exception beats weekday
		{"2027-01-01 13:00", ""}, // exception beats the hours of the holiday
		{"2028-01-01 13:00", "14:00"},
	} {
		p, open := h.At(civil(t, c.at))
		got := ""
		if open {
			got = TimeOfDayOf(p.End).String()
		}
		if got != c.want || h.Open(civil(t, c.at)) != open {
			t.Errorf("%s: closes %q, want %q", c.at, got, c.want)
		}
	}

	h.Holidays[GoodFriday] = []Span{}
	if h.Open(civil(t, "2026-04-03 12:00")) {
		t.Error("Good Friday is open although it is configured as closed")
	}
}

func TestHoursNext(t *testing.T) {
	h := openDaily(t)
	h.Exceptions = map[Date]Exception{}
	for d, last := date(t, "2026-07-20"), date(t, "2026-08-01"); !last.Before(d); d = d.AddDays(1) {
		h.Exceptions[d] = Exception{Reason: map[string]string{"nl": "verbouwing"}}
	}
	for at, want := range map[string]string{
		"2026-04-20 06:00": "2026-04-20 08:30",
		"2026-04-20 08:30": "2026-04-21 08:30", // it has begun: the next is tomorrow's
		"2026-04-25 18:00": "2026-04-28 08:30", // over Sunday and King's Day
		"2026-12-24 18:00": "2026-12-28 08:30", // over Christmas and a Sunday
		"2026-07-18 17:30": "2026-08-03 08:30", // over two weeks of building work
		"2026-03-28 18:00": "2026-03-30 08:30", // over the clock change
	} {
		p, ok := h.Next(civil(t, at))
		if got := p.Start.In(Amsterdam).Format("2006-01-02 15:04"); !ok || got != want {
			t.Errorf("after %s: %s, %v, want %s", at, got, ok, want)
		}
	}
	var closed Hours
	if p, ok := closed.Next(civil(t, "2026-04-20 06:00")); ok {
		t.Errorf("a site that never opens opens at %v", p.Start)
	}
}

// On the days of the clock changes a site is open for the same hours of the
// clock, and for an hour less or more when the change falls within.
func TestHoursAtClockChanges(t *testing.T) {
	day := Hours{}
	day.Weekly[time.Sunday] = []Span{span(t, "08:30", "17:00")}
	night := Hours{}
	night.Weekly[time.Sunday] = []Span{span(t, "00:00", "24:00")}
	for _, c := range []struct {
		name   string
		hours  Hours
		on     string
		opens  string // UTC
		length time.Duration
	}{
		{"winter", day, "2026-03-22", "2026-03-22 07:30", 8*time.Hour + 30*time.Minute},
		{"spring", day, "2026-03-29", "2026-03-29 06:30", 8*time.Hour + 30*time.Minute},
		{"autumn", day, "2026-10-25", "2026-10-25 07:30", 8*time.Hour + 30*time.Minute},
		{"all of spring", night, "2026-03-29", "2026-03-28 23:00", 23 * time.Hour},
		{"all of autumn", night, "2026-10-25", "2026-10-24 22:00", 25 * time.Hour},
	} {
		p := c.hours.Periods(date(t, c.on))
		if len(p) != 1 {
			t.Fatalf("%s: %v", c.name, p)
		}
		if got := p[0].Start.Format("2006-01-02 15:04"); got != c.opens || p[0].End.Sub(p[0].Start) != c.length {
			t.Errorf("%s: opens %s for %v, want %s for %v", c.name, got, p[0].End.Sub(p[0].Start), c.opens, c.length)
		}
	}
	// The repeated hour is open in both its turns, and the skipped hour is no
	// opening at all.
	if first, ok := night.At(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)); !ok {
		t.Errorf("02:30 summer time: %v, %v", first, ok)
	}
	if second, ok := night.At(time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)); !ok {
		t.Errorf("02:30 winter time: %v, %v", second, ok)
	}
	skipped := Hours{}
	skipped.Weekly[time.Sunday] = []Span{span(t, "02:30", "03:00")}
	if p := skipped.Periods(date(t, "2026-03-29")); len(p) != 0 {
		t.Errorf("an opening in the hour that does not exist: %v", p)
	}
}

func TestParseTimeOfDay(t *testing.T) {
	for text, want := range map[string]TimeOfDay{"8:30": 510, "08:30": 510, "0:00": 0, "23:59": 1439, "24:00": 1440} {
		if got, err := ParseTimeOfDay(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ":", "8", "8:3", "8:300", "08:60", "24:01", "25:00", "-1:30", "+8:30", " 8:30", "8:30 ", "8:30x", "008:30", "8.30", "8:-5", "８:30",
	} {
		if got, err := ParseTimeOfDay(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestDate(t *testing.T) {
	// The civil day changes at midnight in Almere, not in Greenwich.
	for at, want := range map[string]string{
		"2026-03-28T23:00:00Z": "2026-03-29", "2026-03-29T21:59:59Z": "2026-03-29", "2026-03-29T22:00:00Z": "2026-03-30",
		"2026-10-24T21:59:59Z": "2026-10-24", "2026-10-25T22:59:59Z": "2026-10-25", "2026-12-31T23:00:00Z": "2027-01-01",
	} {
		v, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := DateOf(v).String(); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
	var back Date
	text, err := date(t, "2028-02-29").MarshalText()
	if err == nil {
		err = back.UnmarshalText(text)
	}
	if diff := cmp.Diff(Date{2028, time.February, 29}, back); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, bad := range []string{"2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "2026-01-01T00:00"} {
		if d, err := ParseDate(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, d)
		}
	}
	// The hour that does not exist, and the one that comes twice.
	if got := date(t, "2026-03-29").At(tod(t, "02:30")).In(Amsterdam).Format("15:04 MST"); got != "03:30 CEST" {
		t.Errorf("02:30 in spring is %s", got)
	}
	if got := date(t, "2026-10-25").At(tod(t, "02:30")).In(Amsterdam).Format("15:04 MST"); got != "02:30 CET" {
		t.Errorf("02:30 in autumn is %s", got)
	}
}

// Intervals follow each other without gap or overlap, and days and weeks that
// hold a clock change are an hour shorter or longer.
func TestSteps(t *testing.T) {
	utc := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		step        Step
		at          string // civil
		start, next string // UTC
		hours       float64
	}{
		{Quarter, "2026-04-20 10:59", "2026-04-20 08:45", "2026-04-20 09:00", 0.25},
		{Hour, "2026-04-20 10:59", "2026-04-20 08:00", "2026-04-20 09:00", 1},
		{Day, "2026-03-29 12:00", "2026-03-28 23:00", "2026-03-29 22:00", 23},
		{Day, "2026-10-25 23:59", "2026-10-24 22:00", "2026-10-25 23:00", 25},
		{Day, "2026-04-20 00:00", "2026-04-19 22:00", "2026-04-20 22:00", 24},
		{Week, "2026-03-29 23:59", "2026-03-22 23:00", "2026-03-29 22:00", 7*24 - 1},
		{Week, "2026-03-30 00:00", "2026-03-29 22:00", "2026-04-05 22:00", 7 * 24},
		{Week, "2026-10-19 00:00", "2026-10-18 22:00", "2026-10-25 23:00", 7*24 + 1},
		{Week, "2027-01-01 12:00", "2026-12-27 23:00", "2027-01-03 23:00", 7 * 24},
	} {
		at := civil(t, c.at)
		start, next := c.step.Start(at), c.step.Next(at)
		if !start.Equal(utc(c.start)) || !next.Equal(utc(c.next)) || next.Sub(start).Hours() != c.hours {
			t.Errorf("%s of %s: %s to %s, %v h; want %s to %s, %v h", c.step, c.at, start, next, next.Sub(start).Hours(), c.start, c.next, c.hours)
		}
	}
	for _, step := range []Step{Quarter, Hour, Day, Week} {
		if back, err := ParseStep(string(step)); err != nil || back != step {
			t.Errorf("%s: %s, %v", step, back, err)
		}
		for at := utc("2026-01-01 00:07"); at.Year() == 2026; at = at.Add(13 * time.Hour) {
			start, next := step.Start(at), step.Next(at)
			if at.Before(start) || !at.Before(next) || !step.Start(next).Equal(next) || !step.Next(start).Equal(next) {
				t.Fatalf("%s of %s: %s to %s", step, at, start, next)
			}
		}
	}
	if s, err := ParseStep("2h"); err == nil {
		t.Errorf("2h is taken for %s", s)
	}
}

// A day has two periods, tomorrow is a holiday, and on Sunday nobody works.
func TestNextDay(t *testing.T) {
	var h Hours
	for _, day := range []time.Weekday{time.Wednesday, time.Thursday, time.Saturday} {
		h.Weekly[day] = []Span{span(t, "08:30", "12:00"), span(t, "13:00", "17:00")}
	}
	for at, want := range map[string]string{
		"2026-05-13 07:00": "2026-05-16 08:30", // before today's opening, which is not meant
		"2026-05-13 10:00": "2026-05-16 08:30", // not after the break either; the 14th is Ascension Day
		"2026-05-13 23:59": "2026-05-16 08:30",
		"2026-05-16 00:00": "2026-05-20 08:30",
		"2026-05-15 12:00": "2026-05-16 08:30",
	} {
		if p, ok := h.NextDay(civil(t, at)); !ok || !p.Start.Equal(civil(t, want)) {
			t.Errorf("from %s: %v %v, want %s", at, p.Start, ok, want)
		}
	}
	if p, ok := new(Hours).NextDay(civil(t, "2026-05-13 10:00")); ok {
		t.Errorf("a yard that never opens opens at %v", p.Start)
	}
}
