package forecast

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Forecast looks ahead from origin: a slot for each quarter until the end of
// tomorrow and for each hour of seven days. recent are the quarter-hour counts
// of today at least, now is the present state; a now that is older than a
// quarter of an hour is not used, and the forecast is then a typical one.
//
// The basis of a slot is Expected with a present state and at least a week of
// history, and Typical otherwise. In the first week weekdays borrow from those
// that were seen. Without any past day the basis is QualityUnknown and the
// level of open slots Unknown. Measured is left empty.
func (m *Model) Forecast(origin time.Time, recent []perron.Count, now perron.Estimate) perron.Forecast {
	origin = origin.UTC()
	f := perron.Forecast{Site: m.site.ID, Origin: origin}
	now = plausibleState(now)
	live := !now.At.IsZero() && origin.Sub(now.At).Abs() <= freshness && finiteState(now)
	if live {
		m.queues.follow(&now)
	}
	m.update(origin, recent, now, live)
	f.Weeks = m.weeks

	today := perron.DateOf(origin)
	f.Measured, f.Quarters, f.Hours = []perron.Slot{}, []perron.Slot{}, []perron.Slot{}
	f.Best = []perron.Moment{}
	begin := perron.Quarter.Start(origin)
	quarters := m.past(today, begin)
	runs := m.runs(origin, now, live)
	quarters = append(quarters, runs...)
	end := today.AddDays(2).Start()
	for _, s := range runs {
		if s.Start.Before(end) {
			f.Quarters = append(f.Quarters, s.Slot)
		}
	}
	f.Hours = hourlySlots(quarters, today)
	f.Best = bestMoments(f.Quarters, origin, today.End(), m.site, m.queues.serviceRate())
	return f
}

func finiteState(e perron.Estimate) bool {
	for _, i := range []perron.Interval{e.OnSite, e.Queue, e.Wait} {
		for _, v := range []float64{i.Low, i.Mid, i.High} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return false
			}
		}
	}
	return !math.IsNaN(e.EntryRate) && !math.IsInf(e.EntryRate, 0)
}

// plausibleState is an estimate without less than nobody, and with rising quantiles;
// a wait is no longer than a day.
func plausibleState(e perron.Estimate) perron.Estimate {
	for _, v := range []*perron.Interval{&e.OnSite, &e.Queue, &e.Wait} {
		v.Low = math.Max(0, v.Low)
		v.Mid = math.Max(v.Low, v.Mid)
		v.High = math.Max(v.Mid, v.High)
	}
	const day = 24 * 60
	e.Wait.Low, e.Wait.Mid, e.Wait.High = math.Min(day, e.Wait.Low), math.Min(day, e.Wait.Mid), math.Min(day, e.Wait.High)
	return e
}

