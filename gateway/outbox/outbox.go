// Package outbox keeps a gateway's events on disk until the collector has
// stored them.
//
// Events are numbered from 1 within an epoch, a random name that is made when
// the file is. They are appended in groups: one row, one transaction and one
// sync of the disk for all that arrived while the one before was being written.
// The position of the source is committed with the events that it led to, so
// that after a crash a replay goes on with the first event that is not there.
//
// The file has one owner: it stays locked while it is open.
package outbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite" // also registers the driver
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// ErrLocked means that another process has the outbox open.
var ErrLocked = errors.New("the outbox is in use by another process")

// ErrClosed means that Run has come to its end, or Close was called.
var ErrClosed = errors.New("the outbox is closed")

// DefaultMaxBytes is used when Options.MaxBytes is 0.
const DefaultMaxBytes = 256 << 20

// Options of an outbox.
type Options struct {
	// MaxBytes bounds what is kept, in bytes of stored events with their
	// overhead. The file is larger by the write-ahead log, at most some
	// megabytes. When there is no more room, events from a source with a
	// position wait; of the others the oldest presences are dropped, then the
	// oldest passages.
	MaxBytes int64
	// AckDelay is how long an ack may wait to be written when nothing else is:
	// one that is lost costs a resend, a written one a part of the card's life.
	// 0 is a minute.
	AckDelay time.Duration
	Logger   *slog.Logger
	Now      func() time.Time // nil is time.Now
	// Boot names the time from the device's last start to its next. Without one
	// the stamps of an unsynchronised clock stay as they are.
	Boot string
	// Life says that the gateway lives, and when; it is kept with what is written
	// anyway. Nil keeps nothing.
	Life func() Life
}

// State is what an outbox holds.
type State struct {
	Epoch string
	Next  uint64 // sequence number of the event to come
	Acked uint64 // everything up to here is the collector's
	// Opened is Next when the file was opened. Unless the epoch is Sure, a card
	// that lied about its last writes, or a copy that was put back, may give out
	// numbers from there on that the collector knows for other events. The first
	// ack tells; until then nothing from Opened on may be sent. Old says that it
	// was so, and that a new epoch is about to begin: nothing may be sent at all.
	Opened    uint64
	Sure, Old bool
	// Waiting counts events that are not acknowledged, Bytes what they take.
	Waiting uint64
	Bytes   int64
	// Dropped counts events that had to go for want of room, LostEdges what
	// Lost was told; both since the epoch began.
	Dropped   uint64
	LostEdges uint64
	// Failing is why nothing can be written now; nil when it can. FailingSince is
	// since when by the device's clock, zero also while only a source with a
	// position waits for room.
	Failing      error
	FailingSince time.Time
	// Damaged counts the files that were moved aside and still lie there.
	Damaged int
}

// An Outbox is safe for concurrent use.
type Outbox struct {
	db       *sql.DB
	path     string
	max      int64
	log      *slog.Logger
	now      func() time.Time
	boot     string
	life     func() Life
	ackDelay time.Duration

	queue   chan item
	acks    chan struct{} // capacity 1: something for the writer beside the queue
	changed chan struct{} // capacity 1: something to read, or the epoch is new
	done    chan struct{} // closed when the writer is gone
	stop    sync.Once

	io    sync.Mutex // held while tables and state are out of step, before mu
	told  time.Time  // when dropped events were last logged; the writer's own
	wrote time.Time  // when the last transaction was committed; the writer's own

	mu       sync.Mutex
	state    State
	holes    uint64 // dropped events within what is held
	position []byte // as committed
	opened   uint64 // State.Opened
	sure     bool   // State.Sure
	renew    bool   // State.Old
	lost     uint64 // edges to add to LostEdges
	stored   meta   // as committed
	clocks   map[string]anchor
	fixed    map[uint64]times // settled, by first number of the chunk, and not on disk
	lived    Life             // as it was found
	outages  []Outage
}

// meta is the one row of table meta.
type meta struct{ next, acked, dropped, lost uint64 }

type item struct {
	events   []perron.Event
	unsure   bool  // the stamps of the events
	shift    int64 // of them, if so
	position []byte
	flushed  chan<- struct{} // closed once everything before is committed
	anchor   *anchor         // of this boot's clock
	outages  []Outage        // all of them, when they have changed
}

