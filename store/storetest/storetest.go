// Package storetest is what every store must do, as tests. A backend runs it
// from its own tests:
//
//	storetest.Run(t, func(t *testing.T) storetest.Opener { … })
package storetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// Store is everything that a backend does. Consumers declare the part that they
// need; this is the whole.
//
// Ranges of time include their beginning and not their end, and any time may
// bound one. Lists are in order of time. What is not there is an empty list.
// Errors wrap [store.ErrUnavailable] or [store.ErrFull] when trying again can
// help, and the context's error when it has ended.
type Store interface {
	// Commit stores what is new of a batch. When it returns nil everything up to
	// Result.Acked is durable; when it returns an error the same batch may be
	// given again and counts once.
	Commit(ctx context.Context, b store.Batch) (store.Result, error)
	// Events yields the counted events of a site in order of time; equal times
	// of one epoch are in order of sequence. The loop may call the store.
	Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error]
	// Counts adds up passages by interval; intervals without one are left out.
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	// SetAside yields the events that are kept but not counted, by when they
	// were received.
	SetAside(ctx context.Context, site string, from, to time.Time) iter.Seq2[store.SetAside, error]
	Losses(ctx context.Context, site string, from, to time.Time) ([]store.Loss, error)
	// Extent is zero when the site has no counted event.
	Extent(ctx context.Context, site string) (store.Extent, error)

	// SaveSamples replaces samples of the same instant.
	SaveSamples(ctx context.Context, site string, samples []perron.Sample) error
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	// SaveForecast keeps values to store.ForecastGrain, and replaces the
	// forecast of the same origin.
	SaveForecast(ctx context.Context, f perron.Forecast) error
	Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error)
	// SaveAction is store.ErrExists when another action has the ID; the same
	// action again is fine.
	SaveAction(ctx context.Context, a perron.Action) error
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)

	store.LossStore
	store.ReadingStore

	Ping(ctx context.Context) error
	Close() error
}

// An Opener opens one and the same store again and again; the first time it is
// empty.
type Opener func(t *testing.T) Store

// Run runs the suite. fresh makes an empty store.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"CommitSequence", testCommitSequence},
		{"Unsure", testUnsure},
		{"SavedLosses", testSavedLosses},
		{"EpochsAndGateways", testEpochs},
		{"RefusesNonsense", testRefuses},
		{"EqualTimes", testEqualTimes},
		{"LateAndUnsorted", testLate},
		{"ClockChanges", testClockChanges},
		{"CountsEqualEvents", testCountsEqualEvents},
		{"EmptyRanges", testEmpty},
		{"SetAside", testSetAside},
		{"Samples", testSamples},
		{"Forecasts", testForecasts},
		{"Actions", testActions},
		{"Extent", testExtent},
		{"Readings", testReadings},
		{"Concurrent", testConcurrent},
		{"CallsWithinLoop", testCallsWithinLoop},
		{"Canceled", testCanceled},
		{"Reopen", testReopen},
		{"RollupsEqualRecount", testProperty},
		{"Recording", testRecording},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, fresh(t)) })
	}
}

const site = "poort"

var (
	base      = time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	received  = time.Date(2026, 5, 2, 20, 0, 0, 123456789, time.UTC)
	long      = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	farAhead  = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	emptyness = cmpopts.EquateEmpty()
)

