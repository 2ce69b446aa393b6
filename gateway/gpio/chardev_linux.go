package gpio

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// From <linux/gpio.h>.
const (
	flagActiveLow    = 1 << 1
	flagInput        = 1 << 2
	flagEdgeRising   = 1 << 4
	flagEdgeFalling  = 1 << 5
	flagPullUp       = 1 << 8
	flagPullDown     = 1 << 9
	flagBiasDisabled = 1 << 10

	// bufferSize is how many edges the kernel keeps for a line that nobody
	// reads; more than 16 for each line of a request is cut down to this. When
	// they are too many it drops the oldest, so that the gap in the numbers is
	// in front of those that are read, and the last one read is the level.
	bufferSize = 1024
	eventSize  = int(unsafe.Sizeof(unix.GPIOV2LineEvent{}))
)

// A line is an input as the kernel hands it out.
type line struct {
	Input
	fd      int
	settled bool // the kernel debounces
	last    uint32
	active  bool // after the last edge
	level   func() (bool, error)
}

// openLine asks the kernel for a pin with its edges.
func openLine(p *pin) (*line, error) {
	chip, err := os.Open(p.chip.Path())
	if err != nil {
		return nil, fmt.Errorf("gpio: input %s: %w", p.ID, err)
	}
	defer chip.Close()
	req := unix.GPIOV2LineRequest{Num_lines: 1, Event_buffer_size: bufferSize}
	req.Offsets[0] = uint32(p.line.Number())
	copy(req.Consumer[:len(req.Consumer)-1], "perron-gateway")
	req.Config.Flags = flagInput | flagEdgeRising | flagEdgeFalling
	if p.ActiveLow {
		req.Config.Flags |= flagActiveLow
	}
	bias := map[Pull]uint64{PullUp: flagPullUp, PullDown: flagPullDown, PullNone: flagBiasDisabled}[p.Pull]
	req.Config.Flags |= bias
	if p.Debounce > 0 {
		req.Config.Num_attrs = 1
		attr := &req.Config.Attrs[0]
		attr.Mask = 1
		attr.Attr.Id = unix.GPIO_V2_LINE_ATTR_ID_DEBOUNCE
		// A union: debounce_period_us is 32 bits at the place of flags.
		*(*uint32)(unsafe.Pointer(&attr.Attr.Flags)) = uint32(p.Debounce.Microseconds())
	}
	l := &line{Input: p.Input, settled: p.Debounce > 0}
	err = l.request(chip, &req)
	if l.settled && refused(err) { // a chip without debounce
		l.settled, req.Config.Num_attrs = false, 0
		req.Config.Attrs[0] = unix.GPIOV2LineConfigAttribute{}
		err = l.request(chip, &req)
	}
	if p.Pull == PullNone && refused(err) { // a chip without bias has none to switch off
		req.Config.Flags &^= bias
		err = l.request(chip, &req)
	}
	if errors.Is(err, unix.EBUSY) {
		return nil, p.busy(p.line.Consumer())
	}
	if err != nil {
		return nil, fmt.Errorf("gpio: input %s: request pin %s: %w", p.ID, p.Pin, err)
	}
	return l, nil
}

func refused(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY)
}

func (l *line) request(chip *os.File, req *unix.GPIOV2LineRequest) error {
	if err := ioctl(int(chip.Fd()), unix.GPIO_V2_GET_LINE_IOCTL, unsafe.Pointer(req)); err != nil {
		return err
	}
	l.fd = int(req.Fd)
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return errors.Join(err, unix.Close(l.fd))
	}
	l.level = func() (bool, error) {
		v := unix.GPIOV2LineValues{Mask: 1}
		err := ioctl(l.fd, unix.GPIO_V2_LINE_GET_VALUES_IOCTL, unsafe.Pointer(&v))
		return v.Bits&1 == 1, err
	}
	return nil
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}

func (l *line) close() { _ = unix.Close(l.fd) } // nothing was written

// arrived is an edge of a line, or a loss, as the kernel numbered it.
type arrived struct {
	line   *line
	stamp  uint64 // nanoseconds of CLOCK_MONOTONIC
	active bool
	lost   uint32 // edges between the one before and this one
	jump   bool   // the level just before it is to be told: it may be a new one
}

// readLines delivers the edges of all lines, in the order of their times, until
// ctx ends or a line cannot be read.
func readLines(ctx context.Context, lines []*line, sink gateway.Sink, now func() time.Time, doors *doorbell) error {
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC) // wakes poll
	if err != nil {
		return fmt.Errorf("gpio: %w", err)
	}
	defer unix.Close(bell)
	doors.open(func() { _, _ = unix.Write(bell, one) }) // it fails when it has been rung often enough
	defer doors.close()
	defer context.AfterFunc(ctx, func() { doors.ring(ctx) })()
	fds := []unix.PollFd{{Fd: int32(bell), Events: unix.POLLIN}}
	buf := make([]unix.GPIOV2LineEvent, 64)
	var batch []arrived
	// What was read from the kernel is nowhere else: it is handed over although
	// ctx ends, unless the sink is stuck.
	keep, stop := linger(ctx, lastEdges)
	defer stop()
	for _, l := range lines {
		fds = append(fds, unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN})
		if batch, err = l.begin(ctx, batch, buf, sink, now); err != nil {
			return err
		}
	}
	for ended := false; ; {
		waiting := doors.drain()
		batch, err = drainAll(lines, batch, buf, sink)
		err = errors.Join(deliver(keep, batch, sink, now), err)
		answer(waiting)
		if err != nil || ended {
			return err
		}
		batch = batch[:0]
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("gpio: wait for edges: %w", err)
		}
		ended = ctx.Err() != nil // look once more: what is there by now counts
		if fds[0].Revents != 0 {
			var count [8]byte
			_, _ = unix.Read(bell, count[:]) // silences it; who rang is known
		}
	}
}

