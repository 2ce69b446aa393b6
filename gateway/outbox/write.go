package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	chunkEvents = 1000 // events in a row of the table, as many as in a message
	groupEvents = 8192 // events in a transaction, about
	// After a failed write, and when a source has to wait for room.
	retryDelay = time.Second
	// tellEvery is how often dropped events are logged.
	tellEvery = time.Minute
	// vacuumPages is how many free pages are worth giving back, and how many
	// are given back at a time.
	vacuumPages = 512
	// aliveEvery is how often a sign of life is written when nothing else is.
	aliveEvery = 10 * time.Minute
)

// Run writes what Append takes in. When ctx ends it writes what is in the queue
// and returns; nothing may be appended any more by then, or it gets ErrClosed.
func (o *Outbox) Run(ctx context.Context) error {
	defer o.stop.Do(func() { close(o.done) })
	var g group
	var later <-chan time.Time // of an ack to be written, or a failed write
	beat := time.NewTicker(aliveEvery)
	defer beat.Stop()
	if o.life == nil {
		beat.Stop()
	}
	for {
		select {
		case it := <-o.queue:
			g.add(it)
			o.drain(&g)
		case <-o.acks:
			switch {
			case o.State().Old: // nothing can be sent before the new epoch
				later = time.After(0)
			case later == nil:
				later = time.After(o.ackDelay)
			}
			continue
		case <-later:
			later = nil
			if err := o.idle(); err != nil {
				o.fail(err)
				later = time.After(retryDelay)
			}
			continue
		case <-beat.C:
			if time.Since(o.wrote) < aliveEvery/2 {
				continue
			}
			if err := o.commit(&group{}); err != nil {
				o.fail(err)
				later = time.After(retryDelay)
			}
			continue
		case <-ctx.Done():
			return o.finish(&g)
		}
		for g.some() {
			if g.empty() { // who asks whether all is written wears no card out
				g.written()
				break
			}
			err := o.commit(&g)
			if err == nil {
				break
			}
			o.fail(err)
			// While this fails the queue fills up and Append blocks. Edges then
			// wait in the kernel, which counts what it cannot keep.
			select {
			case <-time.After(retryDelay):
			case <-o.acks: // there may be room
			case <-ctx.Done():
				return o.finish(&g)
			}
		}
	}
}

// finish writes what is left.
func (o *Outbox) finish(g *group) error {
	for {
		o.drain(g)
		if err := o.commit(g); err == errNoRoom {
			return nil // with its position not written, the source gives it again
		} else if err != nil {
			return fmt.Errorf("write the last events to the outbox: %w", err)
		}
		if len(o.queue) == 0 {
			return nil
		}
	}
}

func (o *Outbox) drain(g *group) {
	for g.n < groupEvents {
		select {
		case it := <-o.queue:
			g.add(it)
		default:
			return
		}
	}
}

// A group is what goes into one transaction.
type group struct {
	items    []item
	n        int
	position []byte
}

func (g *group) add(it item) {
	g.items = append(g.items, it)
	g.n += len(it.events)
	if it.position != nil {
		g.position = it.position
	}
}

func (g *group) some() bool { return len(g.items) > 0 }

// empty says that there is nothing to be written.
func (g *group) empty() bool {
	for _, it := range g.items {
		if len(it.events) > 0 || it.position != nil || it.anchor != nil || it.outages != nil {
			return false
		}
	}
	return true
}

func (g *group) written() {
	for _, it := range g.items {
		if it.flushed != nil {
			close(it.flushed)
		}
	}
	clear(g.items)
	*g = group{items: g.items[:0]}
}

// errNoRoom makes a source with a position wait.
var errNoRoom = errors.New("the outbox is full; the source waits until the collector has taken some")

func (o *Outbox) fail(err error) {
	o.mu.Lock()
	first := o.state.Failing == nil
	o.state.Failing = err
	if err != errNoRoom && o.state.FailingSince.IsZero() {
		o.state.FailingSince = o.now()
	}
	o.mu.Unlock()
	if first && err != errNoRoom {
		o.log.Error("events cannot be written; trying again every second", logs.File, o.path, logs.Error, err)
	}
}

