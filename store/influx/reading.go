package influx

import (
	"context"
	"fmt"

	"github.com/perrondrukte/perrondrukte/store"
)

// SaveReading replaces the reading of a device.
func (s *Store) SaveReading(ctx context.Context, r store.Reading) error {
	err := r.Validate()
	if err == nil {
		var l lines
		l.point("reading", tag{"gateway", r.Gateway}, tag{"site", r.Site})
		l.string("data", r.Data)
		l.end(epoch0.UnixNano())
		err = s.send(ctx, s.write, &l)
	}
	if err != nil {
		return fmt.Errorf("save reading of %s/%s: %w", r.Site, r.Gateway, err)
	}
	return nil
}

// Reading is the last reading of a device, [store.ErrNotFound] without one. As
// with cursors, an empty answer for whatever reason must not be taken for none:
// all that passed since the last one would not be counted.
func (s *Store) Reading(ctx context.Context, site, gateway string) (store.Reading, error) {
	rows, err := s.rows(ctx, s.from(s.bucket, epoch0, epoch0.Add(1),
		fmt.Sprintf(`r._measurement == "meta" or r._measurement == "reading" and %s and %s`, is("site", site), is("gateway", gateway)))+pivot)
	r, found, mark := store.Reading{Site: site, Gateway: gateway}, false, false
	for _, row := range rows {
		switch row.string("_measurement") {
		case "meta":
			mark = true
		case "reading":
			r.Data, found = row.string("data"), true
		}
	}
	switch {
	case err != nil:
	case !mark:
		err = fmt.Errorf("%w: the bucket has lost its mark", store.ErrUnavailable)
	case !found:
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Reading{}, fmt.Errorf("read reading of %s/%s: %w", site, gateway, err)
	}
	return r, nil
}
