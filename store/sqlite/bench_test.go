package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// BenchmarkCommit is durable ingest with rollups, by size of batch.
//
//	go test -bench Commit -cpu 1 ./store/sqlite
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 20000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "store.db"), sqlite.Options{})
			defer s.Close()
			next := uint64(1)
			batch := run(next, n)
			b.ReportAllocs()
			for b.Loop() {
				batch.First = next
				for i := range batch.Entries {
					batch.Entries[i].Time = base.Add(time.Duration(next+uint64(i)) * 7 * time.Second)
				}
				if _, err := s.Commit(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				next += uint64(n)
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkCommitUnsorted is the worst case: times without any order over a
// year, into a store that has a year of events.
func BenchmarkCommitUnsorted(b *testing.B) {
	const n = 1000
	s := openAt(b, filepath.Join(b.TempDir(), "store.db"), sqlite.Options{})
	defer s.Close()
	next := load(b, s, 1_000_000)
	rnd := rand.New(rand.NewPCG(1, 1))
	batch := run(next, n)
	for b.Loop() {
		batch.First = next
		for i := range batch.Entries {
			batch.Entries[i].Time = base.Add(time.Duration(rnd.Int64N(int64(81 * 24 * time.Hour))))
		}
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		next += n
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
}

// load stores n events in batches of 20,000 and returns the next number.
func load(b *testing.B, s *sqlite.Store, n int) uint64 {
	b.Helper()
	next := uint64(1)
	for int(next) <= n {
		if _, err := s.Commit(b.Context(), run(next, 20000)); err != nil {
			b.Fatal(err)
		}
		next += 20000
	}
	return next
}

// BenchmarkHistory loads what the demo makes: 170,000 events.
func BenchmarkHistory(b *testing.B) {
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "store.db")
		s := openAt(b, path, sqlite.Options{})
		load(b, s, 170_000)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(fi.Size())/180_000, "bytes/event")
	}
}

// BenchmarkRead is what pages and forecasts ask for, of a store with a million
// events of 81 days.
func BenchmarkRead(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "store.db"), sqlite.Options{})
	defer s.Close()
	load(b, s, 1_000_000)
	for _, tc := range []struct {
		name string
		step perron.Step
		days int
	}{{"quarters-56d", perron.Quarter, 56}, {"hours-7d", perron.Hour, 7}, {"days-81d", perron.Day, 81}} {
		b.Run(tc.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Counts(b.Context(), store.CountQuery{Site: "poort", From: base, To: base.AddDate(0, 0, tc.days), Step: tc.step}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("events-1d", func(b *testing.B) {
		n := 0
		for b.Loop() {
			for _, err := range s.Events(b.Context(), "poort", base, base.AddDate(0, 0, 1)) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("extent", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Extent(b.Context(), "poort"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
