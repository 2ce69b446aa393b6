//go:build !linux

package logs

import "io"

// toJournal says whether w is the journal, which there is on Linux only.
func toJournal(io.Writer) bool { return false }
