package outbox

import (
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A file of the first version is opened with what it holds.
func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var enc encoder
	enc.reset()
	for _, e := range events(0, 3) {
		enc.add(e)
	}
	for _, statement := range []string{
		`CREATE TABLE chunk (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, presences INTEGER NOT NULL, holes INTEGER NOT NULL, body BLOB NOT NULL)`,
		`CREATE INDEX chunk_presences ON chunk (first) WHERE presences > 0`,
		`CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, next INTEGER NOT NULL, acked INTEGER NOT NULL,
			dropped INTEGER NOT NULL, lost INTEGER NOT NULL, position BLOB)`,
		`INSERT INTO meta (id, epoch, next, acked, dropped, lost) VALUES (1, 'old', 4, 0, 0, 7)`,
		`PRAGMA user_version = 1`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("INSERT INTO chunk VALUES (1, 3, 0, 0, ?)", enc.body); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b := openAt(t, path, Options{})
		got, err := b.Read(t.Context(), 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(Batch{Epoch: "old", Floor: 1, First: 1, Events: events(0, 3)}, got); d != "" || b.State().LostEdges != 7 {
			t.Errorf("%d edges lost; events (-want +got)\n%s", b.State().LostEdges, d)
		}
		b.stop()
	}
}

// Stamps of this boot that are unsure are held; they are corrected once its
// clock is known, also when they were written before a kill. Those of a boot
// whose clock never was are neither held nor corrected.
func TestUnsureTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	b := openAt(t, path, Options{Boot: "one"})
	shift := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	put := func(from, n int, shift int64) {
		t.Helper()
		if err := b.AppendUnsure(t.Context(), events(from, n), shift, nil); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 2, shift)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b = openAt(t, path, Options{Boot: "two"})
	b.append(events(2, 2), nil)
	put(4, 1, shift)
	put(5, 1, shift+int64(time.Hour)) // the clock was set
	b.append(events(6, 1), nil)
	read := func() Batch {
		t.Helper()
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := b.Read(t.Context(), 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := events(0, 7)
	unsure := func(is bool, at ...int) {
		for _, i := range at {
			want[i].Unsure = is
		}
	}
	unsure(true, 0, 1, 4, 5)
	check := func(what string, held int) {
		t.Helper()
		got := read()
		if d := cmp.Diff(want, got.Events); d != "" || got.Held != held {
			t.Errorf("%s: %d are held, want %d; events (-want +got)\n%s", what, got.Held, held, d)
		}
	}
	check("before the clock is known", 3)
	if err := b.SetClock(t.Context(), shift+int64(3*time.Hour), time.Duration(want[6].Time.UnixNano()-shift)); err != nil {
		t.Fatal(err)
	}
	unsure(false, 4, 5)
	want[4].Time, want[5].Time = want[4].Time.Add(3*time.Hour), want[5].Time.Add(2*time.Hour)
	check("when it is", 0)
	b.stop()
	b = openAt(t, path, Options{Boot: "three"})
	check("after the next boot", 0)
	if shift, _ := b.Clock(); shift != 0 {
		t.Error("the clock of another boot is taken for that of this one")
	}
}

// What was seen before the device ever knew the time is placed before the boot
// in which it came to know it, also before one whose stamps may be right. Before
// that, and after a restart, it waits.
func TestTimelessTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	at := func(shift time.Time, up ...time.Duration) (out []perron.Event) {
		for _, u := range up {
			out = append(out, perron.Event{Time: shift.Add(u), Sensor: "gate", Kind: perron.In})
		}
		return out
	}
	epoch := time.Unix(0, 0).UTC()
	saved := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC) // where a clock goes on that was saved
	synced := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var b *box
	put := func(boot string, shift time.Time, up ...time.Duration) {
		t.Helper()
		b = openAt(t, path, Options{Boot: boot})
		if err := b.AppendUnsure(t.Context(), at(shift, up...), shift.UnixNano(), nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read := func() Batch {
		t.Helper()
		got, err := b.Read(t.Context(), 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put("one", epoch, time.Minute, 3*time.Minute)
	b.stop()
	put("two", saved, time.Minute, 2*time.Minute)
	b.stop()
	put("three", epoch, time.Minute, 5*time.Minute)
	b.stop()
	put("four", epoch, time.Minute)
	if got := read(); got.Timeless != 7 || got.Held != 1 {
		t.Errorf("%d are timeless and %d held, want 7 and 1", got.Timeless, got.Held)
	}
	if err := b.SetClock(t.Context(), synced.UnixNano(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := at(saved, -2*time.Minute+time.Minute, time.Minute, time.Minute, 2*time.Minute) // one ends when two's first stamp is
	want = append(want, at(synced, -4*time.Minute, 0)...)
	for i := range want {
		want[i].Unsure = true
	}
	want = append(want, at(synced, time.Minute)...)
	for _, boot := range []string{"", "five"} {
		if boot != "" {
			b.stop()
			b = openAt(t, path, Options{Boot: boot})
		}
		got := read()
		if d := cmp.Diff(want, got.Events); d != "" || got.Timeless != 0 || got.Held != 0 {
			t.Errorf("%d timeless, %d held; events (-want +got)\n%s", got.Timeless, got.Held, d)
		}
	}
}

// The outbox knows when it was last written, and keeps the latest outages.
func TestLife(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	var later atomic.Bool
	opt := Options{Boot: "one", Life: func() Life {
		now := at
		if later.Load() {
			now = at.Add(time.Minute)
		}
		return Life{Boot: "one", Up: time.Hour, Time: now, Floor: now}
	}}
	b := openAt(t, path, opt)
	if b.Lived() != (Life{}) {
		t.Errorf("a new outbox has lived: %+v", b.Lived())
	}
	var want []perron.Outage
	for i := range keepOutages + 2 {
		o := perron.Outage{From: at.Add(time.Duration(i) * time.Hour), Until: at.Add(time.Duration(i)*time.Hour + time.Minute)}
		if err := b.AddOutage(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want = append(want, o)
	}
	later.Store(true)
	b.stop()
	b = openAt(t, path, opt)
	if got := b.Lived(); !got.Time.Equal(at.Add(time.Minute)) || got.Boot != "one" || got.Up != time.Hour {
		t.Errorf("lived: %+v", got)
	}
	if d := cmp.Diff(want[2:], b.Outages()); d != "" {
		t.Errorf("outages (-want +got)\n%s", d)
	}
}

// Settled times stay: over what becomes known of the clock, a restart and a new
// number of the event; and on a disk that takes nothing, until the end of the
// program.
func TestSettle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	b := openAt(t, path, Options{Boot: "one"})
	shift := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC).UnixNano()
	put := func(i int) {
		t.Helper()
		if err := b.AppendUnsure(t.Context(), events(i, 1), shift, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	learn := func(by time.Duration) {
		t.Helper()
		if err := b.SetClock(t.Context(), shift+int64(by), 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(first, last uint64, want bool) {
		t.Helper()
		if fixed, err := b.Settle(t.Context(), first, last); err != nil || fixed != want {
			t.Fatalf("settled %d to %d: %v, %v; want %v", first, last, fixed, err, want)
		}
	}
	want := events(0, 4)
	check := func(what string, loose bool) {
		t.Helper()
		got, err := b.Read(t.Context(), 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[:len(got.Events)], got.Events); d != "" || got.Loose != loose {
			t.Errorf("%s: loose is %v, want %v; events (-want +got)\n%s", what, got.Loose, loose, d)
		}
	}
	put(0)
	put(1)
	want[0].Unsure, want[1].Unsure = true, true
	check("at first", true)
	settle(1, 1, true)
	settle(1, 1, false)
	learn(time.Hour)
	want[1].Time, want[1].Unsure = want[1].Time.Add(time.Hour), false
	check("when the clock is known", true)
	settle(2, 2, true)
	learn(2 * time.Hour)
	check("when it is known better", false)
	b.stop()
	b = openAt(t, path, Options{Boot: "one"})
	check("after a restart", false)

	put(2)
	want[2].Time = want[2].Time.Add(2 * time.Hour)
	if _, err := b.db.Exec("PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	if fixed, err := b.Settle(t.Context(), 1, 3); err == nil || !fixed {
		t.Errorf("nothing can be written: %v, %v", fixed, err)
	}
	if _, err := b.db.Exec("PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	learn(3 * time.Hour)
	check("without a disk", false)
}
