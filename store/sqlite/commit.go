package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// Codes of event kinds in the table.
var (
	kindCode = map[perron.Kind]int64{perron.In: 1, perron.Out: 2, perron.On: 3, perron.Off: 4}
	kindOf   = [...]perron.Kind{1: perron.In, 2: perron.Out, 3: perron.On, 4: perron.Off}
)

// errUnchanged ends a transaction that turned out to have nothing to write.
var errUnchanged = errors.New("unchanged")

// Commit stores what is new of a batch, in one transaction: events, rollups,
// what is set aside, losses, and the cursor. When it returns without an error
// everything is on disk. Batches may be of any size.
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
	var res store.Result
	if err := b.Validate(); err != nil {
		return res, err
	}
	err := s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
		stream, acked, err := findStream(ctx, tx, n, b)
		if err != nil {
			return err
		}
		skip, lost, gap := store.Place(acked, b)
		if gap {
			res = store.Result{Acked: acked, Gap: true}
			return errUnchanged
		}
		last := b.Last(acked, lost)
		res = store.Result{Acked: last, Duplicate: skip, Lost: lost}
		if last == acked {
			return errUnchanged
		}
		if stream, err = moveCursor(ctx, tx, n, b, stream, last); err != nil {
			return err
		}
		if err := s.insertEntries(ctx, tx, n, b, stream, skip, &res); err != nil {
			return err
		}
		return insertLosses(ctx, tx, n, b, skip, lost)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return store.Result{}, err
	}
	return res, nil
}

// A naming gives numbers to names within a transaction. New ones become known
// to the store when the transaction has been committed.
type naming struct {
	tx    *sql.Tx
	known map[string]int64
	fresh map[string]int64
}

// id is the number of a name, given out now if need be.
func (n *naming) id(ctx context.Context, name string) (int64, error) {
	if id, ok := n.known[name]; ok {
		return id, nil
	}
	if id, ok := n.fresh[name]; ok {
		return id, nil
	}
	var id int64
	err := n.tx.QueryRowContext(ctx, "INSERT INTO name (text) VALUES (?) ON CONFLICT (text) DO UPDATE SET text = text RETURNING id", name).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("name %q: %w", name, err)
	}
	n.fresh[name] = id
	return id, nil
}

// writeNamed is write with the numbers of names.
func (s *Store) writeNamed(ctx context.Context, fn func(*sql.Tx, *naming) error) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	n := &naming{known: s.ids, fresh: make(map[string]int64)}
	err := s.writeLocked(ctx, func(tx *sql.Tx) error {
		n.tx = tx
		return fn(tx, n)
	})
	if err == nil {
		maps.Copy(s.ids, n.fresh)
	}
	return err
}

// findStream returns the number of the batch's outbox, 0 when it is new, and
// up to where it is settled.
func findStream(ctx context.Context, tx *sql.Tx, n *naming, b *store.Batch) (id int64, acked uint64, err error) {
	site, ok := n.known[b.Site]
	if !ok {
		// Also when another process gave the number out: the name is looked up.
		if site, err = n.id(ctx, b.Site); err != nil {
			return 0, 0, err
		}
	}
	err = tx.QueryRowContext(ctx, "SELECT id, acked FROM stream WHERE site = ? AND gateway = ? AND epoch = ?", site, b.Gateway, b.Epoch).Scan(&id, &acked)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil
	}
	return id, acked, err
}

func moveCursor(ctx context.Context, tx *sql.Tx, n *naming, b *store.Batch, stream int64, acked uint64) (int64, error) {
	if stream != 0 {
		_, err := tx.ExecContext(ctx, "UPDATE stream SET acked = ? WHERE id = ?", int64(acked), stream)
		return stream, err
	}
	site, err := n.id(ctx, b.Site)
	if err != nil {
		return 0, err
	}
	r, err := tx.ExecContext(ctx, "INSERT INTO stream (site, gateway, epoch, acked) VALUES (?,?,?,?)", site, b.Gateway, b.Epoch, int64(acked))
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// insertEntries stores the entries from skip on, and adds to the rollups.
func (s *Store) insertEntries(ctx context.Context, tx *sql.Tx, n *naming, b *store.Batch, stream int64, skip int, res *store.Result) error {
	site, err := n.id(ctx, b.Site)
	if err != nil {
		return err
	}
	fresh := b.Entries[skip:]
	args := s.args[:0]
	var aside []any
	for i := range fresh {
		e := &fresh[i]
		seq := int64(b.First) + int64(skip+i)
		if e.SetAside != "" {
			aside = append(aside, stream, seq, site, b.Received.UnixNano(), e.SetAside,
				store.AsideTime(e.Time).Format(time.RFC3339Nano), e.Sensor, string(e.Kind), e.Gate)
			res.SetAside++
			continue
		}
		sensor, err := n.id(ctx, e.Sensor)
		if err != nil {
			return err
		}
		gate, err := n.id(ctx, e.Gate)
		if err != nil {
			return err
		}
		args = append(args, site, e.Time.UnixNano(), stream, seq, sensor, kindCode[e.Kind], gate)
		res.Stored++
	}
	if err := s.insertEvent.exec(ctx, tx, args); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	if err := s.insertAside.exec(ctx, tx, aside); err != nil {
		return fmt.Errorf("insert events set aside: %w", err)
	}

	sums := store.Rollups(fresh)
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b store.RollupKey) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Gate, b.Gate))
	})
	args = args[:0]
	for _, k := range keys {
		gate, err := n.id(ctx, k.Gate)
		if err != nil {
			return err
		}
		args = append(args, site, k.Start, gate, int64(sums[k].In), int64(sums[k].Out))
	}
	if err := s.insertRollup.exec(ctx, tx, args); err != nil {
		return fmt.Errorf("add to rollups: %w", err)
	}
	if cap(args) <= 1<<16 { // a large import need not stay in memory
		s.args = args[:0]
	}
	return nil
}

func insertLosses(ctx context.Context, tx *sql.Tx, n *naming, b *store.Batch, skip int, lost uint64) error {
	losses := store.LossesOf(b, skip, lost)
	if len(losses) == 0 {
		return nil
	}
	site, err := n.id(ctx, b.Site)
	if err != nil {
		return err
	}
	for i := range losses {
		if err := insertLoss(ctx, tx, site, &losses[i]); err != nil {
			return err
		}
	}
	return nil
}
