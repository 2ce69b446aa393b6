package present

import (
	"errors"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// seen counts the events that it follows.
type seen int

func (s *seen) Observe(perron.Event)   { *s++ }
func (s *seen) Recount(time.Time, int) {}

// Going through a long day again takes seconds, which whoever stops the
// program does not wait for.
func TestGoThroughStops(t *testing.T) {
	events := make([]perron.Event, 100_000)
	var n seen
	err := GoThrough(&n, events, nil, func() bool { return n >= 1500 })
	if !errors.Is(err, ErrStopped) || n < 1500 || n > 2500 {
		t.Errorf("%v after %d of %d events", err, n, len(events))
	}
	n = 0
	if err := GoThrough(&n, events, nil, nil); err != nil || int(n) != len(events) {
		t.Errorf("%v after %d of %d events", err, n, len(events))
	}
}

func TestADayHasItsQuarters(t *testing.T) {
	for date, want := range map[perron.Date]int{
		{Year: 2026, Month: 3, Day: 29}:  92, // summer time begins
		{Year: 2026, Month: 10, Day: 25}: 100,
		{Year: 2026, Month: 5, Day: 30}:  96,
	} {
		if got := len(newDay(date, 1).counts[0]); got != want {
			t.Errorf("%v has %d quarters, want %d", date, got, want)
		}
	}
}
