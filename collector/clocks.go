package collector

import "time"

// Two clocks are told apart. Civil time is what people live by: it comes from
// [Config.Civil], may jump, runs faster in a demonstration, and says what day and
// hour it is. Elapsed time is the machine's: it says how much work costs and when
// the next may be done. The types keep them from being mixed.

// elapsed is a time since the collector was made.
type elapsed time.Duration

// elapsed is how long ago the collector was made.
func (c *core) elapsed() elapsed { return elapsed(time.Since(c.began)) }

func (e elapsed) plus(d time.Duration) elapsed { return e + elapsed(d) }

func (e elapsed) since(earlier elapsed) time.Duration { return time.Duration(e - earlier) }

// untilMinute is how much elapsed time it takes until a minute begins.
func (c *core) untilMinute() time.Duration {
	now := c.cfg.Civil()
	return c.lasts(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
}

// lasts is how much elapsed time a span of civil time takes.
func (c *core) lasts(civil time.Duration) time.Duration {
	return time.Duration(float64(civil) / c.cfg.Speed)
}