// runs sends the arrivals that are expected through the queue, from the present
// state on, or from this morning's opening without one.
func (m *Model) runs(origin time.Time, now perron.Estimate, live bool) []runSlot {
	today := perron.DateOf(origin)
	begin := perron.Quarter.Start(origin)
	var out []runSlot
	for k := range daysAhead - 1 {
		d := today.AddDays(k)
		from := d.Start()
		var state *[pathCount]flow
		if k == 0 && live {
			from, state = begin, m.run.present(now)
		}
		basis := perron.Typical
		if live && m.history.lastDay >= 7 {
			basis = perron.Expected
		}
		for _, s := range m.runDay(d, from, origin, state, basis) {
			if !s.Start.Before(begin) {
				if s.Start.Equal(begin) && live && s.Open {
					m.setPresent(&s.Slot, origin, now)
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// runDay runs one civil day ahead, from an instant on. The state is that of begun,
// within the first slot; without one the yard is empty and as fast as usual.
func (m *Model) runDay(date perron.Date, from, begun time.Time, state *[pathCount]flow, basis perron.Quality) []runSlot {
	d := &dayAhead{
		date: date, from: from, begun: begun, state: state, basis: basis,
		periods: m.site.Hours.Periods(date), open: m.history.open(date),
		serviceRate: m.queues.serviceRate(), room: m.queues.room(),
	}
	if state == nil {
		d.serviceRate = m.queues.usualServiceRate()
	}
	if m.expected != nil {
		d.expected, d.known = m.expected.day(m.history.dayOf(date), basis, &m.history.seen)
	}
	return m.run.day(d)
}

// setPresent puts the present into the slot of now.
func (m *Model) setPresent(s *perron.Slot, origin time.Time, now perron.Estimate) {
	s.OnSite, s.Wait, s.Late = now.OnSite, now.Wait, 0
	p, ok := m.site.Hours.At(s.Start)
	if !ok {
		s.Level = perron.Closed
		return
	}
	s.Late = 1 - below(now.Wait, p.End.Sub(origin).Minutes())
	s.Level = m.site.GradeSlot(s)
}

// past are today's slots before the origin: arrivals as counted, and the rest
// as typical.
func (m *Model) past(today perron.Date, begin time.Time) []runSlot {
	if !today.Start().Before(begin) || m.expected == nil {
		return nil
	}
	origin := m.expected.lastKnown()
	var out []runSlot
	for _, s := range m.runDay(today, today.Start(), today.Start(), nil, perron.Typical) {
		if !s.Start.Before(begin) {
			break
		}
		i := m.expected.series.at(m.history.dayOf(today), int(perron.TimeOfDayOf(s.Start))/slotMinutes)
		if i >= 0 && i <= origin && !math.IsNaN(m.expected.series.rows[i].y) {
			joined := m.expected.series.rows[i].y * m.queues.joinedAt(s.Start)
			s.Arrivals = perron.Exactly(joined)
			s.arrivals = new([pathCount]float64)
			for p := range s.arrivals {
				s.arrivals[p] = joined
			}
		}
		out = append(out, s)
	}
	return out
}

// hourlySlots sums quarters to the hours of seven days.
func hourlySlots(quarters []runSlot, today perron.Date) []perron.Slot {
	out := []perron.Slot{}
	end := today.AddDays(7).Start()
	for i := 0; i < len(quarters); {
		start := perron.Hour.Start(quarters[i].Start)
		if !start.Before(end) {
			break
		}
		h := quarters[i].Slot
		h.Start, h.Minutes = start, 60
		var sum [pathCount]float64
		some := false
		for ; i < len(quarters) && perron.Hour.Start(quarters[i].Start).Equal(start); i++ {
			if h.Level == perron.Closed && quarters[i].Level != perron.Closed {
				// An hour in the middle of which the gates open is not closed.
				h = quarters[i].Slot
				h.Start, h.Minutes = start, 60
			}
			if a := quarters[i].arrivals; a != nil {
				some = true
				for p, v := range a {
					sum[p] += v
				}
			}
		}
		h.Arrivals = perron.Interval{}
		if some {
			h.Arrivals = intervalOf(sum[:])
		}
		out = append(out, h)
	}
	return out
}

// Typical is what is usual at a time, from the profile alone; false when the
// site is closed then or no past day speaks.
func (m *Model) Typical(at time.Time) (perron.Slot, bool) {
	if m.expected == nil || !m.expected.known() {
		return perron.Slot{}, false
	}
	day := m.history.day(at)
	if day < 0 || day >= m.expected.series.days {
		// Any day of the same kind will do.
		kind := m.history.kindOf(perron.DateOf(at))
		for day = m.expected.series.days - 1; day > 0 && m.expected.series.kind[day] != kind; day-- {
		}
	}
	slots, ok := m.typical[day]
	if !ok {
		slots = m.typicalDay(day)
		m.typical[day] = slots
	}
	tod := perron.TimeOfDayOf(at)
	for _, s := range slots {
		if perron.TimeOfDayOf(s.Start) == tod/slotMinutes*slotMinutes {
			s.Start = perron.Quarter.Start(at)
			return s, s.Open && s.Basis == perron.Typical
		}
	}
	return perron.Slot{}, false
}

func (m *Model) typicalDay(day int) []perron.Slot {
	d := m.history.base.AddDays(day)
	var out []perron.Slot
	for _, s := range m.runDay(d, d.Start(), d.Start(), nil, perron.Typical) {
		out = append(out, s.Slot)
	}
	return out
}
