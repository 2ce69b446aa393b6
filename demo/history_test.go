package demo

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

func openHistory(tb testing.TB) (*History, *simulate.Yard) {
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
	return NewHistory(s, time.Now, slog.New(slog.DiscardHandler)), &simulate.Yard{Site: site, Seed: 1, Visits: 700}
}

func unheard(float64) {}

func TestHistory_isTheSimulatedPastAndNoMore(t *testing.T) {
	h, yard := openHistory(t)
	until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
	// Filling in two steps must give what one step gives.
	for _, at := range []time.Time{until.Add(-50 * time.Hour), until, until} {
		if _, err := h.Fill(t.Context(), []*simulate.Yard{yard}, 1, at, unheard); err != nil {
			t.Fatal(err)
		}
	}
	from := perron.DateOf(until).AddDays(-7).Start()
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

// What is forecast of the past is what is kept, one at least an hour while open,
// and nothing before the time from which on it was made.
func TestHistory_looksBack(t *testing.T) {
	h, yard := openHistory(t)
	until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
	yards := []*simulate.Yard{yard}
	if _, err := h.Fill(t.Context(), yards, 1, until, unheard); err != nil {
		t.Fatal(err)
	}
	from := until.Add(-48 * time.Hour)
	made, err := h.LookBack(t.Context(), yards, []time.Time{from}, until)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := h.store.(*sqlite.Store).Forecasts(t.Context(), yard.Site.ID, time.Time{}, until)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) != made || made < 12 || kept[0].Origin.Before(from) {
		t.Errorf("%d were made and %d kept, the first at %v", made, len(kept), kept[0].Origin)
	}
}

func BenchmarkHistory(b *testing.B) {
	for b.Loop() {
		h, yard := openHistory(b)
		until := perron.Date{Year: 2026, Month: time.October, Day: 27}.At(12 * 60)
		if _, err := h.Fill(b.Context(), []*simulate.Yard{yard}, 9, until, unheard); err != nil {
			b.Fatal(err)
		}
	}
}
