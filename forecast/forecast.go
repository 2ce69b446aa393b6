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
	now = possible(now)
	live := !now.At.IsZero() && origin.Sub(now.At).Abs() <= freshness && finite(now)
	if live {
		m.remember(now.At, now.Queue.Mid)
		m.noteRate(&now)
		if now.EntryRate > 0 && (now.Queue.Mid >= someQueue || m.usualRate() == 0) {
			m.rate = now.EntryRate
		} else {
			m.rate = m.usualRate()
		}
	}
	m.update(origin, recent, now, live)
	f.Weeks = m.weeks

	today := perron.DateOf(origin)
	f.Measured, f.Quarters, f.Hours = []perron.Slot{}, []perron.Slot{}, []perron.Slot{}
	f.Best = []perron.Moment{}
	begin := perron.Quarter.Start(origin)
	quarters := m.past(today, begin)
	runs := m.run(origin, now, live)
	quarters = append(quarters, runs...)
	end := today.AddDays(2).Start()
	for _, s := range runs {
		if s.Start.Before(end) {
			f.Quarters = append(f.Quarters, s.Slot)
		}
	}
	f.Hours = hours(quarters, today)
	f.Best = best(f.Quarters, origin, today.End(), m.site, m.capacity())
	return f
}

func finite(e perron.Estimate) bool {
	for _, i := range []perron.Interval{e.OnSite, e.Queue, e.Wait} {
		for _, v := range []float64{i.Low, i.Mid, i.High} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return false
			}
		}
	}
	return !math.IsNaN(e.EntryRate) && !math.IsInf(e.EntryRate, 0)
}

// possible is an estimate without less than nobody, and with rising quantiles;
// a wait is no longer than a day.
func possible(e perron.Estimate) perron.Estimate {
	for _, v := range []*perron.Interval{&e.OnSite, &e.Queue, &e.Wait} {
		v.Low = math.Max(0, v.Low)
		v.Mid = math.Max(v.Low, v.Mid)
		v.High = math.Max(v.Mid, v.High)
	}
	const day = 24 * 60
	e.Wait.Low, e.Wait.Mid, e.Wait.High = math.Min(day, e.Wait.Low), math.Min(day, e.Wait.Mid), math.Min(day, e.Wait.High)
	return e
}

// update takes in today's counts. Rows of earlier days are left to Refit.
func (m *Model) update(origin time.Time, recent []perron.Count, now perron.Estimate, live bool) {
	if m.base == (perron.Date{}) {
		m.base = perron.DateOf(origin)
		m.in, m.asked = nil, 0
	}
	today := m.day(origin)
	if today < 0 {
		return // before all history
	}
	rebuild := m.s == nil || m.fresh || today+ahead > m.s.days || today > m.asked+1
	m.asked = max(m.asked, today)
	for len(m.in) < (today+1)*perDay {
		m.in = append(m.in, math.NaN())
	}
	begin := perron.Quarter.Start(origin) // this quarter is not complete
	start := perron.DateOf(origin).Start()
	var last time.Time
	for _, c := range recent {
		if c.Start.Before(begin) && !c.Start.Before(start) && c.Start.After(last) {
			last = c.Start
		}
	}
	if live {
		last = begin.Add(-slotMinutes * time.Minute) // zero rows may be missing
	}
	day := m.in[today*perDay : (today+1)*perDay]
	for i := range day {
		day[i] = math.NaN()
	}
	if !last.Before(start) {
		m.fill(start, last)
		for _, c := range recent {
			if !c.Start.After(last) && !c.Start.Before(start) {
				m.count(c)
			}
		}
	}
	if rebuild {
		m.build()
		m.typical = map[int][]perron.Slot{}
		if m.near == nil {
			m.train()
		}
	}
	m.today(today, now, live)
}

// today puts the arrivals of today so far into the series.
func (m *Model) today(today int, now perron.Estimate, live bool) {
	y := append([]float64(nil), m.in[today*perDay:(today+1)*perDay]...)
	date := m.base.AddDays(today)
	waiting := 0.0
	if live {
		waiting = m.onRoad(now.Queue.Mid)
	}
	m.unqueueToday(date, y, waiting)
	lo, hi := m.s.first[today], m.s.first[today+1]
	known := lo
	for i := lo; i < hi; i++ {
		m.s.rows[i].y = y[m.s.rows[i].slot]
		if !math.IsNaN(m.s.rows[i].y) {
			known = i + 1
		}
	}
	c := m.counter
	c.known = min(c.known, lo)
	c.sumY, c.sumP = c.sumY[:c.known+1], c.sumP[:c.known+1]
	c.learn(known)
}

// unqueueToday is unqueue for a day that is not over: who waits now has
// arrived. Where the queue is not remembered they are taken to have come
// within the last hour and a half.
func (m *Model) unqueueToday(d perron.Date, y []float64, waiting float64) {
	last := -1
	for s, v := range y {
		if !math.IsNaN(v) {
			last = s
		}
	}
	known := false
	for s := range y {
		at := d.At(perron.TimeOfDay(s * slotMinutes))
		q0, ok0 := m.queues[at.Unix()]
		q1, ok1 := m.queues[at.Add(slotMinutes*time.Minute).Unix()]
		if ok0 && ok1 {
			if s > last-6 {
				known = true
			}
			y[s] = math.Max(0, y[s]+q1-q0) / m.stayedAt(at)
		}
	}
	if known || last < 0 || waiting <= 0 {
		return
	}
	n := min(6, last+1)
	for s := last - n + 1; s <= last; s++ {
		y[s] = (y[s] + waiting/float64(n)) / stay(waiting/2/m.capacity())
	}
}

// Typical is what is usual at a time, from the profile alone; false when the
// site is closed then or no past day speaks.
func (m *Model) Typical(at time.Time) (perron.Slot, bool) {
	if m.s == nil || m.counter.known == 0 && m.s.prior == nil {
		return perron.Slot{}, false
	}
	day := m.day(at)
	if day < 0 || day >= m.s.days {
		// Any day of the same kind will do.
		kind := m.kindOf(perron.DateOf(at))
		for day = m.s.days - 1; day > 0 && m.s.kind[day] != kind; day-- {
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
