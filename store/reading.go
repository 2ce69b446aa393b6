package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Reading is what a collector has to remember of a gateway. Of a device that
// reports counts and keeps no outbox these are the last values, and the passages
// that it made of them, written down before they are committed. Whatever stops a
// commit, the same batch is made again from the reading; it counts once, as the
// resend of a gateway does. Of one with an outbox it is what its epoch is, and
// what it last said to hold.
type Reading struct {
	Site, Gateway string
	// Data is the collector's, and text.
	Data string
}

// MaxReading is how long the data of a reading may be, in bytes: what a field
// of InfluxDB holds.
const MaxReading = 64<<10 - 1

// A ReadingStore keeps the last reading of each device. Every backend does.
type ReadingStore interface {
	// SaveReading replaces the reading of the device. When it returns nil the
	// reading is durable; when it returns an error the old one is there, or the
	// new one.
	SaveReading(ctx context.Context, r Reading) error
	// Reading is ErrNotFound for a device that has none.
	Reading(ctx context.Context, site, gateway string) (Reading, error)
}

// Validate names what no store can keep.
func (r *Reading) Validate() error {
	switch {
	case !perron.ValidID(r.Site):
		return fmt.Errorf("site %q is not a name", r.Site)
	case !perron.ValidID(r.Gateway):
		return fmt.Errorf("gateway %q is not a name", r.Gateway)
	case r.Data == "" || len(r.Data) > MaxReading:
		return fmt.Errorf("data of %d bytes: want 1 to %d", len(r.Data), MaxReading)
	case strings.ContainsAny(r.Data, "\n\r\x00"):
		return fmt.Errorf("data of more than one line")
	}
	return nil
}
