package main

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// A yardCase is a simulated yard. The estimator is told a dwell of 14 minutes,
// the loops and the opening hours.
type yardCase struct {
	name  string
	bays  int
	lanes int
	dwell float64 // minutes
	loops []int   // vehicles from the entrance
	visit float64 // on a mean Saturday; 0 is what makes a queue
	fault simulate.Faults
	balk  float64 // see simulate.Yard
}

var yardCases = []yardCase{
	// Those of docs/forecasting-measured.md; limits.go has limits for them.
	{"poort", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.01, MissOut: 0.02, Double: 0.005}, 0},
	{"few loops", 24, 1, 14, []int{6}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.05, Double: 0.01}, 0},
	{"no loops", 24, 1, 14, nil, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.05, Double: 0.01}, 0},
	{"slow", 18, 1, 19, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.01, MissOut: 0.05}, 0},
	{"quick", 30, 2, 10, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.03, MissOut: 0.03}, 0},
	{"quiet", 24, 1, 14, []int{4, 12}, 350, simulate.Faults{MissIn: 0.02, MissOut: 0.05}, 0},
	{"small", 10, 1, 12, []int{3, 8, 16, 30}, 0, simulate.Faults{MissIn: 0.03, MissOut: 0.06, Double: 0.01}, 0},
	{"large", 48, 2, 16, []int{5, 15, 30}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.04, Double: 0.01}, 0},
	{"crowded", 24, 1, 14, []int{4, 12, 25, 40}, 1000, simulate.Faults{MissIn: 0.02, MissOut: 0.08}, 0},
	// Others, with which only what is taken of unseen queues was chosen.
	{"many loops", 20, 1, 16, []int{2, 5, 9, 14, 20, 27, 35, 44}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.04, Double: 0.01}, 0},
	{"loops to 20", 28, 2, 12, []int{3, 8, 20}, 1100, simulate.Faults{MissIn: 0.03, MissOut: 0.05}, 0},
	{"outgrown", 20, 1, 15, []int{5, 15}, 900, simulate.Faults{MissIn: 0.02, MissOut: 0.06, Double: 0.01}, 0},
	{"no loops, small", 12, 1, 16, nil, 0, simulate.Faults{MissIn: 0.01, MissOut: 0.03, Double: 0.01}, 0},
	{"no loops, busy", 24, 1, 12, nil, 1100, simulate.Faults{MissIn: 0.02, MissOut: 0.05}, 0},
	// Where people turn away from shorter queues, so that none gets long.
	{"turn away, few loops", 18, 1, 14, []int{2, 6}, 700, simulate.Faults{MissIn: 0.03, MissOut: 0.02, Double: 0.007}, 40},
	{"turn away, no loops", 20, 1, 16, nil, 700, simulate.Faults{MissIn: 0.03, MissOut: 0.05, Double: 0.007}, 45},
	{"turn away, busy", 15, 1, 15, []int{5, 15}, 900, simulate.Faults{MissIn: 0.03, MissOut: 0.04, Double: 0.007}, 20},
	// A sensor breaks in mid-day.
	{"exits weak at noon", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Spells: []simulate.Spell{
		{Sensor: "main-out", From: 12 * 60, Trouble: simulate.Weak, Miss: 0.18},
	}}, 0},
	{"exits dead 11–14 h", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Spells: []simulate.Spell{
		{Sensor: "main-out", From: 11 * 60, Until: 14 * 60, Trouble: simulate.Dead},
	}}, 0},
	{"entries dead 11–13 h", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Spells: []simulate.Spell{
		{Sensor: "main-in", From: 11 * 60, Until: 13 * 60, Trouble: simulate.Dead},
	}}, 0},
	{"loop stuck 10–15 h", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Spells: []simulate.Spell{
		{Sensor: "queue-3", From: 10 * 60, Until: 15 * 60, Trouble: simulate.Stuck},
	}}, 0},
	{"loop dead 10–15 h", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Spells: []simulate.Spell{
		{Sensor: "queue-2", From: 10 * 60, Until: 15 * 60, Trouble: simulate.Dead},
	}}, 0},
	{"bounce, tailgating", 24, 1, 14, []int{4, 12, 25, 40}, 0, simulate.Faults{MissIn: 0.02, MissOut: 0.02, Bounce: 0.03, Tailgate: 0.5}, 0},
}

