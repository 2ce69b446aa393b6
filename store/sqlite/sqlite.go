// Package sqlite keeps events, counts, states, forecasts and actions in one
// SQLite file, and accounts in another or the same. It is the default of
// Perrondrukte and needs no server.
//
// There is one writer, which waits for the disk before it reports a commit
// (WAL, synchronous=FULL), and a few readers that it does not hold up. What a
// batch stores, its rollups, its losses and the gateway's cursor change in one
// transaction, so that nothing is ever half there.
//
// A passage takes about 50 bytes on disk, a minute of a site's state 120, a
// forecast 2 to 5 kB (96 a day and site; see [Options.ForecastRetention]).
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/store"
)

// DefaultForecastRetention is how long forecasts are kept unless configured.
const DefaultForecastRetention = 60 * 24 * time.Hour

// Options of a store; the zero value has every default.
type Options struct {
	// ForecastRetention is how far a forecast's origin may lie before that of
	// the newest one of its site; older ones are dropped when one is saved.
	// Zero is DefaultForecastRetention, which takes about 15 MB a site; less
	// than zero keeps them for ever, which takes some 80 MB a year and site.
	ForecastRetention time.Duration
	// Registerer gets the store's metrics; nil for none.
	Registerer prometheus.Registerer
}

// A Store is an open database file. It may be used by many goroutines at once.
type Store struct {
	*file
	retention time.Duration
	metrics   *store.Metrics

	// Prepared on the writer's connection.
	insertEvent, insertRollup, insertAside multi

	ids  map[string]int64 // names that are committed; for who writes
	args []any            // scratch of who writes

	mu      sync.RWMutex // guards the two caches of readers
	names   map[int64]string
	streams map[int64]streamKey
}

type streamKey struct{ gateway, epoch string }

// Open opens the store in the file at path, and makes it when it is not there.
// Its folder must exist.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	s := &Store{
		retention: opt.ForecastRetention,
		ids:       map[string]int64{"": 0},
		names:     map[int64]string{0: ""},
		streams:   map[int64]streamKey{},
	}
	if s.retention == 0 {
		s.retention = DefaultForecastRetention
	}
	var err error
	if s.metrics, err = store.NewMetrics(opt.Registerer); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if s.file, err = openFile(ctx, path, "store"); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	for _, p := range []struct {
		to              *multi
		head, row, tail string
		columns         int
	}{
		{&s.insertEvent, "INSERT INTO event VALUES ", "(?,?,?,?,?,?,?)", "", 7},
		{&s.insertAside, "INSERT INTO set_aside VALUES ", "(?,?,?,?,?,?,?,?,?)", "", 9},
		{
			&s.insertRollup, "INSERT INTO rollup VALUES ", "(?,?,?,?,?)",
			" ON CONFLICT (site, start, gate) DO UPDATE SET n_in = n_in + excluded.n_in, n_out = n_out + excluded.n_out", 5,
		},
	} {
		if *p.to, err = prepareMulti(ctx, s.writer, p.head, p.row, p.tail, p.columns); err != nil {
			_ = s.close()
			return nil, fmt.Errorf("open store %s: %w", path, explain(ctx, err))
		}
	}
	return s, nil
}

// Close waits for the commit that runs, if any, and closes the file. Later calls
// get [store.ErrUnavailable] or the error of a closed database.
func (s *Store) Close() error {
	var prepared []io.Closer
	for _, m := range []multi{s.insertEvent, s.insertAside, s.insertRollup} {
		for _, st := range m.stmts {
			prepared = append(prepared, st)
		}
	}
	if err := s.close(prepared...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Ping reads from the file.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	if err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM name LIMIT 1)").Scan(&n); err != nil {
		return fmt.Errorf("ping store: %w", explain(ctx, err))
	}
	return nil
}

// multi inserts many rows with few statements: one SQLite call for 128 rows
// costs far less than 128 calls.
type multi struct {
	columns int
	stmts   []*sql.Stmt // for the sizes in multiSizes
}

var multiSizes = [...]int{128, 16, 1}

func prepareMulti(ctx context.Context, db *sql.DB, head, row, tail string, columns int) (multi, error) {
	m := multi{columns: columns}
	for _, n := range multiSizes {
		q := head + row
		for range n - 1 {
			q += "," + row
		}
		st, err := db.PrepareContext(ctx, q+tail)
		if err != nil {
			return m, err
		}
		m.stmts = append(m.stmts, st)
	}
	return m, nil
}

// exec inserts rows given as one list of values.
func (m *multi) exec(ctx context.Context, tx *sql.Tx, args []any) error {
	for i, n := range multiSizes {
		if len(args) < n*m.columns {
			continue
		}
		st := tx.StmtContext(ctx, m.stmts[i])
		for len(args) >= n*m.columns {
			if _, err := st.ExecContext(ctx, args[:n*m.columns]...); err != nil {
				return err
			}
			args = args[n*m.columns:]
		}
	}
	return nil
}
