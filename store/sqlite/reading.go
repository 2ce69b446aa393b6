package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/perrondrukte/perrondrukte/store"
)

// SaveReading replaces the reading of a device. When it returns without an
// error it is on disk.
func (s *Store) SaveReading(ctx context.Context, r store.Reading) error {
	err := r.Validate()
	if err == nil {
		err = s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
			site, err := n.id(ctx, r.Site)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "INSERT INTO reading VALUES (?,?,?) ON CONFLICT (site, gateway) DO UPDATE SET data = excluded.data",
				site, r.Gateway, r.Data)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("save reading of %s/%s: %w", r.Site, r.Gateway, err)
	}
	return nil
}

// Reading is the last reading of a device, [store.ErrNotFound] without one.
func (s *Store) Reading(ctx context.Context, site, gateway string) (store.Reading, error) {
	r := store.Reading{Site: site, Gateway: gateway}
	rows, err := query(ctx, s.reader, "SELECT data FROM reading WHERE site = (SELECT id FROM name WHERE text = ?) AND gateway = ?",
		[]any{site, gateway}, func(rows *sql.Rows) (data string, err error) { return data, rows.Scan(&data) })
	switch {
	case err == nil && len(rows) == 0:
		err = store.ErrNotFound
	case err == nil:
		r.Data = rows[0]
	}
	if err != nil {
		return store.Reading{}, fmt.Errorf("read reading of %s/%s: %w", site, gateway, err)
	}
	return r, nil
}
