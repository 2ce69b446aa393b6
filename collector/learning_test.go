package collector

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// fakeLearner notes which days it was taught.
type fakeLearner struct {
	t    *testing.T
	mu   sync.Mutex
	days []perron.Date
}

type schooledEstimator struct {
	fakeEstimator
	belief perron.Belief
}

func (e *schooledEstimator) Belief() perron.Belief { return e.belief }

func (l *fakeLearner) New() Estimator {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &schooledEstimator{fakeEstimator: fakeEstimator{t: l.t}}
	e.belief.Days = len(l.days)
	return e
}

func (l *fakeLearner) Learn(day Estimator) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.days = append(l.days, perron.DateOf(day.(*schooledEstimator).newest))
}

func (l *fakeLearner) learned() []perron.Date {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.days)
}

// TestEstimatorsLearnFromClosedDays starts with days in the store, while the
// store fails at first, and lives through a night.
func TestEstimatorsLearnFromClosedDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday)
		today := perron.DateOf(saturday)
		var entries []store.Entry
		for _, d := range []perron.Date{today.AddDays(-30), today.AddDays(-4), today.AddDays(-2), today.AddDays(-1)} {
			entries = append(entries, store.Entry{Event: in(d.At(12 * 60)), Gate: "main"})
		}
		if _, err := st.Commit(t.Context(), store.Batch{Site: "poort", Gateway: "pi-1", Epoch: "old", Floor: 1, First: 1, Entries: entries, Received: saturday}); err != nil {
			t.Fatal(err)
		}
		learner := &fakeLearner{t: t}
		r := start(t, st, now, func(c *Config) {
			c.NewEstimator, c.NewLearner = nil, func(*perron.Site) Learner { return learner }
		})
		r.well()
		time.Sleep(time.Minute)
		want := []perron.Date{today.AddDays(-4), today.AddDays(-2), today.AddDays(-1)}
		if got := learner.learned(); !slices.Equal(got, want) {
			t.Fatalf("learned from %v, want %v", got, want)
		}
		// Today is estimated with what was learned, without any event.
		if b := r.published().Belief; b == nil || b.Days != 3 {
			t.Errorf("today rests on %+v", b)
		}
		r.send("pi-1", in(now()))
		r.settle()
		// The day that ends waits for what is late, and for a store that is away.
		time.Sleep(today.AddDays(1).At(2 * 60).Sub(now()))
		if got := learner.learned(); len(got) != 3 {
			t.Errorf("learned at two at night already: %v", got)
		}
		st.setFail(errors.New("away"))
		time.Sleep(2 * time.Hour)
		st.setFail(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := learner.learned(); !slices.Equal(got, append(want, today)) {
			t.Errorf("after the night it has learned from %v", got)
		}
	})
}

// TestDriftIsADoubt: what an estimator says of the counters reaches staff.
func TestDriftIsADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := at(saturday)
		var mu sync.Mutex
		var since time.Time
		r := start(t, newFakeStore(), now, func(c *Config) {
			c.NewEstimator = func(*perron.Site) Estimator {
				return believing{&fakeEstimator{t: t}, func() perron.Belief {
					mu.Lock()
					defer mu.Unlock()
					return perron.Belief{Exits: perron.CounterBelief{Missed: 0.18, Usual: 0.03, DriftSince: since}}
				}}
			}
		})
		r.well()
		told := func() []perron.Doubt {
			r.send("pi-1", in(now()))
			r.settle()
			r.well()
			return slices.DeleteFunc(r.published().Doubts, func(d perron.Doubt) bool { return d.Kind != perron.DoubtExits })
		}
		if got := told(); len(got) != 0 {
			t.Errorf("without drift: %+v", got)
		}
		mu.Lock()
		since = now()
		mu.Unlock()
		if got := told(); len(got) != 1 || got[0].Part != 0.18 || got[0].Since.IsZero() {
			t.Errorf("with drift: %+v", got)
		}
		mu.Lock()
		since = time.Time{}
		mu.Unlock()
		if got := told(); len(got) != 0 {
			t.Errorf("after the drift: %+v", got)
		}
	})
}

type believing struct {
	Estimator
	belief func() perron.Belief
}

func (b believing) Belief() perron.Belief { return b.belief() }
