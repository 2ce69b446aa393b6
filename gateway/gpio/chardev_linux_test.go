package gpio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// wire is a line whose kernel is the test.
type wire struct {
	*line
	w    int
	high bool
}

func newWire(t *testing.T, in Input) *wire {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	w := &wire{line: &line{Input: in, fd: fds[0]}, w: fds[1]}
	w.level = func() (bool, error) { return w.high, nil }
	t.Cleanup(func() { w.close(); _ = unix.Close(w.w) })
	return w
}

// edge is an event of the kernel: its number on the line, and how long ago.
func (w *wire) edge(t *testing.T, number uint32, ago time.Duration, rising bool) {
	t.Helper()
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		t.Fatal(err)
	}
	e := unix.GPIOV2LineEvent{
		Timestamp_ns: uint64(mono.Nano() - int64(ago)), Id: unix.GPIO_V2_LINE_EVENT_FALLING_EDGE,
		Line_seqno: number,
	}
	if rising {
		e.Id = unix.GPIO_V2_LINE_EVENT_RISING_EDGE
	}
	if _, err := unix.Write(w.w, unsafe.Slice((*byte)(unsafe.Pointer(&e)), eventSize)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, n int, lines ...*wire) (*recorder, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := &recorder{stopAt: n, stop: cancel}
	var all []*line
	for _, w := range lines {
		all = append(all, w.line)
	}
	err := readLines(ctx, all, rec, time.Now, new(doorbell))
	return rec, err
}

