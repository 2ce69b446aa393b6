package perron

import (
	"math"
	"time"
)

// LikelyLate is from which probability of not getting in before closing on a
// visitor is told that they come too late.
const LikelyLate = 0.5

// Travel is how long a resident needs to come, where nothing better is known.
const Travel = 10 * time.Minute

// fresh is how old a forecast may be that the present is graded by.
const fresh = 15 * time.Minute

// Load is the part of the bays that is taken with so many vehicles inside, more
// than 1 when they are more; 0 where no bays are known.
func (s *Site) Load(onSite float64) float64 {
	if s.Bays <= 0 {
		return 0
	}
	return onSite / float64(s.Bays)
}

// Grade is the level of a wait, in minutes, and a number of vehicles on site,
// while the site is open: without memory, as for the past and the future. What is
// shown of the present goes through a [Grader].
func (s *Site) Grade(wait, onSite float64) Level { return LevelOf(wait, s.Load(onSite)) }

// GradeSlot is the level of an open slot: [Late] where it is likely that who
// arrives then does not get in.
func (s *Site) GradeSlot(slot *Slot) Level {
	if slot.Late > LikelyLate {
		return Late
	}
	return s.Grade(slot.Wait.Mid, slot.OnSite.Mid)
}

// A Grader turns estimates of an open site into what is shown of it. It remembers
// what it said, so that nothing flickers. The zero value with a site has said
// nothing yet.
type Grader struct {
	Site *Site

	band  Band
	level Level
	trend Trend
	late  bool
	waits []waitAt // the last half hour, at most one a minute
}

type waitAt struct {
	at   time.Time
	wait float64 // minutes
}

// A Graded is what is shown of an open site.
type Graded struct {
	Band  Band
	Level Level
	Trend Trend
}

// Forget forgets what was said, as when the site closes or nothing is known.
func (g *Grader) Forget() { *g = Grader{Site: g.Site} }

// Grade grades the estimate of now, of a site that closes at the given time. The
// forecast says where the wait goes and whether one still gets in; nil, or one
// that is older than a quarter of an hour, says nothing.
func (g *Grader) Grade(now time.Time, e *Estimate, closes time.Time, f *Forecast) Graded {
	if f != nil && now.Sub(f.Origin) > fresh {
		f = nil
	}
	wait := e.Wait.Mid
	g.band = g.band.Hold(wait)
	// The level goes by the wait that is shown, or "5 to 10 minutes" could be
	// busy once and moderate once.
	shown := math.Max(wait, float64(g.band.Min))
	if g.band.Max > 0 {
		shown = math.Min(shown, math.Nextafter(float64(g.band.Max), 0))
	}
	load := g.Site.Load(e.OnSite.Mid)
	if g.level == Moderate && load < fullLoad {
		load += 0.07 // leaves a full yard a little later than it enters
	}
	g.level = LevelOf(shown, load)
	g.late = g.tooLate(now, wait, closes, f)
	g.trend = g.trendOf(now, wait, f)
	out := Graded{Band: g.band, Level: g.level, Trend: g.trend}
	if g.late {
		out.Level = Late
	}
	return out
}

// trendOf says where the wait goes within half an hour: by the forecast, or by
// the last quarter of an hour when there is none.
func (g *Grader) trendOf(now time.Time, wait float64, f *Forecast) Trend {
	const ahead, back = 30 * time.Minute, 15 * time.Minute
	if n := len(g.waits); n == 0 || now.Sub(g.waits[n-1].at) >= time.Minute {
		g.waits = append(g.waits, waitAt{now, wait})
	}
	for now.Sub(g.waits[0].at) > ahead {
		g.waits = g.waits[1:]
	}
	var change float64
	if then, ok := openSlot(f, now.Add(ahead)); ok {
		change = then.Wait.Mid - wait
	} else {
		before := g.waits[0].wait
		for _, w := range g.waits {
			if now.Sub(w.at) >= back {
				before = w.wait
			}
		}
		change = wait - before
	}
	enough := math.Max(3, 0.15*wait)
	if g.trend == Rising && change > enough/2 || change > enough {
		return Rising
	}
	if g.trend == Falling && change < -enough/2 || change < -enough {
		return Falling
	}
	return Steady
}

// openSlot is what a forecast says of an instant that it does not know measured,
// when the site is open then.
func openSlot(f *Forecast, at time.Time) (Slot, bool) {
	if f == nil {
		return Slot{}, false
	}
	s, ok := f.SlotAt(at)
	return s, ok && s.Open && s.Basis != Measured
}

// tooLate says whether who leaves now will probably not get in: by the forecast
// of the time at which they arrive, or by the wait now without one. Once said it
// is taken back only when it clearly no longer holds.
func (g *Grader) tooLate(now time.Time, wait float64, closes time.Time, f *Forecast) bool {
	arrival := now.Add(Travel)
	if !arrival.Before(closes) {
		return true
	}
	likely := LikelyLate
	if g.late {
		likely, wait = 0.35, wait+3
	}
	if s, ok := openSlot(f, arrival); ok && s.Basis == Expected {
		// The probability is that of the start of a slot: between two starts it
		// changes evenly. In the last slot it says nothing of the end: there it is
		// certain with a queue, and without one whoever is there in time gets in.
		length := time.Duration(s.Minutes) * time.Minute
		if n, ok := openSlot(f, arrival.Add(length)); ok && s.Start.Add(length).Before(closes) {
			part := arrival.Sub(s.Start).Seconds() / length.Seconds()
			return s.Late+part*(n.Late-s.Late) > likely
		}
		if s.Late > likely {
			return true
		}
	}
	return arrival.Add(minutes(wait)).After(closes)
}

// minutes is a number of minutes as a duration. More than a week says the same
// and stays clear of overflow.
func minutes(m float64) time.Duration {
	return time.Duration(math.Min(m, 7*24*60) * float64(time.Minute))
}
