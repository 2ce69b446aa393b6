package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/yard"
)

const (
	daysAhead = 8 // today included, that forecasts reach
	freshness = 15 * time.Minute
)

// A Model forecasts one site. It starts without history and knows the opening
// hours only. It is not safe for concurrent use.
//
// Data flows one way through it: counts become a history, with the queues of the
// past arrivals, and these what is expected, which the run ahead sends through the
// yard.
type Model struct {
	site     *perron.Site
	history  history
	queues   queueMemory
	outside  outsideFacts
	expected *expectation // nil before anything is known or asked
	run      runAhead

	weeks   int                   // with anything known, of those that make the profile
	typical map[int][]perron.Slot // by day
}

// New returns a model without history.
func New(site *perron.Site) *Model { return NewUnder(yard.Usual(), site) }

// NewUnder is New for a yard with other physics than the usual.
func NewUnder(p yard.Physics, site *perron.Site) *Model {
	y := p.Of(site)
	return &Model{
		site: site, history: history{site: site}, typical: map[int][]perron.Slot{},
		queues:  queueMemory{yard: y, lengths: map[int64]float64{}},
		outside: outsideFacts{weather: map[int64]perron.Weather{}},
		run:     runAhead{site: site, yard: y, draws: drawPaths()},
	}
}

// Remember tells the model how long the queue was at past times, so that it
// knows how many came and not only how many were let in. It matters from the
// next Refit on and is optional: what is not remembered is guessed from how
// long the entrance was saturated.
func (m *Model) Remember(samples []perron.Sample) {
	for _, s := range samples {
		m.queues.remember(s.At, s.Queue.Mid)
		m.queues.rememberRate(&s.Estimate)
	}
}

// Refit learns from history: quarter-hour counts with gates summed. Between
// the first and the last a row that is missing is a zero, except where a whole
// day or long stretch is silent in which many vehicles are usual: that is a gap.
func (m *Model) Refit(history []perron.Count) {
	m.typical, m.weeks = map[int][]perron.Slot{}, 0
	first, ok := m.history.learn(history)
	if !ok {
		m.expected = nil
		return
	}
	m.queues.forget(first)
	m.queues.findLongest()
	m.outside.forget(m.history.base)
	m.build()
	m.expected.train()
}

// Weather tells the model of the weather, past and coming; what it knew of
// other hours stays. It is used as regressors from the next Refit on, and with
// fresh values in each Forecast. Implausible hours are ignored, and a slot whose
// weather is not known is forecast as without.
func (m *Model) Weather(hours []perron.Weather) { m.outside.addWeather(hours) }

// Borrow gives the model what is usual at other sites. It counts for less than
// a day of its own, so that it carries the first days and is soon outweighed;
// a weekday on which this site never opened has nothing else. Patterns are
// scaled by bays and, once there are own counts, by those; a pattern runs from
// opening to closing, whatever the hours.
func (m *Model) Borrow(patterns []perron.Pattern) {
	patterns = slices.DeleteFunc(slices.Clone(patterns), func(p perron.Pattern) bool { return p.Bays <= 0 })
	m.outside.patterns = patterns
	m.outside.stale = true
}

// Pattern is what is usual here, for sites that have no history; false while
// this one has too little.
func (m *Model) Pattern() (perron.Pattern, bool) {
	p := perron.Pattern{Bays: m.site.Bays, Weeks: m.weeks}
	if m.expected == nil || m.weeks < lendWeeks {
		return p, false
	}
	var some bool
	p.Days, some = patternIn(m.expected.series, m.expected.lastKnown())
	return p, some
}

// build makes the series of arrivals, with rows for the open slots from day 0
// to the end of what can be forecast from the day of the newest origin.
func (m *Model) build() {
	days := m.history.lastDay + daysAhead + 2
	var rows []row
	kind := make([]int, days)
	known := 0
	weeks := map[int]bool{}
	for d := range days {
		date := m.history.base.AddDays(d)
		kind[d] = m.history.kindOf(date)
		y := m.history.on(d)
		m.queues.arrivalsOf(date, y)
		for s, part := range m.history.open(date) {
			if part <= 0 {
				continue
			}
			rows = append(rows, row{day: d, slot: s, y: y[s]})
			if !math.IsNaN(y[s]) {
				known = len(rows)
				weeks[(m.history.lastDay-d)/7] = true
			}
		}
	}
	s := newSeries(rows, kind, perDay, 7)
	m.outside.addRegressors(s, &m.history)
	m.outside.addPatterns(s, &m.history)
	x := &expectation{series: s, correction: newCorrection(s, 60/slotMinutes, known), lastDay: m.history.lastDay}
	if m.expected != nil {
		x.near, x.far = m.expected.near, m.expected.far
	}
	m.expected = x
	m.weeks = 0
	for w := range weeks {
		if w < profileWeeks {
			m.weeks++
		}
	}
}

// update takes in today's counts. Rows of earlier days are left to Refit.
func (m *Model) update(origin time.Time, recent []perron.Count, now perron.Estimate, live bool) {
	if m.history.base == (perron.Date{}) {
		m.history.base, m.history.lastDay = perron.DateOf(origin), 0
	}
	today := m.history.day(origin)
	if today < 0 {
		return // before all history
	}
	rebuild := m.expected == nil || m.outside.stale || today+daysAhead > m.expected.series.days || today > m.history.lastDay+1
	m.history.learnToday(origin, recent, live)
	if rebuild {
		m.build()
		m.typical = map[int][]perron.Slot{}
		if m.expected.near == nil {
			m.expected.train()
		}
	}
	m.expected.lastDay = m.history.lastDay
	arrivals, waiting := m.history.on(today), 0.0
	if live {
		waiting = m.queues.plausibleQueue(now.Queue.Mid)
	}
	m.queues.arrivalsToday(m.history.base.AddDays(today), arrivals, waiting)
	m.expected.learnToday(today, arrivals)
}
