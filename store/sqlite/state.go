package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// SaveSamples stores rows of a site's busyness history, in one transaction. A
// row replaces the one of the same instant.
func (s *Store) SaveSamples(ctx context.Context, site string, samples []perron.Sample) error {
	err := s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
		id, err := n.id(ctx, site)
		if err != nil {
			return err
		}
		st, err := tx.PrepareContext(ctx, // closed with the transaction
			"INSERT OR REPLACE INTO sample VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
		if err != nil {
			return err
		}
		for i := range samples {
			v := &samples[i]
			if err := store.CheckTime(v.At); err != nil {
				return err
			}
			var recounted any
			if !v.Recounted.IsZero() {
				recounted = v.Recounted.UnixNano()
			}
			_, err = st.ExecContext(ctx, id, v.At.UnixNano(), string(v.Level), string(v.Quality),
				v.OnSite.Low, v.OnSite.Mid, v.OnSite.High, v.Queue.Low, v.Queue.Mid, v.Queue.High,
				v.Wait.Low, v.Wait.Mid, v.Wait.High, v.AtLeast, v.EntryRate, recounted)
			if err != nil {
				return fmt.Errorf("of %v: %w", v.At, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save samples of %s: %w", site, err)
	}
	return nil
}

// Samples returns the busyness history of a site in order of time.
func (s *Store) Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error) {
	out, err := query(ctx, s.reader, `SELECT at, level, quality, onsite_low, onsite_mid, onsite_high, queue_low, queue_mid, queue_high,
		wait_low, wait_mid, wait_high, at_least, entry_rate, recounted FROM sample
		WHERE site = (SELECT id FROM name WHERE text = ?) AND at >= ? AND at < ? ORDER BY at`,
		[]any{site, store.Nanos(from), store.Nanos(to)},
		func(rows *sql.Rows) (v perron.Sample, err error) {
			var at int64
			var recounted sql.NullInt64
			err = rows.Scan(&at, &v.Level, &v.Quality, &v.OnSite.Low, &v.OnSite.Mid, &v.OnSite.High,
				&v.Queue.Low, &v.Queue.Mid, &v.Queue.High, &v.Wait.Low, &v.Wait.Mid, &v.Wait.High,
				&v.AtLeast, &v.EntryRate, &recounted)
			v.At = store.FromNanos(at)
			if recounted.Valid {
				v.Recounted = store.FromNanos(recounted.Int64)
			}
			return v, err
		})
	if err != nil {
		return nil, fmt.Errorf("read samples of %s: %w", site, err)
	}
	return out, nil
}

// SaveForecast stores a forecast, replaces the one of the same origin, and
// drops the site's forecasts that are older than the retention before it.
func (s *Store) SaveForecast(ctx context.Context, f perron.Forecast) error {
	err := s.saveForecast(ctx, &f)
	if err != nil {
		return fmt.Errorf("save forecast of %s: %w", f.Site, err)
	}
	return nil
}

func (s *Store) saveForecast(ctx context.Context, f *perron.Forecast) error {
	if err := store.CheckTime(f.Origin); err != nil {
		return err
	}
	data, err := store.EncodeForecast(f)
	if err != nil {
		return err
	}
	return s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
		site, err := n.id(ctx, f.Site)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO forecast (site, origin, data) VALUES (?,?,?) ON CONFLICT (site, origin) DO UPDATE SET data = excluded.data",
			site, f.Origin.UnixNano(), data)
		if err != nil || s.retention < 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM forecast WHERE site = ? AND origin < ?", site, f.Origin.Add(-s.retention).UnixNano())
		return err
	})
}

// Forecasts returns the forecasts of a site by origin.
func (s *Store) Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error) {
	out, err := query(ctx, s.reader, `SELECT origin, data FROM forecast
		WHERE site = (SELECT id FROM name WHERE text = ?) AND origin >= ? AND origin < ? ORDER BY origin`,
		[]any{site, store.Nanos(from), store.Nanos(to)},
		func(rows *sql.Rows) (perron.Forecast, error) {
			var origin int64
			var data sql.RawBytes
			if err := rows.Scan(&origin, &data); err != nil {
				return perron.Forecast{}, err
			}
			return store.DecodeForecast(site, store.FromNanos(origin), data)
		})
	if err != nil {
		return nil, fmt.Errorf("read forecasts of %s: %w", site, err)
	}
	return out, nil
}

// SaveAction adds to the audit log. The same action again changes nothing;
// another one under an ID that is taken is [store.ErrExists].
func (s *Store) SaveAction(ctx context.Context, a perron.Action) error {
	err := s.saveAction(ctx, a)
	if err != nil {
		return fmt.Errorf("save action %q of %s: %w", a.ID, a.Site, err)
	}
	return nil
}

func (s *Store) saveAction(ctx context.Context, a perron.Action) error {
	if err := store.CheckTime(a.At); err != nil {
		return err
	}
	text := ""
	if len(a.Text) > 0 {
		b, err := json.Marshal(a.Text)
		if err != nil {
			return err
		}
		text = string(b)
	}
	until := int64(0)
	if !a.Until.IsZero() {
		if err := store.CheckTime(a.Until); err != nil {
			return err
		}
		until = a.Until.UnixNano()
	}
	return s.writeNamed(ctx, func(tx *sql.Tx, n *naming) error {
		site, err := n.id(ctx, a.Site)
		if err != nil {
			return err
		}
		row := []any{site, a.ID, a.At.UnixNano(), a.By, string(a.Kind), a.Vehicles, text, a.Undoes, until}
		r, err := tx.ExecContext(ctx, "INSERT INTO action (site, id, at, by, kind, vehicles, text, undoes, until) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (site, id) DO NOTHING", row...)
		if err != nil {
			return err
		}
		if added, err := r.RowsAffected(); err != nil || added == 1 {
			return err
		}
		var same bool
		err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM action WHERE site = ? AND id = ? AND at = ? AND by = ?
			AND kind = ? AND vehicles = ? AND text = ? AND undoes = ? AND until = ?)`, row...).Scan(&same)
		if err == nil && !same {
			err = store.ErrExists
		}
		return err
	})
}

// Actions returns the actions at a site by time, then ID.
func (s *Store) Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error) {
	out, err := query(ctx, s.reader, `SELECT id, at, by, kind, vehicles, text, undoes, until FROM action
		WHERE site = (SELECT id FROM name WHERE text = ?) AND at >= ? AND at < ? ORDER BY at, id`,
		[]any{site, store.Nanos(from), store.Nanos(to)},
		func(rows *sql.Rows) (perron.Action, error) {
			a := perron.Action{Site: site}
			var at, until int64
			var text string
			if err := rows.Scan(&a.ID, &at, &a.By, &a.Kind, &a.Vehicles, &text, &a.Undoes, &until); err != nil {
				return a, err
			}
			a.At = store.FromNanos(at)
			if until != 0 {
				a.Until = store.FromNanos(until)
			}
			if text != "" {
				if err := json.Unmarshal([]byte(text), &a.Text); err != nil {
					return a, fmt.Errorf("text of %s: %w", a.ID, err)
				}
			}
			return a, nil
		})
	if err != nil {
		return nil, fmt.Errorf("read actions of %s: %w", site, err)
	}
	return out, nil
}
