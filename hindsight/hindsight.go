// Package hindsight says, knowing the whole of a day that is over, how many
// vehicles were on site. The planner's page shows it in place of what was
// estimated at the time.
package hindsight

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// daysKept is how many closed days are remembered; one takes some 5 kB.
	daysKept = 64
	grid     = 15 * time.Minute
	// A day with more events than this is not gone through for a page.
	maxEvents = 100_000
)

// An EventStore has what happened on a day.
type EventStore interface {
	Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error]
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
}

// Days estimates how many vehicles were on site on a day that is over,
// knowing the whole of it, and remembers the answers.
type Days struct {
	store EventStore
	mu    sync.Mutex
	known map[day][]perron.Estimate
}

type day struct {
	site string
	date perron.Date
}

// New makes a Days.
func New(s EventStore) *Days { return &Days{store: s} }

// OnSite has an estimate every quarter of an hour while the site was open; only
// the number on site is set. It is nil when there is nothing to go by.
func (c *Days) OnSite(ctx context.Context, site *perron.Site, d perron.Date) ([]perron.Estimate, error) {
	key := day{site.ID, d}
	c.mu.Lock()
	found, ok := c.known[key]
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	var events []perron.Event
	for rec, err := range c.store.Events(ctx, site.ID, d.Start(), d.End()) {
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		if events = append(events, rec.Event); len(events) > maxEvents {
			return nil, nil
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	actions, err := c.store.Actions(ctx, site.ID, d.Start(), d.End())
	if err != nil {
		return nil, fmt.Errorf("read what staff did: %w", err)
	}
	var times []time.Time
	for _, p := range site.Hours.Periods(d) {
		for t := p.Start; !t.After(p.End); t = t.Add(grid) {
			times = append(times, t)
		}
	}
	var out []perron.Estimate
	for i, v := range (occupancy.Experience{}).Smooth(site, events, perron.Effective(actions), times) {
		out = append(out, perron.Estimate{At: times[i], OnSite: v})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= daysKept || c.known == nil {
		c.known = make(map[day][]perron.Estimate)
	}
	c.known[key] = out
	return out, nil
}