// open opens the store and closes it at the end of the test.
func open(t *testing.T, o Opener) Store {
	t.Helper()
	s := o(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// entry is a counted event; the sensor follows from the gate and the kind.
func entry(at time.Time, gate string, k perron.Kind) store.Entry {
	if !k.Passage() {
		return store.Entry{Event: perron.Event{Time: at, Sensor: "queue-1", Kind: k}}
	}
	return store.Entry{Event: perron.Event{Time: at, Sensor: gate + "-" + string(k), Kind: k}, Gate: gate}
}

func batch(gateway, epoch string, floor, first uint64, entries ...store.Entry) store.Batch {
	return store.Batch{Site: site, Gateway: gateway, Epoch: epoch, Floor: floor, First: first, Entries: entries, Received: received}
}

func commit(t *testing.T, s Store, b store.Batch, want store.Result) {
	t.Helper()
	got, err := s.Commit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("Commit from %d: got %+v, want %+v", b.First, got, want)
	}
}

func events(t *testing.T, s Store, site string, from, to time.Time) []perron.Record {
	t.Helper()
	var out []perron.Record
	for r, err := range s.Events(t.Context(), site, from, to) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if !slices.IsSortedFunc(out, func(a, b perron.Record) int { return a.Time.Compare(b.Time) }) {
		t.Error("events are not in order of time")
	}
	return out
}

func counts(t *testing.T, s Store, q store.CountQuery) []perron.Count {
	t.Helper()
	got, err := s.Counts(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// recount counts events the plain way: what counts must be equal to.
func recount(records []perron.Record, q store.CountQuery) []perron.Count {
	f := map[string]*perron.Count{}
	lo, hi := perron.Quarter.Start(q.From), perron.Quarter.Start(q.To)
	for _, r := range records {
		start := q.Step.Start(r.Time)
		if !r.Kind.Passage() || start.Before(lo) || !start.Before(hi) || q.Gate != "" && r.Gate != q.Gate {
			continue
		}
		gate := q.Gate
		if q.ByGate {
			gate = r.Gate
		}
		k := start.Format(time.RFC3339) + gate
		if f[k] == nil {
			f[k] = &perron.Count{Start: start, Gate: gate}
		}
		if r.Kind == perron.In {
			f[k].In++
		} else {
			f[k].Out++
		}
	}
	var out []perron.Count
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range f {
			if !yield(k) {
				return
			}
		}
	}) {
		out = append(out, *f[k])
	}
	return out
}

// sameAsEvents compares counts of every step and way with a recount.
func sameAsEvents(t *testing.T, s Store, from, to time.Time) {
	t.Helper()
	// Events of intervals that begin within the range may lie after its end.
	records := events(t, s, site, from.AddDate(0, 0, -8), to.AddDate(0, 0, 8))
	for _, step := range []perron.Step{perron.Quarter, perron.Hour, perron.Day, perron.Week} {
		for _, q := range []store.CountQuery{{}, {ByGate: true}, {Gate: "main"}} {
			q.Site, q.From, q.To, q.Step = site, from, to, step
			if d := cmp.Diff(recount(records, q), counts(t, s, q), emptyness); d != "" {
				t.Errorf("counts by %s, by gate %v, of gate %q differ from the events (-want +got):\n%s", step, q.ByGate, q.Gate, d)
			}
		}
	}
}

// recordsOf is what Events must yield for a batch.
func recordsOf(b store.Batch) []perron.Record {
	var out []perron.Record
	for i, e := range b.Entries {
		if e.SetAside != "" {
			continue
		}
		out = append(out, perron.Record{
			Event: perron.Event{Time: e.Time.UTC(), Sensor: e.Sensor, Kind: e.Kind}, Site: b.Site, Gateway: b.Gateway,
			Gate: e.Gate, Epoch: b.Epoch, Seq: b.First + uint64(i),
		})
	}
	return out
}

// sorted puts records in an order of their own, for comparison.
func sorted(records []perron.Record) []perron.Record {
	key := func(r perron.Record) string {
		return fmt.Sprintf("%s %s %s %020d", r.Time.Format("2006-01-02T15:04:05.000000000"), r.Gateway, r.Epoch, r.Seq)
	}
	return slices.SortedFunc(slices.Values(records), func(a, b perron.Record) int {
		switch ka, kb := key(a), key(b); {
		case ka < kb:
			return -1
		case ka > kb:
			return 1
		}
		return 0
	})
}

func sameRecords(t *testing.T, got, want []perron.Record) {
	t.Helper()
	if d := cmp.Diff(sorted(want), sorted(got), emptyness); d != "" {
		t.Errorf("events differ (-want +got):\n%.4000s", d)
	}
}
