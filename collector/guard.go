package collector

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// A part of a site's work that panicked begins anew after minRevive, and after
	// twice as long each time it does so again, up to maxRevive. One that went well
	// for longer than that counts as mended.
	minRevive = time.Second
	maxRevive = 5 * time.Minute
	// stackLen bounds what the log gets of the stack of a panic.
	stackLen = 8 << 10
)

// partLive is the part of a site's work that keeps its live state.
const partLive = "live state"

// guard does a part of the work of a site, or of all when l is nil, until it returns. A panic in it is an error
// of this program that some input has found. It must not end the process, with
// which all other sites would end: it is told, and the part begins anew from what
// is stored.
func (c *Collector) guard(ctx context.Context, l *live, part string, run func()) {
	for wait := minRevive; ; wait = min(2*wait, maxRevive) {
		began := time.Now()
		if !c.panics(l, part, run) {
			return
		}
		if time.Since(began) > maxRevive {
			wait = minRevive
		}
		if part == partLive {
			l.drop()
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// panics runs a part and says whether that ended in a panic. Without a site it
// is a part of none in particular.
func (c *Collector) panics(l *live, part string, run func()) (panicked bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		panicked = true
		site, stack := "", debug.Stack()
		if l != nil {
			site = l.site.ID
			l.failed(c.cfg.Now())
		}
		c.metrics.panics.WithLabelValues(site).Inc()
		c.log.Error("an error of this program ended a part of the work, which begins anew",
			"site", site, "part", part, "error", fmt.Sprint(v), "stack", string(stack[:min(len(stack), stackLen)]))
	}()
	run()
	return false
}

// failed notes a panic, for staff.
func (l *live) failed(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := &l.failures; perron.DateOf(f.Since) == perron.DateOf(now) {
		f.Count++
	} else {
		*f = perron.Doubt{Kind: perron.DoubtFailed, Since: now, Count: 1}
	}
}

// drop lets go of a live state that failed, with everything that may have made it
// fail, and shows the site as unknown. What is stored is read again when the
// live state begins anew; gateways say every half minute how they are.
func (l *live) drop() {
	l.turned.Store(0)
	l.commits.Lock()
	l.loaded = false
	l.commits.Unlock()
	for _, g := range l.gateways {
		*g = gatewayState{silent: g.silent}
	}
	now := l.c.cfg.Now()
	b := perron.Busyness{
		Site: l.site.ID, Estimate: perron.Estimate{At: now}, Quality: perron.QualityUnknown, Level: perron.Unknown, Trend: perron.Steady,
		TypicalLevel: l.typical(now), Closure: l.closure, Notice: l.notice,
	}
	l.mu.Lock()
	l.in = inbox{}
	b.Doubts = []perron.Doubt{l.failures}
	b = b.AsOf(l.site, now)
	l.view = view{b, now}
	l.mu.Unlock()
	l.show, l.est = display{}, nil
	payload, err := broker.EncodeBusyness(b)
	if err != nil {
		l.c.log.Error("state cannot be sent", "site", l.site.ID, "error", err)
		return
	}
	l.last, l.sent = b, time.Now()
	l.out.put(broker.Message{Topic: broker.BusynessTopic(l.site.ID), Payload: payload, Retained: true})
}
