package sqlite_test

import (
	"fmt"
	"syscall"
	"testing"
)

// mountSmall mounts a file system of some bytes on dir until the test ends.
func mountSmall(t *testing.T, dir string, bytes int) {
	t.Helper()
	skipWithoutMount(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("mount a file system of %d bytes: %v", bytes, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
