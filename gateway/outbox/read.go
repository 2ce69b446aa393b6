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
	// Loose says that some times change with what becomes known of the clock; see
	// [Outbox.Settle].
	Loose bool
	// Timeless is how many of them, at the end, cannot be sent before it is known
	// when they were: from the first on that was seen before the device ever knew
	// the time.
	Timeless int
}

// Read returns the events from number from on, at most limit, up to the first
// that was dropped. Events that were dropped at the beginning are skipped.
func (o *Outbox) Read(ctx context.Context, from uint64, limit int) (Batch, error) {
	o.io.Lock() // state and tables belong together
	defer o.io.Unlock()
	o.mu.Lock()
	s, holes := o.state, o.holes
	o.mu.Unlock()
	floor := s.Acked + 1
	b, err := o.run(ctx, max(from, floor), limit, s.Next)
	if err == nil && holes > 0 {
		var lowest Batch
		lowest, err = o.run(ctx, floor, 1, s.Next)
		floor = lowest.First
	}
	if err != nil {
		return Batch{}, fmt.Errorf("read outbox: %w", err)
	}
	b.Epoch, b.Floor = s.Epoch, floor
	return b, nil
}

// run reads the first run of held events from number from on. Its First is next
// when there is none.
func (o *Outbox) run(ctx context.Context, from uint64, limit int, next uint64) (Batch, error) {
	if from >= next {
		return Batch{First: next}, nil
	}
	rows, err := o.db.QueryContext(ctx, `SELECT first, body, boot, shift FROM chunk
		WHERE first >= COALESCE((SELECT MAX(first) FROM chunk WHERE first <= ?1), 0) ORDER BY first`, from)
	if err != nil {
		return Batch{}, err
	}
	defer rows.Close()
	b := Batch{First: from}
	var body sql.RawBytes
	var boot sql.NullString
	var shift sql.NullInt64
	full, may := false, false
	for !full && rows.Next() {
		var seq uint64
		if err := rows.Scan(&seq, &body, &boot, &shift); err != nil {
			return Batch{}, err
		}
		if len(b.Events) > 0 && seq != b.First+uint64(len(b.Events)) {
			break
		}
		o.mu.Lock()
		how, err := o.timesOf(seq, boot, shift, body)
		o.mu.Unlock()
		may = may || how.held
		if err == nil {
			err = decode(body, func(ev perron.Event, holes int) bool {
				switch {
				case holes > 0:
					seq += uint64(holes)
					full = len(b.Events) > 0
				case seq < b.First:
					seq++
				default:
					if len(b.Events) == 0 {
						b.First = seq
					}
					ev.Time, ev.Unsure = ev.Time.Add(how.correct), how.unsure
					b.Events = append(b.Events, ev)
					if b.Timeless > 0 || how.waits && timeless(ev.Time) {
						b.Timeless++
					}
					if may {
						b.Held++
					}
					b.Loose = b.Loose || how.loose
					seq++
					full = len(b.Events) == limit
				}
				return !full
			})
		}
		if err != nil {
			return Batch{}, fmt.Errorf("chunk at %d: %w", seq, err)
		}
	}
	if len(b.Events) == 0 {
		b.First = next
	}
	return b, rows.Err()
}