// commit writes a group, which may be empty, with what else has changed. On an
// error nothing has happened.
func (o *Outbox) commit(g *group) error {
	o.io.Lock()
	defer o.io.Unlock()
	o.mu.Lock()
	s, holes, opened, renew, lost := o.state, o.holes, o.opened, o.renew, o.lost
	o.mu.Unlock()

	// A started transaction is finished although ctx ends: it is short.
	ctx := context.Background()
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	w := writer{tx: tx, max: o.max, s: s, holes: holes, boot: o.boot}
	if renew {
		if err := w.renew(opened); err != nil {
			return fmt.Errorf("begin a new epoch: %w", err)
		}
		opened = 1
	}
	if err := w.deleteAcked(); err != nil {
		return err
	}
	if err := w.append(g); err != nil {
		return err
	}
	if g.position != nil && s.Waiting > 0 && w.s.Bytes > w.max {
		return errNoRoom
	}
	if g.position == nil && g.n > 0 { // what is there already was let in
		if err := w.room(); err != nil {
			return err
		}
	}
	if w.holes > 0 {
		if w.s.Waiting, err = count(ctx, tx, w.s.Acked); err != nil {
			return err
		}
	}
	if err := w.writeTimes(g, o.boot); err != nil {
		return fmt.Errorf("write what is known of the clock: %w", err)
	}
	alive, err := o.nowAlive()
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE meta SET epoch = ?, next = ?, acked = ?, dropped = ?, lost = ?, position = COALESCE(?, position), alive = ?",
		w.s.Epoch, w.s.Next, w.s.Acked, w.s.Dropped, w.s.LostEdges, g.position, alive); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	o.wrote = time.Now()

	o.mu.Lock()
	acked := o.state.Acked // may have risen, unless the epoch is new
	newLost := o.lost - lost
	o.state = w.s
	o.state.Failing, o.state.FailingSince = nil, time.Time{}
	if !renew && acked > w.s.Acked {
		if w.holes == 0 {
			o.state.Waiting -= acked - w.s.Acked
		}
		o.state.Acked = acked
	}
	o.state.LostEdges += newLost
	o.lost = newLost
	o.holes, o.opened = w.holes, opened
	o.sure = o.sure || renew
	o.renew = o.renew && !renew
	if renew {
		clear(o.fixed) // the numbers are others
	}
	o.stored = meta{w.s.Next, w.s.Acked, w.s.Dropped, w.s.LostEdges}
	if g.position != nil {
		o.position = g.position
	}
	anchored := false
	for _, it := range g.items {
		if it.anchor != nil {
			o.clocks[o.boot], anchored = *it.anchor, true
		}
	}
	o.mu.Unlock()
	if s.Failing != nil && s.Failing != errNoRoom {
		o.log.Info("events can be written again", logs.File, o.path)
	}
	if renew {
		o.log.Error("this outbox was an old copy: the collector had more of its events than it had given out; a new epoch is begun",
			logs.Was, s.Epoch, logs.Epoch, w.s.Epoch)
	}
	if w.s.Dropped > s.Dropped && time.Since(o.told) > tellEvery {
		o.told = time.Now()
		o.log.Error("the outbox is full: events are dropped", logs.Dropped, w.s.Dropped)
	}
	if g.n > 0 || renew || anchored {
		poke(o.changed)
	}
	g.written()
	return nil
}

// idle writes acks, and gives room back to the file system.
func (o *Outbox) idle() error {
	o.mu.Lock()
	now := meta{o.state.Next, o.state.Acked, o.state.Dropped, o.state.LostEdges}
	same := now == o.stored && !o.renew && o.state.Failing == nil
	o.mu.Unlock()
	if !same {
		if err := o.commit(&group{}); err != nil {
			return err
		}
	}
	o.io.Lock()
	defer o.io.Unlock()
	for len(o.queue) == 0 {
		var free int
		if err := o.db.QueryRow("PRAGMA freelist_count").Scan(&free); err != nil {
			return err
		}
		if free < vacuumPages {
			return nil
		}
		if _, err := o.db.Exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages)); err != nil {
			return err
		}
	}
	poke(o.acks) // come back for the rest
	return nil
}

// A writer changes a copy of the state along with the tables.
type writer struct {
	tx    *sql.Tx
	max   int64
	s     State
	holes uint64
	boot  string
	enc   encoder
}

