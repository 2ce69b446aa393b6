// Package yard is the physics of a recycling yard: who joins a queue, who
// leaves it again, how fast a gate and a full yard let vehicles through, and
// how long vehicles stay. What estimates the present and what runs ahead share
// it, so that they cannot disagree about the yard itself. It knows nothing of
// what was observed, and the simulated yards that score both share nothing
// with it.
//
// Minutes, vehicles and vehicles per minute are the only units.
package yard

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Physics are the constants of all yards. [Usual] has their values, and where each
// comes from.
type Physics struct {
	// Dwell is the median dwell, in minutes, where a site states none.
	Dwell float64
	// DwellSigma is the standard deviation of the logarithm of the dwell, which
	// is taken to be log-normal.
	DwellSigma float64
	// LaneRate is how many vehicles per minute one lane lets in.
	LaneRate float64
	// Road is how many vehicles the approach road takes where a site does not
	// say.
	Road float64
	// Patience are the waits, in minutes, at which half of the arrivals balk: in
	// a place where people are impatient, and in one where they are not.
	Patience [2]float64
	// RenegeRate is the part of those who wait that leaves the queue per minute.
	RenegeRate float64
	// OwnTurn is how many admissions a newcomer waits for with nobody else ahead
	// and no bay free: the rest of the one that is under way.
	OwnTurn float64
}

// Usual are the physics of a yard of which nothing else is known. "Chosen" means by
// the parts of bench/eval that are named; ADR 24 has the figures.
func Usual() Physics {
	return Physics{
		// The default of the configuration, which a test compares. A first guess,
		// from which the estimator learns.
		Dwell: 14,
		// Chosen (drift, ahead): with 0.5 the range of the recorded step fault holds
		// 70 % in place of 80 %; the forecast is indifferent to it.
		DwellSigma: 0.55,
		// 15 seconds a vehicle, at a gate where something is shown or asked. Not
		// measured at a yard; the simulated gates take 11 seconds.
		LaneRate: 4,
		// Some 400 metres. Not measured; a site may state its own. Chosen (yards and
		// ahead, without the road): with 30 the wait now is off by a seventh more.
		Road: 60,
		// Chosen (yards, ahead): ADR 21 has how the two were found. The forecast
		// used 60, with which its errors four hours ahead are a fifth larger.
		Patience: [2]float64{25, 45},
		// Chosen (ahead, yards): with twice as much the ranges ahead hold 73 to
		// 80 % of the waits.
		RenegeRate: 0.0035,
		// The rest of a renewal interval, (1 + c²)/2 for headways with a coefficient
		// of variation c of 0.77 (Cox, Renewal Theory, 1962). Chosen between 0.7,
		// which is best for yards, and 0.85, for ahead; they differ by 0.3 %.
		OwnTurn: 0.8,
	}
}

// A Yard is a site as the physics sees it. Its counts are at least 1.
type Yard struct {
	Physics
	Bays, Lanes float64
	Dwell       float64 // median, in minutes, as the site states it
	Road        float64 // vehicles
}

// Of is the site as the physics sees it, with what the site leaves open filled
// in.
func (p Physics) Of(site *perron.Site) Yard {
	y := Yard{
		Physics: p,
		Bays:    float64(max(1, site.Bays)), Lanes: float64(max(1, site.Lanes)),
		Dwell: p.Dwell, Road: p.Road,
	}
	if site.TypicalDwell > 0 { // and is a number
		y.Dwell = site.TypicalDwell
	}
	if site.RoadSpace > 0 {
		y.Road = float64(site.RoadSpace)
	}
	return y
}

// GateRate is how many vehicles per minute the lanes let in while bays are
// free.
func (y *Yard) GateRate() float64 { return y.Lanes * y.LaneRate }

// ServiceRate is how many vehicles per minute a full yard lets through by its
// bays, when the median dwell is that many minutes: bays over the mean dwell
// (Little's law).
func (y *Yard) ServiceRate(dwell float64) float64 { return y.Bays / (dwell * y.meanToMedian()) }

// meanToMedian is the mean of the log-normal dwell over its median.
func (p *Physics) meanToMedian() float64 { return math.Exp(p.DwellSigma * p.DwellSigma / 2) }

// Staying is the part of vehicles that is still inside so many minutes after it
// entered, when the median dwell is that many.
func (p *Physics) Staying(dwell, minutes float64) float64 {
	if minutes <= 0 {
		return 1
	}
	return 0.5 * math.Erfc(math.Log(minutes/dwell)/p.DwellSigma/math.Sqrt2)
}

// Joins is the part of those who arrive that joins a queue which looks like a
// wait of so many minutes; the rest balks (Haight, "Queueing with Balking",
// Biometrika 44, 1957). The longest wait that people join for is taken to be
// log-logistic with the shape 2, so that half of them balk at their patience.
func Joins(wait, patience float64) float64 {
	x := wait / patience
	return 1 / (1 + x*x)
}

// MedianPatience is the patience of a place of which nothing is known: half way
// between the two, as ratios go.
func (p *Physics) MedianPatience() float64 { return math.Sqrt(p.Patience[0] * p.Patience[1]) }

// JoinsUsually is the part of those who arrive that joins a queue of so many
// minutes in a place of which nothing is known.
func (p *Physics) JoinsUsually(wait float64) float64 {
	return Joins(math.Max(0, wait), p.MedianPatience())
}

// Reneged is the wait, in minutes, of someone behind a queue that would take so
// many minutes if nobody left it. A queue of q vehicles that are let in at a
// rate and renege at another r shrinks by rate + r·q per minute, and is gone
// after ln(1 + r·q/rate)/r. That each leaves at the same rate is the simplest law
// (Haight, "Queueing with Reneging", Metrika 2, 1959).
func (p *Physics) Reneged(minutes float64) float64 {
	return math.Log1p(p.RenegeRate*minutes) / p.RenegeRate
}

// mostReneged is the part of a queue that is taken to have left it unseen at most.
// The law below would have longer queues empty sooner than shorter ones.
const mostReneged = 0.3

// RenegedUnseen is Reneged for a queue whose length follows from those who joined
// and those who were let in. Nobody counts who leaves it, so that those who have
// left are still in it. They are about as many as those who will: each vehicle of
// such a queue has waited on average for as long as it has yet to wait. So twice as
// many are missing, which to the first order is the rate times the minutes. The
// orders that follow would take the rate to be the same for ever, and longer waits
// for longer than they are (yards): patience wears off.
func (p *Physics) RenegedUnseen(minutes float64) float64 {
	return minutes * (1 - min(mostReneged, p.RenegeRate*minutes))
}
