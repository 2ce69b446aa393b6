package present

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// counting is how far two events may lie apart for the counters to be taken
// to have counted all the time between: a gateway without power leaves a
// hole in the history, and not a quiet hour.
const counting = 30 * time.Minute

// Known says whether a state rests on a fresh measurement.
func Known(b *perron.Busyness) bool {
	return b.Quality == perron.Measured || b.Quality == perron.Corrected
}

// SampleOf is the row of a site's history that a state of now makes: of the
// minute of now, while the state is known and the site is open, or would be but
// for staff.
func SampleOf(site *perron.Site, b *perron.Busyness, now time.Time) (perron.Sample, bool) {
	if !site.Hours.Open(now) || !Known(b) {
		return perron.Sample{}, false
	}
	s := perron.Sample{Estimate: b.Estimate, Level: b.Level, Quality: b.Quality}
	s.At = now.Truncate(time.Minute).UTC()
	return s, true
}

// Mended are samples of today that were made again. They replace what there is
// from Since on, and before it, or everywhere when that is zero, they only fill
// holes.
type Mended struct {
	Samples []perron.Sample
	Since   time.Time
}

// Mend runs a fresh estimator through today and keeps what it says at each
// minute at which the counters were counting, as [Calls] asks for. It costs what
// a replay does and an estimate a minute. The error is [ErrFull].
func (s *Site) Mend(now time.Time) (Mended, error) {
	since, holes := s.mendFrom, s.holes
	s.mendFrom, s.holes = time.Time{}, false
	if s.day.full {
		return Mended{}, ErrFull
	}
	s.day.merge()
	from := s.day.start
	if !since.IsZero() && !holes {
		from = since.Truncate(time.Minute)
	}
	m := minutes{
		site: s.site, estimator: s.cfg.NewEstimator(), closures: s.closures,
		grader: perron.Grader{Site: s.site}, next: s.day.start, from: from, to: now,
	}
	// The sensors are known to have reported up to then, if nothing passed since.
	measured := s.measuredAt()
	if measured.After(now) {
		measured = now
	}
	day := perron.NewReplay(m.estimator, s.day.events, s.recounts)
	end := measured
	if n := len(s.day.events); n > 0 && s.day.events[n-1].Time.After(end) {
		end = s.day.events[n-1].Time
	}
	var passed time.Time // the last event
	coming := s.day.events
	// Whether the counters were counting is told by events on both sides; that staff
	// count in between says nothing of it.
	counted := func() bool {
		next := end
		if len(coming) > 0 {
			next = coming[0].Time
		}
		return !passed.IsZero() && next.Sub(passed) <= counting
	}
	for {
		at, ok := day.Next()
		if !ok || at.After(end) {
			break
		}
		m.until(at.Add(-1), counted()) // the minute of the event is answered after it
		if day.Step() {
			passed, coming = at, coming[1:]
		}
	}
	m.until(end, counted())
	return Mended{m.samples, since}, nil
}

// minutes takes samples on the grid of minutes, as an estimator gets along the
// day.
type minutes struct {
	site      *perron.Site
	estimator Estimator
	grader    perron.Grader
	closures  []perron.Action // to come
	closure   *perron.Closure
	next      time.Time // minute
	from, to  time.Time
	samples   []perron.Sample
}

// until takes samples up to and including t; counted says whether the counters
// were counting until then.
func (m *minutes) until(t time.Time, counted bool) {
	for ; !m.next.After(t); m.next = m.next.Add(time.Minute) {
		at := m.next
		period, open := m.site.Hours.At(at)
		if !counted || !open {
			m.grader.Forget()
			continue
		}
		if at.Before(m.from) || at.After(m.to) {
			continue
		}
		for len(m.closures) > 0 && !m.closures[0].At.After(at) {
			if m.closure = nil; m.closures[0].Kind == perron.Close {
				m.closure = &perron.Closure{Until: m.closures[0].Until}
			}
			m.closures = m.closures[1:]
		}
		e, err := tidy(m.estimator.Estimate(at))
		if err != nil {
			continue
		}
		e.At = at.UTC()
		s := perron.Sample{Estimate: e, Quality: perron.Measured}
		if !e.Recounted.IsZero() {
			s.Quality = perron.Corrected
		}
		if m.closure.Holds(at) {
			s.Level, s.Wait = perron.Closed, perron.Interval{}
			m.grader.Forget()
		} else {
			s.Level = m.grader.Grade(at, &e, period.End, nil).Level
		}
		m.samples = append(m.samples, s)
	}
}

