package outbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// An outbox is opened and read on a card without a free byte, after a clean end
// and after a kill.
func TestOpensOnAFullCard(t *testing.T) {
	card := t.TempDir()
	if err := unix.Mount("card", card, "tmpfs", 0, "size=512k"); errors.Is(err, unix.EPERM) {
		t.Skip("only root may make a card that is full")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(card, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(card, "o.db")
	b := openAt(t, path, Options{})
	b.append(events(0, 500), nil)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	killed := map[string][]byte{} // the files as a kill leaves them
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		killed[suffix] = text
	}
	b.stop()
	try := func(what string) {
		t.Helper()
		o, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if got, err := o.Read(t.Context(), 1, 1000); err != nil || len(got.Events) != 500 {
			t.Errorf("%s: %d events, %v", what, len(got.Events), err)
		}
		if err := o.Close(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(card, "other"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, size := range []int{4096, 1} {
			for err == nil {
				_, err = f.Write(make([]byte, size))
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			err = nil
		}
	}
	fill()
	try("after a clean end")
	if err := os.Remove(filepath.Join(card, "other")); err != nil {
		t.Fatal(err)
	}
	for suffix, text := range killed {
		if err := os.WriteFile(path+suffix, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	try("after a kill")
}
