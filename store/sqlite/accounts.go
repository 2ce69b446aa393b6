package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

// Accounts keep who may sign in and which gateways may connect. They may share
// a file with a [Store]. No password and no gateway's secret is in them, only
// what checks one.
type Accounts struct {
	*file
	now func() time.Time
}

// OpenAccounts opens the accounts in the file at path, and makes it, readable
// for its owner only, when it is not there.
func OpenAccounts(ctx context.Context, path string) (*Accounts, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	db, err := openFile(ctx, path, "accounts")
	if err != nil {
		return nil, fmt.Errorf("open accounts %s: %w", path, err)
	}
	return &Accounts{file: db, now: time.Now}, nil
}

// Close closes the file.
func (a *Accounts) Close() error {
	if err := a.close(); err != nil {
		return fmt.Errorf("close accounts: %w", err)
	}
	return nil
}

// AddUser adds a user with an argon2id hash in PHC form. It is
// [store.ErrExists] when the name is taken.
func (a *Accounts) AddUser(ctx context.Context, name, hash, role string) error {
	n, err := a.exec(ctx, "INSERT INTO account (name, hash, role, created) VALUES (?,?,?,?) ON CONFLICT (name) DO NOTHING",
		name, hash, role, a.now().UnixNano())
	return changed("add user", name, n, err, store.ErrExists)
}

// SetPassword replaces the hash of a user, or is [store.ErrNotFound].
func (a *Accounts) SetPassword(ctx context.Context, name, hash string) error {
	n, err := a.exec(ctx, "UPDATE account SET hash = ? WHERE name = ?", hash, name)
	return changed("set password of", name, n, err, store.ErrNotFound)
}

// RemoveUser removes a user, or is [store.ErrNotFound]. Whoever holds a session
// of that user must be refused by asking for [Accounts.User] again.
func (a *Accounts) RemoveUser(ctx context.Context, name string) error {
	n, err := a.exec(ctx, "DELETE FROM account WHERE name = ?", name)
	return changed("remove user", name, n, err, store.ErrNotFound)
}

// User returns the password hash and the role, or [store.ErrNotFound].
func (a *Accounts) User(ctx context.Context, name string) (hash, role string, err error) {
	err = a.reader.QueryRowContext(ctx, "SELECT hash, role FROM account WHERE name = ?", name).Scan(&hash, &role)
	if err != nil {
		return "", "", fmt.Errorf("user %q: %w", name, a.missing(ctx, err))
	}
	return hash, role, nil
}

// Users lists all users by name.
func (a *Accounts) Users(ctx context.Context) ([]store.User, error) {
	out, err := query(ctx, a.reader, "SELECT name, hash, role, created FROM account ORDER BY name", nil,
		func(rows *sql.Rows) (u store.User, err error) {
			var created int64
			err = rows.Scan(&u.Name, &u.Hash, &u.Role, &created)
			u.Created = store.FromNanos(created)
			return u, err
		})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return out, nil
}

// Ping reads from the file.
func (a *Accounts) Ping(ctx context.Context) error {
	var n int
	if err := a.reader.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM account LIMIT 1)").Scan(&n); err != nil {
		return fmt.Errorf("ping accounts: %w", explain(ctx, err))
	}
	return nil
}

// exec runs one statement durably and says how many rows it changed.
func (a *Accounts) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = a.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, q, args...)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}

// changed makes none of the rows changed an error.
func changed(what, name string, n int64, err, none error) error {
	if err == nil && n == 0 {
		err = none
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, name, err)
	}
	return nil
}

func (a *Accounts) missing(ctx context.Context, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return explain(ctx, err)
}
