package occupancy_test

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// TestSmooth has cases without sense: nothing at all, a recount, exits only. How
// much closer to the truth it is than the live estimate is scored by bench/eval.
func TestSmooth(t *testing.T) {
	site := schooled()
	d := perron.Date{Year: 2026, Month: 5, Day: 2}
	times := []time.Time{d.At(10 * 60), d.At(12 * 60), d.At(16 * 60)}
	var x occupancy.Experience
	for _, v := range x.Smooth(site, nil, nil, times) {
		if v.Mid != 0 {
			t.Errorf("without an event: %+v", v)
		}
	}
	// Someone counts 30 in a yard for 24 at noon; that tells of ten o'clock too.
	events := []perron.Event{{Time: d.At(9 * 60), Sensor: "main-in", Kind: perron.In}}
	for m := range 60 {
		events = append(events, perron.Event{Time: d.At(perron.TimeOfDay(11*60 + m)), Sensor: "main-in", Kind: perron.In})
	}
	counted := []perron.Action{{At: d.At(11 * 60), Kind: perron.Close}, {At: d.At(12 * 60), Kind: perron.Recount, Vehicles: 100}}
	if got := x.Smooth(site, events, counted, times); got[1].Mid < 90 || got[2].Mid > 30 {
		t.Errorf("a recount of 100: %+v", got)
	}
	for i := range events {
		events[i].Kind = perron.Out
	}
	for _, v := range x.Smooth(site, events, nil, times) {
		if !(v.Low >= 0 && v.High < 80) {
			t.Errorf("exits only: %+v", v)
		}
	}
	if got := x.Smooth(site, events, nil, nil); len(got) != 0 {
		t.Errorf("at no time: %+v", got)
	}
}
