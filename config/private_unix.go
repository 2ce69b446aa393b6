//go:build unix

package config

import (
	"io/fs"
	"syscall"
)

const hasPermissions = true

func ownedByRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}