const queueLength = 64

// Open opens the outbox in the file at path, and makes it when there is none.
// A file that is damaged is moved aside and kept, and a new one begun: a device
// at a gate has to go on counting.
func Open(ctx context.Context, path string, opt Options) (*Outbox, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = DefaultMaxBytes
	}
	if opt.AckDelay <= 0 {
		opt.AckDelay = time.Minute
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	o, err := open(ctx, path, opt)
	if damaged(err) {
		aside := fmt.Sprintf("%s%s%s", path, damagedMark, opt.Now().UTC().Format("20060102T150405.000Z"))
		opt.Logger.Error("the outbox is damaged; it is moved aside and a new one begun", logs.File, path, logs.To, aside, logs.Error, err)
		if err := os.Rename(path, aside); err != nil {
			return nil, fmt.Errorf("move damaged outbox aside: %w", err)
		}
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("move damaged outbox aside: %w", err)
			}
		}
		o, err = open(ctx, path, opt)
	}
	if err != nil {
		return nil, fmt.Errorf("open outbox %s: %w", path, err)
	}
	if o.state.Damaged, err = aside(path); err != nil {
		return nil, errors.Join(fmt.Errorf("look for damaged outboxes: %w", err), o.Close())
	}
	return o, nil
}

// aside counts the damaged files that were moved aside.
func aside(path string) (n int, err error) {
	files, err := os.ReadDir(filepath.Dir(path))
	for _, f := range files {
		name, ok := strings.CutPrefix(f.Name(), filepath.Base(path)+damagedMark)
		if ok && !strings.HasSuffix(name, "-wal") && !strings.HasSuffix(name, "-shm") {
			n++
		}
	}
	return n, err
}

// damagedMark stands between the name of a damaged file and when it was moved.
const damagedMark = ".damaged-"

var errDamaged = errors.New("damaged")