func TestEdgesOfTwoLinesComeInOrder(t *testing.T) {
	a, b := newWire(t, Input{ID: "a"}), newWire(t, Input{ID: "b", Debounce: 10 * time.Millisecond})
	b.settled, b.high = true, true
	b.edge(t, 1, 300*time.Millisecond, true)
	b.edge(t, 2, 100*time.Millisecond, false)
	a.edge(t, 1, 400*time.Millisecond, true)
	a.edge(t, 2, 200*time.Millisecond, false)
	before := time.Now()
	rec, err := read(t, 6, a, b)
	if err != nil {
		t.Fatal(err)
	}
	// That b is high by now does not make its rising edge any less one.
	want := []string{"a=false", "b=false", "a+", "b+ settled", "a-", "b- settled"}
	if d := cmp.Diff(want, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
	for i, ago := range []time.Duration{400, 310, 200, 110} { // a settled edge began before its debounce
		want := before.Add(-ago * time.Millisecond)
		if off := rec.at[2+i].Sub(want).Abs(); off > 50*time.Millisecond {
			t.Errorf("edge %d is %v off", i, off)
		}
	}
}

// An edge that comes to a line that was just found empty is still before a
// later one of the next line.
func TestEdgesWhileOtherLinesAreRead(t *testing.T) {
	a, b := newWire(t, Input{ID: "a"}), newWire(t, Input{ID: "b"})
	b.level = func() (bool, error) {
		a.edge(t, 1, 2*time.Second, true)
		b.edge(t, 1, time.Second, true)
		return false, nil
	}
	rec, err := read(t, 4, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a=false", "b=false", "a+", "b+"}, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
}

// Who waits for the lines to be read has all edges from before.
func TestSettle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := newWire(t, Input{ID: "a"})
	said := make(chan string, 100)
	s := &Source{}
	ended := make(chan error)
	s.Settle(ctx) // nobody reads yet
	started := make(chan struct{})
	go func() {
		rec := &recorder{}
		ended <- readLines(ctx, []*line{a.line}, sinkFunc{rec, func() {
			if len(rec.said) == 1 {
				close(started)
			}
			said <- rec.said[len(rec.said)-1]
		}}, time.Now, &s.doors)
	}()
	<-started
	for i := range uint32(10) {
		a.edge(t, i+1, 0, i%2 == 0)
		s.Settle(ctx)
		if n := len(said); n != int(i)+2 {
			t.Fatalf("%d edges have arrived of %d", n-1, i+1)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.Settle(t.Context()) // nobody reads any more
}

// sinkFunc calls back after each edge.
type sinkFunc struct {
	*recorder
	after func()
}

func (s sinkFunc) Edge(ctx context.Context, e pulse.Edge) error {
	err := s.recorder.Edge(ctx, e)
	s.after()
	return err
}

// A gap in the numbers of a line is counted. What comes after it is an edge
// from the other level, which may not be the one that was last known; what the
// level is by now does not matter.
func TestGapIsLost(t *testing.T) {
	a := newWire(t, Input{ID: "a"})
	a.edge(t, 1, 5*time.Second, true)
	a.edge(t, 2, 4*time.Second, false)
	a.edge(t, 700, 3*time.Second, false)
	a.edge(t, 703, 2*time.Second, true)
	a.high = true
	rec, err := read(t, 9, a)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a=false", "a+", "a-", "a lost 697", "a=true", "a-", "a lost 2", "a=false", "a+"}
	if d := cmp.Diff(want, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
}

// Edges that were dropped before the first one was read are counted, too.
func TestGapAtTheBeginning(t *testing.T) {
	a := newWire(t, Input{ID: "a"})
	a.edge(t, 12, time.Second, false)
	rec, err := read(t, 4, a)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a=true", "a lost 11", "a=true", "a-"}, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
}

// Between two edges in the same direction there was one that has no number. It
// is counted as lost, and no pulse is made up.
func TestOvertakenEdge(t *testing.T) {
	a := newWire(t, Input{ID: "a"})
	a.edge(t, 1, 4*time.Second, true)
	a.edge(t, 2, 3*time.Second, true)
	a.edge(t, 3, 2*time.Second, false)
	rec, err := read(t, 5, a)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a=false", "a+", "a lost 1", "a+", "a-"}, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
}

// A buffer that is just full has lost nothing.
func TestFullBuffer(t *testing.T) {
	a := newWire(t, Input{ID: "a"})
	for i := range uint32(bufferSize) {
		a.edge(t, i+1, time.Second, i%2 == 0)
	}
	rec, err := read(t, bufferSize+1, a)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(rec.said, func(s string) bool { return strings.Contains(s, "lost") }) {
		t.Error("edges of a full buffer are called lost")
	}
}

func TestLineThatGoes(t *testing.T) {
	a := newWire(t, Input{ID: "a", Pin: "GPIO17"})
	if err := unix.Close(a.w); err != nil {
		t.Fatal(err)
	}
	rec, err := read(t, 99, a)
	if err == nil || !strings.Contains(err.Error(), "input a: read pin GPIO17") {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff([]string{"a fault"}, rec.said); d != "" {
		t.Error(d)
	}
	a.w = 0
	b := newWire(t, Input{ID: "b"})
	b.level = func() (bool, error) { return false, errors.New("gone") }
	if _, err := read(t, 99, b); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
}

// An interruption between the two clocks does not move the times of edges: a
// reading without one is taken.
func TestClocksInterrupted(t *testing.T) {
	var interrupted time.Time
	reads := 0
	_, wall, err := clocks(func() time.Time {
		at := time.Now()
		if reads++; reads == 1 {
			interrupted = at
			time.Sleep(50 * time.Millisecond)
		}
		return at
	})
	if err != nil || reads < 2 {
		t.Fatalf("%d readings: %v", reads, err)
	}
	if wall.Equal(interrupted) {
		t.Error("the reading that was interrupted is taken")
	}
}

// The sizes are those of the kernel's header, on 32 bits too.
func TestSizes(t *testing.T) {
	got := fmt.Sprint(unsafe.Sizeof(unix.GPIOV2LineEvent{}), unsafe.Sizeof(unix.GPIOV2LineRequest{}), unsafe.Sizeof(unix.GPIOV2LineValues{}))
	if got != "48 592 16" {
		t.Errorf("event, request, values: %s bytes", got)
	}
}

// What the kernel has when the gateway is told to stop is still taken.
func TestLastEdgesAreTaken(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := newWire(t, Input{ID: "a"})
	a.edge(t, 1, time.Second, true)
	rec := &recorder{}
	err := readLines(ctx, []*line{a.line}, sinkFunc{rec, func() {
		if len(rec.said) == 2 { // while the first edge is taken
			a.edge(t, 2, 500*time.Millisecond, false)
			a.edge(t, 3, 0, true)
			cancel()
		}
	}}, time.Now, new(doorbell))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a=false", "a+", "a-", "a+"}, rec.said); d != "" {
		t.Errorf("edges (-want +got)\n%s", d)
	}
}

// An examination counts what a line does and takes its last level.
func TestExamine(t *testing.T) {
	a := newWire(t, Input{ID: "a"})
	for i := range uint32(21) {
		a.edge(t, i+1, 0, i%2 == 0)
	}
	a.edge(t, 25, 0, false)
	f := inspection{}
	f.watch(t.Context(), a.line, time.Millisecond)
	if f.err != nil || f.edges != 22 || f.lost != 3 || f.active {
		t.Errorf("found %+v", f)
	}
	if _, err := os.Stat("/dev/gpiochip0"); err == nil {
		return // this machine has pins
	}
	s, err := New([]Input{{ID: "a", Pin: "GPIO17", Pull: PullUp}, {ID: "b", Pin: "GPIO27", Pull: PullUp}}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Examine(t.Context(), time.Hour, nil)
	if len(got) != 2 {
		t.Fatalf("found %v", got)
	}
	for _, f := range got {
		if f.Grade != gateway.Wrong || !strings.Contains(f.Text, "gpiochip") {
			t.Errorf("without chips: %+v", f)
		}
	}
}
