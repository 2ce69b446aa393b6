package store

import (
	"slices"

	"github.com/perrondrukte/perrondrukte/perron"
)

// LossesOf lists what a batch shows to be lost or set aside, when its entries
// from skip on are new and lost numbers before them will never come: one loss
// for each cause, in a fixed order.
func LossesOf(b *Batch, skip int, lost uint64) []Loss {
	var out []Loss
	if lost > 0 {
		out = append(out, Loss{Site: b.Site, Gateway: b.Gateway, Kind: perron.DoubtLost, At: b.Received, Count: lost})
	}
	aside := make(map[string]uint64)
	var reasons []string
	for i := range b.Entries[skip:] {
		if r := b.Entries[skip+i].SetAside; r != "" {
			if aside[r] == 0 {
				reasons = append(reasons, r)
			}
			aside[r]++
		}
	}
	slices.Sort(reasons)
	for _, r := range reasons {
		out = append(out, Loss{Site: b.Site, Gateway: b.Gateway, Kind: perron.DoubtSetAside, Reason: r, At: b.Received, Count: aside[r]})
	}
	return out
}
