package collector

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// lagging is how old an event is that comes out of an outbox after an
	// outage rather than over the wire as it happens.
	lagging = time.Minute
	// counting is how far two events may lie apart for the counters to be taken
	// to have counted all the time between: a gateway without power leaves a
	// hole in the history, and not a quiet hour.
	counting = 30 * time.Minute

	// An outbox that is emptied brings late events for a while. The samples are
	// computed again when it has been quiet for mendQuiet, or else once in
	// mendApart, and never for more than a part 1/mendCost of the time.
	mendQuiet = 3 * time.Second
	mendApart = time.Minute
	mendCost  = 20
	// mendLoaded is when holes from before the start are filled: after all
	// gateways have said how they are.
	mendLoaded = 45 * time.Second
)

// mending is the stretch of today whose samples are to be computed again.
type mending struct {
	wanted bool
	since  time.Time // from here on samples are replaced; zero for none
	due    time.Time // by the machine's clock
	next   time.Time // not before
}

// A mended history is what the slower loop is to save: samples by time, of
// which those before since only fill holes.
type mended struct {
	samples []perron.Sample
	since   time.Time // zero when all of them only fill holes
}

// lag notes an event of which samples did not know.
func (l *live) lag(at time.Time) {
	if m := &l.mending; m.since.IsZero() || at.Before(m.since) {
		m.since = at
	}
	l.mend(mendQuiet)
}

// mend calls for samples to be computed again when it has been quiet for a
// while.
func (l *live) mend(quiet time.Duration) {
	m, now := &l.mending, time.Now()
	if !m.wanted {
		m.wanted = true
		m.next = later(m.next, now)
	}
	m.due = later(m.next, now.Add(quiet))
	if latest := m.next.Add(mendApart); m.due.After(latest) {
		m.due = latest
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// mendNow runs a fresh estimator through today and keeps what it says at each
// minute at which the counters were counting. It costs what a rebuild does and
// an estimate a minute.
func (l *live) mendNow() {
	began := time.Now()
	since := l.mending.since
	l.mending = mending{}
	if l.day.full {
		return
	}
	l.day.merge()
	now := l.c.cfg.Now()
	from := l.day.start
	if !since.IsZero() {
		from = since.Truncate(time.Minute)
	}
	measured := l.measuredAt()
	if measured.After(now) {
		measured = now
	}
	var out []perron.Sample
	est := l.newEstimator()
	recounts, closures := l.recounts, l.closures
	var closure *perron.Closure
	previous := time.Time{} // event
	minute := l.day.start
	// until takes samples at the minutes up to and including t, where t is the
	// next instant of which something is known.
	until := func(t time.Time) {
		counted := !previous.IsZero() && t.Sub(previous) <= counting
		for ; !minute.After(t); minute = minute.Add(time.Minute) {
			if !counted || minute.Before(from) || minute.After(now) {
				continue
			}
			period, open := l.site.Hours.At(minute)
			if !open {
				continue
			}
			for len(closures) > 0 && !closures[0].At.After(minute) {
				if closure = nil; closures[0].Kind == perron.Close {
					closure = &perron.Closure{Until: closures[0].Until}
				}
				closures = closures[1:]
			}
			if s, ok := l.sampleOf(est, minute, period, closure.Holds(minute)); ok {
				out = append(out, s)
			}
		}
	}
	for _, e := range l.day.events {
		for len(recounts) > 0 && recounts[0].At.Before(e.Time) {
			until(recounts[0].At.Add(-1))
			est.Recount(recounts[0].At, recounts[0].Vehicles)
			recounts = recounts[1:]
		}
		until(e.Time.Add(-1)) // the minute of the event is answered after it
		est.Observe(e)
		previous = e.Time
	}
	last := previous
	if measured.After(last) {
		for len(recounts) > 0 && !recounts[0].At.After(measured) {
			until(recounts[0].At.Add(-1))
			est.Recount(recounts[0].At, recounts[0].Vehicles)
			recounts = recounts[1:]
		}
		last = measured
	}
	until(last)
	took := time.Since(began)
	l.mending.next = time.Now().Add(max(mendApart, mendCost*took))
	l.c.metrics.mend.Observe(took.Seconds())
	if len(out) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// What is still there of an earlier time was not taken: it stays, and what
	// it wanted replaced too.
	if was := l.mended.since; !was.IsZero() && (since.IsZero() || was.Before(since)) {
		since = was
	}
	l.mended = mended{mergeSamples(l.mended.samples, out), since}
}

// sampleOf is what a sample would have said at that time.
func (l *live) sampleOf(est Estimator, at time.Time, period perron.Period, closed bool) (perron.Sample, bool) {
	e, sane := tidy(est.Estimate(at))
	if !sane {
		return perron.Sample{}, false
	}
	e.At = at.UTC()
	s := perron.Sample{Estimate: e, Quality: perron.Measured}
	if !e.Recounted.IsZero() {
		s.Quality = perron.Corrected
	}
	load := 0.0
	if l.site.Bays > 0 {
		load = e.OnSite.Mid / float64(l.site.Bays)
	}
	switch {
	case closed:
		s.Level, s.Wait = perron.Closed, perron.Interval{}
	case at.Add(minutes(travel + e.Wait.Mid)).After(period.End):
		s.Level = perron.Late
	default:
		s.Level = perron.LevelOf(e.Wait.Mid, load)
	}
	return s, true
}

// mergeSamples puts two lists in order of time; of two samples of one instant
// that of the second list stays.
func mergeSamples(a, b []perron.Sample) []perron.Sample {
	out := slices.Concat(a, b)
	slices.SortStableFunc(out, func(a, b perron.Sample) int { return a.At.Compare(b.At) })
	kept := out[:0]
	for _, s := range out {
		if n := len(kept); n > 0 && kept[n-1].At.Equal(s.At) {
			kept[n-1] = s
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// mend takes over the samples that were computed again.
func (k *keeper) mend() {
	if !k.read {
		return // which minutes are missing is not known yet
	}
	k.l.mu.Lock()
	m := k.l.mended
	k.l.mended = mended{}
	k.l.mu.Unlock()
	known := make(map[int64]bool, len(k.samples))
	for _, s := range k.samples {
		known[s.At.Unix()] = true
	}
	m.samples = slices.DeleteFunc(m.samples, func(s perron.Sample) bool {
		replace := !m.since.IsZero() && !s.At.Before(m.since)
		return perron.DateOf(s.At) != k.date || !replace && known[s.At.Unix()]
	})
	if len(m.samples) == 0 {
		return
	}
	k.samples = mergeSamples(k.samples, m.samples)
	k.unsaved = mergeSamples(k.unsaved, m.samples)
	k.l.c.metrics.mended.WithLabelValues(k.l.site.ID).Add(float64(len(m.samples)))
}
