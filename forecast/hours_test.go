package forecast

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// The gates open at half past eight and close at half past four.
func TestHoursInWhichTheGatesOpen(t *testing.T) {
	date := perron.Date{Year: 2026, Month: time.June, Day: 12}
	var quarters []runSlot
	for m := perron.TimeOfDay(8 * 60); m < 18*60; m += 15 {
		q := runSlot{Slot: perron.Slot{Start: date.At(m), Minutes: 15, Level: perron.Closed}}
		if m >= 8*60+30 && m < 16*60+30 {
			q.Level, q.arrivals = perron.Busy, new([pathCount]float64)
			for p := range q.arrivals {
				q.arrivals[p] = 5
			}
		}
		quarters = append(quarters, q)
	}
	want := map[int]struct {
		level    perron.Level
		arrivals float64
	}{8: {perron.Busy, 10}, 9: {perron.Busy, 20}, 16: {perron.Busy, 10}, 17: {perron.Closed, 0}}
	for _, h := range hourlySlots(quarters, date) {
		w, ok := want[h.Start.In(perron.Amsterdam).Hour()]
		if ok && (h.Level != w.level || h.Arrivals.Mid != w.arrivals || h.Minutes != 60) {
			t.Errorf("%s: %v, %v arrivals in %d minutes; want %v, %v", h.Start.In(perron.Amsterdam).Format("15:04"), h.Level, h.Arrivals.Mid, h.Minutes, w.level, w.arrivals)
		}
	}
	if n := len(hourlySlots(quarters, date)); n != 10 {
		t.Errorf("%d hours", n)
	}
}
