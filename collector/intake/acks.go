package intake

import (
	"context"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/store"
)

// acks sends acknowledgements without keeping the worker from its work. Only
// the newest counts, but one that repeats the last tells the gateway that a
// batch is missing, and so it is not swallowed by the one before.
type acks struct {
	topic string
	wake  chan struct{}
	mu    sync.Mutex
	due   []broker.Ack
	last  broker.Ack
	at    time.Time // of last
}

func newAcks(topic string) *acks { return &acks{topic: topic, wake: make(chan struct{}, 1)} }

// add queues an acknowledgement.
func (a *acks) add(ack broker.Ack, res *store.Result) {
	const (
		most  = 16
		again = 100 * time.Millisecond
	)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if ack == a.last && !res.Gap && now.Sub(a.at) < again {
		// A window that was sent twice needs one answer. More would look like
		// batches that are missing.
		return
	}
	a.last, a.at = ack, now
	switch n := len(a.due); {
	case n > 0 && !res.Gap && a.due[n-1].Epoch == ack.Epoch:
		a.due[n-1] = ack
	case n >= most:
		a.due = append(a.due[1:], ack)
	default:
		a.due = append(a.due, ack)
	}
	pace.Poke(a.wake)
}

func (a *acks) drain() []broker.Ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.due
	a.due = nil
	return due
}

func (a *acks) run(ctx context.Context, g *gateway) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		}
		for _, ack := range a.drain() {
			payload, err := ack.Encode()
			if err == nil {
				err = g.in.cfg.Link.Publish(ctx, broker.Message{Topic: a.topic, Payload: payload})
			}
			if err != nil && ctx.Err() == nil {
				// The gateway sends the batch again and gets another.
				g.metrics.unacked.Inc()
				if n, ok := g.in.rare.Allow("ack " + g.name()); ok {
					g.in.log.Log(ctx, levelOf(err), "acknowledgement is not sent", logs.Site, g.site.ID, logs.Gateway, g.id, logs.Error, err, logs.Times, n)
				}
			}
		}
	}
}