// lastEdges is how long the last edges may take to be handed over.
const lastEdges = 5 * time.Second

// linger is a context that ends a while after another.
func linger(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-out.Done():
		}
	})
	return out, func() { stop(); cancel() }
}

var one = binary.NativeEndian.AppendUint64(nil, 1)

// drainAll reads what the kernel has of all lines. While one is read, another
// may get an edge that is older than what is read next: only when none of them
// has more is all there that is older than the last edge read.
func drainAll(lines []*line, batch []arrived, buf []unix.GPIOV2LineEvent, sink gateway.Sink) ([]arrived, error) {
	for more := true; more && len(batch) < len(lines)*bufferSize; {
		n := len(batch)
		for _, l := range lines {
			var err error
			if batch, err = l.drain(batch, buf); err != nil {
				return batch, l.fault(sink, "read", err)
			}
		}
		more = len(batch) > n
	}
	return batch, nil
}

// begin tells the level of a line and reads what the kernel has of it already.
// An edge that came after the line was requested has to be seen as an edge: the
// level is then the one before it, whatever has been read meanwhile.
func (l *line) begin(ctx context.Context, batch []arrived, buf []unix.GPIOV2LineEvent, sink gateway.Sink, now func() time.Time) ([]arrived, error) {
	active, err := l.level()
	if err != nil {
		return batch, l.fault(sink, "read level of", err)
	}
	n := len(batch)
	l.active = active
	if batch, err = l.drain(batch, buf); err != nil {
		return batch, l.fault(sink, "read", err)
	}
	if len(batch) > n {
		// Edges of both directions are asked for. A gap in front of the first
		// makes no difference: its level is told once more.
		active = !batch[n].active
		if !batch[n].jump {
			batch[n].lost = 0
		}
	}
	return batch, sink.Edge(ctx, pulse.Edge{Input: l.ID, Time: now(), Active: active, Known: true})
}

func (l *line) fault(sink gateway.Sink, doing string, err error) error {
	err = fmt.Errorf("gpio: input %s: %s pin %s: %w", l.ID, doing, l.Pin, err)
	sink.Fault(l.ID, err)
	return err
}

// drain reads what the kernel has of a line.
func (l *line) drain(batch []arrived, buf []unix.GPIOV2LineEvent) ([]arrived, error) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), len(buf)*eventSize)
	for {
		n, err := unix.Read(l.fd, bytes)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return batch, nil
		case err != nil:
			return batch, err
		case n == 0:
			return batch, io.ErrUnexpectedEOF
		case n%eventSize != 0:
			return batch, fmt.Errorf("%d bytes are no number of events of %d bytes", n, eventSize)
		}
		for _, e := range buf[:n/eventSize] {
			a := arrived{
				line: l, stamp: e.Timestamp_ns,
				// The numbers of a line begin at 1 and may wrap.
				lost:   e.Line_seqno - l.last - 1,
				active: e.Id == unix.GPIO_V2_LINE_EVENT_RISING_EDGE, // logical: active low is taken into account
			}
			a.jump = a.lost > 0
			if !a.jump && a.active == l.active {
				// The kernel numbers what its interrupt thread sees. An edge
				// that another one overtook before has no number: two in the
				// same direction tell that it was there.
				a.lost = 1
			}
			l.last, l.active = e.Line_seqno, a.active
			batch = append(batch, a)
		}
	}
}

// deliver hands edges over, in the order of their times, with the gateway's.
func deliver(ctx context.Context, batch []arrived, sink gateway.Sink, now func() time.Time) error {
	if len(batch) == 0 {
		return nil
	}
	mono, wall, err := clocks(now)
	if err != nil {
		return fmt.Errorf("gpio: read clock: %w", err)
	}
	slices.SortStableFunc(batch, func(a, b arrived) int { return cmp.Compare(a.stamp, b.stamp) })
	for _, a := range batch {
		at := wall.Add(-time.Duration(mono - int64(a.stamp)))
		if a.line.settled {
			// The kernel stamps a debounced edge when it has lasted long enough.
			at = at.Add(-a.line.Debounce)
		}
		if a.lost > 0 {
			sink.Lost(a.line.ID, uint64(a.lost))
		}
		if a.jump {
			// This edge is one, so that the level was the other before.
			if err := sink.Edge(ctx, pulse.Edge{Input: a.line.ID, Time: at, Active: !a.active, Known: true}); err != nil {
				return err
			}
		}
		if err := sink.Edge(ctx, pulse.Edge{Input: a.line.ID, Time: at, Active: a.active, Settled: a.line.settled}); err != nil {
			return err
		}
	}
	return nil
}

// clocks reads the kernel's clock, in nanoseconds, and the gateway's at the same
// time. The process may be interrupted in between: the closest of some attempts
// is taken.
func clocks(now func() time.Time) (mono int64, wall time.Time, err error) {
	const enough = 20 * time.Microsecond
	best := int64(math.MaxInt64)
	for range 5 {
		var before, after unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
			return 0, time.Time{}, err
		}
		at := now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
			return 0, time.Time{}, err
		}
		if width := after.Nano() - before.Nano(); width < best {
			best, mono, wall = width, before.Nano()+width/2, at
		}
		if best < int64(enough) {
			break
		}
	}
	return mono, wall, nil
}
