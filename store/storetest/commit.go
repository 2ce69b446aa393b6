package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// testCommitSequence walks one gateway through everything that can happen to
// its sequence.
func testCommitSequence(t *testing.T, o Opener) {
	s := open(t, o)
	e := func(i int) store.Entry {
		return entry(base.Add(time.Duration(i)*time.Minute), "main", []perron.Kind{perron.In, perron.Out}[i%2])
	}
	run := func(floor uint64, from, to int) store.Batch {
		b := batch("gate-1", "e1", floor, uint64(from))
		for i := from; i <= to; i++ {
			b.Entries = append(b.Entries, e(i))
		}
		return b
	}
	commit(t, s, run(1, 4, 5), store.Result{Acked: 0, Gap: true})
	commit(t, s, run(1, 1, 5), store.Result{Acked: 5, Stored: 5})
	commit(t, s, run(1, 1, 5), store.Result{Acked: 5, Duplicate: 5})
	commit(t, s, run(1, 3, 8), store.Result{Acked: 8, Stored: 3, Duplicate: 3})
	commit(t, s, run(1, 2, 3), store.Result{Acked: 8, Duplicate: 2})
	commit(t, s, run(9, 10, 12), store.Result{Acked: 8, Gap: true})
	commit(t, s, run(12, 12, 13), store.Result{Acked: 13, Stored: 2, Lost: 3})
	commit(t, s, run(12, 12, 13), store.Result{Acked: 13, Duplicate: 2})
	commit(t, s, run(14, 14, 13), store.Result{Acked: 13})          // an empty outbox
	commit(t, s, run(16, 16, 15), store.Result{Acked: 15, Lost: 2}) // which lost two
	commit(t, s, run(16, 16, 16), store.Result{Acked: 16, Stored: 1})

	want := slices.Concat(recordsOf(run(1, 1, 8)), recordsOf(run(12, 12, 13)), recordsOf(run(16, 16, 16)))
	if d := cmp.Diff(want, events(t, s, site, long, farAhead)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	sameAsEvents(t, s, base.AddDate(0, 0, -1), base.AddDate(0, 0, 1))

	losses, err := s.Losses(t.Context(), site, received, received.Add(1))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(losses, func(a, b store.Loss) int { return int(b.Count) - int(a.Count) })
	loss := store.Loss{Site: site, Gateway: "gate-1", Kind: perron.DoubtLost, At: received}
	three, two := loss, loss
	three.Count, two.Count = 3, 2
	if d := cmp.Diff([]store.Loss{three, two}, losses); d != "" {
		t.Errorf("losses (-want +got):\n%s", d)
	}
	for _, r := range [][2]time.Time{{long, received}, {received.Add(1), farAhead}} {
		if l, err := s.Losses(t.Context(), site, r[0], r[1]); err != nil || len(l) > 0 {
			t.Errorf("losses outside of their time: %v, %v", l, err)
		}
	}
}

// testUnsure has events whose times are unsure: they count, and their days are
// doubted once, however often they are sent.
func testUnsure(t *testing.T, o Opener) {
	s := open(t, o)
	b := batch("gate-1", "e1", 1, 1)
	midnight := perron.DateOf(base).End()
	for _, at := range []time.Duration{-2 * time.Minute, -time.Minute, time.Minute} {
		e := entry(midnight.Add(at), "main", perron.In)
		e.Unsure = at > -2*time.Minute
		b.Entries = append(b.Entries, e)
	}
	commit(t, s, b, store.Result{Acked: 3, Stored: 3})
	commit(t, s, b, store.Result{Acked: 3, Duplicate: 3})
	for i, want := range []store.Loss{
		{Reason: perron.DateOf(base).String(), At: midnight.Add(-time.Minute)},
		{Reason: perron.DateOf(base).AddDays(1).String(), At: midnight.Add(time.Minute)},
	} {
		want.Site, want.Gateway, want.Kind, want.Count = site, "gate-1", perron.DoubtTimes, 1
		day := perron.DateOf(base).AddDays(i)
		got, err := s.Losses(t.Context(), site, day.Start(), day.End())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]store.Loss{want}, got); d != "" {
			t.Errorf("losses of %s (-want +got):\n%s", day, d)
		}
	}
}

