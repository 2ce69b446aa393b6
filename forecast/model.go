package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	slotMinutes = 15
	perDay      = 24 * 60 / slotMinutes
	ahead       = 8 // days, today included, that forecasts reach
	keepDays    = 60 * 7
	freshness   = 15 * time.Minute
)

// A Model forecasts one site. It starts without history and knows the opening
// hours only. It is not safe for concurrent use.
type Model struct {
	site *perron.Site

	base  perron.Date  // day 0
	in    []float64    // entries by civil slot, day*perDay+slot; NaN where nothing is known
	seen  [perDay]bool // times of day at which something is known
	asked int          // day of the latest origin
	weeks int

	s       *series
	counter *counter
	near    []fit     // by nearSlots
	far     []fit     // by leads, from 1 on
	rate    float64   // of the newest estimate, which is of no full yard when nobody waits
	rates   []float64 // of a full yard, as they were measured
	usual   float64   // their median, 0 when it is to be found

	weather map[int64]perron.Weather // by the Unix time of the hour
	lent    []perron.Pattern         // what is usual at other sites
	fresh   bool                     // weather or patterns are newer than the series

	queues  map[int64]float64 // vehicles waiting at the start of a quarter, by its Unix time
	longest float64           // of them, nearly; 0 where too few are known
	typical map[int][]perron.Slot
	luck    [][]float64
}

// nearSlots are the horizons within a day that have a regression of their own.
var nearSlots = []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 34}

// New returns a model without history.
func New(site *perron.Site) *Model {
	m := &Model{site: site, queues: map[int64]float64{}, weather: map[int64]perron.Weather{}, luck: draws()}
	m.Refit(nil)
	return m
}

// Remember tells the model how long the queue was at past times, so that it
// knows how many came and not only how many were let in. It matters from the
// next Refit on and is optional: what is not remembered is guessed from how
// long the entrance was saturated.
func (m *Model) Remember(samples []perron.Sample) {
	for _, s := range samples {
		m.remember(s.At, s.Queue.Mid)
		m.noteRate(&s.Estimate)
	}
}

const (
	someQueue = 3   // vehicles: with fewer, entries say how many come, not how many could
	rates     = 720 // of a full yard that are kept, one a sample
)

// noteRate keeps the rate at which a queue was let in.
func (m *Model) noteRate(e *perron.Estimate) {
	if e.Queue.Mid < someQueue || !(e.EntryRate > 0) || math.IsInf(e.EntryRate, 0) {
		return
	}
	if len(m.rates) >= rates {
		m.rates = append(m.rates[:0], m.rates[rates/4:]...)
	}
	m.rates = append(m.rates, e.EntryRate)
	m.usual = 0
}

// usualRate is the median of the rates at which queues were let in; 0 when too
// few are known.
func (m *Model) usualRate() float64 {
	if m.usual == 0 && len(m.rates) >= 30 {
		m.usual = median(m.rates)
	}
	return m.usual
}

func (m *Model) remember(at time.Time, queue float64) {
	if at.IsZero() || math.IsNaN(queue) || math.IsInf(queue, 0) {
		return
	}
	start := perron.Quarter.Start(at)
	if _, ok := m.queues[start.Unix()]; !ok && at.Sub(start) < 3*time.Minute {
		m.queues[start.Unix()] = m.onRoad(queue)
	}
}

// onRoad is a queue as it can be: what is twice as long as the road is none.
func (m *Model) onRoad(queue float64) float64 {
	return math.Max(0, math.Min(2*m.road(), queue))
}

// road is how many vehicles fit before the public road, as the site says.
func (m *Model) road() float64 {
	if m.site.RoadSpace > 0 {
		return float64(m.site.RoadSpace)
	}
	return 60
}

// room is how long a queue can become: as long as the road, or longer where
// longer queues are remembered, since a public road does not end there.
func (m *Model) room() float64 { return math.Max(m.road(), m.longest) }

// noteLongest keeps the length that one queue in fifty was beyond.
func (m *Model) noteLongest() {
	const enough = 20 // quarters of an hour
	var some []float64
	for _, q := range m.queues {
		if q >= someQueue {
			some = append(some, q)
		}
	}
	m.longest = 0
	if len(some) >= enough {
		slices.Sort(some)
		m.longest = some[len(some)*49/50]
	}
}

