package forecast_test

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
)

// The cases in testdata are written so that a planner can read them:
//
//	site bays 24 dwell 14                             the yard
//	open mon-sat 08:30-17:00                          a week's hours; a later line adds to it
//	count 2026-03-02..2026-05-15 mon-sat 09:00-16:00 12   so many enter in each quarter
//	count 2026-05-16 09:00 -5                         or in one quarter
//	forget 2026-05-01..2026-05-03                     what was counted on those days is missing
//	shuffle                                           the counts come in another order
//	twice                                             the counts come as two halves a quarter
//	reopen sun 10:00-16:00                            hours that are new after the counts
//	now 2026-05-16 12:00 on_site 5 queue 0 wait 0     the forecast is made; today's counts are known
//	now 2026-05-16 12:00                              without a present state
//	expect 14:00 arrivals 8..16                       of the slot of that time; of on_site and wait too
//	expect 2026-05-17 14:00 level quiet               or of another day; basis as well
//	expect late 16:55 0..0.4                          the probability of not getting in
//	expect best 0..3                                  how many moments are advised
//	expect quarters 140                               how many slots there are
//
// Whatever a case says, no number may be negative, infinite or none, and
// quantiles may not cross.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runCase(t, file) })
	}
}

// A story is a case as far as it was told.
type story struct {
	site     perron.Site
	counts   []perron.Count
	order    func([]perron.Count) []perron.Count
	origin   time.Time
	forecast perron.Forecast
	made     bool
}

func runCase(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &story{
		site:  perron.Site{ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 45},
		order: func(c []perron.Count) []perron.Count { return c },
	}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		text, _, _ := strings.Cut(in.Text(), "#")
		if fields := strings.Fields(text); len(fields) > 0 {
			if err := s.line(fields); err != nil {
				t.Errorf("%s:%d: %v", file, n, err)
			}
			if fields[0] == "now" {
				sane(t, s.forecast)
			}
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	if !s.made {
		t.Error("no forecast was made")
	}
}

func (s *story) line(f []string) error {
	switch f[0] {
	case "site":
		for i := 1; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i+1], 64)
			if err != nil {
				return err
			}
			switch f[i] {
			case "bays":
				s.site.Bays = int(v)
			case "dwell":
				s.site.TypicalDwell = v
			}
		}
		return nil
	case "open", "reopen":
		days, err := weekdaysOf(f[1])
		if err != nil {
			return err
		}
		from, to, err := times(f[2])
		for d, ok := range days {
			if ok {
				s.site.Hours.Weekly[d] = append(s.site.Hours.Weekly[d], perron.Span{Open: from, Close: to})
			}
		}
		return err
	case "count":
		return s.count(f[1:])
	case "forget":
		first, last, err := dates(f[1])
		kept := s.counts[:0]
		for _, c := range s.counts {
			if d := perron.DateOf(c.Start); d.Before(first) || last.Before(d) {
				kept = append(kept, c)
			}
		}
		s.counts = kept
		return err
	case "shuffle":
		s.order = func(c []perron.Count) []perron.Count {
			out := make([]perron.Count, 0, len(c))
			for i := range c { // 7919 is prime to any number of them here
				out = append(out, c[i*7919%len(c)])
			}
			return out
		}
		return nil
	case "twice":
		s.order = func(c []perron.Count) []perron.Count {
			var out []perron.Count
			for _, v := range c {
				half := v
				half.In /= 2
				v.In -= half.In
				out = append(out, v, half)
			}
			return out
		}
		return nil
	case "now":
		return s.now(f[1:])
	case "expect":
		return s.expect(f[1:])
	}
	return fmt.Errorf("no such line: %s", f[0])
}

