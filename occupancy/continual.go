package occupancy

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Continual is an Estimator that learns from its own past, for events of many
// days that no collector studies: with the first event of another day, after a
// night without a passage, the day before has taught its lesson. It knows
// nothing of the future. Like an Estimator it is not safe for concurrent use.
type Continual struct {
	Estimator
	last time.Time // passage
}

// NewContinual returns one with an empty yard that has learned nothing yet.
func NewContinual(site *perron.Site) *Continual {
	return &Continual{Estimator: *New(site)}
}

// Observe takes in one event.
func (c *Continual) Observe(ev perron.Event) {
	if !c.last.IsZero() && ev.Time.Sub(c.last) >= nightGap && perron.DateOf(ev.Time) != perron.DateOf(c.last) {
		c.resume(c.experience.Learn(&c.Estimator))
		c.last = time.Time{} // until the next passage
	}
	if ev.Kind.Passage() && ev.Time.After(c.last) {
		c.last = ev.Time
	}
	c.Estimator.Observe(ev)
}

// resume goes on with what was learned of demand. What is believed of the yard,
// its counters and the dwell time goes on as it is: the same events have taught
// it that already.
func (e *Estimator) resume(x Experience) {
	e.experience, e.summary, e.projectedValid = x, daySummary{}, false
	e.live.road.resume(x.demand)
}
