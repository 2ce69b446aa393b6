package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// pageRows is how many rows are read at once where a result can be long. No
// connection is held between pages: a slow reader neither starves others nor
// keeps the write-ahead log from being emptied.
const pageRows = 4096

// Events yields the counted events of a site from a time, included, to another,
// not, in order of time; equal times of one gateway in the order of its
// sequence. What is committed meanwhile may be missing.
func (s *Store) Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		fail := func(err error) {
			yield(perron.Record{}, fmt.Errorf("read events of %s: %w", site, explain(ctx, err)))
		}
		id, ok, err := s.find(ctx, site)
		if err != nil {
			fail(err)
			return
		}
		if !ok {
			return
		}
		after := eventKey{time: store.Nanos(from), stream: -1}
		page := make([]eventRow, 0, 256)
		for {
			if page, err = s.eventPage(ctx, id, after, store.Nanos(to), page[:0]); err != nil {
				fail(err)
				return
			}
			for i := range page {
				rec, err := s.record(ctx, site, &page[i])
				if err != nil {
					fail(err)
					return
				}
				if !yield(rec, nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = page[len(page)-1].eventKey
		}
	}
}

type eventKey struct{ time, stream, seq int64 }

type eventRow struct {
	eventKey
	sensor, kind, gate int64
}

func (s *Store) eventPage(ctx context.Context, site int64, after eventKey, to int64, page []eventRow) (_ []eventRow, err error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT time, stream, seq, sensor, kind, gate FROM event
		WHERE site = ? AND (time, stream, seq) > (?, ?, ?) AND time < ? ORDER BY time, stream, seq LIMIT ?`,
		site, after.time, after.stream, after.seq, to, pageRows)
	if err != nil {
		return nil, err
	}
	defer closeRows(rows, &err)
	for rows.Next() {
		var r eventRow
		if err := rows.Scan(&r.time, &r.stream, &r.seq, &r.sensor, &r.kind, &r.gate); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

func (s *Store) record(ctx context.Context, site string, r *eventRow) (perron.Record, error) {
	stream, err := s.stream(ctx, r.stream)
	if err != nil {
		return perron.Record{}, err
	}
	sensor, err := s.name(ctx, r.sensor)
	if err != nil {
		return perron.Record{}, err
	}
	gate, err := s.name(ctx, r.gate)
	if err != nil {
		return perron.Record{}, err
	}
	if r.kind < 1 || int(r.kind) >= len(kindOf) {
		return perron.Record{}, fmt.Errorf("event kind %d is unknown", r.kind)
	}
	return perron.Record{
		Event: perron.Event{Time: store.FromNanos(r.time), Sensor: sensor, Kind: kindOf[r.kind]},
		Site:  site, Gateway: stream.gateway, Gate: gate, Epoch: stream.epoch, Seq: uint64(r.seq),
	}, nil
}

// Counts adds up the rollups that the query spans. Intervals without a passage
// are left out; the rest is in order of time, then gate.
func (s *Store) Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	out, err := s.counts(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read counts of %s: %w", q.Site, explain(ctx, err))
	}
	return out, nil
}

func (s *Store) counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	from, to, err := q.Span()
	if err != nil {
		return nil, err
	}
	site, ok, err := s.find(ctx, q.Site)
	if err != nil || !ok {
		return nil, err
	}
	// SQLite adds up to hours, which are the same in every zone that counts;
	// civil days and weeks are made of them.
	unit := int64(time.Hour)
	if q.Step == perron.Quarter {
		unit = int64(15 * time.Minute)
	}
	gate := "0"
	if q.ByGate {
		gate = "gate"
	}
	stmt := `SELECT start / ?1 * ?1 AS unit, ` + gate + ` AS g, sum(n_in), sum(n_out) FROM rollup
		WHERE site = ?2 AND start >= ?3 AND start < ?4`
	args := []any{unit, site, from.UnixNano(), to.UnixNano()}
	if q.Gate != "" {
		id, ok, err := s.find(ctx, q.Gate)
		if err != nil || !ok {
			return nil, err
		}
		stmt += ` AND gate = ?5`
		args = append(args, id)
	}
	type row struct {
		start, gate int64
		in, out     int
	}
	sums, err := query(ctx, s.reader, stmt+` GROUP BY unit, g`, args, func(rows *sql.Rows) (r row, err error) {
		return r, rows.Scan(&r.start, &r.gate, &r.in, &r.out)
	})
	if err != nil {
		return nil, err
	}
	fold := store.NewFold(q)
	for _, r := range sums {
		name, err := s.name(ctx, r.gate)
		if err != nil {
			return nil, err
		}
		fold.Add(store.FromNanos(r.start), name, r.in, r.out)
	}
	return fold.Counts(), nil
}

// SetAside yields the events of a site that are kept but not counted, by the
// time at which they were received.
func (s *Store) SetAside(ctx context.Context, site string, from, to time.Time) iter.Seq2[store.SetAside, error] {
	return func(yield func(store.SetAside, error) bool) {
		after := eventKey{time: store.Nanos(from), stream: -1}
		for {
			page, last, err := s.asidePage(ctx, site, after, store.Nanos(to))
			if err != nil {
				yield(store.SetAside{}, fmt.Errorf("read events of %s set aside: %w", site, explain(ctx, err)))
				return
			}
			for _, a := range page {
				if !yield(a, nil) {
					return
				}
			}
			if len(page) < pageRows {
				return
			}
			after = last
		}
	}
}

func (s *Store) asidePage(ctx context.Context, site string, after eventKey, to int64) (page []store.SetAside, last eventKey, err error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT a.received, a.stream, a.seq, a.reason, a.time, a.sensor, a.kind, a.gate, s.gateway, s.epoch
		FROM set_aside a JOIN name n ON n.text = ? AND a.site = n.id JOIN stream s ON s.id = a.stream
		WHERE (a.received, a.stream, a.seq) > (?, ?, ?) AND a.received < ? ORDER BY a.received, a.stream, a.seq LIMIT ?`,
		site, after.time, after.stream, after.seq, to, pageRows)
	if err != nil {
		return nil, last, err
	}
	defer closeRows(rows, &err)
	for rows.Next() {
		a := store.SetAside{Record: perron.Record{Site: site}}
		var at string
		if err := rows.Scan(&last.time, &last.stream, &last.seq, &a.Reason, &at, &a.Sensor, &a.Kind, &a.Gate, &a.Gateway, &a.Epoch); err != nil {
			return nil, last, err
		}
		if a.Time, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, last, err
		}
		a.Received, a.Seq = store.FromNanos(last.time), uint64(last.seq)
		page = append(page, a)
	}
	return page, last, rows.Err()
}

