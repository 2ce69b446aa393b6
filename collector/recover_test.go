package collector

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// A slowStore takes its time to read a day.
type slowStore struct {
	*fakeStore
	takes time.Duration
}

func (s slowStore) Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		time.Sleep(s.takes)
		s.fakeStore.Events(ctx, site, from, to)(yield)
	}
}

// What it costs to read a day from the store says nothing of what it costs to go
// through it again, which is what late events wait for.
func TestASlowStoreDoesNotHoldLateEventsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		r := start(t, st, at(saturday), func(c *Config) { c.Store = slowStore{st, 20 * time.Second} })
		time.Sleep(25 * time.Second)
		r.well()
		r.send("pi-1", in(r.now()))
		r.settle()
		r.send("pi-1", in(r.now().Add(-10*time.Second)))
		time.Sleep(time.Second)
		r.well()
		if b := r.shown(); b.OnSite.Mid != 2 {
			t.Errorf("%v on site a second after an event that was late, want 2", b.OnSite.Mid)
		}
	})
}

// A brittleForecaster panics.
type brittleForecaster struct{ *fakeForecaster }

func (f brittleForecaster) Forecast(time.Time, []perron.Count, perron.Estimate) perron.Forecast {
	panic("made to break")
}

// The history of samples does not depend on the forecast.
func TestTheHistoryGoesOnWithoutAForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), func(c *Config) {
			c.NewForecaster = func(*perron.Site) Forecaster { return brittleForecaster{&fakeForecaster{}} }
		})
		r.minutes(10)
		if n := r.store.sampled(); n < 9 {
			t.Errorf("%d samples in ten minutes in which each forecast failed", n)
		}
		if n := r.metric("panics_total", "poort"); n < 5 {
			t.Errorf("%v panics", n)
		}
	})
}

// A brittleStore commits, and panics before it says so.
type brittleStore struct {
	*fakeStore
	broken *atomic.Bool
}

func (s brittleStore) Commit(ctx context.Context, b store.Batch) (store.Result, error) {
	res, err := s.fakeStore.Commit(ctx, b)
	if s.broken.Load() {
		panic("made to break")
	}
	return res, err
}

// What was stored when intake failed was not told. It comes again and is a
// duplicate then, so that the present has to read it.
func TestWhatIntakeCouldNotTellIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		var broken atomic.Bool
		r := start(t, st, at(saturday), func(c *Config) { c.Store = brittleStore{st, &broken} })
		r.well()
		broken.Store(true)
		r.send("pi-1", in(r.now()), in(r.now()))
		r.settle()
		broken.Store(false)
		time.Sleep(2 * time.Second)
		r.sendAt("pi-1", 1, in(r.now()), in(r.now()))
		r.well()
		if got := r.acks("pi-1"); !slices.Equal(got, []uint64{2}) {
			t.Errorf("acknowledged %v, want 2", got)
		}
		if b := r.shown(); b.OnSite.Mid != 2 {
			t.Errorf("%v on site, want the 2 that are stored", b.OnSite.Mid)
		}
	})
}

// A brittleEstimator panics at one event.
type brittleEstimator struct {
	*schooledEstimator
	at time.Time
}

func (e brittleEstimator) Observe(ev perron.Event) {
	if ev.Time.Equal(e.at) {
		panic("made to break")
	}
	e.schooledEstimator.Observe(ev)
}

type brittleLearner struct {
	*fakeLearner
	at time.Time
}

func (l brittleLearner) New() Estimator {
	return brittleEstimator{l.fakeLearner.New().(*schooledEstimator), l.at}
}

func (l brittleLearner) Learn(day Estimator) {
	l.fakeLearner.Learn(day.(brittleEstimator).schooledEstimator)
}

// A day that cannot be gone through teaches nothing. Those after it do.
func TestADayThatFailsIsNotLearnedFromAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		today := perron.DateOf(saturday)
		var entries []store.Entry
		for _, d := range []perron.Date{today.AddDays(-3), today.AddDays(-2), today.AddDays(-1)} {
			entries = append(entries, store.Entry{Event: in(d.At(12 * 60)), Gate: "main"})
		}
		if _, err := st.Commit(t.Context(), store.Batch{Site: "poort", Gateway: "pi-1", Epoch: "old", Floor: 1, First: 1, Entries: entries, Received: saturday}); err != nil {
			t.Fatal(err)
		}
		learner := brittleLearner{&fakeLearner{t: t}, entries[1].Time}
		r := start(t, st, at(saturday), func(c *Config) {
			c.NewEstimator, c.NewLearner = nil, func(*perron.Site) Learner { return learner }
		})
		time.Sleep(10 * time.Minute)
		if got, want := learner.learned(), []perron.Date{today.AddDays(-3), today.AddDays(-1)}; !slices.Equal(got, want) {
			t.Errorf("learned from %v, want %v", got, want)
		}
		if n := r.metric("panics_total", "poort"); n != 1 {
			t.Errorf("%v panics, want 1", n)
		}
	})
}
