package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

func openHistory(tb testing.TB) (*history, *simulate.Yard) {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "history.db"), sqlite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	site := config.Almere().PerronSites()[0]
	return &history{store: s, now: time.Now, report: func(float64) {}}, &simulate.Yard{Site: site, Seed: 1, Visits: 700}
}

func TestHistory_isTheSimulatedPastAndNoMore(t *testing.T) {
	h, yard := openHistory(t)
	until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
	// Filling in two steps must give what one step gives.
	for _, at := range []time.Time{until.Add(-50 * time.Hour), until, until} {
		if _, err := h.fill(t.Context(), []*simulate.Yard{yard}, 2, at); err != nil {
			t.Fatal(err)
		}
	}
	from := perron.DateOf(until).AddDays(-14).Start()
	want := map[perron.Kind]int{}
	for d := perron.DateOf(from); !perron.DateOf(until).Before(d); d = d.AddDays(1) {
		for _, e := range yard.Day(d).Events {
			if e.Time.Before(until) && e.Kind.Passage() {
				want[e.Kind]++
			}
		}
	}
	counts, err := h.store.Counts(t.Context(), store.CountQuery{Site: yard.Site.ID, From: from, To: until, Step: perron.Day})
	if err != nil {
		t.Fatal(err)
	}
	got := map[perron.Kind]int{}
	for _, c := range counts {
		got[perron.In] += c.In
		got[perron.Out] += c.Out
	}
	if got[perron.In] != want[perron.In] || got[perron.Out] != want[perron.Out] || got[perron.In] == 0 {
		t.Errorf("stored %v, simulated %v", got, want)
	}
}

func BenchmarkHistory(b *testing.B) {
	for b.Loop() {
		h, yard := openHistory(b)
		until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
		if _, err := h.fill(b.Context(), []*simulate.Yard{yard}, 9, until); err != nil {
			b.Fatal(err)
		}
	}
}
