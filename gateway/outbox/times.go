package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Life says that the gateway was alive.
type Life struct {
	Boot string        `json:"boot"`
	Up   time.Duration `json:"up"` // since that boot
	// Time is what the gateway took for the time; Unsure says that its clock was
	// not synchronised.
	Time   time.Time `json:"time"`
	Unsure bool      `json:"unsure,omitempty"`
	// Floor is a time that was certainly over by then.
	Floor time.Time `json:"floor,omitzero"`
}

// An Outage is a time in which no gateway ran that could have counted.
type Outage = perron.Outage

// anchor is how the clock of a boot was once it was synchronised.
type anchor struct {
	shift int64         // clock less time since boot, in nanoseconds since 1970
	at    time.Duration // since boot, when that was last so
}

// keepOutages is how many of them are kept.
const keepOutages = 16

// loadTimes reads what is known of clocks and lives.
func (o *Outbox) loadTimes(ctx context.Context, tx *sql.Tx) error {
	o.clocks, o.fixed = make(map[string]anchor), make(map[uint64]times)
	rows, err := tx.QueryContext(ctx, "SELECT boot, shift, at FROM clock")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var boot string
		var a anchor
		if err := rows.Scan(&boot, &a.shift, &a.at); err != nil {
			return err
		}
		o.clocks[boot] = a
	}
	if err := rows.Err(); err != nil {
		return err
	}
	outages, err := tx.QueryContext(ctx, "SELECT since, until FROM outage ORDER BY since")
	if err != nil {
		return err
	}
	defer outages.Close()
	for outages.Next() {
		var from, until int64
		if err := outages.Scan(&from, &until); err != nil {
			return err
		}
		o.outages = append(o.outages, Outage{From: time.Unix(0, from).UTC(), Until: time.Unix(0, until).UTC()})
	}
	if err := outages.Err(); err != nil {
		return err
	}
	var alive sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT alive FROM meta").Scan(&alive); err != nil {
		return err
	}
	if alive.Valid {
		if err := json.Unmarshal([]byte(alive.String), &o.lived); err != nil {
			return fmt.Errorf("%w: last sign of life: %w", errDamaged, err)
		}
	}
	return nil
}

// AppendUnsure is Append for events whose stamps were made by a clock that was
// not synchronised. The shift is that of the stamps: the clock less the time
// since boot, in nanoseconds since 1970. Once SetClock tells that of the boot,
// Read corrects them; until then it flags them.
func (o *Outbox) AppendUnsure(ctx context.Context, events []perron.Event, shift int64, position []byte) error {
	return o.append(ctx, item{events: events, unsure: true, shift: shift, position: position})
}

// SetClock notes the shift of this boot's clock, now that it is synchronised,
// and the time since boot. It is on disk when a Flush after it is done.
func (o *Outbox) SetClock(ctx context.Context, shift int64, up time.Duration) error {
	if o.boot == "" {
		return nil
	}
	return o.enqueue(ctx, item{anchor: &anchor{shift, up}})
}

// Clock is what SetClock noted in this boot, also before the program was
// started; 0 when it did not.
func (o *Outbox) Clock() (shift int64, up time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.clocks[o.boot]
	return a.shift, a.at
}

// Lived is the last sign of life of the gateway before this one; its zero value
// when there is none.
func (o *Outbox) Lived() Life { return o.lived }

// Outages are those that were noted, oldest first.
func (o *Outbox) Outages() []Outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.outages
}

// AddOutage notes one more; the oldest are forgotten.
func (o *Outbox) AddOutage(ctx context.Context, out Outage) error {
	o.mu.Lock()
	all := append(append([]Outage{}, o.outages...), out)
	all = all[max(0, len(all)-keepOutages):]
	o.outages = all
	o.mu.Unlock()
	return o.enqueue(ctx, item{outages: all})
}

