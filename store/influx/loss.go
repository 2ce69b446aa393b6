package influx

import (
	"context"
	"fmt"

	"github.com/perrondrukte/perrondrukte/store"
)

// withdrawn is the count of a loss that turned out to be none: a point cannot be
// taken away by all that speak this protocol, but it can be written over.
const withdrawn = -1

// SaveLoss notes a loss in place of what was saved of the same cause.
func (s *Store) SaveLoss(ctx context.Context, l store.Loss) error {
	err := l.Validate()
	if err == nil {
		count := int64(l.Count)
		if l.Withdrawn {
			count = withdrawn
		}
		var out lines
		out.point("loss", tag{"epoch", l.Reason}, tag{"gateway", l.Gateway}, tag{"kind", string(l.Kind)}, tag{"reason", l.Reason}, tag{"site", l.Site})
		out.int("at", l.At.UnixNano())
		out.int("count", count)
		out.end(epoch0.UnixNano())
		err = s.send(ctx, s.write, &out)
	}
	if err != nil {
		return fmt.Errorf("save loss of %s/%s: %w", l.Site, l.Gateway, err)
	}
	return nil
}