func damaged(err error) bool {
	c := code(err)
	return errors.Is(err, errDamaged) || c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

// code is SQLite's primary result code, 0 for other errors.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// Exclusive locking makes a second process fail at once. Set before the log is
// first looked at, it also keeps the log's index in memory: a file of shared
// memory is not needed, nor the room for it, which a full card has not. The
// driver sorts what is called _pragma, and does the other keys after those.
const (
	exclusive = "?_txlock=immediate" +
		"&_pragma=busy_timeout(2000)" +
		"&_pragma=locking_mode(EXCLUSIVE)" +
		"&_journal_mode=WAL" +
		"&_synchronous=FULL"
	// vacuum is for a new file; to say it again would be a write.
	vacuum = "&_auto_vacuum=INCREMENTAL"
	// small is said once the file is open, for to say it reads the file. Rows are
	// written once and read once.
	small = "PRAGMA journal_size_limit(1048576); PRAGMA cache_size(-512)"
)

const schema = `
CREATE TABLE IF NOT EXISTS chunk (
	first     INTEGER PRIMARY KEY, -- sequence number of the first event
	n         INTEGER NOT NULL,    -- events, holes included
	presences INTEGER NOT NULL,    -- of them, those that may be dropped first
	holes     INTEGER NOT NULL,    -- of them, those that were dropped
	body      BLOB NOT NULL,
	boot      TEXT,                -- in which it was stamped; NULL when the clock was right or the times are settled, '!' when they are settled and unsure
	shift     INTEGER              -- clock less time since boot, ns; of settled times, what is to be added
);
CREATE INDEX IF NOT EXISTS chunk_presences ON chunk (first) WHERE presences > 0;
CREATE TABLE IF NOT EXISTS meta (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	epoch    TEXT NOT NULL,
	next     INTEGER NOT NULL,
	acked    INTEGER NOT NULL,
	dropped  INTEGER NOT NULL,
	lost     INTEGER NOT NULL,
	position BLOB,
	alive    TEXT                  -- Life, as JSON: when this was last written
);
CREATE TABLE IF NOT EXISTS clock (
	boot  TEXT PRIMARY KEY,
	shift INTEGER NOT NULL,        -- of the synchronised clock
	at    INTEGER NOT NULL         -- time since boot when it was last right, ns
);
CREATE TABLE IF NOT EXISTS outage (
	since INTEGER NOT NULL,        -- ns since 1970
	until INTEGER NOT NULL
);`

// upgrades bring an older file to the next version.
var upgrades = map[int]string{
	1: `
ALTER TABLE chunk ADD COLUMN boot TEXT;
ALTER TABLE chunk ADD COLUMN shift INTEGER;
ALTER TABLE meta ADD COLUMN alive TEXT;`,
}

// version is the user_version of the file.
const version = 2

// overhead is what a chunk takes besides its body, in bytes.
const overhead = 24

func open(ctx context.Context, path string, opt Options) (o *Outbox, err error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	params := exclusive
	if fi, err := os.Stat(path); err != nil || fi.Size() == 0 {
		params += vacuum
	}
	db, err := sql.Open("sqlite", name.String()+params)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	o = &Outbox{
		db: db, path: path, max: opt.MaxBytes, log: opt.Logger, now: opt.Now, boot: opt.Boot, life: opt.Life, ackDelay: opt.AckDelay,
		queue: make(chan item, queueLength), acks: make(chan struct{}, 1),
		changed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := o.load(ctx); err != nil {
		if code(err) == sqlite3.SQLITE_BUSY {
			return nil, ErrLocked
		}
		return nil, err
	}
	return o, nil
}

// load checks the file, makes what is missing and reads the state.
func (o *Outbox) load(ctx context.Context) error {
	var found int
	if err := o.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&found); err != nil {
		return err
	}
	if _, err := o.db.ExecContext(ctx, small); err != nil {
		return err
	}
	if found > version {
		return fmt.Errorf("file has version %d, this program knows up to %d", found, version)
	}
	var verdict string
	if err := o.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()  //nolint:errcheck // after Commit it has nothing to do
	if found < version { // else nothing is written: the disk may be full
		for v := found; v < version; v++ {
			if _, err := tx.ExecContext(ctx, upgrades[v]); err != nil {
				return fmt.Errorf("bring the file to version %d: %w", v+1, err)
			}
			if v == 0 {
				break // the schema below is the newest
			}
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("%s\nPRAGMA user_version = %d", schema, version)); err != nil {
			return err
		}
	}
	if found == 0 {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta (id, epoch, next, acked, dropped, lost) VALUES (1, ?, 1, 0, 0, 0)", newEpoch()); err != nil {
			return err
		}
	}
	var last, first sql.NullInt64
	s := &o.state
	if err := tx.QueryRowContext(ctx, "SELECT epoch, next, acked, dropped, lost, position FROM meta").
		Scan(&s.Epoch, &s.Next, &s.Acked, &s.Dropped, &s.LostEdges, &o.position); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT MIN(first), MAX(first + n), COALESCE(SUM(holes), 0), COALESCE(SUM(length(body) + ?), 0) FROM chunk", overhead).
		Scan(&first, &last, &o.holes, &s.Bytes); err != nil {
		return err
	}
	switch {
	case !first.Valid:
		if s.Acked+1 != s.Next {
			// The last chunks were dropped, and nothing came after them.
			s.Acked = s.Next - 1
		}
	case uint64(last.Int64) != s.Next || uint64(first.Int64) > s.Next:
		return fmt.Errorf("%w: events end at %d, the next is %d", errDamaged, last.Int64, s.Next)
	}
	waiting, err := count(ctx, tx, s.Acked)
	if err != nil {
		return err
	}
	s.Waiting = waiting
	if err := o.loadTimes(ctx, tx); err != nil {
		return err
	}
	o.opened, o.sure = s.Next, s.Next == 1
	o.stored = meta{s.Next, s.Acked, s.Dropped, s.LostEdges}
	return tx.Commit()
}

