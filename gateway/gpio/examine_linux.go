package gpio

import (
	"context"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pullIs says whether the kernel has set the pull of a pin that was requested.
func pullIs(p *pin) bool {
	chip, err := os.Open(p.chip.Path())
	if err != nil {
		return false
	}
	defer chip.Close()
	info := unix.GPIOV2LineInfo{Offset: uint32(p.line.Number())}
	if err := ioctl(int(chip.Fd()), unix.GPIO_V2_GET_LINEINFO_IOCTL, unsafe.Pointer(&info)); err != nil {
		return false
	}
	switch info.Flags & (flagPullUp | flagPullDown | flagBiasDisabled) {
	case flagPullUp:
		return p.Pull == PullUp
	case flagPullDown:
		return p.Pull == PullDown
	}
	return p.Pull == PullNone
}

// watch counts what a line does.
func (l *inspection) watch(ctx context.Context, on *line, d time.Duration) {
	if l.active, l.err = on.level(); l.err != nil {
		return
	}
	on.active = l.active
	buf := make([]unix.GPIOV2LineEvent, 64)
	var batch []arrived
	for end := time.Now().Add(d); ; {
		if batch, l.err = on.drain(batch[:0], buf); l.err != nil {
			return
		}
		for _, a := range batch {
			l.edges++
			l.lost += int(a.lost)
			l.active = a.active
		}
		left := time.Until(end)
		if left <= 0 || ctx.Err() != nil {
			return
		}
		// 50 ms at most, so that the end of ctx is noticed.
		fds := []unix.PollFd{{Fd: int32(on.fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds, int(min(left, 50*time.Millisecond)/time.Millisecond)+1) // an interruption is looked into
	}
}
