package outbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What was let in although it is more than fits is not dropped because somebody
// asks whether it is on disk, or an ack is written.
func TestFlushDropsNothing(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{MaxBytes: 8 << 10})
	if err := b.Append(t.Context(), events(0, 8000), []byte("end")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.State(); s.Dropped != 0 || s.Waiting != 8000 || s.Bytes <= 8<<10 {
		t.Errorf("%+v", s)
	}
}

// While nothing can be written the state says since when, and a damaged file
// counts for as long as it lies there.
func TestTellsWhatItCannotKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	now := time.Date(2026, 5, 9, 10, 0, 0, 0, time.UTC)
	opt := Options{Now: func() time.Time { return now }}
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openAt(t, path, opt)
	b.append(events(0, 10), nil)
	b.stop()
	b = openAt(t, path, opt)
	if s := b.State(); s.Damaged != 1 || !s.FailingSince.IsZero() {
		t.Errorf("after a damaged file: %+v", s)
	}
	var pages int
	if err := b.db.QueryRow("PRAGMA max_page_count = 1").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := b.Append(t.Context(), events(10, 8000), nil); err != nil {
		t.Fatal(err)
	}
	for b.State().Failing == nil {
		time.Sleep(time.Millisecond)
	}
	if s := b.State(); !s.FailingSince.Equal(now) {
		t.Errorf("with a full disk: failing since %v", s.FailingSince)
	}
	if err := b.db.QueryRow("PRAGMA max_page_count = 100000").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.State(); !s.FailingSince.IsZero() {
		t.Errorf("with room again: failing since %v", s.FailingSince)
	}
}

// A device whose card is full still has to start, to send what it holds and to
// say what is wrong: opening writes nothing.
func TestOpensWithoutWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	b := openAt(t, path, Options{})
	b.append(events(0, 10), nil)
	b.stop()
	o, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if fi, err := os.Stat(path + "-wal"); err == nil && fi.Size() > 0 {
		t.Errorf("%d bytes were written", fi.Size())
	}
	if _, err := os.Stat(path + "-shm"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of shared memory is there, for which a full card has no room: %v", err)
	}
	if got, err := o.Read(t.Context(), 1, 100); err != nil || len(got.Events) != 10 {
		t.Errorf("%d events: %v", len(got.Events), err)
	}
}
