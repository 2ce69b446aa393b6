package perron

import "time"

// A SchoolRegion is one of the three regions in which Dutch schools have their
// holidays.
type SchoolRegion string

const (
	Noord  SchoolRegion = "noord"
	Midden SchoolRegion = "midden"
	Zuid   SchoolRegion = "zuid"
)

// SchoolRegions are all of them.
func SchoolRegions() []SchoolRegion { return []SchoolRegion{Noord, Midden, Zuid} }

// A DateRange is a number of days, both ends included.
type DateRange struct{ First, Last Date }

// Contains says whether a date lies within the range.
func (r DateRange) Contains(d Date) bool { return !d.Before(r.First) && !r.Last.Before(d) }

// SchoolHolidays are the published holidays of a region, by date: those that
// the ministry of education sets (summer, Christmas, May) and recommends
// (autumn, spring). Schools may choose otherwise, and the dates of a school year
// are published some years ahead, so configuration can add to them. The table
// knows the school years 2023–24 to 2025–26, 2027–28 and 2028–29, and 2026–27
// but for the spring and summer of the south.
//
// Source: rijksoverheid.nl, "Overzicht schoolvakanties per schooljaar".
func SchoolHolidays(r SchoolRegion) []DateRange {
	var out []DateRange
	for _, h := range schoolHolidays {
		if h.region == "" || h.region == r {
			out = append(out, DateRange{date8(h.first), date8(h.last)})
		}
	}
	return out
}

func date8(v int) Date { return Date{v / 10000, time.Month(v / 100 % 100), v % 100} }

// schoolHolidays are holidays by date, of a region or of all three.
var schoolHolidays = []struct {
	region      SchoolRegion
	first, last int // yyyymmdd
}{
	{Midden, 20231014, 20231022},
	{Zuid, 20231014, 20231022},
	{Noord, 20231021, 20231029},
	{"", 20231223, 20240107},
	{Zuid, 20240210, 20240218},
	{Noord, 20240217, 20240225},
	{Midden, 20240217, 20240225},
	{"", 20240427, 20240505},
	{Zuid, 20240706, 20240818},
	{Midden, 20240713, 20240825},
	{Noord, 20240720, 20240901},

	{Zuid, 20241019, 20241027},
	{Noord, 20241026, 20241103},
	{Midden, 20241026, 20241103},
	{"", 20241221, 20250105},
	{Noord, 20250215, 20250223},
	{Midden, 20250222, 20250302},
	{Zuid, 20250222, 20250302},
	{"", 20250426, 20250504},
	{Zuid, 20250705, 20250817},
	{Noord, 20250712, 20250824},
	{Midden, 20250719, 20250831},

	{Zuid, 20251011, 20251019},
	{Noord, 20251018, 20251026},
	{Midden, 20251018, 20251026},
	{"", 20251220, 20260104},
	{Midden, 20260214, 20260222},
	{Zuid, 20260214, 20260222},
	{Noord, 20260221, 20260301},
	{"", 20260425, 20260503},
	{Noord, 20260704, 20260816},
	{Zuid, 20260711, 20260823},
	{Midden, 20260718, 20260830},

	{Noord, 20261010, 20261018},
	{Midden, 20261017, 20261025},
	{Zuid, 20261017, 20261025},
	{"", 20261219, 20270103},
	{Noord, 20270220, 20270228},
	{Midden, 20270220, 20270228},
	{"", 20270424, 20270502},
	{Noord, 20270710, 20270822},
	{Midden, 20270717, 20270829},

	{Noord, 20271016, 20271024},
	{Midden, 20271016, 20271024},
	{Zuid, 20271023, 20271031},
	{"", 20271225, 20280109},
	{Noord, 20280219, 20280227},
	{Midden, 20280226, 20280305},
	{Zuid, 20280226, 20280305},
	{"", 20280429, 20280507},
	{Midden, 20280708, 20280820},
	{Noord, 20280715, 20280827},
	{Zuid, 20280722, 20280903},

	{Noord, 20281014, 20281022},
	{Midden, 20281021, 20281029},
	{Zuid, 20281021, 20281029},
	{"", 20281223, 20290107},
	{Zuid, 20290210, 20290218},
	{Noord, 20290217, 20290225},
	{Midden, 20290217, 20290225},
	{"", 20290428, 20290506},
	{Midden, 20290707, 20290819},
	{Zuid, 20290714, 20290826},
	{Noord, 20290721, 20290902},
}