// writeTimes writes what a group says of clocks and outages.
func (w *writer) writeTimes(g *group, boot string) error {
	for _, it := range g.items {
		if it.anchor != nil {
			// Of other boots, only those are of use that events wait from.
			if _, err := w.tx.Exec("DELETE FROM clock WHERE boot NOT IN (SELECT boot FROM chunk WHERE boot IS NOT NULL)"); err != nil {
				return err
			}
			if _, err := w.tx.Exec("INSERT OR REPLACE INTO clock (boot, shift, at) VALUES (?, ?, ?)", boot, it.anchor.shift, int64(it.anchor.at)); err != nil {
				return err
			}
			if err := w.place(boot, it.anchor.shift); err != nil {
				return fmt.Errorf("place events without a time: %w", err)
			}
		}
		if it.outages != nil {
			if _, err := w.tx.Exec("DELETE FROM outage"); err != nil {
				return err
			}
			for _, out := range it.outages {
				if _, err := w.tx.Exec("INSERT INTO outage (since, until) VALUES (?, ?)", out.From.UnixNano(), out.Until.UnixNano()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fixedUnsure stands in the place of a boot when the times of a chunk are
// settled and unsure.
const fixedUnsure = "!"

// times is how the stamps of a chunk are to be read.
type times struct {
	correct time.Duration // to be added
	unsure  bool          // still
	held    bool          // it may become known how to correct them
	loose   bool          // what else becomes known may change them
	waits   bool          // it may become known where to place what has no time
}

// timesOf needs o.mu. Body is that of the chunk.
func (o *Outbox) timesOf(first uint64, boot sql.NullString, shift sql.NullInt64, body []byte) (times, error) {
	if t, ok := o.fixed[first]; ok {
		return t, nil
	}
	switch {
	case !boot.Valid:
		return times{correct: time.Duration(shift.Int64)}, nil
	case boot.String == fixedUnsure:
		return times{correct: time.Duration(shift.Int64), unsure: true}, nil
	case boot.String == "":
		return times{unsure: true}, nil
	}
	here := boot.String == o.boot
	a, ok := o.clocks[boot.String]
	if !ok {
		return times{unsure: true, held: here, loose: here, waits: o.boot != ""}, nil
	}
	// A clock that was not synchronised for long is believed no more.
	last := int64(math.MinInt64)
	err := decode(body, func(ev perron.Event, holes int) bool {
		if holes == 0 {
			last = max(last, ev.Time.UnixNano()-shift.Int64)
		}
		return true
	})
	stale := last > int64(a.at+clock.GoodFor)
	return times{correct: time.Duration(a.shift - shift.Int64), unsure: stale, held: stale && here, loose: true}, err
}

// Settle makes sure that the times of the events from first to last are read
// from now on as they are now, whatever becomes known of the clock; fixed says
// that some were not. It is for what is about to be sent: a receiver that keeps
// an event under its time could take one that comes with another for a second
// one. On an error that holds only until the file is closed.
func (o *Outbox) Settle(ctx context.Context, first, last uint64) (fixed bool, err error) {
	o.io.Lock()
	defer o.io.Unlock()
	found := make(map[uint64]times)
	rows, err := o.db.QueryContext(ctx, `SELECT first, body, boot, shift FROM chunk
		WHERE first >= COALESCE((SELECT MAX(first) FROM chunk WHERE first <= ?1), 0) AND first <= ?2`, first, last)
	if err != nil {
		return false, fmt.Errorf("settle times: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at uint64
		var body sql.RawBytes
		var boot sql.NullString
		var shift sql.NullInt64
		err := rows.Scan(&at, &body, &boot, &shift)
		if err == nil {
			var t times
			o.mu.Lock()
			t, err = o.timesOf(at, boot, shift, body)
			o.mu.Unlock()
			if t.loose {
				found[at] = times{correct: t.correct, unsure: t.unsure}
			}
		}
		if err != nil {
			return false, fmt.Errorf("settle times of chunk at %d: %w", at, err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(found) == 0 {
		return false, err
	}
	err = o.writeSettled(ctx, found)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		maps.DeleteFunc(o.fixed, func(at uint64, _ times) bool { return at+chunkEvents <= o.state.Acked })
		maps.Copy(o.fixed, found)
		return true, fmt.Errorf("settle times: %w", err)
	}
	return true, nil
}

func (o *Outbox) writeSettled(ctx context.Context, found map[uint64]times) error {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for at, t := range found {
		var boot any
		if t.unsure {
			boot = fixedUnsure
		}
		if _, err := tx.ExecContext(ctx, "UPDATE chunk SET boot = ?, shift = ? WHERE first = ?", boot, int64(t.correct), at); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// nowAlive is what is kept as the last sign of life, nil when nothing is.
func (o *Outbox) nowAlive() (any, error) {
	if o.life == nil {
		return nil, nil
	}
	text, err := json.Marshal(o.life())
	if err != nil {
		return nil, errors.Join(errors.New("sign of life"), err)
	}
	return string(text), nil
}
