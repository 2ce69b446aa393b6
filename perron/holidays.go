package perron

import "time"

// A Holiday is a day with a rule of its own in the Netherlands. The names are
// used in configuration.
type Holiday string

const (
	NoHoliday     Holiday = ""
	NewYear       Holiday = "new-year"       // 1 January
	GoodFriday    Holiday = "good-friday"    // not a public holiday, but many are free
	Easter        Holiday = "easter"         // Sunday
	EasterMonday  Holiday = "easter-monday"  //
	KingsDay      Holiday = "kings-day"      // 27 April, the 26th when that is a Sunday
	LiberationDay Holiday = "liberation-day" // 5 May; a day off for most only every fifth year
	Ascension     Holiday = "ascension"      // 39 days after Easter
	Pentecost     Holiday = "pentecost"      // Sunday, 49 days after Easter
	PentecostMon  Holiday = "pentecost-monday"
	Christmas     Holiday = "christmas" // 25 December
	BoxingDay     Holiday = "boxing-day"
)

// Holidays lists every holiday that configuration may name.
func Holidays() []Holiday {
	return []Holiday{
		NewYear, GoodFriday, Easter, EasterMonday, KingsDay, LiberationDay,
		Ascension, Pentecost, PentecostMon, Christmas, BoxingDay,
	}
}

// Public says whether sites are closed on the holiday unless configured
// otherwise. Good Friday is an ordinary working day, and so is Liberation Day
// except in the years that end in 0 or 5; [HolidayOn] reports it in those
// years only.
func (h Holiday) Public() bool { return h != NoHoliday && h != GoodFriday }

// HolidayOn names the Dutch holiday of a date, or NoHoliday. When two meet
// (Ascension on King's Day, say) the movable one is named.
func HolidayOn(d Date) Holiday {
	e := easterSunday(d.Year)
	switch d {
	case e.AddDays(-2):
		return GoodFriday
	case e:
		return Easter
	case e.AddDays(1):
		return EasterMonday
	case e.AddDays(39):
		return Ascension
	case e.AddDays(49):
		return Pentecost
	case e.AddDays(50):
		return PentecostMon
	}
	kings := Date{d.Year, time.April, 27}
	if kings.Weekday() == time.Sunday {
		kings.Day = 26
	}
	switch {
	case d == kings:
		return KingsDay
	case d.Month == time.January && d.Day == 1:
		return NewYear
	case d.Month == time.May && d.Day == 5 && d.Year%5 == 0:
		return LiberationDay
	case d.Month == time.December && d.Day == 25:
		return Christmas
	case d.Month == time.December && d.Day == 26:
		return BoxingDay
	}
	return NoHoliday
}

// easterSunday is the anonymous Gregorian computus (Nature, 20 April 1876;
// Meeus, Astronomical Algorithms, chapter 8).
func easterSunday(year int) Date {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	f := (b + 8) / 25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return Date{year, time.Month(n / 31), n%31 + 1}
}
