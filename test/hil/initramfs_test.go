package hil

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// An archive is an initramfs: a cpio archive in the "newc" format, as in the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
type archive struct {
	buf  bytes.Buffer
	node int
}

// Modes are those of stat(2).
const (
	modeDir     = 0o040755
	modeFile    = 0o100755
	modeConsole = 0o020600 // a character device
)

func (a *archive) entry(name string, mode uint32, major, minor int, body []byte) {
	a.node++
	links := 1
	fmt.Fprintf(&a.buf, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.node, mode, 0, 0, links, 0, len(body), 0, 0, major, minor, len(name)+1, 0)
	a.buf.WriteString(name + "\x00")
	a.pad()
	a.buf.Write(body)
	a.pad()
}

func (a *archive) pad() { a.buf.Write(make([]byte, -a.buf.Len()&3)) }

// initramfs makes an archive of files, by their names in the guest.
func initramfs(files map[string]string) ([]byte, error) {
	var a archive
	a.entry("dev", modeDir, 0, 0, nil)
	a.entry("dev/console", modeConsole, 5, 1, nil) // init's standard output
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		body, err := os.ReadFile(files[name])
		if err != nil {
			return nil, fmt.Errorf("make initramfs: %w", err)
		}
		a.entry(name, modeFile, 0, 0, body)
	}
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.buf.Bytes(), nil
}
