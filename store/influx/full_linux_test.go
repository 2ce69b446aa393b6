package influx_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
)

// TestFullDisk runs the server on a file system of 6 MB. The log of 1.8 stays
// closed after a write that failed, until the server is started again; that is
// for who runs it. Ours is that nothing was acknowledged that is not there then.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	server := influxtest.StartIn(t, dir)
	s := open(t, server, server.Bucket())
	defer s.Close()
	ballast := filepath.Join(dir, "ballast")
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	const room = 256 << 10 // for some thousand events
	if err := os.WriteFile(ballast, make([]byte, int64(fs.Bavail)*fs.Bsize-room), 0o600); err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	var err error
	for range 100 {
		var r store.Result
		if r, err = s.Commit(t.Context(), run(acked+1, 1000)); err != nil {
			break
		}
		acked = r.Acked
	}
	if !errors.Is(err, store.ErrFull) || acked == 0 {
		t.Fatalf("after %d events: %v; want ErrFull", acked, err)
	}
	t.Logf("full after %d events", acked)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Restart()
	for range 3 {
		r, err := s.Commit(t.Context(), run(acked+1, 1000))
		if err != nil || r.Acked != acked+1000 {
			t.Fatalf("there is room again: %+v, %v", r, err)
		}
		acked = r.Acked
	}
	whole(t, s, acked)
}
