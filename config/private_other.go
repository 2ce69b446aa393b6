//go:build !unix

package config

import "io/fs"

// hasPermissions is false where permissions are no nine bits.
const hasPermissions = false

func ownedByRoot(fs.FileInfo) bool { return false }
