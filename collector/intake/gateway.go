package intake

import (
	"context"
	"errors"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// queueLen is how many batches may wait for one worker. A gateway sends only
	// a few before it waits for an acknowledgement.
	queueLen = 32
	// mergeUpTo is how many events are committed at once when batches wait.
	mergeUpTo = 5 * broker.MaxEvents
)

// Why an event is set aside.
const (
	asideFuture  = "future"
	asideAncient = "ancient"
	asideSensor  = "unknown_sensor"
)

// A gateway stores what one of a site sends.
type gateway struct {
	in      *Intake
	site    *site
	id      string
	queue   chan []byte
	acks    *acks
	metrics *gatewayMetrics
	runs    runs
	epochs  *epochs
	// held is a decoded batch that could not be joined to the ones before.
	held *store.Batch
}

func newGateway(in *Intake, s *site, id string) *gateway {
	g := &gateway{
		in: in, site: s, id: id, queue: make(chan []byte, queueLen),
		acks: newAcks(broker.AckTopic(s.ID, id)), metrics: in.metrics.gateway(s.ID, id),
	}
	g.epochs = newEpochs(g)
	return g
}

func (g *gateway) name() string { return g.site.ID + "/" + g.id }

func (g *gateway) run(ctx context.Context) {
	for {
		b := g.next(ctx)
		if b == nil {
			return
		}
		g.store(ctx, b)
	}
}

// next is the next batch, joined with those that follow it without a gap and
// wait already. It is nil when ctx has ended.
func (g *gateway) next(ctx context.Context) *store.Batch {
	b := g.held
	g.held = nil
	for b == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-g.epochs.wake:
			if g.epochs.work(ctx) != nil {
				return nil
			}
		case payload := <-g.queue:
			b = g.decode(payload)
		}
	}
	for len(b.Entries) < mergeUpTo {
		select {
		case payload := <-g.queue:
			after := g.decode(payload)
			switch {
			case after == nil:
				continue
			case after.Epoch == b.Epoch && after.First == b.First+uint64(len(b.Entries)) && len(b.Entries) > 0:
				// What the gateway held when it sent the first is a lower floor, which
				// says less about losses; with the events in place nothing is lost.
				b.Entries = append(b.Entries, after.Entries...)
				continue
			}
			g.held = after
		default:
		}
		return b
	}
	return b
}

// decode reads a batch and finds a place for its events; nil when it does not decode.
func (g *gateway) decode(payload []byte) *store.Batch {
	m, err := broker.DecodeEvents(payload)
	if err != nil {
		g.in.malformed(g, "events", err)
		return nil
	}
	now := g.in.cfg.Civil()
	b := &store.Batch{
		Site: g.site.ID, Gateway: g.id, Epoch: m.Epoch,
		Floor: m.Floor, First: m.First, Entries: make([]store.Entry, len(m.Events)), Received: now.UTC(),
	}
	for i, e := range m.Events {
		gate, aside := g.site.place(e, now)
		b.Entries[i] = store.Entry{Event: e, Gate: gate, SetAside: aside}
	}
	return b
}

// place finds the gate that an event counts at, or why it does not count.
func (s *site) place(e perron.Event, now time.Time) (gate, aside string) {
	at, known := s.gates[e.Sensor]
	switch {
	case e.Time.After(now.Add(perron.MaxAhead)):
		return "", asideFuture
	case e.Time.Before(perron.Earliest):
		return "", asideAncient
	case !known || e.Kind.Passage() && at < 0:
		return "", asideSensor
	case e.Kind.Passage():
		return s.Gates[at].ID, ""
	}
	return "", ""
}

// store commits a batch, again and again while the store is full or away, and
// acknowledges it.
func (g *gateway) store(ctx context.Context, b *store.Batch) {
	wait := pace.MinRetry
	for {
		res, err := g.commit(ctx, b)
		if err == nil {
			err = g.epochs.stored(ctx, b.Epoch, res.Acked, b.Received)
		}
		if err == nil {
			g.acks.add(broker.Ack{Epoch: b.Epoch, Acked: res.Acked}, &res)
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
		g.in.metrics.commitErrors.WithLabelValues(reason).Inc()
		if n, ok := g.in.rare.Allow("commit " + reason + g.name()); ok {
			g.in.log.Error("batch is not stored and not acknowledged", logs.Site, b.Site, logs.Gateway, b.Gateway,
				logs.First, b.First, logs.Events, len(b.Entries), logs.Error, err, logs.Times, n)
		}
		if !pace.Pause(ctx, pace.Jitter(wait)) {
			return
		}
		wait = min(2*wait, pace.MaxRetry)
		if reason == "other" {
			// Trying again may never help. The gateway keeps the events and sends
			// them again; meanwhile a newer batch may fare better.
			return
		}
	}
}

// commit stores once and hands what was new to the live state.
func (g *gateway) commit(ctx context.Context, b *store.Batch) (store.Result, error) {
	var res store.Result
	err := g.site.Present.Together(func() (err error) {
		res, err = g.commitNow(ctx, b)
		return err
	})
	return res, err
}

func (g *gateway) commitNow(ctx context.Context, b *store.Batch) (store.Result, error) {
	began := time.Now()
	res, err := g.in.cfg.Store.Commit(ctx, *b)
	if err != nil {
		return res, err
	}
	g.in.metrics.commit.Observe(time.Since(began).Seconds())
	g.metrics.stored.Add(float64(res.Stored))
	g.metrics.aside.Add(float64(res.SetAside))
	g.metrics.duplicate.Add(float64(res.Duplicate))
	g.metrics.lost.Add(float64(res.Lost))
	if res.Gap {
		g.metrics.gaps.Inc()
		return res, nil
	}
	if res.Lost > 0 {
		g.in.log.Error("events are lost: the gateway does not hold them any more and they were never stored",
			logs.Site, b.Site, logs.Gateway, b.Gateway, logs.Epoch, b.Epoch, logs.Lost, res.Lost)
	}
	g.site.Present.Stored(b, res)
	return res, nil
}