// Refit learns from history: quarter-hour counts with gates summed. Between
// the first and the last a row that is missing is a zero, except where a whole
// day or long stretch is silent in which many vehicles are usual: that is a gap.
func (m *Model) Refit(history []perron.Count) {
	m.in, m.typical, m.weeks = nil, map[int][]perron.Slot{}, 0
	var first, last time.Time
	for _, c := range history {
		if c.Start.Before(perron.Earliest) {
			continue
		}
		if first.IsZero() || c.Start.Before(first) {
			first = c.Start
		}
		if c.Start.After(last) {
			last = c.Start
		}
	}
	if last.IsZero() {
		m.base, m.s, m.counter, m.near, m.far = perron.Date{}, nil, nil, nil, nil
		return
	}
	m.base = perron.DateOf(first)
	if from := perron.DateOf(last).AddDays(-keepDays); m.base.Before(from) {
		m.base = from
		first = from.Start()
	}
	m.asked = m.day(last)
	m.in = unknown((m.asked + 1) * perDay)
	m.fill(first, last)
	for _, c := range history {
		m.count(c)
	}
	m.dropGaps()
	m.noteSeen()
	m.forgetQueues(first)
	m.noteLongest()
	m.forgetWeather()
	m.build()
	m.train()
}

func unknown(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// day is the number of civil days from the base to t.
func (m *Model) day(t time.Time) int { return m.dayOf(perron.DateOf(t)) }

func (m *Model) dayOf(d perron.Date) int {
	utc := func(d perron.Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }
	return int(math.Round(utc(d).Sub(utc(m.base)).Hours() / 24))
}

// index is the place of a quarter hour in m.in, or -1. The hour that the clock
// repeats in October falls on the slots of the one before it.
func (m *Model) index(t time.Time) int {
	i := m.day(t)*perDay + int(perron.TimeOfDayOf(t))/slotMinutes
	if i < 0 || i >= len(m.in) {
		return -1
	}
	return i
}

// fill makes the quarters from first to last known zeros.
func (m *Model) fill(first, last time.Time) {
	for i, end := max(0, m.index(first)), m.index(last); i <= end; i++ {
		m.in[i] = 0
	}
}

func (m *Model) count(c perron.Count) {
	if i := m.index(c.Start); i >= 0 && !math.IsNaN(m.in[i]) {
		m.in[i] += float64(max(0, c.In))
	}
}

// open says, by slot, which part of a day's quarters the site is open.
func (m *Model) open(d perron.Date) (part [perDay]float64) {
	for _, s := range m.site.Hours.On(d) {
		for i := int(s.Open) / slotMinutes; i < perDay && i*slotMinutes < int(s.Close); i++ {
			from, to := max(int(s.Open), i*slotMinutes), min(int(s.Close), (i+1)*slotMinutes)
			part[i] += float64(to-from) / slotMinutes
		}
	}
	return part
}

// kindOf groups days: the weekday, or 7 for a public holiday on which the site
// opens.
func (m *Model) kindOf(d perron.Date) int {
	if _, ok := m.site.Hours.Exceptions[d]; !ok && perron.HolidayOn(d).Public() && len(m.site.Hours.On(d)) > 0 {
		return 7
	}
	return int(d.Weekday())
}

// dropGaps turns silence that cannot be true into "unknown": a whole open day
// where others have many vehicles (the counters were down, or the site did not
// open on such days yet), a time of day at which none ever came on a busy kind
// of day (it was closed then), and two hours or more in which at least 25 are
// usual.
func (m *Model) dropGaps() {
	const many = 25
	days := len(m.in) / perDay
	kinds := make([]int, days)
	open := make([][perDay]float64, days)
	total := make([]float64, days)
	var sum, n float64
	for d := range days {
		date := m.base.AddDays(d)
		kinds[d], open[d] = m.kindOf(date), m.open(date)
		for s, part := range open[d] {
			if v := m.in[d*perDay+s]; part > 0 && v > 0 {
				total[d] += v
			}
		}
		if total[d] > 0 {
			sum, n = sum+total[d], n+1
		}
	}
	usual := make([]float64, 8*perDay)
	count := make([]float64, 8*perDay)
	for d := range days {
		if total[d] == 0 && sum >= many*n && n > 0 {
			m.forgetSlots(d, 0, perDay)
		}
		for s := range perDay {
			if v := m.in[d*perDay+s]; v >= 0 {
				usual[kinds[d]*perDay+s] += v
				count[kinds[d]*perDay+s]++
			}
		}
	}
	for i := range usual {
		if count[i] > 0 {
			usual[i] /= count[i]
		}
	}
	for d := range days {
		mean, slots := 0.0, 0.0
		for s, part := range open[d] {
			if part > 0 {
				mean, slots = mean+usual[kinds[d]*perDay+s], slots+1
			}
		}
		busy := slots > 0 && mean/slots >= 2
		from, missed := -1, 0.0
		for s := 0; s <= perDay; s++ {
			if s < perDay && open[d][s] > 0 && m.in[d*perDay+s] == 0 {
				if from < 0 {
					from, missed = s, 0
				}
				missed += usual[kinds[d]*perDay+s]
				if busy && usual[kinds[d]*perDay+s] == 0 {
					m.forgetSlots(d, s, s+1)
				}
				continue
			}
			if from >= 0 && s-from >= 8 && missed >= many {
				m.forgetSlots(d, from, s)
			}
			from = -1
		}
	}
}

// noteSeen notes at which times of day anybody ever counted: a yard that was
// counted for three hours of one day is not quiet for the rest of it. An hour
// around those times is taken to be like them.
func (m *Model) noteSeen() {
	m.seen = [perDay]bool{}
	for day := 0; day < len(m.in); day += perDay {
		m.noteDay(m.in[day:min(day+perDay, len(m.in))])
	}
}

func (m *Model) noteDay(in []float64) {
	const around = 4 // quarters
	for slot, v := range in {
		if math.IsNaN(v) {
			continue
		}
		for s := max(0, slot-around); s <= min(perDay-1, slot+around); s++ {
			m.seen[s] = true
		}
	}
}

// forgetSlots makes slots of a day unknown.
func (m *Model) forgetSlots(day, from, to int) {
	for s := from; s < to; s++ {
		m.in[day*perDay+s] = math.NaN()
	}
}

func (m *Model) forgetQueues(before time.Time) {
	for at := range m.queues {
		if at < before.Unix() {
			delete(m.queues, at)
		}
	}
}

// build makes the series of arrivals, with rows for the open slots from day 0
// to the end of what can be forecast from the day that was asked.
func (m *Model) build() {
	days := m.asked + ahead + 2
	var rows []row
	kind := make([]int, days)
	known := 0
	weeks := map[int]bool{}
	for d := range days {
		date := m.base.AddDays(d)
		kind[d] = m.kindOf(date)
		y := unknown(perDay)
		if (d+1)*perDay <= len(m.in) {
			copy(y, m.in[d*perDay:(d+1)*perDay])
			m.unqueue(date, y)
		}
		for s, part := range m.open(date) {
			if part <= 0 {
				continue
			}
			rows = append(rows, row{day: d, slot: s, y: y[s]})
			if !math.IsNaN(y[s]) {
				known = len(rows)
				weeks[(m.asked-d)/7] = true
			}
		}
	}
	m.s = newSeries(rows, kind, perDay, 7)
	m.addOutside(m.s)
	m.addPrior(m.s)
	m.counter = newCounter(m.s, 60/slotMinutes, known)
	m.weeks = 0
	for w := range weeks {
		if w < profileWeeks {
			m.weeks++
		}
	}
}

// train fits a regression for each horizon.
func (m *Model) train() {
	from := max(0, m.asked-trainWeeks*7)
	s := m.s
	m.near, m.far = m.near[:0], m.far[:0]
	for _, h := range nearSlots {
		var pairs []pair
		for t := s.first[from] + h; t < m.counter.known; t++ {
			if s.rows[t].day == s.rows[t-h].day {
				pairs = append(pairs, pair{t - h, t})
			}
		}
		m.near = append(m.near, m.counter.train(pairs, prior(float64(h*slotMinutes)/60), trainMemory))
	}
	for _, lead := range leads[1:] {
		var pairs []pair
		for t := s.first[from]; t < m.counter.known; t++ {
			if o := s.at(s.rows[t].day-lead, s.rows[t].slot); o >= 0 {
				pairs = append(pairs, pair{o, t})
			}
		}
		m.far = append(m.far, m.counter.train(pairs, prior(float64(24*lead)), trainMemory))
	}
}

// fitFor chooses the regression for a target row.
func (m *Model) fitFor(origin, target int) *fit {
	o, t := m.s.rows[origin], m.s.rows[target]
	if t.day > o.day {
		return &m.far[max(1, leadIndex(t.day-o.day))-1]
	}
	best := 0
	for i, h := range nearSlots {
		if h <= target-origin {
			best = i
		}
	}
	return &m.near[best]
}

// arrivals are the quantiles of the number that joins in a row's slot, seen
// from the row origin. Without any past day the answer is false.
func (m *Model) arrivals(origin, target int) (v perron.Interval, ok bool) {
	r := m.s.rows[target]
	var f [features]float64
	if origin < 0 {
		return m.look(origin, target, perron.Typical)
	}
	base := m.counter.vector(&f, origin, r.day, r.slot)
	if math.IsNaN(base) {
		base, ok = m.borrow(origin, target)
		if !ok {
			return v, false
		}
		f = [features]float64{}
		f[fWeek], f[fThree] = m.counter.level(origin+1-5*perDay, origin+1), m.counter.level(origin+1-12, origin+1)
	}
	fit := m.fitFor(origin, target)
	v.Low, v.Mid, v.High = fit.quantiles((base+0.02)*fit.factor(&f), r.slot)
	return v, true
}

// borrow is the profile of the nearest slot of the day that has one: the site
// opens at a time of day at which it never did.
func (m *Model) borrow(origin, target int) (float64, bool) {
	r := m.s.rows[target]
	lead := max(0, r.day-m.s.rows[origin].day)
	p := m.counter.before(r.day, lead).long
	for k := 1; k < perDay; k++ {
		for _, s := range []int{r.slot - k, r.slot + k} {
			if s >= 0 && s < perDay && !math.IsNaN(p[s]) {
				return p[s], true
			}
		}
	}
	return 0, false
}
