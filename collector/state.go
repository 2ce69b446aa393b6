package collector

import (
	"math"
	"reflect"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// travel is how long a resident needs to come, in minutes, where nothing
	// better is known.
	travel = 10
	// repeatAfter is when a state is sent again although nothing but its times
	// has changed.
	repeatAfter = 5 * time.Second
)

// display is what was shown, for hysteresis.
type display struct {
	band  perron.Band
	level perron.Level
	trend perron.Trend
	late  bool
	waits []waitAt // the last half hour, at most one a minute
}

type waitAt struct {
	at   time.Time
	wait float64 // minutes
}

// compute makes the state of now and has it published if it says something new,
// or in any case with force.
func (l *live) compute(force bool) {
	now := l.c.cfg.Now()
	b := l.state(now)
	l.mu.Lock()
	was := l.view.busyness
	l.view = view{b, now}
	l.mu.Unlock()
	if !isKnown(&was) && isKnown(&b) {
		poke(l.found)
	}
	l.c.metrics.recomputes.WithLabelValues(l.site.ID).Inc()
	l.c.metrics.loggedEvents.WithLabelValues(l.site.ID).Set(float64(len(l.day.events) + len(l.day.late)))
	if !b.MeasuredAt.IsZero() {
		l.c.metrics.measuredAt.WithLabelValues(l.site.ID).Set(float64(b.MeasuredAt.UnixMilli()) / 1000)
	}
	if !force && time.Since(l.sent) < repeatAfter && reflect.DeepEqual(timeless(b), timeless(l.last)) {
		return
	}
	payload, err := broker.EncodeBusyness(b)
	if err != nil {
		l.c.log.Error("state cannot be sent", "site", l.site.ID, "error", err)
		return
	}
	l.last, l.sent = b, time.Now()
	l.out.put(broker.Message{Topic: broker.BusynessTopic(l.site.ID), Payload: payload, Retained: true})
}

// timeless is a state without what changes all the time.
func timeless(b perron.Busyness) perron.Busyness {
	b.At, b.MeasuredAt, b.StaleAt = time.Time{}, time.Time{}, time.Time{}
	return b
}

// state is what is known and shown at now.
func (l *live) state(now time.Time) perron.Busyness {
	measured := l.measuredAt()
	// The estimate holds for the instant up to which everything is known. To
	// carry it on through a silence would take missing events for an empty yard.
	at := measured
	if l.newest.After(at) {
		at = l.newest
	}
	if at.IsZero() || at.After(now) {
		at = now
	}
	est, sane := tidy(l.est.Estimate(at))
	est.At = now
	closure := l.closure
	if !closure.Holds(now) {
		closure = nil
	}
	b := perron.Busyness{
		Site: l.site.ID, Estimate: est, Quality: perron.Measured, Level: perron.Unknown, Trend: perron.Steady,
		TypicalLevel: l.typical(now), Closure: closure, Notice: l.notice, Doubts: l.doubts(now),
	}
	if !est.Recounted.IsZero() {
		b.Quality = perron.Corrected
	}
	l.believe(&b)
	for i, g := range l.site.Gates {
		c := l.day.gateCount(i, now)
		c.Gate = g.ID
		b.Gates = append(b.Gates, c)
	}
	if !sane {
		if n, ok := l.c.rare.Allow("insane " + l.site.ID); ok {
			l.c.log.Error("the estimate is not a number", "site", l.site.ID, "times", n)
		}
	} else if !measured.IsZero() {
		b.MeasuredAt, b.StaleAt = measured, measured.Add(l.staleAfter())
	}
	period, open := l.site.Hours.At(now)
	if open && closure == nil && b.StaleAt.After(now) {
		l.grade(&b, period, now)
	} else {
		l.show = display{}
	}
	return b.AsOf(l.site, now)
}

// staleAfter is how long what was measured stays valid.
func (l *live) staleAfter() time.Duration {
	if l.site.StaleAfter > 0 {
		return l.site.StaleAfter
	}
	return l.c.cfg.StaleAfter
}

// believe adds what the estimate rests on, and a doubt when counters drift.
func (l *live) believe(b *perron.Busyness) {
	e, ok := l.est.(Believer)
	if !ok {
		return
	}
	belief := e.Belief()
	b.Belief = &belief
	for i, c := range []struct {
		perron.CounterBelief
		kind perron.DoubtKind
		of   string
	}{{belief.Entries, perron.DoubtEntries, "entries"}, {belief.Exits, perron.DoubtExits, "exits"}} {
		l.c.metrics.missed.WithLabelValues(l.site.ID, c.of).Set(c.Missed)
		drifts := !c.DriftSince.IsZero()
		if drifts {
			b.Doubts = append(b.Doubts, perron.Doubt{Kind: c.kind, Since: c.DriftSince, Part: c.Missed})
		}
		switch {
		case drifts && !l.drift[i]:
			l.c.log.Warn("counters miss clearly more than they used to", "site", l.site.ID, "of", c.of, "missed", c.Missed, "usual", c.Usual)
		case !drifts && l.drift[i]:
			l.c.log.Info("counters miss as much as they used to again", "site", l.site.ID, "of", c.of)
		}
		l.drift[i] = drifts
	}
}

