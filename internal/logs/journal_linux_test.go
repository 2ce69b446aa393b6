package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestToJournal(t *testing.T) {
	open := func(name string) (f *os.File, stream string) {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		var stat syscall.Stat_t
		if err := syscall.Fstat(int(f.Fd()), &stat); err != nil {
			t.Fatal(err)
		}
		return f, fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	}
	journal, stream := open("journal")
	file, _ := open("file")
	if toJournal(journal) {
		t.Error("a file passes for the journal without JOURNAL_STREAM")
	}
	t.Setenv("JOURNAL_STREAM", stream)
	if !toJournal(journal) {
		t.Error("the stream that JOURNAL_STREAM names does not pass for the journal")
	}
	// Standard error may be redirected while standard output is the journal.
	if toJournal(file) {
		t.Error("another file passes for the journal")
	}
	if toJournal(new(bytes.Buffer)) {
		t.Error("a buffer passes for the journal")
	}
	Flags{LogFormat: "text"}.Logger(journal).Warn("page failed", Site, "poort")
	got, err := os.ReadFile(journal.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := "<4>WARN page failed site=poort\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
