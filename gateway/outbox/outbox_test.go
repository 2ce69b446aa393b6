package outbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/perron"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("OUTBOX_TEST_WRITER"); path != "" {
		writeForEver(path)
		return
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// event is the i-th passage of a made-up day; every fifth is a presence.
func event(i int) perron.Event {
	e := perron.Event{Time: start.Add(time.Duration(i) * time.Second), Sensor: "main-in", Kind: perron.In}
	switch i % 5 {
	case 1:
		e.Sensor, e.Kind = "main-out", perron.Out
	case 4:
		e.Sensor, e.Kind = "queue-1", perron.On
	}
	return e
}

func events(from, n int) []perron.Event {
	out := make([]perron.Event, n)
	for i := range out {
		out[i] = event(from + i)
	}
	return out
}

type box struct {
	*Outbox
	t    testing.TB
	stop func()
}

// openAt opens the outbox and runs its writer until stop or the test's end.
func openAt(t testing.TB, path string, opt Options) *box {
	t.Helper()
	opt.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	o, err := Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- o.Run(ctx) }()
	stopped := false
	b := &box{Outbox: o, t: t}
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := o.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(b.stop)
	return b
}

func (b *box) append(ev []perron.Event, position []byte) {
	b.t.Helper()
	if err := b.Append(b.t.Context(), ev, position); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) read(from uint64, limit int) Batch {
	b.t.Helper()
	got, err := b.Read(b.t.Context(), from, limit)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func TestKeepsUntilAcked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "outbox.db")
	b := openAt(t, path, Options{})
	if p := b.Position(); p != nil {
		t.Errorf("a new outbox has position %q", p)
	}
	b.append(events(0, 2500), []byte("p1"))
	b.append(events(2500, 10), nil)
	epoch := b.State().Epoch
	if d := cmp.Diff(Batch{Epoch: epoch, Floor: 1, First: 1, Events: events(0, 1000)}, b.read(1, 1000)); d != "" {
		t.Errorf("first batch (-want +got)\n%s", d)
	}
	if d := cmp.Diff(Batch{Epoch: epoch, Floor: 1, First: 1990, Events: events(1989, 521)}, b.read(1990, 1000)); d != "" {
		t.Errorf("over the chunks (-want +got)\n%s", d)
	}
	b.Ack("another", 2510)
	b.Ack(epoch, 1500)
	b.Ack(epoch, 700) // late, says nothing new
	if s := b.State(); s.Acked != 1500 || s.Waiting != 1010 {
		t.Errorf("after the ack of 1500: %+v", s)
	}
	b.stop()
	if err := b.Append(t.Context(), events(0, 1), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append after the end: %v", err)
	}

	b = openAt(t, path, Options{})
	s := b.State()
	if s.Epoch != epoch || s.Next != 2511 || s.Acked != 1500 || s.Waiting != 1010 || string(b.Position()) != "p1" {
		t.Errorf("opened again: %+v, position %q", s, b.Position())
	}
	if d := cmp.Diff(Batch{Epoch: epoch, Floor: 1501, First: 1501, Events: events(1500, 3)}, b.read(1, 3)); d != "" {
		t.Errorf("from the ack on (-want +got)\n%s", d)
	}
	b.Ack(epoch, 2510)
	if got := b.read(1, 10); len(got.Events) > 0 || got.First != 2511 || got.Floor != 2511 {
		t.Errorf("empty: %+v", got)
	}
	b.append(events(2510, 1), nil) // takes the ack along
	if s := b.State(); s.Waiting != 1 || s.Bytes > 100 {
		t.Errorf("the acknowledged chunks are still there: %+v", s)
	}
}

func TestRefusesWhatCannotBeKept(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{})
	for _, e := range []perron.Event{
		{Time: start, Sensor: "s", Kind: "sideways"},
		{Time: start.AddDate(900, 0, 0), Sensor: "s", Kind: perron.In},
		{Time: start, Sensor: "Main Gate", Kind: perron.In},
	} {
		if err := b.Append(t.Context(), []perron.Event{event(0), e}, nil); err == nil {
			t.Errorf("%v was taken", e)
		}
	}
	b.append(nil, nil)
	if s := b.State(); s.Next != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTakesEventsAtTheEnd(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 40 { // the queue has room for more
		if err := b.Append(ctx, events(i, 1), nil); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
}

func TestOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	openAt(t, path, Options{})
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestDamagedFileIsMovedAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "o.db")
	b := openAt(t, path, Options{})
	b.append(events(0, 50_000), nil)
	epoch := b.State().Epoch
	b.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 8192; i < len(text); i += 4096 {
		copy(text[i:], make([]byte, 64)) // as a worn-out card leaves it
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b = openAt(t, path, Options{})
	b.append(events(0, 1), nil)
	if s := b.State(); s.Epoch == epoch || s.Next != 2 {
		t.Errorf("after the damage: %+v", s)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
		t.Errorf("moved aside: %v", aside)
	}
}