// grade sets band, level and trend of an open site with fresh data.
func (l *live) grade(b *perron.Busyness, period perron.Period, now time.Time) {
	wait := b.Wait.Mid
	b.Band = l.show.band.Hold(wait)
	// The level goes by the wait that is shown, or "5 to 10 minutes" could be
	// busy once and moderate once.
	shown := math.Max(wait, float64(b.Band.Min))
	if b.Band.Max > 0 {
		shown = math.Min(shown, math.Nextafter(float64(b.Band.Max), 0))
	}
	load := 0.0
	if l.site.Bays > 0 {
		load = b.OnSite.Mid / float64(l.site.Bays)
	}
	if l.show.level == perron.Moderate && load < 0.75 {
		load += 0.07 // leaves a full yard a little later than it enters
	}
	b.Level = perron.LevelOf(shown, load)
	level := b.Level
	l.show.late = l.tooLate(now, wait, period)
	if l.show.late {
		b.Level = perron.Late
	}
	b.Trend = l.trend(b, now)
	l.show.band, l.show.level, l.show.trend = b.Band, level, b.Trend
}

// trend says where the wait goes within half an hour: by the forecast, or by
// the last quarter of an hour when there is none.
func (l *live) trend(b *perron.Busyness, now time.Time) perron.Trend {
	wait := b.Wait.Mid
	if n := len(l.show.waits); n == 0 || now.Sub(l.show.waits[n-1].at) >= time.Minute {
		l.show.waits = append(l.show.waits, waitAt{now, wait})
	}
	for now.Sub(l.show.waits[0].at) > 30*time.Minute {
		l.show.waits = l.show.waits[1:]
	}
	var change float64
	if then, ok := l.expected(now); ok {
		change = then - wait
	} else {
		before := l.show.waits[0].wait
		for _, w := range l.show.waits {
			if now.Sub(w.at) >= quarter {
				before = w.wait
			}
		}
		change = wait - before
	}
	enough := math.Max(3, 0.15*wait)
	if l.show.trend == perron.Rising && change > enough/2 || change > enough {
		return perron.Rising
	}
	if l.show.trend == perron.Falling && change < -enough/2 || change < -enough {
		return perron.Falling
	}
	return perron.Steady
}

// expected is the wait in half an hour, by a forecast that is fresh.
func (l *live) expected(now time.Time) (wait float64, ok bool) {
	s, ok := l.ahead(now, 30*time.Minute)
	return s.Wait.Mid, ok
}

// ahead is the slot of a fresh forecast some time from now, when it is open.
func (l *live) ahead(now time.Time, by time.Duration) (perron.Slot, bool) {
	l.mu.Lock()
	f := l.outlook.forecast
	l.mu.Unlock()
	if f == nil || now.Sub(f.Origin) > quarter {
		return perron.Slot{}, false
	}
	s, ok := f.SlotAt(now.Add(by))
	return s, ok && s.Open && s.Basis != perron.Measured
}

// tooLate says whether who leaves now will probably not get in: by the
// forecast of the time at which they arrive, or by the wait now without one.
// Once said it is taken back only when it clearly no longer holds.
func (l *live) tooLate(now time.Time, wait float64, period perron.Period) bool {
	arrival := now.Add(minutes(travel))
	if !arrival.Before(period.End) {
		return true
	}
	likely := 0.5
	if l.show.late {
		likely, wait = 0.35, wait+3
	}
	if s, ok := l.ahead(now, minutes(travel)); ok && s.Basis == perron.Expected {
		// The probability is that of the start of a slot: between two starts it
		// changes evenly. In the last slot it says nothing of the end: there it is
		// certain with a queue, and without one whoever is there in time gets in.
		length := time.Duration(s.Minutes) * time.Minute
		if n, ok := l.ahead(now, minutes(travel)+length); ok && s.Start.Add(length).Before(period.End) {
			part := arrival.Sub(s.Start).Seconds() / length.Seconds()
			return s.Late+part*(n.Late-s.Late) > likely
		}
		if s.Late > likely {
			return true
		}
	}
	return arrival.Add(minutes(wait)).After(period.End)
}

func (l *live) typical(now time.Time) perron.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	if level, ok := l.outlook.typical[perron.Quarter.Start(now)]; ok && level != "" {
		return level
	}
	return perron.Unknown
}

func minutes(m float64) time.Duration {
	// More than a week says the same and stays clear of overflow.
	return time.Duration(math.Min(m, 7*24*60) * float64(time.Minute))
}

// tidy rounds an estimate to what is worth sending. It is not sane when it
// holds what is no number; then nothing is known.
func tidy(e perron.Estimate) (_ perron.Estimate, sane bool) {
	sane = true
	for _, v := range []*float64{
		&e.OnSite.Low, &e.OnSite.Mid, &e.OnSite.High, &e.Queue.Low, &e.Queue.Mid, &e.Queue.High,
		&e.Wait.Low, &e.Wait.Mid, &e.Wait.High, &e.EntryRate,
	} {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			*v, sane = 0, false
		}
		*v = math.Round(*v*100) / 100
	}
	return e, sane
}
