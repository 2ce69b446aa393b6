package influx

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	quarter = 15 * time.Minute
	// The timestamps of a series can tell apart perMilli-1 events of one instant.
	perMilli = int64(time.Millisecond)
	// perStream is how many sequence numbers the timestamps of set-aside events
	// and losses can tell apart; at a thousand a second they last 30,000 years.
	perStream = int64(1e15)
)

type streamID struct{ site, gateway, epoch string }

// A stream is an outbox of a gateway. The cursor is what the server has, when
// known; it is read again whenever it seems to be behind, because another
// process may have committed in the meantime.
type stream struct {
	turn  chan struct{} // held by who commits
	known bool
	cursor
}

// A cursor says up to where a stream is settled, and between which times its
// counted events lie, in nanoseconds; last is less than first when there are
// none.
type cursor struct {
	acked       uint64
	first, last int64
}

// Commit stores what is new of a batch. See the package comment for the order
// that makes it safe to be stopped anywhere.
func (s *Store) Commit(ctx context.Context, b store.Batch) (store.Result, error) {
	started := time.Now()
	res, err := s.commit(ctx, &b)
	s.metrics.Committed(time.Since(started), res, err)
	if err != nil {
		return store.Result{}, fmt.Errorf("commit batch of %s/%s from %d: %w", b.Site, b.Gateway, b.First, err)
	}
	return res, nil
}

func (s *Store) commit(ctx context.Context, b *store.Batch) (store.Result, error) {
	if err := b.Validate(); err != nil {
		return store.Result{}, err
	}
	st := s.stream(streamID{b.Site, b.Gateway, b.Epoch})
	select {
	case st.turn <- struct{}{}:
		defer func() { <-st.turn }()
	case <-ctx.Done():
		return store.Result{}, ctx.Err()
	}
	cached := st.known
	if !cached {
		if err := s.readCursor(ctx, b, st); err != nil {
			return store.Result{}, err
		}
	}
	skip, lost, gap := store.Place(st.acked, b)
	if cached && (gap || lost > 0) {
		if err := s.readCursor(ctx, b, st); err != nil {
			return store.Result{}, err
		}
		skip, lost, gap = store.Place(st.acked, b)
	}
	if gap {
		return store.Result{Acked: st.acked, Gap: true}, nil
	}
	res := store.Result{Acked: b.Last(st.acked, lost), Duplicate: skip, Lost: lost}
	if res.Acked == st.acked {
		return res, nil
	}
	next := st.cursor
	next.acked = res.Acked
	for i := skip; i < len(b.Entries); i++ {
		if b.Entries[i].SetAside != "" {
			res.SetAside++
			continue
		}
		res.Stored++
		t := b.Entries[i].Time.UnixNano()
		next.first, next.last = min(next.first, t), max(next.last, t)
	}
	if err := s.writeAll(ctx, b, skip, st.acked, lost, next); err != nil {
		st.known = false
		return store.Result{}, err
	}
	st.cursor = next
	return res, nil
}

func (s *Store) stream(id streamID) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	if st == nil {
		st = &stream{turn: make(chan struct{}, 1)}
		s.streams[id] = st
	}
	return st
}

// readCursor asks the server. No cursor means a new stream, and an empty answer
// for whatever reason must not be taken for that: events would be called lost
// that are not. So the question includes a point that is always there.
func (s *Store) readCursor(ctx context.Context, b *store.Batch, st *stream) error {
	rows, err := s.rows(ctx, s.from(s.bucket, epoch0, epoch0.Add(1),
		fmt.Sprintf(`r._measurement == "meta" or r._measurement == "cursor" and %s and %s and %s`, is("site", b.Site), is("gateway", b.Gateway), is("epoch", b.Epoch)))+pivot)
	if err != nil {
		return fmt.Errorf("read cursor: %w", err)
	}
	c, mark := cursor{first: math.MaxInt64, last: math.MinInt64}, false
	for _, r := range rows {
		if r.string("_measurement") == "meta" {
			mark = true
			continue
		}
		c = cursor{acked: uint64(r.int("acked")), first: r.int("first"), last: r.int("last")}
	}
	if !mark {
		return fmt.Errorf("read cursor: %w: the bucket has lost its mark", store.ErrUnavailable)
	}
	st.cursor, st.known = c, true
	return nil
}

// writeAll writes what a batch brings, the cursor last.
func (s *Store) writeAll(ctx context.Context, b *store.Batch, skip int, acked, lost uint64, next cursor) error {
	var l lines
	fresh := b.Entries[skip:]
	for i := range fresh {
		seq := int64(b.First) + int64(skip+i)
		if fresh[i].SetAside != "" {
			asideLine(&l, b, &fresh[i], seq)
		} else {
			eventLine(&l, b, &fresh[i], seq)
		}
	}
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if err := s.rollUp(ctx, b, fresh); err != nil {
		return err
	}
	l = lines{}
	lossLines(&l, b, skip, acked, lost)
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("record losses: %w", err)
	}
	l = lines{}
	l.point("cursor", tag{"epoch", b.Epoch}, tag{"gateway", b.Gateway}, tag{"site", b.Site})
	l.int("acked", int64(next.acked))
	l.int("first", next.first)
	l.int("last", next.last)
	l.end(epoch0.UnixNano())
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	return nil
}