// testEpochs has outboxes made anew, and gateways and sites of the same names
// and numbers, with events of one instant.
func testEpochs(t *testing.T, o Opener) {
	s := open(t, o)
	var want []perron.Record
	for _, who := range []struct{ site, gateway, epoch string }{
		{"poort", "gate-1", "01JA"},
		{"poort", "gate-1", "01JB"},
		{"poort", "gate-2", "01JA"},
		{"haven", "gate-1", "01JA"},
		{"poort", "gate-1", `a"b\c,d=e${f}`}, // nobody promised more than printable
	} {
		b := batch(who.gateway, who.epoch, 1, 1, entry(base, "main", perron.In), entry(base, "main", perron.In))
		b.Site = who.site
		commit(t, s, b, store.Result{Acked: 2, Stored: 2})
		commit(t, s, b, store.Result{Acked: 2, Duplicate: 2})
		if who.site == site {
			want = append(want, recordsOf(b)...)
		}
	}
	sameRecords(t, events(t, s, site, base, base.Add(1)), want)
	if c := counts(t, s, store.CountQuery{Site: site, From: base, To: base.Add(time.Hour), Step: perron.Hour}); len(c) != 1 || c[0].In != 8 {
		t.Errorf("counts %v, want 8 in", c)
	}
	if c := counts(t, s, store.CountQuery{Site: "haven", From: base, To: base.Add(time.Hour), Step: perron.Hour}); len(c) != 1 || c[0].In != 2 {
		t.Errorf("counts of the other site %v, want 2 in", c)
	}
	// An epoch whose first numbers were lost before anyone saw them.
	commit(t, s, batch("gate-3", "e", 100, 100, entry(base, "main", perron.In)), store.Result{Acked: 100, Stored: 1, Lost: 99})
}

func testRefuses(t *testing.T, o Opener) {
	s := open(t, o)
	good := batch("gate-1", "e1", 1, 1, entry(base, "main", perron.In))
	for name, spoil := range map[string]func(*store.Batch){
		"site":  func(b *store.Batch) { b.Site = "" },
		"first": func(b *store.Batch) { b.First = 0 },
		"seq":   func(b *store.Batch) { b.First = 1 << 63 },
		"epoch": func(b *store.Batch) { b.Epoch = "" },
		"kind": func(b *store.Batch) {
			b.Entries = []store.Entry{{Event: perron.Event{Time: base, Sensor: "x", Kind: "maybe"}}}
		},
		"time": func(b *store.Batch) { b.Entries = []store.Entry{entry(time.Time{}, "main", perron.In)} },
	} {
		b := good
		spoil(&b)
		_, err := s.Commit(t.Context(), b)
		if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrFull) {
			t.Errorf("%s: %v; want an error that does not invite to try again", name, err)
		}
	}
	if got := events(t, s, site, long, farAhead); len(got) > 0 {
		t.Errorf("stored %v", got)
	}
	if _, err := s.Counts(t.Context(), store.CountQuery{Site: site, Step: "2h"}); err == nil || !strings.Contains(err.Error(), "2h") {
		t.Errorf("step of 2h: %v", err)
	}
}

// testEqualTimes has thousands of events of one sensor at one instant, as
// recordings with stamps of a second and clocks that stand still make them.
func testEqualTimes(t *testing.T, o Opener) {
	s := open(t, o)
	const n = 5000
	b := batch("gate-1", "e1", 1, 1)
	for i := range n {
		at := base
		if i%3 == 2 {
			at = base.Add(time.Duration(i%7) * time.Nanosecond) // and some within the same microsecond
		}
		b.Entries = append(b.Entries, entry(at, "main", perron.In))
	}
	for i := 0; i < n; i += 1000 {
		part := b
		part.First, part.Entries = uint64(i+1), b.Entries[i:i+1000]
		commit(t, s, part, store.Result{Acked: uint64(i + 1000), Stored: 1000})
		commit(t, s, part, store.Result{Acked: uint64(i + 1000), Duplicate: 1000})
	}
	got := events(t, s, site, base, base.Add(time.Second))
	sameRecords(t, got, recordsOf(b))
	for i := 1; i < len(got); i++ {
		if got[i].Time.Equal(got[i-1].Time) && got[i].Seq <= got[i-1].Seq {
			t.Fatalf("at one instant, %d comes after %d", got[i].Seq, got[i-1].Seq)
		}
	}
	// The bounds of a range are exact to the nanosecond.
	want := 0
	for _, e := range b.Entries {
		if !e.Time.Before(base.Add(2)) && e.Time.Before(base.Add(5)) {
			want++
		}
	}
	if got := events(t, s, site, base.Add(2), base.Add(5)); len(got) != want {
		t.Errorf("%d events within 3 ns, want %d", len(got), want)
	}
	sameAsEvents(t, s, base, base.Add(time.Hour))
}

