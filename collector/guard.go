package collector

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/present"
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

// guard does a part of the work of a site, or of none in particular, until it
// returns. A panic in it is an error of this program that some input has found. It
// must not end the process, with which all other sites would end: it is told, and
// the part begins anew from what is stored. Failed, when there is one, is called
// before that.
func (c *Collector) guard(ctx context.Context, site, part string, run, failed func()) {
	for wait := minRevive; ; wait = min(2*wait, maxRevive) {
		began := c.elapsed()
		if !c.panics(site, part, run) {
			return
		}
		if c.elapsed().since(began) > maxRevive {
			wait = minRevive
		}
		if failed != nil {
			failed()
		}
		if !pace.Pause(ctx, wait) {
			return
		}
	}
}

// panics runs a part and says whether that ended in a panic.
func (c *Collector) panics(site, part string, run func()) (panicked bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		panicked = true
		stack := debug.Stack()
		if s := c.sites[site]; s != nil {
			s.failure.add(c.cfg.Civil())
			pace.Poke(s.inbox.wake)
		}
		c.metrics.panics.WithLabelValues(site).Inc()
		c.log.Error("an error of this program ended a part of the work, which begins anew",
			logs.Site, site, logs.Part, part, logs.Error, fmt.Sprint(v), logs.Stack, string(stack[:min(len(stack), stackLen)]))
	}()
	run()
	return false
}

// renew lets go of a present that failed, with everything that may have made it
// fail, and shows the site as unknown. What is stored is read again when run
// begins anew; gateways say every half minute how they are.
func (s *site) renew() {
	s.turned.Store(0)
	s.commits.Lock()
	s.loaded = false
	s.inbox.empty()
	s.commits.Unlock()
	b := s.present.Nothing(s.c.cfg.Civil(), s.failure.get())
	s.present = present.New(s.config)
	s.present.Score(s.score.Load())
	s.board.show(b)
	s.publish(b)
}
