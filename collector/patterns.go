package collector

import (
	"maps"
	"slices"
	"sync"

	"github.com/perrondrukte/perrondrukte/perron"
)

// patterns are what is usual at each site that knows it, for the others.
type patterns struct {
	mu       sync.Mutex
	of       map[string]perron.Pattern
	revision int
}

func (p *patterns) put(site string, pattern perron.Pattern) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]perron.Pattern)
	}
	p.of[site] = pattern
	p.revision++
}

// others are the patterns of all sites but one, in an order that does not
// change, when they are newer than a revision.
func (p *patterns) others(site string, since int) (list []perron.Pattern, revision int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revision == since {
		return nil, since
	}
	for _, id := range slices.Sorted(maps.Keys(p.of)) {
		if id != site {
			list = append(list, p.of[id])
		}
	}
	return list, p.revision
}
