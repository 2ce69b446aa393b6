package perron

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The days as the Dutch government published them; nothing here is computed.
var holidays2024to2030 = map[string]Holiday{
	"2024-01-01": NewYear, "2024-03-29": GoodFriday, "2024-03-31": Easter, "2024-04-01": EasterMonday, "2024-04-27": KingsDay,
	"2024-05-09": Ascension, "2024-05-19": Pentecost, "2024-05-20": PentecostMon, "2024-12-25": Christmas, "2024-12-26": BoxingDay,

	// King's Day moves to Saturday, Liberation Day is a day off.
	"2025-01-01": NewYear, "2025-04-18": GoodFriday, "2025-04-20": Easter, "2025-04-21": EasterMonday, "2025-04-26": KingsDay,
	"2025-05-05": LiberationDay, "2025-05-29": Ascension, "2025-06-08": Pentecost, "2025-06-09": PentecostMon,
	"2025-12-25": Christmas, "2025-12-26": BoxingDay,

	"2026-01-01": NewYear, "2026-04-03": GoodFriday, "2026-04-05": Easter, "2026-04-06": EasterMonday, "2026-04-27": KingsDay,
	"2026-05-14": Ascension, "2026-05-24": Pentecost, "2026-05-25": PentecostMon, "2026-12-25": Christmas, "2026-12-26": BoxingDay,

	"2027-01-01": NewYear, "2027-03-26": GoodFriday, "2027-03-28": Easter, "2027-03-29": EasterMonday, "2027-04-27": KingsDay,
	"2027-05-06": Ascension, "2027-05-16": Pentecost, "2027-05-17": PentecostMon, "2027-12-25": Christmas, "2027-12-26": BoxingDay,

	"2028-01-01": NewYear, "2028-04-14": GoodFriday, "2028-04-16": Easter, "2028-04-17": EasterMonday, "2028-04-27": KingsDay,
	"2028-05-25": Ascension, "2028-06-04": Pentecost, "2028-06-05": PentecostMon, "2028-12-25": Christmas, "2028-12-26": BoxingDay,

	"2029-01-01": NewYear, "2029-03-30": GoodFriday, "2029-04-01": Easter, "2029-04-02": EasterMonday, "2029-04-27": KingsDay,
	"2029-05-10": Ascension, "2029-05-20": Pentecost, "2029-05-21": PentecostMon, "2029-12-25": Christmas, "2029-12-26": BoxingDay,

	"2030-01-01": NewYear, "2030-04-19": GoodFriday, "2030-04-21": Easter, "2030-04-22": EasterMonday, "2030-04-27": KingsDay,
	"2030-05-05": LiberationDay, "2030-05-30": Ascension, "2030-06-09": Pentecost, "2030-06-10": PentecostMon,
	"2030-12-25": Christmas, "2030-12-26": BoxingDay,
}

func TestHolidayOn(t *testing.T) {
	got := map[string]Holiday{}
	for d := (Date{2024, time.January, 1}); d.Year <= 2030; d = d.AddDays(1) {
		if h := HolidayOn(d); h != NoHoliday {
			got[d.String()] = h
		}
	}
	if diff := cmp.Diff(holidays2024to2030, got); diff != "" {
		t.Errorf("holidays (-want +got):\n%s", diff)
	}
}

// Where a movable day meets a fixed one, the movable one is named.
func TestHolidaysThatMeet(t *testing.T) {
	for text, want := range map[string]Holiday{
		"2008-05-01": Ascension, "2016-05-05": Ascension, // not a lustrum year
		"2005-05-05": Ascension, // Ascension and Liberation Day
		"2011-04-25": EasterMonday, "2038-04-25": Easter, "2285-03-22": Easter,
		"2014-04-26": KingsDay, "2014-04-27": NoHoliday,
	} {
		d, err := ParseDate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := HolidayOn(d); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, h := range Holidays() {
		if h.Public() != (h != GoodFriday) {
			t.Errorf("%s: public is %v", h, h.Public())
		}
	}
}
