package clock

import (
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Device reads this machine's clocks.
func Device() Reading {
	// The process may be interrupted between two clocks: the closest of some
	// attempts is taken.
	const enough = 20 * time.Microsecond
	var r Reading
	best := time.Duration(math.MaxInt64)
	for range 5 {
		var before, after unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &before) // there since Linux 2.6.39
		wall := time.Now()
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &after)
		if width := time.Duration(after.Nano() - before.Nano()); width < best {
			best, r.Wall, r.Boot = width, wall, time.Duration(before.Nano())+width/2
		}
		if best < enough {
			break
		}
	}
	r.Synced = KernelSynced()
	return r
}

// KernelSynced says whether the kernel believes that the clock is synchronised,
// which is what time daemons tell it; nil when it cannot be asked.
func KernelSynced() *bool {
	var t unix.Timex // no modes: only ask
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return nil
	}
	synced := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	return &synced
}

// MaxError is how far off the kernel thinks that the clock may be; it says 16 s
// when it does not know. ok is false when it cannot be asked.
func MaxError() (d time.Duration, ok bool) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return 0, false
	}
	return time.Duration(t.Maxerror) * time.Microsecond, true
}

// BootID names the time from the device's last start to its next; "" when it
// cannot be read, and then stamps are not corrected later.
func BootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
