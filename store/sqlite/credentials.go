package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

// SetCredential gives a gateway a credential, in place of all that it has.
// Created is set.
func (a *Accounts) SetCredential(ctx context.Context, c store.Credential) error {
	err := a.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM credentials WHERE site = ? AND gateway = ?", c.Site, c.Gateway); err != nil {
			return err
		}
		return a.insert(ctx, tx, c)
	})
	if err != nil {
		return fmt.Errorf("set credential of gateway %s/%s: %w", c.Site, c.Gateway, err)
	}
	return nil
}

// RotateCredential gives a gateway another credential beside those that it has.
// They are refused from the time until on, or from when the new one was used,
// see [Accounts.UseCredential]. It is [store.ErrNotFound] without any.
func (a *Accounts) RotateCredential(ctx context.Context, c store.Credential, until time.Time) error {
	err := a.write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM credentials WHERE site = ? AND gateway = ? AND (until IS NULL OR until > ?)",
			c.Site, c.Gateway, a.now().UnixNano()).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		if _, err := tx.ExecContext(ctx, "UPDATE credentials SET until = ?3 WHERE site = ?1 AND gateway = ?2 AND (until IS NULL OR until > ?3)",
			c.Site, c.Gateway, until.UnixNano()); err != nil {
			return err
		}
		return a.insert(ctx, tx, c)
	})
	if err != nil {
		return fmt.Errorf("rotate credential of gateway %s/%s: %w", c.Site, c.Gateway, err)
	}
	return nil
}

// insert adds a credential that is newer than all others of its gateway, also
// when the clock says otherwise.
func (a *Accounts) insert(ctx context.Context, tx *sql.Tx, c store.Credential) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO credentials (site, gateway, hash, certificate, ends, until, created)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, coalesce((SELECT max(created) + 1 FROM credentials WHERE site = ?1 AND gateway = ?2), 0)))`,
		c.Site, c.Gateway, c.Hash, c.Certificate, nanosOrNull(c.CertificateEnds), nanosOrNull(c.Until), a.now().UnixNano())
	return err
}

// UseCredential ends the credentials of a gateway that are older than the one
// with the hash, because that one has been used.
func (a *Accounts) UseCredential(ctx context.Context, site, gateway string, hash []byte) error {
	_, err := a.exec(ctx, `DELETE FROM credentials WHERE site = ?1 AND gateway = ?2
		AND created < (SELECT created FROM credentials WHERE site = ?1 AND gateway = ?2 AND hash = ?3)`, site, gateway, hash)
	if err != nil {
		return fmt.Errorf("end the older credentials of gateway %s/%s: %w", site, gateway, err)
	}
	return nil
}

// Credentials lists those of a gateway that are valid, newest first.
func (a *Accounts) Credentials(ctx context.Context, site, gateway string) ([]store.Credential, error) {
	out, err := a.credentials(ctx, "site = ?2 AND gateway = ?3", site, gateway)
	if err != nil {
		return nil, fmt.Errorf("credentials of gateway %s/%s: %w", site, gateway, err)
	}
	return out, nil
}

// Gateways lists all valid credentials by site and gateway, then newest first.
func (a *Accounts) Gateways(ctx context.Context) ([]store.Credential, error) {
	out, err := a.credentials(ctx, "true")
	if err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	return out, nil
}

// RemoveGateway takes the credentials of a gateway away, or is
// [store.ErrNotFound].
func (a *Accounts) RemoveGateway(ctx context.Context, site, gateway string) error {
	n, err := a.exec(ctx, "DELETE FROM credentials WHERE site = ? AND gateway = ?", site, gateway)
	return changed("remove gateway", site+"/"+gateway, n, err, store.ErrNotFound)
}

func (a *Accounts) credentials(ctx context.Context, where string, args ...any) ([]store.Credential, error) {
	return query(ctx, a.reader, "SELECT site, gateway, hash, certificate, ends, created, until FROM credentials WHERE (until IS NULL OR until > ?1) AND "+
		where+" ORDER BY site, gateway, created DESC", append([]any{a.now().UnixNano()}, args...),
		func(rows *sql.Rows) (c store.Credential, err error) {
			var ends, until sql.NullInt64
			var created int64
			err = rows.Scan(&c.Site, &c.Gateway, &c.Hash, &c.Certificate, &ends, &created, &until)
			c.Created = store.FromNanos(created)
			if ends.Valid {
				c.CertificateEnds = store.FromNanos(ends.Int64)
			}
			if until.Valid {
				c.Until = store.FromNanos(until.Int64)
			}
			return c, err
		})
}

func nanosOrNull(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixNano(), Valid: true}
}
