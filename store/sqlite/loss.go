package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/perrondrukte/perrondrukte/store"
)

// SaveLoss notes a loss in place of what was saved of the same cause. When it
// returns without an error it is on disk.
func (s *Store) SaveLoss(ctx context.Context, l store.Loss) error {
	err := l.Validate()
	if err == nil {
		err = s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
			site, err := n.id(ctx, l.Site)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM loss WHERE site = ? AND gateway = ? AND kind = ? AND reason = ?",
				site, l.Gateway, string(l.Kind), l.Reason); err != nil || l.Withdrawn {
				return err
			}
			return insertLoss(ctx, tx, site, &l)
		})
	}
	if err != nil {
		return fmt.Errorf("save loss of %s/%s: %w", l.Site, l.Gateway, err)
	}
	return nil
}

func insertLoss(ctx context.Context, tx *sql.Tx, site int64, l *store.Loss) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO loss (site, at, gateway, kind, reason, count) VALUES (?,?,?,?,?,?)",
		site, l.At.UnixNano(), l.Gateway, string(l.Kind), l.Reason, int64(l.Count))
	if err != nil {
		return fmt.Errorf("record loss: %w", err)
	}
	return nil
}
