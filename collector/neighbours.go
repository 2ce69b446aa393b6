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

// lend makes what the forecaster has learned known to the other sites.
func (f *forecasting) lend() {
	if n, ok := f.forecaster.(Neighbour); ok {
		if p, ok := n.Pattern(); ok {
			f.d.c.patterns.put(f.d.ID, p)
		}
	}
}

// borrow gives the forecaster what is new of the other sites.
func (f *forecasting) borrow() {
	n, ok := f.forecaster.(Neighbour)
	if !ok {
		return
	}
	list, revision := f.d.c.patterns.others(f.d.ID, f.borrowed)
	if revision != f.borrowed {
		f.borrowed = revision
		n.Borrow(list)
	}
}

// weather gives the forecaster what is new of the weather.
func (f *forecasting) weather() {
	m, ok := f.forecaster.(Meteorologist)
	if !ok || f.d.c.cfg.Weather == nil {
		return
	}
	hours, revision := f.d.c.cfg.Weather.Hours(f.d.ID, f.weatherIs)
	if revision != f.weatherIs {
		f.weatherIs = revision
		m.Weather(hours)
	}
}
