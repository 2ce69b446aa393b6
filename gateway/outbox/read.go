package outbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Batch is a run of events with consecutive numbers.
type Batch struct {
	Epoch string
	// Floor is the lowest number above the acknowledged ones that is still held,
	// or the next to be given out. When First is not the number that was asked
	// for, what lies between was dropped; it may then be sent only when First is
	// Floor, for the receiver takes everything below Floor as lost for ever.
	Floor  uint64
	First  uint64
	Events []perron.Event // empty when there is nothing at or after from
	// Held is how many of them, at the end, have times that are corrected when
	// the clock becomes synchronised before the device is started again.
	Held int
}

// Read returns the events from number from on, at most limit, up to the first
// that was dropped. Events that were dropped at the beginning are skipped.
func (o *Outbox) Read(ctx context.Context, from uint64, limit int) (Batch, error) {
	o.io.Lock() // state and tables belong together
	defer o.io.Unlock()
	o.mu.Lock()
	s, holes := o.state, o.holes
	o.mu.Unlock()
	b := Batch{Epoch: s.Epoch, Floor: s.Acked + 1, First: max(from, s.Acked+1)}
	if b.First >= s.Next {
		b.First = s.Next
		return b, nil
	}
	var err error
	if b.Events, b.Held, err = o.run(ctx, o.db, &b.First, limit, s.Next); err != nil {
		return Batch{}, fmt.Errorf("read outbox: %w", err)
	}
	if holes > 0 {
		if _, _, err = o.run(ctx, o.db, &b.Floor, 1, s.Next); err != nil {
			return Batch{}, fmt.Errorf("read outbox: %w", err)
		}
	}
	return b, nil
}

// run reads the first run of held events from *from on and sets *from to the
// number of its first, or to next when there is none.
func (o *Outbox) run(ctx context.Context, q querier, from *uint64, limit int, next uint64) (events []perron.Event, held int, err error) {
	rows, err := q.QueryContext(ctx, `SELECT first, body, boot, shift FROM chunk
		WHERE first >= COALESCE((SELECT MAX(first) FROM chunk WHERE first <= ?1), 0) ORDER BY first`, *from)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var body sql.RawBytes
	var boot sql.NullString
	var shift sql.NullInt64
	full, may := false, false
	for !full && rows.Next() {
		var seq uint64
		if err := rows.Scan(&seq, &body, &boot, &shift); err != nil {
			return nil, 0, err
		}
		full = len(events) > 0 && seq != *from+uint64(len(events))
		if full {
			break
		}
		o.mu.Lock()
		how := o.timesOf(boot, shift)
		o.mu.Unlock()
		may = may || how.held
		err := decode(body, func(ev perron.Event, holes int) bool {
			switch {
			case holes > 0:
				seq += uint64(holes)
				full = len(events) > 0
			case seq < *from:
				seq++
			default:
				if len(events) == 0 {
					*from = seq
				}
				ev.Time, ev.Unsure = ev.Time.Add(how.correct), how.unsure
				events = append(events, ev)
				if may {
					held++
				}
				seq++
				full = len(events) == limit
			}
			return !full
		})
		if err != nil {
			return nil, 0, fmt.Errorf("chunk at %d: %w", seq, err)
		}
	}
	if len(events) == 0 {
		*from = next
	}
	return events, held, rows.Err()
}

// querier is what a transaction and a database have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}
