package collector

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"sync"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
)

// retained publishes the states of one site. Only the newest of each topic
// counts: while the broker is away or slow, a newer one takes the place of one
// that waits.
type retained struct {
	site string
	wake chan struct{}
	mu   sync.Mutex
	due  []broker.Message
}

func newRetained(site string) *retained {
	return &retained{site: site, wake: make(chan struct{}, 1)}
}

func (r *retained) put(m broker.Message) {
	r.mu.Lock()
	r.set(m, true)
	r.mu.Unlock()
	pace.Poke(r.wake)
}

// set puts m in its place; what waits there gives way only to what is newer.
func (r *retained) set(m broker.Message, newer bool) {
	for i := range r.due {
		if r.due[i].Topic == m.Topic {
			if newer {
				r.due[i] = m
			}
			return
		}
	}
	r.due = append(r.due, m)
}

func (r *retained) next() (broker.Message, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) == 0 {
		return broker.Message{}, false
	}
	m := r.due[0]
	r.due = append(r.due[:0], r.due[1:]...)
	return m, true
}

func (r *retained) run(ctx context.Context, c *core) {
	wait := pace.MinRetry
	for {
		m, ok := r.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			continue
		}
		leaf := path.Base(m.Topic)
		err := c.cfg.Link.Publish(ctx, m)
		if err == nil {
			c.metrics.published.WithLabelValues(r.site, leaf).Inc()
			wait = pace.MinRetry
			continue
		}
		if ctx.Err() != nil {
			return
		}
		c.metrics.unpublished.WithLabelValues(r.site, leaf).Inc()
		if n, ok := c.rare.Allow("publish " + r.site); ok {
			c.log.Log(ctx, levelOf(err), "state is not published", logs.Site, r.site, logs.Error, err, logs.Times, n)
		}
		r.mu.Lock()
		r.set(m, false)
		r.mu.Unlock()
		if !pace.Pause(ctx, wait) {
			return
		}
		wait = min(2*wait, pace.MaxRetry/5)
	}
}

// levelOf is for what could not be sent: that there is no connection is no news,
// the link says so itself.
func levelOf(err error) slog.Level {
	if errors.Is(err, broker.ErrOffline) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
