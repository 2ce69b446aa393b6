package forecast

import "math"

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
		trust = s.dayWeights(from, last)
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
	if s.lent != nil {
		s.addLent(&p, kind, last, wl, ws)
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

// addLent adds the borrowed pattern of a kind to the sums of its past days.
func (s *series) addLent(p *profile, kind, last int, long, short []float64) {
	prior := s.lent[kind]
	if prior == nil {
		return
	}
	level := s.lentLevel(last)
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

// lentLevel is how own counts compare to the borrowed pattern up to a day; 1
// without any, and little is made of few.
func (s *series) lentLevel(last int) float64 {
	var own, prior float64
	for d := max(0, last-profileWeeks*s.week+1); d <= last; d++ {
		p := s.lent[s.kind[d]]
		if p == nil {
			continue
		}
		for _, r := range s.rows[s.first[d]:s.first[d+1]] {
			if !math.IsNaN(r.y) && !math.IsNaN(p[r.slot]) {
				own, prior = own+r.y, prior+p[r.slot]
			}
		}
	}
	const steady = 20 // vehicles
	return (own + steady) / (prior + steady)
}
