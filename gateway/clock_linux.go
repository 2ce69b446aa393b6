package gateway

import "golang.org/x/sys/unix"

// ClockSynced says whether the kernel believes that the clock is synchronised,
// which is what time daemons tell it; nil when it cannot be asked.
func ClockSynced() *bool {
	var t unix.Timex // no modes: only ask
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return nil
	}
	synced := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	return &synced
}
