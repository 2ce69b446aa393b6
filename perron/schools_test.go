package perron_test

import (
	"testing"

	"github.com/perrondrukte/perrondrukte/perron"
)

func TestSchoolHolidays(t *testing.T) {
	day := func(s string) perron.Date {
		d, err := perron.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	in := func(r perron.SchoolRegion, d string) bool {
		for _, h := range perron.SchoolHolidays(r) {
			if h.Contains(day(d)) {
				return true
			}
		}
		return false
	}
	for _, c := range []struct {
		date                string
		noord, midden, zuid bool
	}{
		{"2025-07-06", false, false, true},
		{"2026-02-21", true, true, true}, // one ends, the other begins
		{"2026-02-23", true, false, false},
		{"2026-07-03", false, false, false},
		{"2026-07-04", true, false, false},
		{"2026-07-18", true, true, true},
		{"2026-08-30", false, true, false},
		{"2026-08-31", false, false, false},
		{"2026-12-25", true, true, true},
		{"2028-10-22", true, true, true},
		{"2029-08-25", true, false, true},
		{"2035-08-01", false, false, false}, // not published yet
	} {
		for r, want := range map[perron.SchoolRegion]bool{perron.Noord: c.noord, perron.Midden: c.midden, perron.Zuid: c.zuid} {
			if got := in(r, c.date); got != want {
				t.Errorf("%s in %s: %v, want %v", c.date, r, got, want)
			}
		}
	}
	for _, r := range perron.SchoolRegions() {
		last := perron.Date{}
		for _, h := range perron.SchoolHolidays(r) {
			if h.Last.Before(h.First) || !last.Before(h.First) {
				t.Errorf("%s: %v after %v", r, h, last)
			}
			last = h.Last
		}
	}
}
