package logs

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// toJournal says whether what is written to w goes to the journal: systemd names
// the device and inode of that stream, see JOURNAL_STREAM in systemd.exec(5).
func toJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
