package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/perrondrukte/perrondrukte/perron"
)

// LossesOf lists what a batch shows to be lost, set aside or of an unsure time,
// when its entries from skip on are new and lost numbers before them will never
// come: one loss for each cause, in a fixed order. Unsure times are noted in the
// day that they fall on, so that its numbers are doubted whenever they come.
func LossesOf(b *Batch, skip int, lost uint64) []Loss {
	var out []Loss
	if lost > 0 {
		out = append(out, Loss{Site: b.Site, Gateway: b.Gateway, Kind: perron.DoubtLost, At: b.Received, Count: lost})
	}
	var causes []Loss
	for i := range b.Entries[skip:] {
		e := &b.Entries[skip+i]
		c := causeOf(e)
		if c.Kind == "" {
			continue
		}
		at := slices.IndexFunc(causes, func(l Loss) bool { return l.Kind == c.Kind && l.Reason == c.Reason })
		if at < 0 {
			c.Site, c.Gateway, c.At = b.Site, b.Gateway, b.Received
			if c.Kind == perron.DoubtTimes {
				c.At = e.Time
			}
			at = len(causes)
			causes = append(causes, c)
		}
		if l := &causes[at]; l.Kind == perron.DoubtTimes && e.Time.Before(l.At) {
			l.At = e.Time
		}
		causes[at].Count++
	}
	slices.SortFunc(causes, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason))
	})
	return append(out, causes...)
}

// A LossStore keeps losses that no batch shows. Every backend does.
type LossStore interface {
	// SaveLoss notes a loss, in place of what was saved of the same site, gateway,
	// kind and reason. When it returns nil that is durable; when it returns an
	// error the old one is there, or the new one, or none.
	SaveLoss(ctx context.Context, l Loss) error
}

// Validate names what no store can keep.
func (l *Loss) Validate() error {
	switch {
	case !perron.ValidID(l.Site):
		return fmt.Errorf("site %q is not a name", l.Site)
	case !perron.ValidID(l.Gateway):
		return fmt.Errorf("gateway %q is not a name", l.Gateway)
	case l.Kind != perron.DoubtOutbox:
		return fmt.Errorf("kind %q is none that is saved by itself", l.Kind)
	case !validEpoch(l.Reason):
		return fmt.Errorf("reason %q is not an epoch", l.Reason)
	case l.Count > MaxSeq:
		return fmt.Errorf("count %d is above %d", l.Count, uint64(MaxSeq))
	}
	return CheckTime(l.At)
}

// causeOf is the kind and reason of the loss that an entry adds to; the kind is
// empty when nothing is wrong with it.
func causeOf(e *Entry) Loss {
	switch {
	case e.SetAside != "":
		return Loss{Kind: perron.DoubtSetAside, Reason: e.SetAside}
	case e.Unsure:
		return Loss{Kind: perron.DoubtTimes, Reason: perron.DateOf(e.Time).String()}
	}
	return Loss{}
}

// Concerns says whether a loss is, among others, that of an entry.
func (l *Loss) Concerns(e *Entry) bool {
	c := causeOf(e)
	return c.Kind != "" && c.Kind == l.Kind && c.Reason == l.Reason
}
