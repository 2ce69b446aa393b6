package learner

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// What a closed day has taught is in the next estimator, and not in those that
// were there before.
func TestLearner(t *testing.T) {
	site := config.Almere().PerronSites()[0]
	yard := &simulate.Yard{Site: site, Seed: 1, Visits: 400}
	d := perron.Date{Year: 2026, Month: time.May, Day: 6}
	l := New(site)
	day, fresh := l.New(), l.New()
	at := site.Hours.Periods(d)[0].Start
	before := fresh.Estimate(at)
	for _, e := range yard.Day(d).Events {
		day.Observe(e)
	}
	day.Estimate(d.End().Add(-time.Minute))
	l.Learn(day)
	if n := l.x.Days(); n != 1 {
		t.Errorf("learned from %d days", n)
	}
	if got := fresh.Estimate(at); got.OnSite != before.OnSite {
		t.Errorf("an estimator that was there has changed: %v, %v", before.OnSite, got.OnSite)
	}
	l.Learn(nil) // no day of ours
	if n := l.x.Days(); n != 1 {
		t.Errorf("nothing taught something: %d days", n)
	}
}
