// Package simulate is a recycling yard with a known truth: a seeded
// discrete-event simulation of vehicles that come, queue on the road, enter
// when there is room, unload and leave, seen through sensors that miss and
// double some of them. It serves the demo, tests and the scoring of estimates,
// and shares no code with what it scores.
//
// Every day starts with an empty yard and is a function of the seed, the site
// and the date alone, so that a day can be made again and years can be made in
// any order.
package simulate

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Yard simulates one site. The zero value of every field but Site is usable.
// A Yard is not changed by its methods and may be shared between goroutines.
type Yard struct {
	Site *perron.Site
	// Visits is the mean number of vehicles that set out for the site on an
	// open Saturday; other days follow from it. At 0 it is chosen so that the
	// busiest hour of an average Saturday asks for 120 % of what the bays can
	// serve, which makes a queue around noon.
	Visits float64
	// Seed makes the randomness. Yards with the same seed share their weather
	// and differ in all else.
	Seed   uint64
	Dwell  Dwell
	Faults Faults
	// Balk makes people turn away from a queue by its length alone: of those who
	// find n vehicles the part exp(−(n−8)/Balk) joins, from 9 on. 0 lets them
	// guess how long it takes.
	Balk float64
	// School is by which factor school holidays change the demand; 0 means not
	// at all. It needs the holidays in the site.
	School float64
	// Divert lets someone who would arrive at a time choose another on the same
	// day, for which luck, uniform from 0 to 1, is theirs; nil lets everybody
	// come as they had in mind. It must be a function of its arguments.
	Divert func(arrives time.Time, luck float64) time.Time
	// Closings are the times of every day at which staff close lanes.
	Closings []LaneClosing
	// EntrySensor and ExitSensor report the passages; empty means main-in and
	// main-out.
	EntrySensor, ExitSensor string
}

// A LaneClosing takes lanes out of use from one time of the day to another.
// Without any lane nobody is let in.
type LaneClosing struct {
	From, Until perron.TimeOfDay
	Lanes       int
}

// Dwell is how long vehicles stay: log-normal, and longer when it is full.
type Dwell struct {
	Median float64 // minutes in an empty yard; 0 takes the site's TypicalDwell, or 14
	Sigma  float64 // of the logarithm; 0 means 0.45
	// Crowding is by which part the dwell grows in a full yard; 0 means 0.2.
	Crowding float64
}

// A Day is what happened on one civil day and what the sensors said of it.
type Day struct {
	Date   perron.Date
	Events []perron.Event // by time
	Truth  []Truth        // every minute of the civil day
	// Vehicles are all that set out and reached the site, by arrival.
	Vehicles []Vehicle
}

// Truth is the state of the yard at one instant.
type Truth struct {
	At     time.Time
	OnSite int // inside
	Queue  int // waiting on the road
	// Wait is the minutes until someone who joins the queue at that time begins
	// to be let in: 0 when that is at once. It is -1 when they would not get in
	// at all: outside the opening hours, or closing comes first.
	Wait float64
}

// A Fate is how a visit ended.
type Fate string

const (
	Served     Fate = "served"
	Balked     Fate = "balked"      // saw the queue and drove on
	Reneged    Fate = "reneged"     // left the queue
	TurnedAway Fate = "turned-away" // still queueing at closing time
)

// A Vehicle is one visit. Let and Entered are when it began to be let in and
// when it had passed the entrance, zero unless it was served.
type Vehicle struct {
	Arrived, Let, Entered, Left time.Time
	Fate                        Fate
}

// Day simulates one civil day. The same yard and date always give the same day.
func (y *Yard) Day(d perron.Date) Day {
	start, end := d.Start(), d.End()
	day := Day{Date: d}
	periods := y.spans(d)
	run := newRun(y, y.rand(d, "yard"), periods)
	run.arrivals = y.arrivals(d, periods)
	run.closeLanes(y.Closings, d)
	run.all()
	day.Vehicles = run.report(start)
	day.Truth = run.truth(start, end)
	day.Events = y.sense(run, d)
	return day
}

// A span is an opening period in seconds after the start of the civil day.
type span struct{ open, close float64 }

func (y *Yard) spans(d perron.Date) []span {
	start := d.Start()
	var out []span
	for _, p := range y.Site.Hours.Periods(d) {
		out = append(out, span{p.Start.Sub(start).Seconds(), p.End.Sub(start).Seconds()})
	}
	return out
}

// rand is a source that depends on the seed, the site, the date and the
// purpose alone.
func (y *Yard) rand(d perron.Date, purpose string) *rand.Rand {
	return source(y.Seed, y.Site.ID+"/"+purpose, d)
}

func source(seed uint64, purpose string, d perron.Date) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	h.Write([]byte(d.String()))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// logNormal draws with the given median and sigma of the logarithm.
func logNormal(r *rand.Rand, median, sigma float64) float64 {
	return median * math.Exp(sigma*r.NormFloat64())
}

func (y *Yard) dwell() Dwell {
	w := y.Dwell
	w.Median = cmp.Or(w.Median, y.Site.TypicalDwell, 14)
	w.Sigma = cmp.Or(w.Sigma, 0.45)
	w.Crowding = cmp.Or(w.Crowding, 0.2)
	return w
}
