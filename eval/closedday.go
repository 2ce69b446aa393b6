package eval

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
	// closedDaysKept is how many closed days are remembered; one takes some 5 kB.
	closedDaysKept = 64
	closedDayGrid  = 15 * time.Minute
	// A day with more events than this is not gone through for a page.
	closedDayEvents = 100_000
)

// An EventStore has what happened on a day.
type EventStore interface {
	Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error]
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
}

// ClosedDays estimates how many vehicles were on site on a day that is over,
// knowing the whole of it, and remembers the answers.
type ClosedDays struct {
	store EventStore
	mu    sync.Mutex
	known map[closedDay][]perron.Estimate
}

type closedDay struct {
	site string
	date perron.Date
}

// NewClosedDays makes a ClosedDays.
func NewClosedDays(s EventStore) *ClosedDays { return &ClosedDays{store: s} }

// OnSite has an estimate every quarter of an hour while the site was open; only
// the number on site is set. It is nil when there is nothing to go by.
func (c *ClosedDays) OnSite(ctx context.Context, site *perron.Site, d perron.Date) ([]perron.Estimate, error) {
	key := closedDay{site.ID, d}
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
		if events = append(events, rec.Event); len(events) > closedDayEvents {
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
		for t := p.Start; !t.After(p.End); t = t.Add(closedDayGrid) {
			times = append(times, t)
		}
	}
	var out []perron.Estimate
	for i, v := range (occupancy.Experience{}).Smooth(site, events, perron.Effective(actions), times) {
		out = append(out, perron.Estimate{At: times[i], OnSite: v})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= closedDaysKept || c.known == nil {
		c.known = make(map[closedDay][]perron.Estimate)
	}
	c.known[key] = out
	return out, nil
}
