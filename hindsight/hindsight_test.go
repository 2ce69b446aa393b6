package hindsight

import (
	"context"
	"errors"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A kept store has what happened on one day, and counts who asks.
type kept struct {
	events  []perron.Event
	actions []perron.Action
	fail    error
	asked   int
}

func (k *kept) Events(_ context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		k.asked++
		if k.fail != nil {
			yield(perron.Record{}, k.fail)
			return
		}
		for _, e := range k.events {
			if !e.Time.Before(from) && e.Time.Before(to) && !yield(perron.Record{Event: e}, nil) {
				return
			}
		}
	}
}

func (k *kept) Actions(context.Context, string, time.Time, time.Time) ([]perron.Action, error) {
	return k.actions, nil
}

var (
	poort    = config.Almere().PerronSites()[0]
	saturday = perron.Date{Year: 2026, Month: time.June, Day: 13} // open from 8:30 to 17:00
)

// visits are vehicles that come one minute after another from an hour on, and
// stay for half an hour.
func visits(n, hour int) (events []perron.Event) {
	begin := saturday.At(perron.TimeOfDay(60 * hour))
	for i := range n {
		events = append(events, perron.Event{Time: begin.Add(time.Duration(i) * time.Minute), Sensor: "main-in", Kind: perron.In})
	}
	for i := range n {
		events = append(events, perron.Event{Time: begin.Add(time.Duration(i+30) * time.Minute), Sensor: "main-out", Kind: perron.Out})
	}
	return events
}

// Every quarter while it is open has an estimate, and it is what was there.
func TestOnSite(t *testing.T) {
	store := &kept{events: visits(10, 10)}
	days := New(store)
	got, err := days.OnSite(t.Context(), poort, saturday)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 8*4+2+1 || !got[0].At.Equal(saturday.At(8*60+30)) || !got[len(got)-1].At.Equal(saturday.At(17*60)) {
		t.Fatalf("%d estimates, the first %+v", len(got), got[0])
	}
	for _, e := range got {
		want := 0.0
		if since := e.At.Sub(saturday.At(10 * 60)); since >= 15*time.Minute && since < 40*time.Minute {
			want = 10
		} else if since == 0 {
			want = 1
		}
		if math.Abs(e.OnSite.Mid-want) > 1.5 {
			t.Errorf("at %s: %+v, want %.0f", e.At.In(perron.Amsterdam).Format("15:04"), e.OnSite, want)
		}
	}
	again, err := days.OnSite(t.Context(), poort, saturday)
	if err != nil || len(again) != len(got) || store.asked != 1 {
		t.Errorf("asked again: %d estimates, %v; the store was asked %d times", len(again), err, store.asked)
	}
}

// Of a day with nothing to go by, or with too much, nothing is said. What could
// not be read is read the next time.
func TestOnSite_nothingToGoBy(t *testing.T) {
	broken := errors.New("the disk is gone")
	store := &kept{fail: broken}
	days := New(store)
	if got, err := days.OnSite(t.Context(), poort, saturday); got != nil || !errors.Is(err, broken) {
		t.Errorf("%v, %v", got, err)
	}
	store.fail = nil
	if got, err := days.OnSite(t.Context(), poort, saturday); got != nil || err != nil {
		t.Errorf("a day without events: %v, %v", got, err)
	}
	store.events = make([]perron.Event, maxEvents+1)
	for i := range store.events {
		store.events[i] = perron.Event{Time: saturday.Start(), Sensor: "main-in", Kind: perron.In}
	}
	if got, err := days.OnSite(t.Context(), poort, saturday); got != nil || err != nil {
		t.Errorf("a day with too many events: %d estimates, %v", len(got), err)
	}
	store.events = visits(10, 10)
	if got, err := days.OnSite(t.Context(), poort, saturday); len(got) == 0 || err != nil {
		t.Errorf("once there are some: %v, %v", got, err)
	}
}

// It remembers so many days and no more.
func TestOnSite_forgets(t *testing.T) {
	days := New(&kept{events: visits(1, 10)})
	for i := range daysKept {
		days.known = putDay(days.known, saturday.AddDays(-7*(i+1)))
	}
	if _, err := days.OnSite(t.Context(), poort, saturday); err != nil {
		t.Fatal(err)
	}
	if n := len(days.known); n != 1 {
		t.Errorf("%d days are remembered", n)
	}
}

func putDay(known map[day][]perron.Estimate, d perron.Date) map[day][]perron.Estimate {
	if known == nil {
		known = make(map[day][]perron.Estimate)
	}
	known[day{poort.ID, d}] = nil
	return known
}