// testLate has events of days long past after those of today, and batches
// whose times jump to and fro.
func testLate(t *testing.T, o Opener) {
	s := open(t, o)
	at := func(d time.Duration) time.Time { return base.Add(d) }
	b := batch("gate-1", "e1", 1, 1,
		entry(at(0), "main", perron.In),
		entry(at(-50*24*time.Hour), "main", perron.In),
		entry(at(40*time.Minute), "side", perron.Out),
		entry(at(-1), "main", perron.Out), // the last nanosecond of the quarter before
		entry(at(15*time.Minute), "main", perron.In),
		entry(at(15*time.Minute-1), "main", perron.On),
		entry(at(-50*24*time.Hour+time.Millisecond), "main", perron.Out),
	)
	commit(t, s, b, store.Result{Acked: 7, Stored: 7})
	late := batch("gate-2", "e1", 1, 1, entry(at(time.Minute), "side", perron.In), entry(at(-365*24*time.Hour), "side", perron.In))
	commit(t, s, late, store.Result{Acked: 2, Stored: 2})
	sameRecords(t, events(t, s, site, long, farAhead), append(recordsOf(b), recordsOf(late)...))
	sameAsEvents(t, s, base.AddDate(-1, 0, -10), base.AddDate(0, 0, 8))

	got := counts(t, s, store.CountQuery{Site: site, From: at(-15 * time.Minute), To: at(16 * time.Minute), Step: perron.Quarter, ByGate: true})
	want := []perron.Count{
		{Start: at(-15 * time.Minute), Gate: "main", Out: 1},
		{Start: at(0), Gate: "main", In: 1},
		{Start: at(0), Gate: "side", In: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("quarters (-want +got):\n%s", d)
	}
}

// testConcurrent has gateways commit while others read, and looks that no
// reader ever sees a count that the events do not bear out.
func testConcurrent(t *testing.T, o Opener) {
	s := open(t, o)
	const gateways, batches, size = 4, 6, 100
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	fail := make(chan error, gateways+2)
	for g := range gateways {
		writers.Go(func() {
			for i := range batches {
				b := batch(fmt.Sprintf("gate-%d", g), "e1", 1, uint64(i*size+1))
				for j := range size {
					b.Entries = append(b.Entries, entry(base.Add(time.Duration(i*size+j)*7*time.Second), "main", perron.In))
				}
				if _, err := s.Commit(t.Context(), b); err != nil {
					fail <- err
					return
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			last := 0
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := s.Counts(t.Context(), store.CountQuery{Site: site, From: base, To: base.AddDate(0, 0, 1), Step: perron.Day})
				if err == nil {
					for _, err = range s.Events(t.Context(), site, base, base.AddDate(0, 0, 1)) {
						if err != nil {
							break
						}
					}
				}
				if err != nil {
					fail <- err
					return
				}
				total := 0
				for i := range c {
					total += c[i].In
				}
				if total < last {
					fail <- fmt.Errorf("counts went from %d to %d", last, total)
					return
				}
				last = total
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
	if got := events(t, s, site, long, farAhead); len(got) != gateways*batches*size {
		t.Errorf("%d events, want %d", len(got), gateways*batches*size)
	}
	sameAsEvents(t, s, base.AddDate(0, 0, -1), base.AddDate(0, 0, 2))
}

// testCallsWithinLoop calls the store from the loop over its events.
func testCallsWithinLoop(t *testing.T, o Opener) {
	s := open(t, o)
	commit(t, s, batch("gate-1", "e1", 1, 1, entry(base, "main", perron.In), entry(base.Add(time.Second), "main", perron.Out)), store.Result{Acked: 2, Stored: 2})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // or it would wait for ever
	defer cancel()
	seen := 0
	for range 8 { // more than a store has connections
		for r, err := range s.Events(ctx, site, long, farAhead) {
			if err != nil {
				t.Fatal(err)
			}
			seen++
			for _, err := range s.Events(ctx, site, long, farAhead) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Counts(ctx, store.CountQuery{Site: site, From: r.Time, To: r.Time.Add(time.Hour), Step: perron.Hour}); err != nil {
					t.Fatal(err)
				}
				break
			}
			break
		}
	}
	if seen != 8 {
		t.Errorf("%d events seen, want 8", seen)
	}
}

func testCanceled(t *testing.T, o Opener) {
	s := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := batch("gate-1", "e1", 1, 1, entry(base, "main", perron.In))
	if _, err := s.Commit(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Counts(ctx, store.CountQuery{Site: site, From: base, To: base.Add(time.Hour), Step: perron.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("Counts: %v", err)
	}
	for _, err := range s.Events(ctx, site, long, farAhead) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Events: %v", err)
		}
	}
	// Contexts that end in the middle: whatever Commit says, the batch is
	// stored once when it has been given once more.
	rnd := rand.New(rand.NewPCG(7, 7))
	next := uint64(1)
	for range 20 {
		b := batch("gate-1", "e1", 1, next)
		for i := range 500 {
			b.Entries = append(b.Entries, entry(base.Add(time.Duration(i)*time.Second), "main", perron.In))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(8000))*time.Microsecond)
		_, err := s.Commit(ctx, b)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Commit: %v", err)
		}
		r, err := s.Commit(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if next += 500; r.Acked != next-1 {
			t.Fatalf("acked %d, want %d", r.Acked, next-1)
		}
	}
	if got := events(t, s, site, long, farAhead); len(got) != int(next-1) {
		t.Errorf("%d events, want %d", len(got), next-1)
	}
	sameAsEvents(t, s, base, base.Add(time.Hour))
}

func testReopen(t *testing.T, o Opener) {
	s := o(t)
	b := batch("gate-1", "e1", 1, 1, entry(base, "main", perron.In), entry(base, "side", perron.In), entry(base, "", perron.On))
	commit(t, s, b, store.Result{Acked: 3, Stored: 3})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Commit(t.Context(), batch("gate-1", "e1", 4, 4, entry(base, "main", perron.Out))); err == nil {
		t.Error("a closed store takes a batch")
	}
	s = open(t, o)
	sameRecords(t, events(t, s, site, long, farAhead), recordsOf(b))
	commit(t, s, b, store.Result{Acked: 3, Duplicate: 3})
	commit(t, s, batch("gate-1", "e1", 4, 4, entry(base, "main", perron.Out)), store.Result{Acked: 4, Stored: 1})
	sameAsEvents(t, s, base, base.Add(time.Hour))
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// testProperty gives random batches: of several gateways, with resends,
// overlaps, losses, new epochs, clock changes within reach, and looks that
// rollups equal a recount and that every event is there once.
func testProperty(t *testing.T, o Opener) {
	s := open(t, o)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	type outbox struct {
		gateway, epoch string
		entries        []store.Entry // by sequence, from 1
		floor, acked   uint64
		lost           map[uint64]bool
	}
	kinds := []perron.Kind{perron.In, perron.In, perron.Out, perron.On, perron.Off}
	gates := []string{"main", "side", "back"}
	center := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC) // the clock change in spring
	var boxes []*outbox
	for i := range 3 {
		boxes = append(boxes, &outbox{gateway: fmt.Sprintf("gate-%d", i), epoch: "e1", floor: 1, lost: map[uint64]bool{}})
	}
	all := slices.Clone(boxes)
	for range 60 {
		i := rnd.IntN(len(boxes))
		x := boxes[i]
		if rnd.IntN(25) == 0 { // the outbox is made anew
			x = &outbox{gateway: x.gateway, epoch: fmt.Sprintf("e%d", len(all)), floor: 1, lost: map[uint64]bool{}}
			boxes[i] = x
			all = append(all, x)
		}
		for range rnd.IntN(60) {
			spread := []time.Duration{time.Millisecond, time.Minute, 24 * time.Hour, 20 * 24 * time.Hour}[rnd.IntN(4)]
			at := center.Add(time.Duration(rnd.Int64N(int64(2*spread))) - spread)
			if rnd.IntN(2) == 0 {
				at = at.Truncate(time.Second)
			}
			e := entry(at, gates[rnd.IntN(3)], kinds[rnd.IntN(5)])
			if rnd.IntN(20) == 0 {
				e.SetAside = "future"
			}
			x.entries = append(x.entries, e)
		}
		if rnd.IntN(10) == 0 && x.acked < uint64(len(x.entries)) { // the outbox drops what is not acknowledged
			x.floor = x.acked + 1 + uint64(rnd.IntN(len(x.entries)-int(x.acked)))
			for q := x.acked + 1; q < x.floor; q++ {
				x.lost[q] = true
			}
		}
		first := max(1, int(x.acked)+1-rnd.IntN(30)) // resends some
		first = max(first, int(x.floor))
		if first > len(x.entries) {
			continue
		}
		n := 1 + rnd.IntN(len(x.entries)-first+1)
		b := batch(x.gateway, x.epoch, x.floor, uint64(first), x.entries[first-1:first-1+n]...)
		r, err := s.Commit(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(x.acked, x.floor-1, uint64(first+n-1)); r.Acked != want || r.Gap || r.Stored+r.SetAside+r.Duplicate != n {
			t.Fatalf("Commit: %+v, want acked %d of %d entries", r, want, n)
		}
		x.acked = r.Acked
	}
	var want []perron.Record
	for _, x := range all {
		for _, r := range recordsOf(batch(x.gateway, x.epoch, 1, 1, x.entries...)) {
			if r.Seq <= x.acked && !x.lost[r.Seq] {
				want = append(want, r)
			}
		}
	}
	if len(want) < 100 {
		t.Fatalf("only %d events, the test tests nothing", len(want))
	}
	sameRecords(t, events(t, s, site, long, farAhead), want)
	sameAsEvents(t, s, center.AddDate(0, 0, -30), center.AddDate(0, 0, 30))
	sameAsEvents(t, s, center.Add(-20*time.Hour), center.Add(9*time.Hour))
}
