package collector

import (
	"fmt"
	"time"
)

// Two clocks are told apart. Civil time is what people live by: it comes from
// [Config.Civil], may jump, runs faster in a demonstration, and says what day and
// hour it is. Elapsed time is the machine's: it says how much work costs and when
// the next may be done. The types keep them from being mixed.

// elapsed is a time since the collector was made.
type elapsed time.Duration

// elapsed is how long ago the collector was made.
func (c *Collector) elapsed() elapsed { return elapsed(time.Since(c.began)) }

func (e elapsed) plus(d time.Duration) elapsed { return e + elapsed(d) }

func (e elapsed) since(earlier elapsed) time.Duration { return time.Duration(e - earlier) }

// lasts is how much elapsed time a span of civil time takes.
func (c *Collector) lasts(civil time.Duration) time.Duration {
	return time.Duration(float64(civil) / c.cfg.Speed)
}

// stuckAfter is how long the present of a site may take for one turn, which
// comes every 15 seconds at the latest and takes milliseconds.
const stuckAfter = time.Minute

// Alive says which site's present does not turn any more; a watchdog asks.
// One that waits for the store is alive: starting again does not help against
// that.
func (c *Collector) Alive() error {
	for id, s := range c.sites {
		at := elapsed(s.turned.Load())
		if at == 0 {
			continue
		}
		if d := c.elapsed().since(at); d > stuckAfter {
			return fmt.Errorf("the present of %s has not turned for %v", id, d.Round(time.Second))
		}
	}
	return nil
}
