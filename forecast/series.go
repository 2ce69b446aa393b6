package forecast

import "math"

// A series is a table of counts with a row for each slot in which something
// can be counted, in the order of time. Rows of slots in which a site is
// closed are left out. Days are numbered without gaps, so that closed days
// keep their number; rows of one day have rising slots.
type series struct {
	perDay int // slots in a full day
	days   int
	rows   []row
	first  []int // first[d] is the first row of day d, first[days] = len(rows)
	kind   []int // of each day: days of one kind share a profile
	week   int   // days in a week: 7, or 5 when weekends are left out

	outside bool        // anything is known from outside
	school  []float64   // by day: 1 in the school holidays; nil where nothing is known of them
	prior   [][]float64 // by kind of day and slot: what is usual at other sites; may be nil

	sizes  []float64         // by day, where asked: see size
	trusts map[int][]float64 // by last day, where asked: see trust

	without Part // left out, to see what it is worth
}

// A row is one slot.
type row struct {
	day, slot int
	y         float64 // NaN where nothing is known, the future included
	x         outside
}

// newSeries fills in what follows from the rows.
func newSeries(rows []row, kind []int, perDay, week int) *series {
	s := &series{perDay: perDay, days: len(kind), rows: rows, kind: kind, week: week}
	s.first = make([]int, s.days+1)
	for i := len(rows) - 1; i >= 0; i-- {
		s.first[rows[i].day] = i
	}
	s.first[s.days] = len(rows)
	for d := s.days - 1; d >= 0; d-- {
		if n := s.first[d]; n >= len(rows) || rows[n].day != d {
			s.first[d] = s.first[d+1]
		}
	}
	return s
}

// at finds the row of a day's slot, or -1.
func (s *series) at(day, slot int) int {
	if day < 0 || day >= s.days {
		return -1
	}
	// Rows of a day mostly have consecutive slots.
	lo, hi := s.first[day], s.first[day+1]
	if lo == hi {
		return -1
	}
	if i := lo + slot - s.rows[lo].slot; i >= lo && i < hi && s.rows[i].slot == slot {
		return i
	}
	for i := lo; i < hi; i++ {
		if s.rows[i].slot == slot {
			return i
		}
	}
	return -1
}

const (
	profileWeeks = 8
	longMemory   = 2.5 // half-life in weeks of a past day's weight in the profile
	shortMemory  = 1.2
	poolWeight   = 0.35 // of a past day: what the mean over all kinds of day counts for
)

// A profile is what is usual in the slots of one kind of day.
type profile struct {
	long, short []float64 // by slot; NaN where no past day speaks
	pool        []float64 // over all kinds of day
	smooth      []float64 // long, averaged with its neighbours
	days        int       // past days of the kind
	school      float64   // part of those days that were school holidays
}

// profile is the recency-weighted mean of the past days of a kind, up to and
// including day last.
func (s *series) profile(kind, last int) profile {
	p := profile{
		long: make([]float64, s.perDay), short: make([]float64, s.perDay),
		pool: make([]float64, s.perDay), smooth: make([]float64, s.perDay),
	}
	schoolWeight := 0.0
	weights := make([]float64, 4*s.perDay)
	wl, ws, wp := weights[:s.perDay], weights[s.perDay:2*s.perDay], weights[2*s.perDay:3*s.perDay]
	from := max(0, last-profileWeeks*s.week+1)
	var trust []float64
	if !s.without.has(PartTrust) {
		trust = s.trust(from, last)
	}
	for d := from; d <= last; d++ {
		age := float64(last-d) / float64(s.week)
		long, short := math.Exp2(-age/longMemory), math.Exp2(-age/shortMemory)
		if s.without.has(PartRecency) {
			long, short = 1, 1
		}
		if trust != nil {
			long, short = long*trust[d-from], short*trust[d-from]
		}
		same := s.kind[d] == kind
		some := false
		for _, r := range s.rows[s.first[d]:s.first[d+1]] {
			if math.IsNaN(r.y) {
				continue
			}
			p.pool[r.slot] += long * r.y
			wp[r.slot] += long
			if same {
				some = true
				p.long[r.slot] += long * r.y
				wl[r.slot] += long
				p.short[r.slot] += short * r.y
				ws[r.slot] += short
			}
		}
		if some {
			p.days++
			schoolWeight += long
			if s.school != nil {
				p.school += long * s.school[d]
			}
		}
	}
	if schoolWeight > 0 {
		p.school /= schoolWeight
	}
	if s.prior != nil {
		s.borrow(&p, kind, last, wl, ws)
	}
	// The pool has the day's shape; its level is that of the kind.
	var own, all float64
	for i := range p.pool {
		if wl[i] > 0 && wp[i] > 0 {
			own += p.long[i] / wl[i]
			all += p.pool[i] / wp[i]
		}
	}
	level := 1.0
	if all > 0 && own > 0 {
		level = own / all
	}
	for i := range p.pool {
		pool := math.NaN()
		if wp[i] > 0 {
			pool = level * p.pool[i] / wp[i]
		}
		p.pool[i] = pool
		poolWeight := poolWeight
		if s.without.has(PartPool) {
			poolWeight = 1e-6 // it still stands in where nothing else speaks
		}
		switch {
		case wl[i] > 0 && wp[i] > 0:
			p.long[i] = (p.long[i] + poolWeight*pool) / (wl[i] + poolWeight)
			p.short[i] = (p.short[i] + poolWeight*p.long[i]) / (ws[i] + poolWeight)
		case wl[i] > 0:
			p.long[i], p.short[i] = p.long[i]/wl[i], p.short[i]/ws[i]
			p.pool[i] = p.long[i]
		default:
			p.long[i], p.short[i] = pool, pool
		}
	}
	for i := range p.long {
		sum, w := 0.0, 0.0
		for k := -1; k <= 1; k++ {
			if j := i + k; j >= 0 && j < s.perDay && !math.IsNaN(p.long[j]) {
				f := 2.0 - math.Abs(float64(k))
				sum, w = sum+f*p.long[j], w+f
			}
		}
		p.smooth[i] = math.NaN()
		if w > 0 && !math.IsNaN(p.long[i]) {
			p.smooth[i] = sum / w
		}
	}
	return p
}

// borrow adds the borrowed pattern of a kind to the sums of its past days.
func (s *series) borrow(p *profile, kind, last int, long, short []float64) {
	prior := s.prior[kind]
	if prior == nil {
		return
	}
	level := s.level(last)
	for i, v := range prior {
		if math.IsNaN(v) {
			continue
		}
		p.long[i] += priorWeight * level * v
		long[i] += priorWeight
		p.short[i] += priorWeight * level * v
		short[i] += priorWeight
	}
}
