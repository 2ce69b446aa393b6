package collector

import (
	"fmt"
	"time"
)

// patience is how long the live state of a site may take for one turn, which
// comes every 15 seconds at the latest and takes milliseconds.
const patience = time.Minute

// Alive says which site's live state does not turn any more; a watchdog asks.
// One that waits for the store is alive: starting again does not help against
// that.
func (c *Collector) Alive() error {
	for id, l := range c.sites {
		at := time.Duration(l.turned.Load())
		if at == 0 {
			continue
		}
		if d := time.Since(c.began) - at; d > patience {
			return fmt.Errorf("the live state of %s has not turned for %v", id, d.Round(time.Second))
		}
	}
	return nil
}
