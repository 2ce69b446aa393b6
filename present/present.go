// Package present is the present of one site: what has happened there today goes
// in, and what is known and shown of it now comes out.
//
// A [Site] starts no goroutine, takes no lock, does no I/O, keeps no store and
// asks no clock: the time of day ("civil time") comes in with each call. So its
// cases are texts of a day (testdata) that run in microseconds. Whoever keeps it
// moves things in and out, one call at a time, and gives it time for what it
// calls for (see [Calls]): how often that may be depends on what it costs, which
// is measured by another clock.
//
// In go events, statuses of gateways, losses, what staff did, and the outlook of
// the forecast. Out come the [perron.Busyness] of now with its doubts, samples of
// today that have to be made again, and the next instant at which something
// changes by itself.
package present

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// lagging is how old an event is that comes out of an outbox after an
	// outage rather than over the wire as it happens.
	lagging = time.Minute
	// An event that is this little behind the newest is taken in at once, as if
	// it came now: gateways are never quite even. What that does to the estimate
	// is healed later. An event that is further behind calls for a replay.
	slightly = 2 * time.Second
)

// An Estimator follows one site. A fresh one has an empty yard. Events and
// recounts come in the order of their time; Estimate may be asked at any
// time and changes nothing that a later event depends on.
type Estimator interface {
	perron.Follower
	Estimate(now time.Time) perron.Estimate
}

// A Believer is an [Estimator] that says what its estimate rests on.
type Believer interface {
	Belief() perron.Belief
}

// Config of the present of a site.
type Config struct {
	Site *perron.Site
	// NewEstimator makes a fresh one, which knows what was learned until then.
	NewEstimator func() Estimator
	// StaleAfter is how long a state stays valid after the sensors last reported
	// everything.
	StaleAfter time.Duration
	// Silent is for how long a gateway may say nothing, where that is not the
	// half minute of those that have an outbox.
	Silent map[string]time.Duration
}

// An Outlook is what the forecast tells the present.
type Outlook struct {
	Forecast *perron.Forecast
	Typical  map[time.Time]perron.Level // by the start of a quarter
}

// A Loss is a number of events of a gateway that are lost, set aside or doubted.
type Loss struct {
	Gateway string
	Kind    perron.DoubtKind
	// Outbox is set where Kind is [perron.DoubtOutbox]. More may become known of
	// it, and then it comes again, or is withdrawn.
	Outbox    string
	At        time.Time
	Count     uint64
	Withdrawn bool
}

// An Urgency says how soon a day has to be gone through again.
type Urgency int

const (
	NotAtAll Urgency = iota
	Some             // the order of events was a little off
	Soon             // events came late, or estimators know more
	AtOnce           // staff wait to see their correction
)

// Calls are what a site asks of whoever keeps it.
type Calls struct {
	Show   bool    // something has changed
	Replay Urgency // of [Site.Replay]
	Mend   bool    // [Site.Mend] has something to make again
}

// A Site is the present of one site. It is not safe for concurrent use. Before
// [Site.Load] it knows nothing and must not be asked.
type Site struct {
	cfg   Config
	site  *perron.Site
	gates map[string]int // of each sensor, negative for queue loops
	began time.Time

	day       *day
	estimator Estimator
	newest    time.Time // of what the estimator has seen
	gateways  map[string]*gateway
	losses    map[lossKey]*perron.Doubt
	recounts  []perron.Action // of today, in order of time
	closures  []perron.Action // closings and reopenings, in order of time
	closure   *perron.Closure
	notice    *perron.Notice
	outlook   Outlook
	score     *perron.Score
	failure   perron.Doubt

	grader perron.Grader
	stale  time.Time // when what was last shown turns unknown
	calls  Calls
	// mendFrom is the time of the first event that samples did not know of; zero
	// for none. Holes says that samples of today may be missing.
	mendFrom time.Time
	holes    bool
}

type lossKey struct {
	gateway, outbox string
	kind            perron.DoubtKind
}

// New is the present of a site of which nothing is known yet.
func New(cfg Config) *Site {
	s := &Site{
		cfg: cfg, site: cfg.Site, gates: make(map[string]int), gateways: make(map[string]*gateway),
		losses: make(map[lossKey]*perron.Doubt), grader: perron.Grader{Site: cfg.Site},
	}
	for _, loop := range cfg.Site.QueueLoops {
		s.gates[loop.Sensor] = -1
	}
	for i, g := range cfg.Site.Gates {
		for _, sensor := range g.Sensors {
			s.gates[sensor] = i
		}
	}
	for _, id := range cfg.Site.Gateways {
		silent, ok := cfg.Silent[id]
		if !ok {
			silent = SilentAfter
		}
		s.gateways[id] = &gateway{silent: silent}
	}
	return s
}

