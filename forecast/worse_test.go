package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A past is what came at scoredSite on one morning after another, of which the
// same is said every day.
type past struct {
	rand  *rand.Rand
	level float64 // of what comes, where 1 is what is said
	wait  float64 // minutes, on average
	busy  bool    // every seventh day is
}

func newPast(seed uint64) *past {
	return &past{rand: rand.New(rand.NewPCG(seed, 9)), level: 1, wait: 10}
}

// day lets a scorer know what came on a day and what was said of it. All
// quarters of a day share its luck, and one day in four weeks is like no other.
func (p *past) day(s *Scorer, d perron.Date) {
	luck := 0.22 * p.rand.NormFloat64()
	if p.rand.Float64() < 1.0/28 {
		luck *= 2.5
	}
	mean := 20 * math.Exp(luck) * p.level
	if p.busy && d.Weekday() == time.Saturday {
		mean *= 1.3
	}
	var counts []perron.Count
	var samples []perron.Sample
	for t := d.At(9 * 60); t.Before(d.At(12 * 60)); t = t.Add(15 * time.Minute) {
		counts = append(counts, perron.Count{Start: t, In: int(math.Max(0, math.Round(mean+math.Sqrt(mean)*p.rand.NormFloat64())))})
		wait := p.wait * math.Exp(luck+0.3*p.rand.NormFloat64())
		for m := range 3 {
			var v perron.Sample
			v.At, v.Wait, v.Level = t.Add(time.Duration(5*m)*time.Minute), perron.Exactly(wait), perron.Quiet
			samples = append(samples, v)
		}
	}
	s.Truth(d.Start(), d.End(), counts, samples)
	for h := range 9 {
		s.Forecast(said(d.At(perron.TimeOfDay(h*60)), d, perron.Interval{Low: 12, Mid: 20, High: 28}, perron.Interval{Low: 6, Mid: 10, High: 16}))
	}
}

var firstMorning = perron.Date{Year: 2026, Month: 3, Day: 1}

// TestLuckIsNotWorse has yards at which nothing changes for half a year.
func TestLuckIsNotWorse(t *testing.T) {
	const yards, days = 20, 182
	alarms, warned := 0, 0
	for seed := range uint64(yards) {
		p, s := newPast(seed), NewScorer(scoredSite())
		p.busy = seed%2 == 0
		was := false
		for i := range days {
			d := firstMorning.AddDays(i)
			p.day(s, d)
			worse := !s.Score(d.At(23 * 60)).WorseSince.IsZero()
			if worse && !was {
				alarms++
			}
			if worse {
				warned++
			}
			was = worse
		}
	}
	if alarms > yards*3/4 || warned > yards*days/50 {
		t.Errorf("%d false alarms on %d days of %d days, want at most one and a half a year", alarms, warned, yards*days)
	}
}

// TestOneDayIsNotWorse: on one day nobody comes, whatever was said.
func TestOneDayIsNotWorse(t *testing.T) {
	p, s := newPast(1), NewScorer(scoredSite())
	for i := range 60 {
		d := firstMorning.AddDays(i)
		if p.level = 1; i == 45 {
			p.level = 0
		}
		p.day(s, d)
		if since := s.Score(d.At(23 * 60)).WorseSince; i >= 45 && !since.IsZero() {
			t.Fatalf("day %d: worse since %v", i, since)
		}
	}
}

// TestWorseIsNoticed lets something change for good or for two weeks.
func TestWorseIsNoticed(t *testing.T) {
	const change, back = 60, 74
	for name, set := range map[string]func(p *past, on bool){
		"more come":    func(p *past, on bool) { p.level = map[bool]float64{false: 1, true: 1.9}[on] },
		"few come":     func(p *past, on bool) { p.level = map[bool]float64{false: 1, true: 0.3}[on] },
		"they wait":    func(p *past, on bool) { p.wait = map[bool]float64{false: 10, true: 25}[on] },
		"nobody waits": func(p *past, on bool) { p.wait = map[bool]float64{false: 10, true: 0}[on] },
		"all of it odd": func(p *past, on bool) {
			p.level, p.wait = map[bool]float64{false: 1, true: 1.7}[on], map[bool]float64{false: 10, true: 18}[on]
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(8) {
				p, s := newPast(seed), NewScorer(scoredSite())
				noticed, over := 0, 0
				for i := range 100 {
					d := firstMorning.AddDays(i)
					set(p, i >= change && i < back)
					p.day(s, d)
					switch worse := !s.Score(d.At(23 * 60)).WorseSince.IsZero(); {
					case worse && i >= change && noticed == 0:
						noticed = i
					case !worse && i >= back && over == 0:
						over = i
					}
				}
				if noticed < change || noticed > change+5 {
					t.Errorf("seed %d: noticed on day %d what began on day %d", seed, noticed, change)
				}
				if over < back || over > back+recentDays {
					t.Errorf("seed %d: over on day %d what ended on day %d", seed, over, back)
				}
			}
		})
	}
}

// TestWorseSinceSurvivesARestart: a scorer that is given the last weeks at once
// says what one says that has lived through them.
func TestWorseSinceSurvivesARestart(t *testing.T) {
	p, s := newPast(3), NewScorer(scoredSite())
	var since time.Time
	for i := range 70 {
		d := firstMorning.AddDays(i)
		if i >= 60 {
			p.level = 1.9
		}
		p.day(s, d)
		now := s.Score(d.At(23 * 60)).WorseSince
		if !since.IsZero() && !now.Equal(since) {
			t.Errorf("day %d: since %v, was %v", i, now, since)
		}
		since = now
	}
	if since.Before(firstMorning.AddDays(61).Start()) || since.After(firstMorning.AddDays(64).End()) {
		t.Fatalf("worse since %v", since)
	}
	p = newPast(3)
	anew := NewScorer(scoredSite())
	for i := range 70 {
		d := firstMorning.AddDays(i)
		if i >= 60 {
			p.level = 1.9
		}
		if p.day(anew, d); i < 70-ScoreDays {
			anew = NewScorer(scoredSite()) // from here on nothing is remembered
		}
	}
	if got := anew.Score(firstMorning.AddDays(69).At(23 * 60)).WorseSince; !got.Equal(since) {
		t.Errorf("after a restart worse since %v, want %v", got, since)
	}
}

// TestMorningIsNotJudged: before a site closes its day says nothing.
func TestMorningIsNotJudged(t *testing.T) {
	p, s := newPast(3), NewScorer(scoredSite())
	var noticed perron.Date
	for i := 0; noticed == (perron.Date{}) && i < 70; i++ {
		d := firstMorning.AddDays(i)
		if i >= 60 {
			p.level = 1.9
		}
		p.day(s, d)
		full := s.to
		s.to = d.At(11 * 60)
		if since := s.Score(d.At(11 * 60)).WorseSince; !since.IsZero() {
			t.Fatalf("%v: worse in the morning already", d)
		}
		s.to = full
		if since := s.Score(d.At(12 * 60)).WorseSince; !since.IsZero() {
			noticed = d
			if !since.Equal(d.At(12 * 60)) {
				t.Errorf("since %v, want the closing of %v", since, d)
			}
		}
	}
	if noticed == (perron.Date{}) {
		t.Error("it was never noticed")
	}
}
