package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/perrondrukte/perrondrukte/store"
)

//go:embed migrations
var migrations embed.FS

const (
	busyTimeout = 5000 // milliseconds to wait for another process
	readers     = 4
)

// A file is one database with its only writer and its readers. SQLite lets one
// connection write at a time; waiting for it in Go obeys a context, waiting in
// SQLite does not.
type file struct {
	writer, reader *sql.DB
	turn           chan struct{} // held by who writes
	closing        chan struct{} // closed by who closes the file
	once           sync.Once
}

var errClosed = fmt.Errorf("%w: the file is closed", store.ErrUnavailable)

// openFile opens or makes a database and brings its schema up to date.
// Migrations are the folder and the name of the table that counts them, so that
// several schemas can live in one file.
func openFile(ctx context.Context, path, schema string) (*file, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &file{turn: make(chan struct{}, 1), closing: make(chan struct{})}
	f.writer, err = sql.Open("sqlite", dsn(abs, "_txlock=immediate", "_pragma=synchronous(FULL)", "_pragma=cache_size(-16000)", "_pragma=journal_size_limit(67108864)"))
	if err != nil {
		return nil, err
	}
	f.writer.SetMaxOpenConns(1)
	f.reader, err = sql.Open("sqlite", dsn(abs, "_pragma=query_only(1)", "_pragma=cache_size(-4000)"))
	if err != nil {
		return nil, errors.Join(err, f.writer.Close())
	}
	f.reader.SetMaxOpenConns(readers)
	f.reader.SetMaxIdleConns(readers)
	if err := f.migrate(ctx, schema); err != nil {
		return nil, errors.Join(explain(ctx, err), f.close())
	}
	return f, nil
}

func dsn(path string, params ...string) string {
	s := fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)", (&url.URL{Path: path}).EscapedPath(), busyTimeout)
	for _, p := range params {
		s += "&" + p
	}
	return s
}

func (f *file) migrate(ctx context.Context, schema string) error {
	dir, err := fs.Sub(migrations, "migrations/"+schema)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, f.writer, dir,
		goose.WithTableName("goose_"+schema), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("the file has schema %d, made by a newer version of this program, which knows %d", have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}

// close waits for who writes and closes the file; more than once is fine.
func (f *file) close(before ...io.Closer) (err error) {
	f.once.Do(func() {
		close(f.closing)
		f.turn <- struct{}{} // for ever: nobody writes any more
		for _, c := range before {
			err = errors.Join(err, c.Close())
		}
		err = errors.Join(err, f.reader.Close(), f.writer.Close())
	})
	return err
}

// lock takes the turn to write.
func (f *file) lock(ctx context.Context) error {
	select {
	case <-f.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-f.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write runs fn in a transaction that is durable when write returns nil, and
// has not happened when it returns an error.
func (f *file) write(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := f.lock(ctx); err != nil {
		return err
	}
	defer func() { <-f.turn }()
	return f.writeLocked(ctx, fn)
}

func (f *file) writeLocked(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return explain(ctx, err)
	}
	if err := fn(tx); err != nil {
		// SQLite has rolled back by itself after some errors, and then says
		// that there is nothing to roll back. The first error is the one to tell.
		_ = tx.Rollback()
		return explain(ctx, err)
	}
	return explain(ctx, tx.Commit())
}

// explain adds the sentinel error that a caller can act on.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if err.Error() == "sql: database is closed" { // database/sql has no name for it
		return fmt.Errorf("%w: %w", errClosed, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}
