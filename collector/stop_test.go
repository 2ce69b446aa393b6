package collector

import (
	"context"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// stopper cancels after some events.
type stopper struct {
	seen, until int
	cancel      func()
}

func (s *stopper) Observe(perron.Event) {
	if s.seen++; s.seen == s.until {
		s.cancel()
	}
}
func (s *stopper) Recount(time.Time, int)                 {}
func (s *stopper) Estimate(now time.Time) perron.Estimate { return perron.Estimate{At: now} }

// Going through a long day again takes seconds, which whoever stops the
// collector does not wait for.
func TestRebuildEndsWithTheCollector(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	est := &stopper{until: 1500, cancel: cancel}
	c := &Collector{cfg: Config{NewEstimator: func(*perron.Site) Estimator { return est }}}
	l := &live{c: c, site: poort(), day: newDay(perron.DateOf(at(saturday)()), 1)}
	for i := range 100_000 {
		l.day.events = append(l.day.events, perron.Event{
			Time: l.day.start.Add(time.Duration(i) * 100 * time.Millisecond), Sensor: "main-in", Kind: perron.In,
		})
	}
	l.rebuild(ctx)
	if est.seen < est.until || est.seen > est.until+1000 {
		t.Errorf("went through %d of %d events, stopped at %d", est.seen, len(l.day.events), est.until)
	}
	if l.dirty {
		t.Error("half a day is to be shown")
	}
}
