package collector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// actionsBack is for how long a closure or a notice can hold.
	actionsBack = 366 * 24 * time.Hour
	// actionsAgain is how far back is read each minute: more than API nodes'
	// clocks can differ.
	actionsAgain = time.Hour
	actionsEvery = time.Minute
)

// An actionLog is what staff did, as far as it can still matter.
type actionLog struct {
	nudge chan struct{} // staff did something
	mu    sync.Mutex
	byID  map[string]perron.Action
}

func newActionLog() *actionLog {
	return &actionLog{nudge: make(chan struct{}, 1), byID: make(map[string]perron.Action)}
}

// read takes in what the store has, recent or all, and says whether that is
// something new.
func (a *actionLog) read(ctx context.Context, d *desk, all bool) (changed bool, err error) {
	now := d.c.cfg.Civil()
	from := now.Add(-actionsAgain)
	if all {
		from = now.Add(-actionsBack)
	}
	actions, err := d.c.cfg.Store.Actions(ctx, d.ID, from, now.Add(actionsAgain))
	if err != nil {
		return false, fmt.Errorf("read actions: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, action := range actions {
		if _, known := a.byID[action.ID]; !known {
			a.byID[action.ID] = action
			changed = true
		}
	}
	return changed, nil
}

// sorted lists the actions in the order in which they happened.
func (a *actionLog) sorted() []perron.Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]perron.Action, 0, len(a.byID))
	for _, action := range a.byID {
		out = append(out, action)
	}
	slices.SortFunc(out, func(a, b perron.Action) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// watch reads what staff did at every nudge, and every minute in case a
// nudge was lost.
func (a *actionLog) watch(ctx context.Context, d *desk) {
	select {
	case <-ctx.Done():
		return
	case <-d.ready:
	}
	tick := time.NewTicker(actionsEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-a.nudge:
		case <-tick.C:
		}
		call, cancel := context.WithTimeout(ctx, readTimeout)
		changed, err := a.read(call, d, n%60 == 0)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			d.c.storeFailed(d.ID, "actions", err)
		case changed:
			actions := a.sorted()
			d.inbox.put(func(n *news) { n.actions, n.acted = actions, true })
		}
	}
}
