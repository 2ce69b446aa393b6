//go:build !linux

package clock

import "time"

var began = time.Now()

// Device reads this machine's wall clock; only Linux can be asked whether it is
// synchronised.
func Device() Reading {
	now := time.Now()
	return Reading{Wall: now, Boot: now.Sub(began)}
}

// KernelSynced is nil: only Linux can be asked.
func KernelSynced() *bool { return nil }

// MaxError is not known here.
func MaxError() (d time.Duration, ok bool) { return 0, false }

// BootID is not known here.
func BootID() string { return "" }