// gateOf is the gate that a sensor is at; negative for queue loops and for
// sensors that were configured once.
func (s *Site) gateOf(sensor string) int {
	if gate, ok := s.gates[sensor]; ok {
		return gate
	}
	return -1
}

// Load takes in what is stored of the day of now: its events in the order of
// their time, and of a while after it, its losses, and what staff did in a year,
// in order. What was known of gateways stays. An error of records is returned,
// and then nothing has changed; an end by stop leaves a site that must be loaded
// again.
func (s *Site) Load(now time.Time, records iter.Seq2[perron.Record, error], losses []Loss, actions []perron.Action, stop func() bool) error {
	d := newDay(perron.DateOf(now), len(s.site.Gates))
	newest := make(map[string]time.Time)
	for rec, err := range records {
		if err != nil {
			return err
		}
		d.keep(rec.Event, false)
		d.count(rec.Event, s.gateOf(rec.Sensor))
		if rec.Time.After(newest[rec.Gateway]) {
			newest[rec.Gateway] = rec.Time
		}
	}
	if s.began.IsZero() {
		s.began = now
	}
	s.day, s.mendFrom = d, time.Time{}
	for gateway, t := range newest {
		s.Reported(gateway, t, now)
	}
	clear(s.losses)
	for _, loss := range losses {
		s.Lose(loss)
	}
	s.act(actions)
	s.holes, s.calls.Mend = true, true // of the time in which nobody collected
	return s.goThrough(stop)
}

// Date is the day that is present.
func (s *Site) Date() perron.Date { return s.day.date }

// Turn begins the day after, with what is known of it already. What staff did is
// as in [Site.Load].
func (s *Site) Turn(actions []perron.Action, stop func() bool) error {
	s.day = s.day.next(s.gateOf)
	s.mendFrom, s.holes = time.Time{}, false
	clear(s.losses)
	for _, g := range s.gateways {
		g.turn()
	}
	s.act(actions)
	return s.goThrough(stop)
}

// Observe takes in one event of today, or of the first minutes after it.
func (s *Site) Observe(e perron.Event, now time.Time) {
	s.calls.Show = true
	if e.Time.Before(s.day.start) {
		return // of the day that has just ended
	}
	if now.Sub(e.Time) > lagging {
		if s.mendFrom.IsZero() || e.Time.Before(s.mendFrom) {
			s.mendFrom = e.Time
		}
		s.calls.Mend = true
	}
	s.day.count(e, s.gateOf(e.Sensor))
	behind := s.newest.Sub(e.Time)
	s.day.keep(e, behind > 0)
	switch {
	case behind <= 0:
		s.newest = e.Time
	case behind <= slightly || s.day.full:
		// The day is no longer whole when it is full, and so cannot be gone
		// through again.
		e.Time = s.newest
		s.ask(Some)
	default:
		s.ask(Soon)
		return
	}
	s.estimator.Observe(e)
}

func (s *Site) ask(u Urgency) { s.calls.Replay = max(s.calls.Replay, u) }

// Hear takes in what a gateway says of itself.
func (s *Site) Hear(status Status, now time.Time) {
	if g := s.gateways[status.Gateway]; g != nil {
		g.hear(status, now)
		s.calls.Show = true
	}
}

// Reported takes in that a gateway has sent everything up to t: its events come
// in the order in which they happened.
func (s *Site) Reported(gateway string, t, now time.Time) {
	if g := s.gateways[gateway]; g != nil {
		g.report(t, now)
	}
}

// Lose takes in events that are lost, set aside or doubted.
func (s *Site) Lose(loss Loss) {
	s.calls.Show = true
	key := lossKey{gateway: loss.Gateway, kind: loss.Kind}
	if loss.Kind == perron.DoubtOutbox {
		key.outbox = loss.Outbox
		if delete(s.losses, key); loss.Withdrawn || loss.At.Before(s.day.start) {
			return
		}
	}
	d := s.losses[key]
	if d == nil {
		d = &perron.Doubt{Kind: loss.Kind, Gateway: loss.Gateway, Since: loss.At}
		s.losses[key] = d
	}
	if loss.At.Before(d.Since) {
		d.Since = loss.At
	}
	d.Count += loss.Count
}

