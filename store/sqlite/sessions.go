package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

// Sessions is a session store for alexedwards/scs (its CtxStore).
type Sessions struct{ accounts *Accounts }

var _ store.Sessions = (*Sessions)(nil)

// Sessions returns the session store in the accounts' file.
func (a *Accounts) Sessions() store.Sessions { return &Sessions{a} }

// FindCtx returns the data of a session that has not expired.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.accounts.reader.QueryRowContext(ctx, "SELECT data FROM session WHERE token = ? AND expiry > ?",
		token, s.accounts.now().UnixNano()).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find session: %w", explain(ctx, err))
	}
	return data, true, nil
}

// CommitCtx stores a session, and drops those that have expired.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	if data == nil {
		data = []byte{} // an empty session, not a missing value
	}
	err := s.accounts.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM session WHERE expiry <= ?", s.accounts.now().UnixNano()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO session (token, data, expiry) VALUES (?,?,?) ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry",
			token, data, expiry.UnixNano())
		return err
	})
	if err != nil {
		return fmt.Errorf("store session: %w", err)
	}
	return nil
}

// DeleteCtx removes a session, if it is there.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	if _, err := s.accounts.exec(ctx, "DELETE FROM session WHERE token = ?", token); err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// Find is FindCtx without a context.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
