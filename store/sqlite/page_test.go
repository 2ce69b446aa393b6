package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// TestFullFile makes the file reach a limit, as a full disk or a quota does,
// where no file system can be mounted.
func TestFullFile(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	limit := func(pages int) {
		t.Helper()
		if _, err := s.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(60)
	base := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	batch := func(first uint64) store.Batch {
		b := store.Batch{Site: "poort", Gateway: "gate-1", Epoch: "e1", Floor: 1, First: first, Received: base}
		for i := range 300 {
			b.Entries = append(b.Entries, store.Entry{
				Event: perron.Event{Time: base.Add(time.Duration(first) * time.Minute).Add(time.Duration(i) * time.Second), Sensor: "s", Kind: perron.In},
				Gate:  []string{"main", "side", "new-" + string(rune('a'+first/300%26))}[i%3],
			})
		}
		return b
	}
	acked := uint64(0)
	for err == nil {
		var r store.Result
		if r, err = s.Commit(t.Context(), batch(acked+1)); err == nil {
			acked = r.Acked
		}
	}
	if !errors.Is(err, store.ErrFull) || acked == 0 {
		t.Fatalf("after %d events: %v", acked, err)
	}
	// A name that the failed transaction gave a number must not be taken for
	// known afterwards: the batch has a gate of its own.
	limit(4000)
	r, err := s.Commit(t.Context(), batch(acked+1))
	if err != nil || r.Stored != 300 {
		t.Fatalf("with room again: %+v, %v", r, err)
	}
	n := 0
	for _, err := range s.Events(t.Context(), "poort", base, base.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	counts, err := s.Counts(t.Context(), store.CountQuery{Site: "poort", From: base.AddDate(0, 0, -7), To: base.AddDate(1, 0, 0), Step: perron.Week})
	if err != nil {
		t.Fatal(err)
	}
	in := 0
	for _, c := range counts {
		in += c.In
	}
	if n != int(r.Acked) || in != n {
		t.Errorf("%d events, %d counted, %d acknowledged", n, in, r.Acked)
	}
}

// TestQueryPlans holds that no read of a long table looks at more of it than
// it returns.
func TestQueryPlans(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for q, want := range map[string]string{
		"SELECT time FROM event WHERE site = 1 AND (time, stream, seq) > (1, 2, 3) AND time < 9 ORDER BY time, stream, seq LIMIT 5": "SEARCH event USING PRIMARY KEY (site=? AND (time,stream,seq)>(?,?,?) AND time<?)",
		"SELECT max(time) FROM event WHERE site = 1": "SEARCH event USING PRIMARY KEY (site=?)",
	} {
		var id, parent, unused int
		var detail string
		if err := s.reader.QueryRow("EXPLAIN QUERY PLAN "+q).Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if detail != want {
			t.Errorf("%s\nplan %q, want %q", q, detail, want)
		}
	}
}

// TestDurable holds the settings that the promise to gateways rests on.
func TestDurable(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "busy_timeout": "5000"} {
		var got string
		if err := s.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM name"); err == nil {
		t.Error("a reader writes")
	}
}
