package occupancy

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// Demand is kept by half hours of the civil day, for each weekday and for
	// public holidays.
	slotMinutes = 30
	slots       = 24 * 60 / slotMinutes
	dayKinds    = 8

	// dayDecay is what a day is worth beside the next one: half after ten days.
	dayDecay = 0.933
	// demandDecay is what a day is worth beside the next one of its kind, a
	// week later: half after six of them.
	demandDecay = 0.89
	// ownDay is how many minutes of a half hour the days of all kinds are worth
	// beside those of the day's own.
	ownDayMinutes = 15.0
	// kindSigma is by how much the level of a kind of day may differ from that
	// of all, and daySigma by how much a day may from its kind, at any hour: the
	// standard deviations of their logarithms. The latter is a starting guess,
	// worth so many days.
	kindSigma     = 0.4
	daySigma      = 0.25
	daySigmaWorth = 3.0
	// unseenSigma is how much less is known of a kind of day on which there is a
	// queue all day whose end nothing sees: the standard deviation of the logarithm
	// of its level, in proportion to the part of the day.
	unseenSigma = 0.8
	// trickle is the least that is ever expected, as a part of what a full yard
	// lets through: the unforeseen must not be impossible.
	leastDemand = 0.03
)

// demand is what closed days taught of how many vehicles join the queue, or
// drive in without one: by kind of day and half hour, how many did and in how
// many minutes, each minute counted for as much as those who saw the queue
// were still willing to join it. It is never changed once it is made.
type demand struct {
	kinds [dayKinds]struct {
		days            float64 // faded
		joined, minutes [slots]float64
		unseen          float64 // sum of the days' parts with a queue whose end was not seen, faded
	}
	days   int
	spread float64 // sum of each day's squared relative deviation, faded
	worth  float64 // days that went into it, faded
}

// kindOf is the kind of a day.
func kindOf(d perron.Date) int {
	if perron.HolidayOn(d).Public() {
		return dayKinds - 1
	}
	return int(d.Weekday())
}

// A profile is how many vehicles per minute are expected to join, by half hour,
// and the standard deviation of the logarithm of the factor by which a day
// differs from that.
type profile struct {
	rates [slots]float64
	sigma float64
}

// on is what is expected of a day.
func (d *demand) on(date perron.Date) (p profile) {
	kind := kindOf(date)
	own := &d.kinds[kind]
	// The shape of all days, each kind of day at its own level.
	var joined, minutes [slots]float64
	for k := range d.kinds {
		for h := range slots {
			joined[h] += d.kinds[k].joined[h]
			minutes[h] += d.kinds[k].minutes[h]
		}
	}
	var all [slots]float64
	last := math.NaN()
	for h := range slots {
		all[h] = last
		if minutes[h] > 1 {
			all[h] = joined[h] / minutes[h]
			last = all[h]
		}
	}
	for h := slots - 1; h >= 0; h-- { // before the first that was seen
		if math.IsNaN(all[h]) {
			all[h] = last
		} else {
			last = all[h]
		}
	}
	if math.IsNaN(last) {
		clear(all[:]) // nothing was open for a minute
	}
	var here, usual float64
	for h := range slots {
		here += own.joined[h]
		usual += own.minutes[h] * all[h]
	}
	dayVar := d.dayVariance()
	known := own.days / (own.days + dayVar/(kindSigma*kindSigma))
	level := math.Exp(known * math.Log((here+1)/(usual+1)))
	for h := range slots {
		p.rates[h] = (own.joined[h] + ownDayMinutes*level*all[h]) / (own.minutes[h] + ownDayMinutes)
	}
	doubt := unseenSigma * own.unseen / (own.days + 1)
	p.sigma = math.Sqrt(dayVar*(1+1/(own.days+1)) + (1-known)*kindSigma*kindSigma + doubt*doubt)
	return p
}

// dayVariance is the square of how much days of a kind differ.
func (d *demand) dayVariance() float64 {
	v := (daySigmaWorth*daySigma*daySigma + d.spread) / (daySigmaWorth + d.worth)
	return min(0.25, max(0.02, v))
}

// at is the expected rate, per minute, at a time.
func (p *profile) at(t time.Time) float64 {
	return p.rates[slotOf(t)]
}

func slotOf(t time.Time) int { return int(perron.TimeOfDayOf(t)) / slotMinutes % slots }

// expected is what was to be expected of a day; nil when nothing was learned.
func (d *demand) expected(date perron.Date) *profile {
	if d == nil {
		return nil
	}
	p := d.on(date)
	return &p
}

// joinedDay is how many vehicles are likely to have joined in each half hour of a
// day that is over, and in how many minutes, those in which the queue kept people
// away counted in part; and in which part of the day there was a queue whose end
// no loop saw.
type joinedDay struct {
	joined, minutes [slots]float64
	unseen          float64
}

// learn is the demand after one more closed day; d may be nil.
func (d *demand) learn(date perron.Date, day *joinedDay) *demand {
	expected := d.expected(date)
	next := &demand{}
	if d != nil {
		*next = *d
	}
	next.days++
	own := &next.kinds[kindOf(date)]
	if expected != nil && own.days > 0 {
		// Over-dispersion, by the method of moments: what is beyond the luck of
		// counting.
		var beyond, square float64
		for h := range slots {
			mean := day.minutes[h] * expected.rates[h]
			off := day.joined[h] - mean
			beyond += off*off - mean
			square += mean * mean
		}
		if square > 0 {
			next.spread = dayDecay*next.spread + math.Max(0, beyond/square)/(1+1/own.days)
			next.worth = dayDecay*next.worth + 1
		}
	}
	own.days = demandDecay*own.days + 1
	own.unseen = demandDecay*own.unseen + day.unseen
	for h := range slots {
		own.joined[h] = demandDecay*own.joined[h] + day.joined[h]
		own.minutes[h] = demandDecay*own.minutes[h] + day.minutes[h]
	}
	return next
}
