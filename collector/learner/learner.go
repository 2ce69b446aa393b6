// Package learner joins what the collector learns from closed days to the
// estimators that know how: it hands what one has taught to the next.
package learner

import (
	"sync"

	"github.com/perrondrukte/perrondrukte/collector"
	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Learner is what was learned of one site. It is safe for concurrent use, but
// one call of Learn at a time.
type Learner struct {
	site *perron.Site
	mu   sync.Mutex
	x    occupancy.Experience
}

var _ collector.Learner = (*Learner)(nil)

// New makes a Learner that has learned nothing yet.
func New(site *perron.Site) *Learner { return &Learner{site: site} }

// New is an estimator that knows what was learned so far.
func (l *Learner) New() collector.Estimator {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.x.New(l.site)
}

// Learn takes in a closed day that an estimator of New has gone through.
func (l *Learner) Learn(day collector.Estimator) {
	e, ok := day.(*occupancy.Estimator)
	if !ok {
		return // not of New, so it knows nothing of use
	}
	l.mu.Lock()
	x := l.x
	l.mu.Unlock()
	x = x.Learn(e) // which takes a while, in which others go on with what is known
	l.mu.Lock()
	defer l.mu.Unlock()
	l.x = x
}