// MergeSamples puts two lists in order of time; of two samples of one instant
// that of the second list stays.
func MergeSamples(a, b []perron.Sample) []perron.Sample {
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

// Merge takes mended samples into those of a day, which may hold some of them
// already, and says which of them are new.
func (m Mended) Merge(into []perron.Sample, date perron.Date) (all, added []perron.Sample) {
	known := make(map[int64]bool, len(into))
	for _, s := range into {
		known[s.At.Unix()] = true
	}
	for _, s := range m.Samples {
		replace := !m.Since.IsZero() && !s.At.Before(m.Since)
		if perron.DateOf(s.At) == date && (replace || !known[s.At.Unix()]) {
			added = append(added, s)
		}
	}
	if len(added) == 0 {
		return into, nil
	}
	return MergeSamples(into, added), added
}

// With is m after which n was made, when nobody has taken m over yet: what is
// still there of an earlier time stays, and what it wanted replaced too.
func (m Mended) With(n Mended) Mended {
	since := n.Since
	if was := m.Since; !was.IsZero() && (since.IsZero() || was.Before(since)) {
		since = was
	}
	return Mended{MergeSamples(m.Samples, n.Samples), since}
}

// Measured is a day as it was, a quarter at a time, until the given one. Counts
// are those of quarters, samples those of the day in order.
func Measured(site *perron.Site, d perron.Date, counts []perron.Count, samples []perron.Sample, until time.Time) []perron.Slot {
	arrivals := make(map[int64]int, len(counts))
	for _, c := range counts {
		arrivals[c.Start.Unix()] += c.In
	}
	var slots []perron.Slot
	for start := d.Start(); start.Before(until); start = perron.Quarter.Next(start) {
		end := perron.Quarter.Next(start)
		for len(samples) > 0 && samples[0].At.Before(start) {
			samples = samples[1:]
		}
		n := 0
		for n < len(samples) && samples[n].At.Before(end) {
			n++
		}
		slots = append(slots, measuredSlot(site, start, samples[:n], arrivals[start.Unix()]))
		samples = samples[n:]
	}
	return slots
}

// measuredSlot is one quarter as it was.
func measuredSlot(site *perron.Site, start time.Time, samples []perron.Sample, in int) perron.Slot {
	s := perron.Slot{
		Start: start, Minutes: 15, Open: site.Hours.Open(start),
		Arrivals: perron.Exactly(float64(in)), Level: perron.Unknown, Basis: perron.Measured,
	}
	var onSite, wait [3][]float64
	closed := 0
	for _, m := range samples {
		if m.Level == perron.Closed {
			closed++
			continue
		}
		for i, v := range [3]float64{m.OnSite.Low, m.OnSite.Mid, m.OnSite.High} {
			onSite[i] = append(onSite[i], v)
		}
		for i, v := range [3]float64{m.Wait.Low, m.Wait.Mid, m.Wait.High} {
			wait[i] = append(wait[i], v)
		}
	}
	switch {
	case !s.Open || closed > len(wait[1]):
		s.Level = perron.Closed
	case len(wait[1]) == 0:
		s.Basis = perron.QualityUnknown // open, and nobody knows how it was
	default:
		s.OnSite = perron.Interval{Low: median(onSite[0]), Mid: median(onSite[1]), High: median(onSite[2])}
		s.Wait = perron.Interval{Low: median(wait[0]), Mid: median(wait[1]), High: median(wait[2])}
		s.Level = site.GradeSlot(&s)
	}
	return s
}

// median of a list that is not empty, which it sorts.
func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
