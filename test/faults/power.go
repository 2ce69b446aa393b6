package main

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// A disk knows what of a process's files would be left after a power cut.
//
// Each fsync and fdatasync of the process is held up by the kernel until the
// file as it is then has been noted (see tracer). A power cut kills the process
// and puts together what a disk may hold: of every page that was written since
// the last sync of its file, the old one, the new one, or a torn one, in any
// combination and so in any order; of the length, the old or the new one; and a
// file that was never synced may be gone.
//
// It shows that nothing is acknowledged before it is durable and that SQLite
// recovers from what is left. It does not show that a card does what it is told
// when it says that it has synced, and it takes what is renamed or deleted as
// durable at once.
type disk struct {
	dir    string
	prefix string // of the names of the files that are followed

	mu      sync.Mutex
	durable map[string][]byte // by name, as of the last sync
	syncs   int               // to come until the cut; 0 is none
	cut     func()            // kills the process, which never comes back from that sync
}

const (
	page   = 4096
	sector = 512
)

func newDisk(dir, prefix string) *disk {
	return &disk{dir: dir, prefix: prefix, durable: make(map[string][]byte)}
}

// settle takes all files as durable. Nothing writes to them.
func (d *disk) settle() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found, err := d.read()
	if err == nil {
		d.durable = found
	}
	return err
}

// read returns all files that are followed.
func (d *disk) read() (map[string][]byte, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if !d.follows(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(d.dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[e.Name()] = b
	}
	return files, nil
}

func (d *disk) follows(name string) bool {
	// Shared memory is not expected to survive.
	return strings.HasPrefix(name, d.prefix) && !strings.HasSuffix(name, "-shm")
}

// synced is called before a sync of a file of the process has any effect.
func (d *disk) synced(path string) {
	dir, name := filepath.Split(path)
	if filepath.Clean(dir) != d.dir || !d.follows(name) {
		return
	}
	d.mu.Lock()
	if d.syncs > 0 {
		if d.syncs--; d.syncs == 0 {
			cut := d.cut
			d.mu.Unlock()
			cut() // the power is gone before anything is durable
			return
		}
	}
	defer d.mu.Unlock()
	if b, err := os.ReadFile(path); err == nil { // else it is deleted, which makes nothing durable
		d.durable[name] = b
	}
}

// catch calls cut at a sync to come, counted from 1, before that has any effect;
// cut has to kill the process. Zero takes it back.
func (d *disk) catch(syncs int, cut func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs, d.cut = syncs, cut
}

// fail leaves of the files what a power cut may leave. The process has been
// killed. It returns how many pages were at risk and how many of them are not
// there, or not whole.
func (d *disk) fail(r *rand.Rand) (risk, gone int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, err := d.read()
	if err != nil {
		return 0, 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		now := found[name]
		old, known := d.durable[name]
		if known && bytes.Equal(old, now) {
			continue
		}
		path := filepath.Join(d.dir, name)
		if !known && r.IntN(2) == 0 {
			risk, gone = risk+pages(len(now)), gone+pages(len(now))
			if err := os.Remove(path); err != nil {
				return risk, gone, err
			}
			continue
		}
		left, at, lost := remains(old, now, r)
		risk, gone = risk+at, gone+lost
		err := overwrite(path, left)
		if errors.Is(err, syscall.ENOSPC) {
			// A full disk has no room for what the file was before it shrank.
			err = overwrite(path, now)
		}
		if err != nil {
			return risk, gone, err
		}
	}
	d.durable, err = d.read()
	return risk, gone, err
}

// overwrite writes in place: what is on a full disk stays there.
func overwrite(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	return errors.Join(err, f.Close())
}

func pages(n int) int { return (n + page - 1) / page }

// remains is what may be left of a file that had been synced as old and was
// then written to until it was now. Bytes beyond what was synced are zeros where
// the new ones did not arrive.
func remains(old, now []byte, r *rand.Rand) (left []byte, risk, gone int) {
	size := len(now)
	if r.IntN(2) == 0 {
		size = len(old)
	}
	left = make([]byte, size)
	copy(left, old)
	mode := r.IntN(4) // a part arrives, all, nothing, or all but a torn last page
	last := (max(len(now), 1) - 1) / page * page
	for from := 0; from < max(len(old), len(now)); from += page {
		was, is := part(old, from, page), part(now, from, page)
		if bytes.Equal(was, is) {
			continue
		}
		risk++
		whole := 0 // how much of the page arrives
		switch how := r.IntN(3); {
		case mode == 1 || mode == 3 && from != last || mode == 0 && how == 0:
			whole = page
		case mode == 3 || mode == 0 && how == 1:
			whole = sector * r.IntN(page/sector)
		}
		if whole < page {
			gone++
		}
		if from < size {
			copy(left[from:], part(is, 0, whole))
		}
	}
	return left, risk, gone
}

func part(b []byte, from, n int) []byte {
	from = min(from, len(b))
	return b[from:min(from+n, len(b))]
}