// road is how many vehicles fit on the approach road of every yard.
const road = 45

// What a yard's loops see decides how well the wait can be known.
type sight struct {
	name  string
	ratio float64 // target: our mean error to the best that knows everything
}

var (
	toTheEnd = sight{"to its end", 1}
	outgrown = sight{"in part", 1.25}
	unseen   = sight{"not", 2}
)

// yardScore is what a yard came to.
type yardScore struct {
	inside, queue, wait, long errorSums
	possible                  errorSums // waits where one of a minute or more was held possible
	known, knownLong          [len(knownNames)]errorSums
	beyond                    float64 // open instants at which the queue was longer than the last loop
}

func (c *yardCase) site() *perron.Site {
	s := &perron.Site{ID: "poort", Bays: c.bays, Lanes: c.lanes, TypicalDwell: 14, RoadSpace: road}
	for i, d := range c.loops {
		s.QueueLoops = append(s.QueueLoops, perron.QueueLoop{Sensor: fmt.Sprintf("queue-%d", i+1), Distance: d})
	}
	for w := range 7 {
		s.Hours.Weekly[w] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	return s
}

// told is what the estimator knows of the site.
func (e *eval) told(s *perron.Site) *perron.Site {
	if !e.hidden {
		return s
	}
	less := *s
	less.Hours, less.RoadSpace = perron.Hours{}, 60
	return &less
}

// score lives through Saturdays from 7 March 2026 on, and asks every five
// minutes while the yard is open. With a past, so many days before have taught
// their lesson, and the days between the Saturdays do; each estimate rests on
// what is closed by then. Without one each Saturday is the first day.
func (e *eval) score(c yardCase, past int) *yardScore {
	site := c.site()
	y := &simulate.Yard{Site: site, Seed: e.seed, Visits: c.visit, Faults: c.fault, Dwell: simulate.Dwell{Median: c.dwell}, Balk: c.balk}
	s := &yardScore{}
	last := 0
	for _, d := range c.loops {
		last = max(last, d)
	}
	first := perron.Date{Year: 2026, Month: time.March, Day: 7}
	var x occupancy.Experience
	learn := func(d perron.Date) {
		est := x.New(e.told(site))
		for _, ev := range y.Day(d).Events {
			est.Observe(ev)
		}
		x = x.Learn(est)
	}
	for k := -past; k < 0; k++ {
		learn(first.AddDays(k))
	}
	for week := range e.weeks {
		saturday := first.AddDays(7 * week)
		day := y.Day(saturday)
		est := x.New(e.told(site))
		knows := newKnowing(day)
		i := 0
		for m, tr := range day.Truth {
			for ; i < len(day.Events) && !day.Events[i].Time.After(tr.At); i++ {
				est.Observe(day.Events[i])
			}
			if m%5 != 0 || !site.Hours.Open(tr.At) {
				continue
			}
			got := est.Estimate(tr.At)
			s.inside.add(float64(tr.OnSite), got.OnSite)
			s.queue.add(float64(tr.Queue), got.Queue)
			if tr.Queue > last {
				s.beyond++
			}
			others := knows.at(tr.At, tr.Queue)
			if tr.Wait < 0 {
				continue // they would not get in
			}
			s.wait.add(tr.Wait, got.Wait)
			if got.Wait.High >= 1 {
				s.possible.add(tr.Wait, got.Wait)
			}
			if tr.Wait >= 5 {
				s.long.add(tr.Wait, got.Wait)
			}
			for k, v := range others {
				s.known[k].add(tr.Wait, perron.Exactly(v))
				if tr.Wait >= 5 {
					s.knownLong[k].add(tr.Wait, perron.Exactly(v))
				}
			}
		}
		if past > 0 && week+1 < e.weeks {
			for k := range 7 {
				learn(saturday.AddDays(k))
			}
		}
	}
	return s
}

// sight is how far the loops see: a queue outgrows them when it is longer than
// the last one for more than a twentieth of the open time.
func (s *yardScore) sight(c yardCase) sight {
	switch {
	case len(c.loops) == 0:
		return unseen
	case s.beyond > 0.05*s.inside.n:
		return outgrown
	}
	return toTheEnd
}

func best(of []errorSums) (int, float64) {
	at, low := 0, math.Inf(1)
	for i := range of {
		if v := of[i].mae(); v < low {
			at, low = i, v
		}
	}
	return at, low
}

func (e *eval) yards() error {
	if err := e.yardsWith(0, "nothing learned before"); err != nil || e.past == 0 {
		return err
	}
	return e.yardsWith(e.past, fmt.Sprintf("%d closed days learned from, and those since", e.past))
}

func (e *eval) yardsWith(past int, known string) error {
	scores := make([]*yardScore, len(yardCases))
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, c := range yardCases {
		wait.Go(func() {
			slots <- struct{}{}
			scores[i] = e.score(c, past)
			<-slots
		})
	}
	wait.Wait()

	t := e.table(fmt.Sprintf("Simulated yards, %d Saturdays each, seed %d, every five minutes while open; %s", e.weeks, e.seed, known),
		"yard", "bays", "dwell", "loops at", "on site: error", "holds", "queue: error", "holds", "over 5 min: n", "error", "bias", "holds")
	for i, c := range yardCases {
		s := scores[i]
		loops := "–"
		if len(c.loops) > 0 {
			loops = fmt.Sprint(c.loops)
		}
		t.row(c.name, fmt.Sprint(c.bays), fmt.Sprint(c.dwell), loops,
			fmt.Sprintf("%.2f", s.inside.mae()), fmt.Sprintf("%.3f", s.inside.coverage()),
			fmt.Sprintf("%.2f", s.queue.mae()), fmt.Sprintf("%.3f", s.queue.coverage()),
			fmt.Sprintf("%.0f", s.long.n), fmt.Sprintf("%.2f", s.long.mae()), fmt.Sprintf("%+.2f", s.long.bias()), fmt.Sprintf("%.3f", s.long.coverage()))
	}
	if err := t.end(); err != nil {
		return err
	}

	if past > 0 {
		known = fmt.Sprintf("%d days learned", past)
	} else {
		known = "nothing learned"
	}
	t = e.table("Wait now (minutes) on the same days, "+known+", beside estimators that know every vehicle's times and the true queue",
		"yard", "queue seen", "longer than that", "mean error", knownNames[0], knownNames[1], knownNames[2], knownNames[3],
		"ratio to the best", "80 % range holds", "where a wait is possible", "median bias", "ratio over 5 min")
	groups := map[sight][]float64{}
	for i, c := range yardCases {
		s := scores[i]
		seen := s.sight(c)
		_, low := best(s.known[:])
		_, lowLong := best(s.knownLong[:])
		ratio := s.wait.mae() / low
		groups[seen] = append(groups[seen], ratio)
		cells := []string{c.name, seen.name, fmt.Sprintf("%.0f %%", 100*s.beyond/s.inside.n), fmt.Sprintf("%.2f", s.wait.mae())}
		for k := range s.known {
			cells = append(cells, fmt.Sprintf("%.2f", s.known[k].mae()))
		}
		t.row(append(cells,
			e.atMost(c.name+", "+known+": wait to the best that knows", ratio, seen.ratio),
			fmt.Sprintf("%.3f", s.wait.coverage()),
			e.holds(c.name+", "+known+": wait, coverage where one is possible", s.possible.coverage(), 0.75, 0.88),
			e.figure(c.name+", "+known+": wait, median bias", "%+.2f", s.wait.medianBias(), -1, 1),
			fmt.Sprintf("%.2f", s.long.mae()/lowLong))...)
	}
	for _, seen := range []sight{toTheEnd, outgrown, unseen} {
		if of := groups[seen]; len(of) > 0 {
			var sum float64
			for _, v := range of {
				sum += math.Log(v)
			}
			t.row("geometric mean", seen.name, "", "", "", "", "", "", fmt.Sprintf("%.2f", math.Exp(sum/float64(len(of)))), "", "", "", "")
		}
	}
	return t.end()
}
