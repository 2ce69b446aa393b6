package collector

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
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

// guard does a part of the work of a site, or of none when d is nil, until it
// returns. A panic in it is an error of this program that some input has found. It
// must not end the process, with which all other sites would end: it is told, and
// the part begins anew from what is stored. Failed, when there is one, is called
// before that.
func (c *core) guard(ctx context.Context, d *desk, part string, run, failed func()) {
	for wait := minRevive; ; wait = min(2*wait, maxRevive) {
		began := c.elapsed()
		if !c.panics(d, part, run) {
			return
		}
		if c.elapsed().since(began) > maxRevive {
			wait = minRevive
		}
		if failed != nil {
			c.panics(d, part, failed)
		}
		if !pace.Pause(ctx, wait) {
			return
		}
	}
}

// panics runs a part and says whether that ended in a panic.
func (c *core) panics(d *desk, part string, run func()) (panicked bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		panicked = true
		site, stack := "", debug.Stack()
		if d != nil {
			site = d.ID
			d.failure.add(c.cfg.Civil())
			pace.Poke(d.inbox.wake)
		}
		c.metrics.panics.WithLabelValues(site).Inc()
		c.log.Error("an error of this program ended a part of the work, which begins anew",
			logs.Site, site, logs.Part, part, logs.Error, fmt.Sprint(v), logs.Stack, string(stack[:min(len(stack), stackLen)]))
	}()
	run()
	return false
}