func (s *story) count(f []string) error {
	first, last, err := dates(f[0])
	if err != nil {
		return err
	}
	f = f[1:]
	days := [7]bool{true, true, true, true, true, true, true}
	if len(f) > 2 {
		if days, err = weekdaysOf(f[0]); err != nil {
			return err
		}
		f = f[1:]
	}
	from, to, err := times(f[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(f[1])
	for d := first; !last.Before(d); d = d.AddDays(1) {
		for at := d.At(from); days[d.Weekday()] && at.Before(d.At(to)); at = at.Add(15 * time.Minute) {
			s.counts = append(s.counts, perron.Count{Start: at, In: n, Out: n})
		}
	}
	return err
}

func (s *story) now(f []string) error {
	day, err := perron.ParseDate(f[0])
	if err != nil {
		return err
	}
	tod, err := clock(f[1])
	if err != nil {
		return err
	}
	s.origin = day.At(tod)
	var now perron.Estimate
	for i := 2; i+1 < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i+1], 64)
		if err != nil {
			return err
		}
		now.At = s.origin
		switch f[i] {
		case "on_site":
			now.OnSite = perron.Exactly(v)
		case "queue":
			now.Queue = perron.Exactly(v)
		case "wait":
			now.Wait = perron.Exactly(v)
		case "rate":
			now.EntryRate = v
		default:
			return fmt.Errorf("no such state: %s", f[i])
		}
	}
	var history, recent []perron.Count
	for _, c := range s.counts {
		if c.Start.Before(day.Start()) || c.Start.After(day.End()) {
			history = append(history, c)
		} else {
			recent = append(recent, c)
		}
	}
	m := forecast.New(&s.site)
	m.Refit(s.order(history))
	s.forecast, s.made = m.Forecast(s.origin, s.order(recent), now), true
	return nil
}

func (s *story) expect(f []string) error {
	if !s.made {
		return fmt.Errorf("expected before now")
	}
	switch f[0] {
	case "best":
		return within(float64(len(s.forecast.Best)), f[1])
	case "quarters":
		return within(float64(len(s.forecast.Quarters)), f[1])
	}
	what := ""
	if f[0] == "late" {
		what, f = "late", f[1:]
	}
	day := perron.DateOf(s.origin)
	if d, err := perron.ParseDate(f[0]); err == nil {
		day, f = d, f[1:]
	}
	tod, err := clock(f[0])
	if err != nil {
		return err
	}
	slot, ok := s.forecast.SlotAt(day.At(tod))
	if !ok {
		return fmt.Errorf("no slot at %s %s", day, f[0])
	}
	if what == "" {
		what, f = f[1], f[1:]
	}
	switch what {
	case "arrivals":
		err = within(slot.Arrivals.Mid, f[1])
	case "on_site":
		err = within(slot.OnSite.Mid, f[1])
	case "wait":
		err = within(slot.Wait.Mid, f[1])
	case "late":
		err = within(slot.Late, f[1])
	case "level":
		if string(slot.Level) != f[1] {
			err = fmt.Errorf("level %s, want %s", slot.Level, f[1])
		}
	case "basis":
		if string(slot.Basis) != f[1] {
			err = fmt.Errorf("basis %s, want %s", slot.Basis, f[1])
		}
	default:
		err = fmt.Errorf("no such figure: %s", what)
	}
	if err != nil {
		return fmt.Errorf("%s: %w (slot %+v)", what, err, slot)
	}
	return nil
}

// within checks a number against "8..16" or "4".
func within(v float64, text string) error {
	low, high, ok := strings.Cut(text, "..")
	if !ok {
		high = low
	}
	from, err1 := strconv.ParseFloat(low, 64)
	to, err2 := strconv.ParseFloat(high, 64)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%q: want a number or 8..16", text)
	}
	if !(v >= from && v <= to) || math.IsNaN(v) {
		return fmt.Errorf("%.2f, want %s", v, text)
	}
	return nil
}

func clock(text string) (perron.TimeOfDay, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	return perron.TimeOfDay(t.Hour()*60 + t.Minute()), err
}

// times reads "09:00-16:00", or "09:00" for one quarter.
func times(text string) (from, to perron.TimeOfDay, err error) {
	a, b, ok := strings.Cut(text, "-")
	if from, err = clock(a); err != nil || !ok {
		return from, from + 15, err
	}
	to, err = clock(b)
	return from, to, err
}

// dates reads "2026-03-02..2026-05-15" or one date.
func dates(text string) (first, last perron.Date, err error) {
	a, b, ok := strings.Cut(text, "..")
	if first, err = perron.ParseDate(a); err != nil || !ok {
		return first, first, err
	}
	last, err = perron.ParseDate(b)
	return first, last, err
}

// weekdaysOf reads "mon-sat" or "sun".
func weekdaysOf(text string) (on [7]bool, err error) {
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	find := func(s string) int {
		for i, n := range names {
			if n == s {
				return i
			}
		}
		err = fmt.Errorf("no such weekday: %s", s)
		return 0
	}
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	from, to := find(a), find(b)
	for d := from; ; d = (d + 1) % 7 {
		on[d] = true
		if d == to {
			return on, err
		}
	}
}
