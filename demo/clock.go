package demo

import (
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Begin reads at what time a demo is to begin: now for the real time, auto, or a
// local time. A demo that is started at night would only show closed gates, so
// auto moves it to the busiest time of a Saturday, and at a speed to a quarter
// before the first perron opens.
func Begin(text string, speed float64, now time.Time, sites []*perron.Site) (time.Time, error) {
	switch text {
	case "now":
		return now, nil
	case "auto":
		for _, s := range sites {
			if p, open := s.Hours.At(now); open && speed == 1 && now.Add(15*time.Minute).Before(p.End) {
				return now, nil
			}
		}
		day := perron.DateOf(now).AddDays(-1)
		for day.Weekday() != time.Saturday || perron.HolidayOn(day).Public() {
			day = day.AddDays(-1)
		}
		if speed == 1 {
			return day.At(12*60 + 15), nil
		}
		begin := day.End()
		for _, s := range sites {
			for _, p := range s.Hours.Periods(day) {
				if p.Start.Before(begin) {
					begin = p.Start
				}
			}
		}
		return begin.Add(-15 * time.Minute), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, perron.Amsterdam); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a local time like 2026-06-13T10:30, nor now or auto", text)
}

// Clock is a clock that runs from the given time on, so many times as fast as
// the system's: elapsed says how long the demo has been running.
func Clock(begin time.Time, speed float64, elapsed func() time.Duration) func() time.Time {
	return func() time.Time {
		return begin.Add(time.Duration(speed * float64(elapsed()))).UTC().Round(0)
	}
}
