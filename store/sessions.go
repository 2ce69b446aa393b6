package store

import (
	"context"
	"time"
)

// Sessions keep what a session holds under its token until it expires. They are
// what alexedwards/scs asks of a store, with a context and without.
type Sessions interface {
	// FindCtx is not found for a session that has expired or never was.
	FindCtx(ctx context.Context, token string) (data []byte, found bool, err error)
	// CommitCtx stores a session in place of the one with its token.
	CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error
	// DeleteCtx removes a session, if it is there.
	DeleteCtx(ctx context.Context, token string) error

	Find(token string) (data []byte, found bool, err error)
	Commit(token string, data []byte, expiry time.Time) error
	Delete(token string) error
}