// Losses lists what was noticed from a time, included, to another, not.
func (s *Store) Losses(ctx context.Context, site string, from, to time.Time) ([]store.Loss, error) {
	out, err := query(ctx, s.reader, `SELECT l.gateway, l.kind, l.reason, l.at, l.count FROM loss l
		JOIN name n ON n.text = ? AND l.site = n.id WHERE l.at >= ? AND l.at < ? ORDER BY l.at, l.id`,
		[]any{site, store.Nanos(from), store.Nanos(to)},
		func(rows *sql.Rows) (store.Loss, error) {
			l := store.Loss{Site: site}
			var at, count int64
			err := rows.Scan(&l.Gateway, &l.Kind, &l.Reason, &at, &count)
			l.At, l.Count = store.FromNanos(at), uint64(count)
			return l, err
		})
	if err != nil {
		return nil, fmt.Errorf("read losses of %s: %w", site, err)
	}
	return out, nil
}

// Extent returns the times of the first and the last counted event of a site;
// both are zero when it has none.
func (s *Store) Extent(ctx context.Context, site string) (store.Extent, error) {
	var first, last sql.NullInt64
	err := s.reader.QueryRowContext(ctx, `WITH w AS (SELECT id FROM name WHERE text = ?)
		SELECT (SELECT min(time) FROM event WHERE site = (SELECT id FROM w)),
		       (SELECT max(time) FROM event WHERE site = (SELECT id FROM w))`, site).Scan(&first, &last)
	if err != nil {
		return store.Extent{}, fmt.Errorf("read extent of %s: %w", site, explain(ctx, err))
	}
	if !first.Valid || !last.Valid {
		return store.Extent{}, nil
	}
	return store.Extent{First: store.FromNanos(first.Int64), Last: store.FromNanos(last.Int64)}, nil
}

// query reads all rows of a result that is not too long to keep.
func query[T any](ctx context.Context, db *sql.DB, q string, args []any, scan func(*sql.Rows) (T, error)) (out []T, err error) {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer closeRows(rows, &err)
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, explain(ctx, err)
		}
		out = append(out, v)
	}
	return out, explain(ctx, rows.Err())
}

func closeRows(rows *sql.Rows, err *error) {
	if e := rows.Close(); e != nil && *err == nil {
		*err = e
	}
}

// find looks up the number of a name.
func (s *Store) find(ctx context.Context, name string) (int64, bool, error) {
	var id int64
	err := s.reader.QueryRowContext(ctx, "SELECT id FROM name WHERE text = ?", name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// name is the name that a number stands for.
func (s *Store) name(ctx context.Context, id int64) (string, error) {
	s.mu.RLock()
	name, ok := s.names[id]
	s.mu.RUnlock()
	if ok {
		return name, nil
	}
	if err := s.reader.QueryRowContext(ctx, "SELECT text FROM name WHERE id = ?", id).Scan(&name); err != nil {
		return "", fmt.Errorf("name number %d: %w", id, err)
	}
	s.mu.Lock()
	s.names[id] = name
	s.mu.Unlock()
	return name, nil
}

func (s *Store) stream(ctx context.Context, id int64) (streamKey, error) {
	s.mu.RLock()
	k, ok := s.streams[id]
	s.mu.RUnlock()
	if ok {
		return k, nil
	}
	if err := s.reader.QueryRowContext(ctx, "SELECT gateway, epoch FROM stream WHERE id = ?", id).Scan(&k.gateway, &k.epoch); err != nil {
		return k, fmt.Errorf("outbox number %d: %w", id, err)
	}
	s.mu.Lock()
	s.streams[id] = k
	s.mu.Unlock()
	return k, nil
}