// With no more room the oldest presences go first, then the oldest passages,
// and each is counted.
func TestDropsOldestPresencesFirst(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{MaxBytes: 64 << 10})
	n := 0
	held := func() (passages, presences, highest int) {
		for from := uint64(1); ; {
			got := b.read(from, 1000)
			if len(got.Events) == 0 {
				return passages, presences, highest
			}
			for i, e := range got.Events {
				if want := event(int(got.First) + i - 1); e != want {
					t.Fatalf("number %d is %v, want %v", got.First+uint64(i), e, want)
				}
				if e.Kind.Passage() {
					passages++
				} else {
					presences++
				}
			}
			from = got.First + uint64(len(got.Events))
			highest = int(from) - 1
		}
	}
	for b.State().Dropped == 0 {
		b.append(events(n, 100), nil)
		n += 100
	}
	passages, presences, highest := held()
	s := b.State()
	if passages != n/5*4 || highest < n-1 {
		t.Errorf("%d of %d passages are held up to %d, although only presences had to go", passages, n/5*4, highest)
	}
	if got := uint64(n - passages - presences); s.Dropped != got || s.Waiting != uint64(passages+presences) {
		t.Errorf("dropped %d, waiting %d; held are %d and %d of %d", s.Dropped, s.Waiting, passages, presences, n)
	}
	first := b.read(1, 1000)
	if first.First != 1 || first.Floor != 1 || len(first.Events) != 4 {
		t.Errorf("the first run is %d events from %d, floor %d; want the 4 before the first hole", len(first.Events), first.First, first.Floor)
	}
	if next := b.read(5, 1000); next.First != 6 || next.Floor != 1 {
		t.Errorf("behind the hole: first %d, floor %d", next.First, next.Floor)
	}
	b.Ack(s.Epoch, 4)
	if next := b.read(5, 1000); next.First != 6 || next.Floor != 6 {
		t.Errorf("behind the hole, when all before is acknowledged: first %d, floor %d", next.First, next.Floor)
	}

	for range 120 {
		b.append(events(n, 100), nil)
		n += 100
	}
	passages, presences, _ = held()
	s = b.State()
	if presences > 100 { // those of the last group may be there
		t.Errorf("passages were dropped while %d presences are held", presences)
	}
	if got := uint64(n - passages - presences - 4); s.Dropped != got || s.Waiting != uint64(passages+presences) {
		t.Errorf("dropped %d, waiting %d; held are %d and %d of %d", s.Dropped, s.Waiting, passages, presences, n)
	}
	if s.Bytes > 64<<10 {
		t.Errorf("%d bytes are held", s.Bytes)
	}
}

func TestReplayWaitsForRoom(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{MaxBytes: 32 << 10})
	const total = 60_000
	fed := make(chan error, 1)
	go func() {
		for i := 0; i < total; i += 500 {
			if err := b.Append(t.Context(), events(i, 500), binary.AppendUvarint(nil, uint64(i+500))); err != nil {
				fed <- err
				return
			}
		}
		fed <- b.Flush(t.Context())
	}()
	seen := 0
	for seen < total {
		got := b.read(uint64(seen+1), 1000)
		if len(got.Events) == 0 {
			<-b.Changed()
			continue
		}
		if got.First != uint64(seen+1) {
			t.Fatalf("after %d comes %d", seen, got.First)
		}
		seen += len(got.Events)
		b.Ack(got.Epoch, uint64(seen))
	}
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	if s := b.State(); s.Dropped != 0 || s.Next != total+1 {
		t.Errorf("%+v", s)
	}
}

func TestFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	b := openAt(t, path, Options{})
	for i := 0; i < 300_000; i += 5000 {
		b.append(events(i, 5000), nil)
	}
	big, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	s := b.State()
	b.Ack(s.Epoch, s.Next-1)
	b.stop = func() {} // the writer goes on; what idle does is called here
	if err := b.idle(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	small, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("events are %.1f bytes each; write-ahead log %d kB, file in the end %d kB",
		float64(s.Bytes)/3e5, big.Size()>>10, small.Size()>>10)
	if big.Size() > 8<<20 || small.Size() > 3<<20 {
		t.Error("more than expected")
	}
}

func TestOldCopyBeginsNewEpoch(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "o.db"), filepath.Join(dir, "copy.db")
	b := openAt(t, path, Options{})
	b.append(events(0, 100), nil)
	epoch := b.State().Epoch
	b.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// Meanwhile the original went on to 400, all of which the collector has.
	b = openAt(t, copied, Options{})
	b.append(events(1000, 3), nil)
	b.append(events(1003, 2), nil)
	b.Ack(epoch, 400)
	b.append(events(1005, 1), nil)
	s := b.State()
	if s.Epoch == epoch || s.Next != 7 || s.Waiting != 6 {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff(Batch{Epoch: s.Epoch, Floor: 1, First: 1, Events: events(1000, 6)}, b.read(1, 100)); d != "" {
		t.Errorf("what is new (-want +got)\n%s", d)
	}
}

