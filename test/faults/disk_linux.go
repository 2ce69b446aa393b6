package main

import (
	"fmt"
	"syscall"
)

// mount puts a file system of some bytes on dir. It needs the rights of root.
func mount(dir string, bytes int) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