// Act takes in all that staff did in the last year, in order.
func (s *Site) Act(actions []perron.Action) {
	s.calls.Show = true
	old := s.recounts
	s.act(actions)
	same := func(a, b perron.Action) bool { return a.ID == b.ID }
	switch n := len(old); {
	case slices.EqualFunc(old, s.recounts, same):
	case len(s.recounts) == n+1 && slices.EqualFunc(old, s.recounts[:n], same) && s.recounts[n].At.After(s.newest):
		s.estimator.Recount(s.recounts[n].At, s.recounts[n].Vehicles)
		s.newest = s.recounts[n].At
	default:
		s.ask(AtOnce)
	}
}

// act sorts what staff did by what it is for.
func (s *Site) act(actions []perron.Action) {
	s.closure, s.notice, s.closures, s.recounts = nil, nil, nil, nil
	for _, a := range perron.Effective(actions) {
		switch a.Kind {
		case perron.Close:
			s.closure = &perron.Closure{Since: a.At, Reason: a.Text, Until: a.Until}
			s.closures = append(s.closures, a)
		case perron.Reopen:
			s.closure = nil
			s.closures = append(s.closures, a)
		case perron.Announce:
			s.notice = &perron.Notice{ID: a.ID, At: a.At, Text: a.Text}
		case perron.Withdraw:
			s.notice = nil
		case perron.Recount:
			if !a.At.Before(s.day.start) && a.At.Before(s.day.end) {
				s.recounts = append(s.recounts, a)
			}
		}
	}
}

// LookAhead takes in what the forecast says.
func (s *Site) LookAhead(o Outlook) { s.outlook, s.calls.Show = o, true }

// Score takes in how good the forecasts were.
func (s *Site) Score(score *perron.Score) { s.score, s.calls.Show = score, true }

// Fail takes in that an error of this program has ended a part of the site's
// work, as a doubt of the day; its Count is 0 when there was none.
func (s *Site) Fail(d perron.Doubt) {
	if s.failure != d {
		s.failure, s.calls.Show = d, true
	}
}

// Learned takes in that new estimators know more than before.
func (s *Site) Learned() { s.ask(Soon) }

// Calls are what the site asks for since it was last asked.
func (s *Site) Calls() Calls {
	c := s.calls
	s.calls = Calls{}
	return c
}

var (
	// ErrFull says that the day has too many events to be gone through again:
	// only a sensor that chatters makes so many.
	ErrFull = errors.New("too many events today")
	// ErrStopped says that the end was not awaited.
	ErrStopped = errors.New("stopped")
)

// Replay goes through the day again with a fresh estimator, as [Calls] asks for.
// It costs as much as all events of the day together; stop is asked now and then
// and ends it early. The error is [ErrFull] or [ErrStopped].
func (s *Site) Replay(stop func() bool) error {
	if s.day.full {
		return ErrFull
	}
	return s.goThrough(stop)
}

func (s *Site) goThrough(stop func() bool) error {
	s.day.merge()
	s.estimator = s.cfg.NewEstimator()
	if err := GoThrough(s.estimator, s.day.events, s.recounts, stop); err != nil {
		return err
	}
	s.newest = time.Time{}
	if n := len(s.day.events); n > 0 {
		s.newest = s.day.events[n-1].Time
	}
	if n := len(s.recounts); n > 0 && s.recounts[n-1].At.After(s.newest) {
		s.newest = s.recounts[n-1].At
	}
	s.calls.Show = true
	return nil
}

// GoThrough takes a follower through a whole day (see [perron.Replay]); stop,
// where there is one, is asked now and then and ends it early, with [ErrStopped]:
// a long day takes seconds.
func GoThrough(f perron.Follower, events []perron.Event, actions []perron.Action, stop func() bool) error {
	day := perron.NewReplay(f, events, actions)
	for i := 0; ; i++ {
		if _, ok := day.Next(); !ok {
			return nil
		}
		if i%1000 == 0 && stop != nil && stop() {
			return ErrStopped
		}
		day.Step()
	}
}

// Events is how many events of today are kept.
func (s *Site) Events() int { return len(s.day.events) + len(s.day.late) }

// Due is the next instant at which the state changes by itself: a new hour or
// day, opening or closing, the end of a closure, or the data turning stale.
func (s *Site) Due(now time.Time) time.Time {
	next := perron.Hour.Next(now)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	if p, ok := s.site.Hours.At(now); ok {
		sooner(p.End)
	} else if p, ok := s.site.Hours.Next(now); ok {
		sooner(p.Start)
	}
	if c := s.closure; c.Holds(now) && !c.Until.IsZero() {
		sooner(c.Until)
	}
	if !s.stale.IsZero() {
		sooner(s.stale.Add(time.Nanosecond))
	}
	return next
}
