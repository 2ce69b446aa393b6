package occupancy

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Smooth says how many vehicles were on site at each of the times of a closed
// day, knowing the whole of it: what came later says something of before, and at the end
// of the day everyone had left. It is the forward–backward algorithm (Rabiner,
// Proceedings of the IEEE 77, 1989, section III.A) over the same belief and the
// same steps as the live estimate. Events, recounts and times are each in order;
// of the actions only recounts count. A day takes a few hundred milliseconds.
func (x Experience) Smooth(site *perron.Site, events []perron.Event, actions []perron.Action, times []time.Time) []perron.Interval {
	e := x.New(site)
	most := 0
	for _, a := range actions {
		most = max(most, min(a.Vehicles, mostSmoothed))
	}
	if most >= e.live.onSite.size {
		e.live.onSite.grow(most + 10) // the belief keeps its size in a trace
	}
	rec := &trace{}
	e.live.onSite.trace = rec
	day := perron.NewReplay(bounded{e}, events, actions)
	var at []int // how many steps there were by each time
	var forward [][]float64
	for _, t := range times {
		day.Until(t)
		e.advance(&e.live, t)
		at = append(at, len(rec.steps))
		forward = append(forward, slices.Clone(e.live.onSite.p))
	}
	if len(times) > 0 {
		last := times[len(times)-1]
		day.Until(last.Add(24 * time.Hour))
		if rest, ok := e.nextRest(last); ok {
			e.advance(&e.live, rest.Add(time.Minute))
		}
	}
	y := &e.live.onSite
	b := backward{y: y, beta: make([]float64, len(y.p)), spare: make([]float64, len(y.p))}
	for i := range b.beta {
		b.beta[i] = 1
	}
	out := make([]perron.Interval, len(times))
	marg := make([]float64, y.size)
	n := len(rec.steps)
	for k := len(times) - 1; k >= 0; k-- {
		for ; n > at[k]; n-- {
			b.reverse(&rec.steps[n-1])
		}
		clear(marg)
		for i, v := range forward[k] {
			marg[i%y.size] += v * b.beta[i]
		}
		if !normalise(marg) {
			// What came later rules out what was believed: the live belief stands.
			clear(marg)
			for i, v := range forward[k] {
				marg[i%y.size] += v
			}
			normalise(marg)
		}
		out[k] = quantiles(marg, siteTail)
	}
	return out
}

// mostSmoothed bounds what staff may have counted of a day that is smoothed: the
// whole belief is kept for each of its times.
const mostSmoothed = 1000

// bounded is an estimator that believes no larger recount.
type bounded struct{ *Estimator }

func (b bounded) Recount(at time.Time, vehicles int) {
	b.Estimator.Recount(at, min(vehicles, mostSmoothed))
}

// backward is how likely what came later is, from each state.
type backward struct {
	y           *onSite
	beta, spare []float64
}

// reverse takes beta back over a step: it applies the transpose of what the step
// did to the belief, and scales the result.
func (b *backward) reverse(s *step) {
	y := b.y
	row := func(v []float64, i, j int) []float64 {
		k := (i*len(errorHypothesisTable) + j) * y.size
		return v[k : k+y.size]
	}
	var full []float64
	switch s.kind {
	case stepSwitch:
		b.reverseSwitch(s)
	case stepComparison:
		full = y.nearCapacity(s.vehicles)
	}
	for i := range dwellFactors {
		for j, e := range errorHypothesisTable {
			v := row(b.beta, i, j)
			last := len(v) - 1
			switch s.kind {
			case stepComparison:
				for n := range v {
					v[n] *= s.evidence[j] * full[n]
				}
			case stepTime:
				if s.born > 0 && e.entriesDead() {
					for n := range last {
						v[n] += s.born * (v[n+1] - v[n])
					}
				}
				rate := s.exits[i]
				if s.closed {
					rate = max(rate, closingExitRate)
				}
				quiet := math.Exp(-rate * (1 - e.out) * s.minutes)
				unseen := rate * e.out * s.minutes
				w := math.Pow(quiet, float64(last))
				back := 1 / quiet
				for n := last; n >= 0; n-- {
					gone := min(1, float64(n)*unseen)
					x := v[n] * (1 - gone) * w
					w *= back
					if n > 0 {
						x += gone * w * v[n-1]
					}
					v[n] = x
				}
			case stepEntry:
				more := (1 - s.double) * e.missedPerSeen()
				one := 1 - s.double - more
				for n := y.overfullFrom() + 1; n <= last; n++ {
					v[n] *= overfullWeight
				}
				for n := range v {
					v[n] *= e.seenPart()
				}
				for n := range v {
					x := s.double * v[n]
					if n == last {
						x = v[n]
					}
					if n+1 <= last {
						x += one * v[n+1]
					}
					if n+2 <= last {
						x += more * v[n+2]
					}
					v[n] = x
				}
				v[last-1] = v[last]
			case stepExit:
				rate := s.exits[i] * (1 - e.out)
				for n := last; n >= 0; n-- {
					x := s.base * v[n]
					if n > 0 {
						x += float64(n) * rate * v[n-1]
					}
					v[n] = x
				}
			case stepRecount:
				var sum float64
				for n, x := range v {
					z := float64(n-s.vehicles) / 0.6
					sum += x * math.Exp(-z*z/2)
				}
				for n := range v {
					z := float64(n-s.vehicles) / 4
					v[n] = sum * (0.05 + math.Exp(-z*z/2))
				}
			case stepEmpty:
				// Live, the belief is only put to nobody; looking back it is known that
				// nobody was there.
				for n := 1; n <= last; n++ {
					v[n] = v[0] * 1e-3
				}
			case stepRestart:
				for n := range v {
					v[n] = 1
				}
			}
		}
	}
	top := 0.0
	for _, v := range b.beta {
		top = max(top, v)
	}
	if top > 0 && (top < 1e-100 || top > 1e100) {
		for i := range b.beta {
			b.beta[i] /= top
		}
	}
}

// reverseSwitch takes beta back over a switch of the hypotheses: over that of the
// dwell, which is symmetric, and then over that of the counters.
func (b *backward) reverseSwitch(s *step) {
	y := b.y
	move := (1 - math.Exp(-dwellSwitchRate*s.minutes)) / 2
	copy(b.spare, b.beta)
	stride := len(errorHypothesisTable) * y.size
	for i := range dwellFactors {
		here := b.beta[i*stride : (i+1)*stride]
		for _, o := range []int{i - 1, i + 1} {
			if o < 0 || o >= len(dwellFactors) {
				continue
			}
			own, other := b.spare[i*stride:(i+1)*stride], b.spare[o*stride:(o+1)*stride]
			for n := range here {
				here[n] += move * (other[n] - own[n])
			}
		}
	}
	toPrior := 1 - math.Exp(-errorSwitchRate*s.minutes)
	mean := make([]float64, y.size)
	for i := range dwellFactors {
		clear(mean)
		for j, e := range y.prior.errors {
			k := i*stride + j*y.size
			for n, v := range b.beta[k : k+y.size] {
				mean[n] += e * v
			}
		}
		for j := range y.prior.errors {
			k := i*stride + j*y.size
			for n := range mean {
				b.beta[k+n] += toPrior * (mean[n] - b.beta[k+n])
			}
		}
	}
}
