package outbox

import (
	"path/filepath"
	"testing"
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
