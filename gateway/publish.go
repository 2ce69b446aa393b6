package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// publisher sends what is in the outbox, in order, and sends again whatever the
// collector does not acknowledge: go back N.
type publisher struct {
	cfg     *Config
	box     *outbox.Outbox
	log     *slog.Logger
	metrics *metrics

	up    chan struct{} // the link stands again
	acks  chan struct{} // heard says something new
	pings chan chan struct{}

	rival rival

	mu    sync.Mutex
	heard ack
	news  time.Time // when an ack last said something new, by the gateway's clock

	// Owned by run.
	epoch    string
	acked    uint64
	next     uint64   // the number to send next
	flight   []uint64 // last number of each batch that is on its way
	recover  uint64   // until this is acknowledged, a repeated ack says nothing
	waited   int      // how often in a row no ack came
	deadline time.Time
	retry    bool // a publish failed: wait for the deadline, or for the link
	asking   bool // in flight is a batch without events
	// heldUntil is how long events wait for the clock; zero while none does.
	heldUntil time.Time
	timeless  bool // was told
}

// ack is what acks have said since the publisher looked.
type ack struct {
	epoch    string
	acked    uint64
	repeated bool // an ack said no more than the one before
}

func newPublisher(cfg *Config, box *outbox.Outbox, log *slog.Logger, m *metrics) *publisher {
	return &publisher{
		cfg: cfg, box: box, log: log, metrics: m,
		up: make(chan struct{}, 1), acks: make(chan struct{}, 1), pings: make(chan chan struct{}),
	}
}

// handleAck is called by the link and only notes what the message says.
func (p *publisher) handleAck(m broker.Message) {
	a, err := broker.DecodeAck(m.Payload)
	if err != nil {
		p.metrics.badAcks.Inc()
		p.log.Error("an ack does not decode", logs.Error, err)
		return
	}
	if a.Rival {
		p.rival.seen(p.cfg.Now(), p.log)
		return
	}
	p.box.Ack(a.Epoch, a.Acked)
	p.mu.Lock()
	if a.Epoch == p.heard.epoch && a.Acked <= p.heard.acked {
		p.heard.repeated = true
	} else {
		p.heard.epoch, p.heard.acked = a.Epoch, a.Acked
		p.news = p.cfg.Now()
	}
	p.mu.Unlock()
	poke(p.acks)
}

// ackedAt is when an ack last said something new.
func (p *publisher) ackedAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.news
}

func (p *publisher) run(ctx context.Context) {
	p.begin()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case done := <-p.pings:
			close(done)
			continue
		case <-p.up:
			// What was on its way may be lost with the connection.
			p.goBack()
			p.retry, p.waited = false, 0
		case <-p.acks:
			p.hearAcks()
		case <-p.box.Changed():
			p.hearAcks() // the epoch may be new, and events may have been dropped
		case <-timer.C:
			p.expire()
		}
		p.fill(ctx)
		timer.Stop()
		switch held := time.Until(p.heldUntil); {
		case p.retry || len(p.flight) > 0:
			timer.Reset(max(time.Until(p.deadline), time.Millisecond))
		case held > 0:
			timer.Reset(held)
		}
	}
}

// begin starts with what the outbox holds.
func (p *publisher) begin() {
	s := p.box.State()
	p.epoch, p.acked = s.Epoch, s.Acked
	p.recover, p.waited, p.retry, p.asking = 0, 0, false, false
	p.flight = p.flight[:0]
	p.next = s.Acked + 1
}

// goBack sends from the first number that is not acknowledged.
func (p *publisher) goBack() {
	if p.next > 0 {
		p.recover = max(p.recover, p.next-1)
	}
	if len(p.flight) > 0 {
		p.metrics.resends.Inc()
	}
	p.flight, p.asking = p.flight[:0], false
	p.next = p.acked + 1
}

// hearAcks takes in what the acks have said.
func (p *publisher) hearAcks() {
	p.mu.Lock()
	heard := p.heard
	p.heard.repeated = false
	p.mu.Unlock()
	s := p.box.State()
	if p.asking && s.Sure {
		p.flight, p.asking, p.waited = p.flight[:0], false, 0
	}
	switch {
	case s.Epoch != p.epoch:
		p.begin()
		return
	case s.Acked > p.acked: // also when events were dropped
		p.acked = s.Acked
		done := 0
		for done < len(p.flight) && p.flight[done] <= p.acked {
			done++
		}
		p.flight = append(p.flight[:0], p.flight[done:]...)
		p.next = max(p.next, p.acked+1)
		p.waited = 0
		if !p.retry {
			p.deadline = time.Now().Add(p.cfg.AckTimeout)
		}
	case heard.epoch == p.epoch && heard.repeated && len(p.flight) > 0 && p.acked >= p.recover:
		// The collector got a batch that it cannot place: one before is missing.
		p.log.Debug("a batch was lost on the way", logs.Acked, p.acked)
		p.goBack()
	}
}