func (w *writer) append(g *group) error {
	if g.n == 0 {
		return nil
	}
	stmt, err := w.tx.Prepare("INSERT INTO chunk (first, n, presences, holes, body, boot, shift) VALUES (?, ?, ?, 0, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer stmt.Close()
	w.enc.reset()
	var boot, shift any // of what is being encoded
	put := func() error {
		if w.enc.n == 0 {
			return nil
		}
		if _, err := stmt.Exec(w.s.Next, w.enc.n, w.enc.presences, w.enc.body, boot, shift); err != nil {
			return err
		}
		w.s.Next += uint64(w.enc.n)
		w.s.Waiting += uint64(w.enc.n)
		w.s.Bytes += int64(len(w.enc.body)) + overhead
		w.enc.reset()
		return nil
	}
	for _, it := range g.items {
		var itBoot, itShift any
		if it.unsure {
			itBoot, itShift = w.boot, it.shift
		}
		if len(it.events) > 0 && (itBoot != boot || itShift != shift) {
			// A chunk has one clock.
			if err := put(); err != nil {
				return err
			}
			boot, shift = itBoot, itShift
		}
		for _, e := range it.events {
			w.enc.add(e)
			if w.enc.n == chunkEvents {
				if err := put(); err != nil {
					return err
				}
			}
		}
	}
	return put()
}

// deleteAcked removes the chunks that the collector has all of.
func (w *writer) deleteAcked() error {
	return w.remove("first <= ?1 AND first + n - 1 <= ?1", w.s.Acked)
}

func (w *writer) remove(where string, arg any) error {
	var bytes int64
	var holes uint64
	if err := w.tx.QueryRow("SELECT COALESCE(SUM(length(body) + "+fmt.Sprint(overhead)+"), 0), COALESCE(SUM(holes), 0) FROM chunk WHERE "+where, arg).
		Scan(&bytes, &holes); err != nil || bytes == 0 {
		return err
	}
	if _, err := w.tx.Exec("DELETE FROM chunk WHERE "+where, arg); err != nil {
		return err
	}
	w.s.Bytes -= bytes
	w.holes -= min(holes, w.holes)
	return nil
}

// room makes sure that no more is kept than may be: first the oldest presences
// go, then the oldest passages.
func (w *writer) room() error {
	if w.s.Bytes <= w.max {
		return nil
	}
	target := w.max - w.max/64 // not for each event again
	for _, drop := range []func() (bool, error){w.dropPresences, w.dropOldest} {
		for w.s.Bytes > target {
			more, err := drop()
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// dropPresences makes holes of the presences in the oldest chunk that has any.
func (w *writer) dropPresences() (more bool, err error) {
	var first uint64
	var body []byte
	switch err := w.tx.QueryRow("SELECT first, body FROM chunk WHERE presences > 0 ORDER BY first LIMIT 1").Scan(&first, &body); err {
	case nil:
	case sql.ErrNoRows:
		return false, nil
	default:
		return false, err
	}
	w.enc.reset()
	seq, run, had, dropped := first, 0, 0, uint64(0)
	err = decode(body, func(ev perron.Event, holes int) bool {
		switch {
		case holes > 0:
			run += holes
			had += holes
			seq += uint64(holes)
			return true
		case ev.Kind.Passage():
			w.enc.hole(run)
			run = 0
			w.enc.add(ev)
		default:
			run++
			if seq > w.s.Acked {
				dropped++
			}
		}
		seq++
		return true
	})
	if err != nil {
		return false, err
	}
	w.enc.hole(run)
	if _, err := w.tx.Exec("UPDATE chunk SET presences = 0, holes = ?, body = ? WHERE first = ?", w.enc.holes, w.enc.body, first); err != nil {
		return false, err
	}
	w.s.Bytes -= int64(len(body) - len(w.enc.body))
	w.holes += uint64(w.enc.holes - had)
	w.s.Dropped += dropped
	w.s.Waiting -= min(dropped, w.s.Waiting)
	return true, nil
}

// dropOldest removes the oldest chunk.
func (w *writer) dropOldest() (more bool, err error) {
	var first, n uint64
	var body []byte
	switch err := w.tx.QueryRow("SELECT first, n, body FROM chunk ORDER BY first LIMIT 1").Scan(&first, &n, &body); err {
	case nil:
	case sql.ErrNoRows:
		return false, nil
	default:
		return false, err
	}
	seq, dropped := first, uint64(0)
	if err := decode(body, func(_ perron.Event, holes int) bool {
		if holes == 0 && seq > w.s.Acked {
			dropped++
		}
		seq += uint64(max(holes, 1))
		return true
	}); err != nil {
		return false, err
	}
	if err := w.remove("first = ?1", first); err != nil {
		return false, err
	}
	w.s.Dropped += dropped
	w.s.Waiting -= min(dropped, w.s.Waiting)
	// What is gone needs no ack: a reader starts behind it.
	w.s.Acked = max(w.s.Acked, first+n-1)
	return true, nil
}

// renew begins a new epoch with the events that were appended since the file
// was opened. The collector has those before: it had more than this file knew.
func (w *writer) renew(opened uint64) error {
	if err := w.remove("first < ?1", opened); err != nil {
		return err
	}
	shift := opened - 1
	// Upwards, so that a number is free before it is given again.
	rows, err := w.tx.Query("SELECT first, n, holes FROM chunk ORDER BY first")
	if err != nil {
		return err
	}
	var firsts []uint64
	w.s.Waiting = 0
	for rows.Next() {
		var first, n, holes uint64
		if err := rows.Scan(&first, &n, &holes); err != nil {
			rows.Close()
			return err
		}
		firsts = append(firsts, first)
		w.s.Waiting += n - holes
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, first := range firsts {
		if _, err := w.tx.Exec("UPDATE chunk SET first = ? WHERE first = ?", first-shift, first); err != nil {
			return err
		}
	}
	w.s.Epoch, w.s.Next, w.s.Acked = newEpoch(), w.s.Next-shift, 0
	w.s.Dropped, w.s.LostEdges = 0, 0
	return rows.Err()
}
