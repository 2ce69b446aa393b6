package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

var base = time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)

// run is a batch of n events from a sequence number on, one every 7 seconds.
func run(first uint64, n int) store.Batch {
	b := store.Batch{Site: "poort", Gateway: "gate-1", Epoch: "e1", Floor: 1, First: first, Received: base}
	gates := []string{"main", "side"}
	kinds := []perron.Kind{perron.In, perron.Out}
	for i := range n {
		seq := int(first) + i
		g := gates[seq%2]
		k := kinds[seq/2%2]
		b.Entries = append(b.Entries, store.Entry{
			Event: perron.Event{Time: base.Add(time.Duration(seq) * 7 * time.Second), Sensor: g + "-" + string(k), Kind: k}, Gate: g,
		})
	}
	return b
}

// whole looks that events, rollups and cursor say the same.
func whole(t *testing.T, s *sqlite.Store, acked uint64) {
	t.Helper()
	n, passages := uint64(0), 0
	for r, err := range s.Events(t.Context(), "poort", time.Time{}, base.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if r.Kind.Passage() {
			passages++
		}
	}
	counts, err := s.Counts(t.Context(), store.CountQuery{Site: "poort", To: base.AddDate(1, 0, 0), Step: perron.Week})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, c := range counts {
		sum += c.In + c.Out
	}
	if n != acked || sum != passages {
		t.Fatalf("%d events, %d acknowledged, %d counted", n, acked, sum)
	}
}

// fill commits batches until the store is full, and returns up to where it got.
func fill(t *testing.T, s *sqlite.Store, acked uint64, limit int) uint64 {
	t.Helper()
	for range limit {
		r, err := s.Commit(t.Context(), run(acked+1, 500))
		if err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Fatalf("after %d events: %v; want ErrFull", acked, err)
			}
			if r != (store.Result{}) {
				t.Fatalf("result %+v beside %v", r, err)
			}
			return acked
		}
		acked = r.Acked
	}
	t.Fatal("never full")
	return 0
}

// resume commits the batch that did not fit and a few more.
func resume(t *testing.T, s *sqlite.Store, acked uint64) uint64 {
	t.Helper()
	for range 5 {
		r, err := s.Commit(t.Context(), run(acked+1, 500))
		if err != nil {
			t.Fatalf("there is room again: %v", err)
		}
		if r.Stored != 500 || r.Acked != acked+500 {
			t.Fatalf("there is room again: %+v after %d", r, acked)
		}
		acked = r.Acked
	}
	return acked
}

// TestFullDisk runs on a file system of 3 MB.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountSmall(t, dir, 3<<20)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, filepath.Join(dir, "store.db"), sqlite.Options{})
	acked := fill(t, s, 0, 1000)
	if acked == 0 {
		t.Fatal("nothing fits")
	}
	whole(t, s, acked)
	for range 3 { // it stays full, and stays whole
		fill(t, s, acked, 1)
	}
	// Smaller writes find no room either, or find it: both are told.
	if err := s.SaveSamples(t.Context(), "poort", []perron.Sample{{Estimate: perron.Estimate{At: base}}}); err != nil && !errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	acked = resume(t, s, acked)
	whole(t, s, acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, filepath.Join(dir, "store.db"), sqlite.Options{})
	whole(t, s, acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledWhenFull copies the files as a crash on the full disk would leave
// them, and opens the copy.
func TestKilledWhenFull(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	mountSmall(t, dir, 3<<20)
	s := openAt(t, filepath.Join(dir, "store.db"), sqlite.Options{})
	acked := fill(t, s, 0, 1000)
	for _, name := range []string{"store.db", "store.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, filepath.Join(copied, "store.db"), sqlite.Options{})
	defer s.Close()
	whole(t, s, acked)
	whole(t, s, resume(t, s, acked))
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := sqlite.Open(t.Context(), filepath.Join(dir, "no", "store.db"), sqlite.Options{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("missing folder: %v", err)
	}
	path := filepath.Join(dir, "text.db")
	if err := os.WriteFile(path, []byte(fmt.Sprintf("%4096s", "this is not a database")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); err == nil {
		t.Error("a text file opens as a store")
	}
	path = filepath.Join(dir, "newer.db")
	if err := openAt(t, path, sqlite.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_store (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); err == nil {
		t.Error("a file of a newer program opens")
	}
}

// TestForecastRetention keeps what is within the retention of the newest.
func TestForecastRetention(t *testing.T) {
	for keep, want := range map[time.Duration]int{0: 60, 10 * 24 * time.Hour: 10, -1: 100} {
		s := openAt(t, filepath.Join(t.TempDir(), "store.db"), sqlite.Options{ForecastRetention: keep})
		for d := range 100 {
			if err := s.SaveForecast(t.Context(), perron.Forecast{Site: "poort", Origin: base.AddDate(0, 0, d).Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Forecasts(t.Context(), "poort", time.Time{}, base.AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != want && len(got) != want+1 {
			t.Errorf("retention %v: %d forecasts of a day each, want %d", keep, len(got), want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// skipWithoutMount says why a test on a file system of its own cannot run.
func skipWithoutMount(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting a small file system needs Linux and root; TestFullFile covers the same without")
	}
}