func TestFullDisk(t *testing.T) {
	b := openAt(t, filepath.Join(t.TempDir(), "o.db"), Options{})
	b.append(events(0, 10), nil)
	// The limit stands for the disk: the error is the same.
	var pages int
	if err := b.db.QueryRow("PRAGMA max_page_count = 1").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := b.Append(t.Context(), events(10+2000*i, 2000), nil); err != nil {
			t.Fatal(err)
		}
	}
	for b.State().Failing == nil {
		time.Sleep(time.Millisecond) // until the writer has noticed
	}
	if s := b.State(); s.Next != 11 {
		t.Errorf("with a full disk: %+v", s)
	}
	if err := b.db.QueryRow("PRAGMA max_page_count = 100000").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := b.State(); s.Next != 10_011 || s.Failing != nil || s.Dropped != 0 {
		t.Errorf("with room again: %+v", s)
	}
}

// After kill -9 in the middle of appending, the numbers are contiguous and the
// position is that of the last event.
func TestKilledInMidAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	want := uint64(0)
	for round := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OUTBOX_TEST_WRITER="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var flushed uint64
		for stop := 2 + rand.IntN(10); stop > 0 && lines.Scan(); stop-- {
			if _, err := fmt.Sscan(lines.Text(), &flushed); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(rand.N(3 * time.Millisecond)) // between two flushes
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // killed, as it should be
		b := openAt(t, path, Options{})
		s := b.State()
		if s.Next <= flushed || flushed < want {
			t.Fatalf("round %d: %d were on disk, now %+v", round, flushed, s)
		}
		pos, _ := binary.Uvarint(b.Position())
		if pos != s.Next-1 {
			t.Errorf("round %d: position %d, but the last event is %d", round, pos, s.Next-1)
		}
		from := s.Acked + 1
		for from < s.Next {
			got := b.read(from, 1000)
			if got.First != from || len(got.Events) == 0 {
				t.Fatalf("round %d: at %d of %d comes %d with %d events", round, from, s.Next, got.First, len(got.Events))
			}
			for i, e := range got.Events {
				if w := event(int(from) + i - 1); e != w {
					t.Fatalf("round %d: number %d is %v, want %v", round, from+uint64(i), e, w)
				}
			}
			from += uint64(len(got.Events))
		}
		t.Logf("round %d: %d events, acknowledged %d, %d of them were flushed when it was killed", round, s.Next-1, s.Acked, flushed)
		want = s.Next - 1
		b.stop()
	}
}

// writeForEver is the process that is killed: it appends groups of uneven size
// with their position, acknowledges now and then, and prints what is on disk.
func writeForEver(path string) {
	ctx := context.Background()
	o, err := Open(ctx, path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		fmt.Fprintln(os.Stderr, o.Run(ctx))
		os.Exit(1)
	}()
	at, _ := binary.Uvarint(o.Position())
	for i := 0; ; i++ {
		n := 1 + rand.IntN(3000)
		err := o.Append(ctx, events(int(at), n), binary.AppendUvarint(nil, at+uint64(n)))
		at += uint64(n)
		if err == nil && i%7 == 0 {
			err = o.Flush(ctx)
			fmt.Println(at)
			s := o.State()
			o.Ack(s.Epoch, s.Acked+(s.Next-s.Acked)/2)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var e encoder
	e.reset()
	for i := range 7 {
		e.add(event(i))
	}
	e.hole(3)
	f.Add(e.body)
	f.Fuzz(func(t *testing.T, body []byte) {
		var again encoder
		again.reset()
		var first []perron.Event
		if err := decode(body, func(ev perron.Event, holes int) bool {
			if holes == 0 {
				first = append(first, ev)
				again.add(ev)
			}
			return true
		}); err != nil {
			return
		}
		var second []perron.Event
		if err := decode(again.body, func(ev perron.Event, _ int) bool {
			second = append(second, ev)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first, second); d != "" {
			t.Error(d)
		}
	})
}

// BenchmarkOutbox is the way of an event through the outbox: appended, on disk,
// read, acknowledged, deleted.
func BenchmarkOutbox(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("appended=%d", size), func(b *testing.B) {
			o := openAt(b, filepath.Join(b.TempDir(), "o.db"), Options{})
			all := events(0, size)
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for i := 0; i < b.N; i += size {
					if err := o.Append(b.Context(), all, nil); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			total := uint64((b.N + size - 1) / size * size)
			for seen := uint64(0); seen < total; {
				got, err := o.Read(b.Context(), seen+1, 1000)
				if err != nil {
					b.Fatal(err)
				}
				if len(got.Events) == 0 {
					<-o.Changed()
					continue
				}
				seen += uint64(len(got.Events))
				o.Ack(got.Epoch, seen)
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