// count works out how many events wait above acked.
func count(ctx context.Context, tx *sql.Tx, acked uint64) (uint64, error) {
	var waiting uint64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(n - holes), 0) FROM chunk WHERE first > ?", acked).Scan(&waiting); err != nil {
		return 0, err
	}
	var seq uint64
	var body []byte
	err := tx.QueryRowContext(ctx, "SELECT first, body FROM chunk WHERE first <= ? ORDER BY first DESC LIMIT 1", acked).Scan(&seq, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return waiting, nil
	}
	if err != nil {
		return 0, err
	}
	err = decode(body, func(_ perron.Event, holes int) bool {
		if holes == 0 && seq > acked {
			waiting++
		}
		seq += uint64(max(holes, 1))
		return true
	})
	return waiting, err
}

func newEpoch() string { return rand.Text()[:16] }

// State is what the outbox holds now.
func (o *Outbox) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.state
	s.Opened, s.Sure, s.Old = o.opened, o.sure, o.renew
	return s
}

// Position is that of the source as it was last committed; nil before the
// first. It is not to be changed.
func (o *Outbox) Position() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.position
}

// Changed gets a value when there is more to read, or the epoch has changed.
func (o *Outbox) Changed() <-chan struct{} { return o.changed }

// Append takes events in. It returns once they are in the queue and blocks
// while that is full; they are on disk when State().Next counts them. Run has
// to be running. Events and position are the outbox's from here on. A source
// that can be read again gives the position that follows the events, and waits
// for room; events without a position are never waited for. An event that
// cannot be sent (its sensor, its kind, its time) is an error, and none is taken.
func (o *Outbox) Append(ctx context.Context, events []perron.Event, position []byte) error {
	return o.append(ctx, item{events: events, position: position})
}

func (o *Outbox) append(ctx context.Context, it item) error {
	sensor, events := "", it.events
	for _, e := range events {
		if e.Sensor != sensor && !perron.ValidID(e.Sensor) {
			return fmt.Errorf("append to outbox: event of sensor %q, which is not a valid id", e.Sensor)
		}
		sensor = e.Sensor
		if err := valid(e); err != nil {
			return fmt.Errorf("append to outbox: %w", err)
		}
	}
	return o.enqueue(ctx, it)
}

// Flush waits until everything that was appended before is on disk.
func (o *Outbox) Flush(ctx context.Context) error {
	flushed := make(chan struct{})
	if err := o.enqueue(ctx, item{flushed: flushed}); err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-o.done:
		select {
		case <-flushed:
			return nil
		default:
			return ErrClosed
		}
	}
}

func (o *Outbox) enqueue(ctx context.Context, it item) error {
	select {
	case <-o.done:
		return ErrClosed
	default:
	}
	// While there is room an event is taken although ctx has ended: an edge that
	// was read from the kernel is nowhere else.
	select {
	case o.queue <- it:
		return nil
	default:
	}
	select {
	case o.queue <- it:
		return nil
	case <-o.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ack notes that the collector has everything up to acked. An ack of another
// epoch says nothing and is ignored.
func (o *Outbox) Ack(epoch string, acked uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch old := acked >= o.state.Next || !o.sure && acked >= o.opened; {
	case epoch != o.state.Epoch || o.renew:
		return
	case old:
		// This file is an old copy: the collector has more of the epoch than
		// was ever given out from here.
		o.renew = true
	case acked <= o.state.Acked:
		o.sure = true
		return
	default:
		o.sure = true
		gone := acked - o.state.Acked
		o.state.Acked = acked
		switch {
		case acked+1 == o.state.Next:
			o.state.Waiting = 0
		case o.holes == 0:
			o.state.Waiting -= gone
		default: // the writer counts again when it writes the ack
		}
	}
	poke(o.acks)
}

// Lost adds to the number of edges that the kernel could not keep.
func (o *Outbox) Lost(n uint64) {
	o.mu.Lock()
	o.lost += n
	o.state.LostEdges += n
	o.mu.Unlock()
	poke(o.acks)
}

// FileSize is what the file and its log take on the disk, in bytes.
func (o *Outbox) FileSize() (n int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		fi, err := os.Stat(o.path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("size of outbox: %w", err)
		}
		n += fi.Size()
	}
	return n, nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close releases the file. Run has to have returned, if it was called.
func (o *Outbox) Close() error {
	o.stop.Do(func() { close(o.done) })
	if err := o.db.Close(); err != nil {
		return fmt.Errorf("close outbox: %w", err)
	}
	return nil
}