func eventLine(l *lines, b *store.Batch, e *store.Entry, seq int64) {
	t := e.Time.UnixNano()
	l.point("event", tag{"epoch", b.Epoch}, tag{"gateway", b.Gateway}, tag{"kind", string(e.Kind)}, tag{"sensor", e.Sensor}, tag{"site", b.Site})
	l.int("t", t)
	l.int("seq", seq)
	l.string("gate", e.Gate)
	l.end(stamp(t, seq))
}

// stamp is the timestamp of an event's point. The last nanosecond of every
// millisecond stays free; see [Store.from] for why.
func stamp(t, seq int64) int64 { return t - t%perMilli + seq%(perMilli-1) }

func asideLine(l *lines, b *store.Batch, e *store.Entry, seq int64) {
	l.point("aside", tag{"epoch", b.Epoch}, tag{"gateway", b.Gateway}, tag{"site", b.Site})
	l.int("seq", seq)
	l.int("received", b.Received.UnixNano())
	l.string("reason", e.SetAside)
	l.string("t", store.AsideTime(e.Time).Format(time.RFC3339Nano))
	l.string("sensor", e.Sensor)
	l.string("kind", string(e.Kind))
	l.string("gate", e.Gate)
	l.end(epoch0.UnixNano() + seq%perStream)
}

// lossLines gives each loss the place of the first sequence number that it
// concerns, so that a commit that is repeated does not lose twice.
func lossLines(l *lines, b *store.Batch, skip int, acked, lost uint64) {
	for _, loss := range store.LossesOf(b, skip, lost) {
		seq := int64(acked) + 1
		if loss.Kind != perron.DoubtLost {
			seq = int64(b.First) + int64(skip+slices.IndexFunc(b.Entries[skip:], func(e store.Entry) bool { return loss.Concerns(&e) }))
		}
		l.point("loss", tag{"epoch", b.Epoch}, tag{"gateway", b.Gateway}, tag{"kind", string(loss.Kind)}, tag{"reason", loss.Reason}, tag{"site", b.Site})
		l.int("at", loss.At.UnixNano())
		l.int("count", int64(loss.Count))
		l.end(epoch0.UnixNano() + seq%perStream)
	}
}

// rollUp counts the quarters anew that the events touch, from what is stored.
func (s *Store) rollUp(ctx context.Context, b *store.Batch, fresh []store.Entry) error {
	touched := make(map[int64]bool)
	for k := range store.Rollups(fresh) {
		touched[k.Start] = true
	}
	if len(touched) == 0 {
		return nil
	}
	sums := make(map[store.RollupKey]store.Rollup)
	for _, span := range spans(slices.Sorted(maps.Keys(touched))) {
		if err := s.recount(ctx, b, span[0], span[1], sums); err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b store.RollupKey) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Gate, b.Gate))
	})
	var l lines
	for _, k := range keys {
		if !touched[k.Start] {
			continue
		}
		l.point("count", tag{"epoch", b.Epoch}, tag{"gate", k.Gate}, tag{"gateway", b.Gateway}, tag{"site", b.Site})
		l.int("in", int64(sums[k].In))
		l.int("out", int64(sums[k].Out))
		l.end(k.Start)
	}
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	return nil
}

// spans joins quarters to ranges of time. It bridges gaps of up to a day: a
// query costs more than some events that are read in vain.
func spans(quarters []int64) [][2]int64 {
	var out [][2]int64
	for _, q := range quarters {
		if n := len(out); n > 0 && q-out[n-1][1] <= int64(24*time.Hour) {
			out[n-1][1] = q + int64(quarter)
			continue
		}
		out = append(out, [2]int64{q, q + int64(quarter)})
	}
	return out
}

// recount lets the server count the passages of the batch's stream.
func (s *Store) recount(ctx context.Context, b *store.Batch, from, to int64, sums map[store.RollupKey]store.Rollup) error {
	flux := s.from(s.bucket, store.FromNanos(from), store.FromNanos(to-1), // where no event is stamped
		fmt.Sprintf(`r._measurement == "event" and %s and %s and %s and r._field == "gate" and (r.kind == "in" or r.kind == "out")`,
			is("site", b.Site), is("gateway", b.Gateway), is("epoch", b.Epoch))) + `
	|> window(every: 15m)
	|> duplicate(column: "_value", as: "gate")
	|> group(columns: ["_start", "kind", "gate"])
	|> count()`
	return s.each(ctx, flux, func(r row) error {
		start, ok := r["_start"].(time.Time)
		if !ok {
			return fmt.Errorf("an answer without _start: %v", r)
		}
		k := store.RollupKey{Start: start.UnixNano(), Gate: r.string("gate")}
		v := sums[k]
		if r.string("kind") == string(perron.In) {
			v.In += int(r.int("_value"))
		} else {
			v.Out += int(r.int("_value"))
		}
		sums[k] = v
		return nil
	})
}
