package collector

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// queueLen is how many batches may wait for one worker. A gateway sends only
	// a few before it waits for an acknowledgement.
	queueLen = 32
	// mergeUpTo is how many events are committed at once when batches wait.
	mergeUpTo = 5 * broker.MaxEvents

	minRetry = 100 * time.Millisecond
	maxRetry = 5 * time.Second
)

// Why an event is set aside.
const (
	asideFuture  = "future"
	asideAncient = "ancient"
	asideSensor  = "unknown_sensor"
)

// A worker stores what one gateway sends.
type worker struct {
	c       *Collector
	live    *live
	gateway string
	queue   chan []byte
	acks    *acks
	metrics *gatewayMetrics
	runs    runs
	epochs  *epochs
	// held is a decoded batch that could not be joined to the ones before.
	held *store.Batch
}

func newWorker(c *Collector, l *live, gateway string) *worker {
	w := &worker{
		c: c, live: l, gateway: gateway, queue: make(chan []byte, queueLen),
		acks: newAcks(broker.AckTopic(l.site.ID, gateway)), metrics: c.metrics.gateway(l.site.ID, gateway),
	}
	w.epochs = newEpochs(w)
	return w
}

func (w *worker) name() string { return w.live.site.ID + "/" + w.gateway }

func (w *worker) run(ctx context.Context) {
	for {
		b := w.next(ctx)
		if b == nil {
			return
		}
		w.store(ctx, b)
	}
}

// next is the next batch, joined with those that follow it without a gap and
// wait already. It is nil when ctx has ended.
func (w *worker) next(ctx context.Context) *store.Batch {
	b := w.held
	w.held = nil
	for b == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-w.epochs.wake:
			if w.epochs.work(ctx) != nil {
				return nil
			}
		case payload := <-w.queue:
			b = w.decode(payload)
		}
	}
	for len(b.Entries) < mergeUpTo {
		select {
		case payload := <-w.queue:
			after := w.decode(payload)
			switch {
			case after == nil:
				continue
			case after.Epoch == b.Epoch && after.First == b.First+uint64(len(b.Entries)) && len(b.Entries) > 0:
				// What the gateway held when it sent the first is a lower floor, which
				// says less about losses; with the events in place nothing is lost.
				b.Entries = append(b.Entries, after.Entries...)
				continue
			}
			w.held = after
		default:
		}
		return b
	}
	return b
}

// decode reads a batch and judges its events; nil when it does not decode.
func (w *worker) decode(payload []byte) *store.Batch {
	m, err := broker.DecodeEvents(payload)
	if err != nil {
		w.c.malformed(w, "events", err)
		return nil
	}
	now := w.c.cfg.Now()
	b := &store.Batch{
		Site: w.live.site.ID, Gateway: w.gateway, Epoch: m.Epoch,
		Floor: m.Floor, First: m.First, Entries: make([]store.Entry, len(m.Events)), Received: now.UTC(),
	}
	for i, e := range m.Events {
		gate, aside := w.live.judge(e, now)
		b.Entries[i] = store.Entry{Event: e, Gate: gate, SetAside: aside}
	}
	return b
}

// judge finds the gate that an event counts at, or why it does not count.
func (l *live) judge(e perron.Event, now time.Time) (gate, aside string) {
	place, known := l.sensors[e.Sensor]
	switch {
	case e.Time.After(now.Add(perron.MaxAhead)):
		return "", asideFuture
	case e.Time.Before(perron.Earliest):
		return "", asideAncient
	case !known || e.Kind.Passage() && place < 0:
		return "", asideSensor
	case e.Kind.Passage():
		return l.site.Gates[place].ID, ""
	}
	return "", ""
}

// store commits a batch, again and again while the store is full or away, and
// acknowledges it.
func (w *worker) store(ctx context.Context, b *store.Batch) {
	wait := minRetry
	for {
		res, err := w.commit(ctx, b)
		if err == nil {
			err = w.epochs.stored(ctx, b.Epoch, res.Acked, b.Received)
		}
		if err == nil {
			w.acks.add(broker.Ack{Epoch: b.Epoch, Acked: res.Acked}, &res)
			return
		}
		if ctx.Err() != nil {
			return
		}
		reason := "other"
		switch {
		case errors.Is(err, store.ErrFull):
			reason = "full"
		case errors.Is(err, store.ErrUnavailable):
			reason = "unavailable"
		}
		w.c.metrics.commitErrors.WithLabelValues(reason).Inc()
		if n, ok := w.c.rare.Allow("commit " + reason + w.name()); ok {
			w.c.log.Error("batch is not stored and not acknowledged", "site", b.Site, "gateway", b.Gateway,
				"first", b.First, "events", len(b.Entries), "error", err, "times", n)
		}
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return
		}
		wait = min(2*wait, maxRetry)
		if reason == "other" {
			// Trying again may never help. The gateway keeps the events and sends
			// them again; meanwhile a newer batch may fare better.
			return
		}
	}
}

// commit stores once and hands what was new to the live state.
func (w *worker) commit(ctx context.Context, b *store.Batch) (store.Result, error) {
	w.live.commits.RLock()
	defer w.live.commits.RUnlock()
	began := time.Now()
	res, err := w.c.cfg.Store.Commit(ctx, *b)
	if err != nil {
		return res, err
	}
	w.c.metrics.commit.Observe(time.Since(began).Seconds())
	w.metrics.stored.Add(float64(res.Stored))
	w.metrics.aside.Add(float64(res.SetAside))
	w.metrics.duplicate.Add(float64(res.Duplicate))
	w.metrics.lost.Add(float64(res.Lost))
	if res.Gap {
		w.metrics.gaps.Inc()
		return res, nil
	}
	if res.Lost > 0 {
		w.c.log.Error("events are lost: the gateway does not hold them any more and they were never stored",
			"site", b.Site, "gateway", b.Gateway, "epoch", b.Epoch, "lost", res.Lost)
	}
	w.live.deliver(b, res)
	return res, nil
}

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
	poke(a.wake)
}

func (a *acks) take() []broker.Ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.due
	a.due = nil
	return due
}

func (a *acks) run(ctx context.Context, w *worker) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		}
		for _, ack := range a.take() {
			payload, err := ack.Encode()
			if err == nil {
				err = w.c.cfg.Link.Publish(ctx, broker.Message{Topic: a.topic, Payload: payload})
			}
			if err != nil && ctx.Err() == nil {
				// The gateway sends the batch again and gets another.
				w.metrics.unacked.Inc()
				if n, ok := w.c.rare.Allow("ack " + w.name()); ok {
					w.c.log.Log(ctx, levelOf(err), "acknowledgement is not sent", "site", w.live.site.ID, "gateway", w.gateway, "error", err, "times", n)
				}
			}
		}
	}
}