// expire does what is due at the deadline.
func (p *publisher) expire() {
	if time.Now().Before(p.deadline) || !p.retry && len(p.flight) == 0 {
		return
	}
	if !p.retry {
		p.waited++
		p.log.Warn("no acknowledgement by the collector; sending again",
			logs.First, p.acked+1, logs.After, p.timeout(p.waited-1), logs.Waiting, p.box.State().Waiting)
	}
	p.retry = false
	p.goBack()
}

func (p *publisher) timeout(waited int) time.Duration { return p.cfg.AckTimeout << min(waited, 3) }

// fill sends until the window is full or nothing is left.
func (p *publisher) fill(ctx context.Context) {
	for len(p.flight) < p.cfg.Window && !p.retry && ctx.Err() == nil && p.cfg.Link.Connected() {
		if len(p.acks) > 0 {
			<-p.acks
			p.hearAcks()
		}
		// While the acks keep up with the batches this goes on for as long as
		// the backlog lasts.
		select {
		case done := <-p.pings:
			close(done)
		default:
		}
		s := p.box.State()
		if s.Old {
			return
		}
		b, err := p.box.Read(ctx, p.next, broker.MaxEvents)
		if err != nil {
			p.fail(ctx, err, "events cannot be read from the outbox")
			return
		}
		if b.Epoch != p.epoch {
			p.begin()
			continue
		}
		// Behind a hole only when all before it is acknowledged: see outbox.Batch.
		if len(b.Events) == 0 || b.First > p.next && b.First != b.Floor {
			return
		}
		if b.Timeless > 0 {
			if b.Timeless == len(b.Events) {
				p.tellTimeless()
				return
			}
			b.Events, b.Held = b.Events[:len(b.Events)-b.Timeless], max(0, b.Held-b.Timeless)
		}
		final := len(b.Events) - b.Held // the times of so many will not change
		switch {
		case s.Sure:
		case b.First < s.Opened:
			b.Events = b.Events[:min(uint64(len(b.Events)), s.Opened-b.First)]
		case len(p.flight) > 0:
			return // its ack tells as well
		default:
			// A question: the ack of a batch without events says up to where the
			// collector has what this outbox gave out before it was opened.
			b.Floor, b.First, b.Events = s.Opened, s.Opened, nil
		}
		// Of a question there is nothing left to hold.
		switch {
		case len(b.Events) == 0:
		case final >= len(b.Events):
			p.heldUntil = time.Time{}
		case p.hold():
			// The clock may yet become synchronised, and then they are corrected.
			if b.Events = b.Events[:final]; final == 0 {
				return
			}
		}
		if n := uint64(len(b.Events)); n > 0 && b.Loose {
			// What is sent once stays as it was sent.
			fixed, err := p.box.Settle(ctx, b.First, b.First+n-1)
			if err != nil {
				if !fixed {
					p.fail(ctx, err, "events cannot be read from the outbox")
					return
				}
				p.log.Warn("it cannot be noted with which times events are sent", logs.Error, err)
			}
			if fixed {
				continue
			}
		}
		payload, err := broker.Events{Epoch: b.Epoch, Floor: b.Floor, First: b.First, Events: b.Events}.Encode()
		if err != nil {
			p.fail(ctx, err, "events cannot be sent")
			return
		}
		if err := p.cfg.Link.Publish(ctx, broker.Message{Topic: broker.EventsTopic(p.cfg.Site, p.cfg.Gateway), Payload: payload}); err != nil {
			p.fail(ctx, err, "events are kept until the broker can be reached")
			return
		}
		if len(p.flight) == 0 {
			p.deadline = time.Now().Add(p.timeout(p.waited))
		}
		p.next = b.First + uint64(len(b.Events))
		p.flight = append(p.flight, p.next-1)
		p.asking = len(b.Events) == 0
		p.metrics.batches.Inc()
		p.metrics.sent.Add(float64(len(b.Events)))
	}
}

// hold says whether events with stamps that may become right have to wait.
func (p *publisher) hold() bool {
	if p.cfg.ClockWait <= 0 {
		return false
	}
	now := time.Now()
	if p.heldUntil.IsZero() {
		p.heldUntil = now.Add(p.cfg.ClockWait)
		p.log.Warn("the clock is not synchronised; events wait for it", logs.AtMost, p.cfg.ClockWait, logs.Waiting, p.box.State().Waiting)
	}
	return now.Before(p.heldUntil)
}

// tellTimeless says once why nothing is sent. To send it would be of no use: with
// times before 2000 it could not count, and would never be put right.
func (p *publisher) tellTimeless() {
	if !p.timeless {
		p.timeless = true
		p.log.Error("the device has never known the time; what it sees waits until it does", logs.Waiting, p.box.State().Waiting)
	}
}

// fail goes back, to try again after a second, or when the link stands.
func (p *publisher) fail(ctx context.Context, err error, what string) {
	if ctx.Err() != nil {
		return
	}
	p.metrics.failures.Inc()
	p.log.Warn(what, logs.Error, err, logs.Waiting, p.box.State().Waiting)
	p.goBack()
	p.retry, p.deadline = true, time.Now().Add(min(time.Second, p.cfg.AckTimeout))
}
