package perron

import (
	"math"
	"time"
)

// A Level is how busy a site is, in the words that people see.
type Level string

const (
	Quiet    Level = "quiet"
	Moderate Level = "moderate"
	Busy     Level = "busy"
	VeryBusy Level = "very_busy"
	Closed   Level = "closed"
	Late     Level = "late" // open, but who leaves now will probably not get in before closing
	Unknown  Level = "unknown"
)

// Rank is 1 to 4 for the four levels of busyness and 0 for the others.
func (l Level) Rank() int {
	switch l {
	case Quiet:
		return 1
	case Moderate:
		return 2
	case Busy:
		return 3
	case VeryBusy:
		return 4
	}
	return 0
}

// fullLoad is from which load on a yard without a queue is moderately busy.
const fullLoad = 0.75

// LevelOf grades a wait (minutes) and a load (vehicles present over bays).
// Waiting decides; a nearly full yard without a queue is moderate.
func LevelOf(wait, load float64) Level {
	switch {
	case math.IsNaN(wait) || math.IsNaN(load):
		return Unknown
	case wait >= 30:
		return VeryBusy
	case wait >= 10:
		return Busy
	case wait >= 5 || load >= fullLoad:
		return Moderate
	default:
		return Quiet
	}
}

// A Quality says where a state comes from.
type Quality string

const (
	Measured       Quality = "measured"
	Corrected      Quality = "corrected" // measured, and set right by a recount today
	Typical        Quality = "typical"   // no fresh measurement: what is usual at this time
	QualityUnknown Quality = "unknown"
)

// An Interval is an estimate: Low and High are the 10 % and 90 % quantiles,
// Mid the median.
type Interval struct {
	Low  float64 `json:"low"`
	Mid  float64 `json:"mid"`
	High float64 `json:"high"`
}

// Exactly is an interval without width.
func Exactly(v float64) Interval { return Interval{v, v, v} }

// A Band is the range of waits that is shown for an estimate, in minutes:
// from Min to Max, or Min and more when Max is 0.
type Band struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

var bandEdges = []int{0, 5, 10, 15, 20, 30, 45, 60}

// BandOf is the band that a wait in minutes falls in; the zero Band when the
// wait is not a number.
func BandOf(minutes float64) Band {
	if math.IsNaN(minutes) {
		return Band{}
	}
	i := len(bandEdges) - 1
	for i > 0 && minutes < float64(bandEdges[i]) {
		i--
	}
	return bandAt(i)
}

func bandAt(i int) Band {
	if i == len(bandEdges)-1 {
		return Band{Min: bandEdges[i]}
	}
	return Band{bandEdges[i], bandEdges[i+1]}
}

// Hold is the band to show after b, with hysteresis: b stays until the wait is
// past its edge by a tenth of the edge or one minute, whichever is more, so
// that a number on a page does not flicker.
func (b Band) Hold(minutes float64) Band {
	next := BandOf(minutes)
	if next == b || b == (Band{}) {
		return next
	}
	margin := func(edge int) float64 { return math.Max(1, 0.1*float64(edge)) }
	if next.Min > b.Min && b.Max > 0 && minutes < float64(b.Max)+margin(b.Max) {
		return b
	}
	if next.Min < b.Min && minutes > float64(b.Min)-margin(b.Min) {
		return b
	}
	return next
}

// An Estimate is what the sensors say about a site at one instant.
type Estimate struct {
	At     time.Time `json:"at"`
	OnSite Interval  `json:"onSite"` // vehicles inside
	Queue  Interval  `json:"queue"`  // vehicles waiting outside
	Wait   Interval  `json:"wait"`   // minutes until a vehicle that joins now begins to be let in
	// AtLeast says that the last queue loop is covered: Queue and Wait are lower
	// bounds.
	AtLeast bool `json:"atLeast,omitempty"`
	// EntryRate is the measured service rate of the entrance, vehicles a minute;
	// 0 when nothing is known.
	EntryRate float64 `json:"entryRate"`
	// Recounted is the time of the last recount by staff that the estimate
	// rests on; zero without one.
	Recounted time.Time `json:"recounted,omitzero"`
}

// A Trend is where the wait is going within the next half hour.
type Trend string

const (
	Rising  Trend = "rising"
	Steady  Trend = "steady"
	Falling Trend = "falling"
)

// GateCount is what passed one gate, for staff.
type GateCount struct {
	Gate     string `json:"gate"`
	InToday  int    `json:"inToday"`
	OutToday int    `json:"outToday"`
	InHour   int    `json:"inHour"` // since the full hour
	OutHour  int    `json:"outHour"`
}

// Busyness is the live state of one site as collectors publish it. It is
// valid until StaleAt: whoever shows it must pass it through [Busyness.AsOf].
type Busyness struct {
	Site string `json:"site"`
	// The estimate; its At is when the state was computed.
	Estimate
	// MeasuredAt is the instant up to which the sensors are known to have
	// reported everything; zero when they never have.
	MeasuredAt time.Time `json:"measuredAt,omitzero"`
	// StaleAt is when the state turns unknown unless a newer one arrives.
	StaleAt time.Time `json:"staleAt,omitzero"`
	Quality Quality   `json:"quality"`
	Level   Level     `json:"level"`
	Band    Band      `json:"band"`
	Trend   Trend     `json:"trend"`
	// TypicalLevel is what is usual at this weekday and time; Unknown without
	// enough history.
	TypicalLevel Level `json:"typicalLevel"`
	// ClosesAt is set while open, OpensAt while closed.
	ClosesAt time.Time `json:"closesAt,omitzero"`
	OpensAt  time.Time `json:"opensAt,omitzero"`
	// Closure is set while staff have closed the site within opening hours.
	Closure *Closure `json:"closure,omitempty"`
	Notice  *Notice  `json:"notice,omitempty"`

	// Gates and Doubts are for staff.
	Gates  []GateCount `json:"gates,omitempty"`
	Doubts []Doubt     `json:"doubts,omitempty"`
	// Belief is for staff too; nil when the estimator does not say.
	Belief *Belief `json:"belief,omitempty"`
}

// A Closure is an unplanned closing by staff.
type Closure struct {
	Since  time.Time         `json:"since"`
	Reason map[string]string `json:"reason,omitempty"` // by language tag
	// Until is when it ends by itself; zero is when staff reopen.
	Until time.Time `json:"until,omitzero"`
}

// Holds says whether there is a closure and it has not ended at now.
func (c *Closure) Holds(now time.Time) bool {
	return c != nil && (c.Until.IsZero() || now.Before(c.Until))
}

// A Notice is a message by staff to residents.
type Notice struct {
	ID   string            `json:"id"`
	At   time.Time         `json:"at"`
	Text map[string]string `json:"text"` // by language tag
}

// A Doubt is a reason to trust the numbers less. Doubts are always shown to
// staff.
type Doubt struct {
	Kind    DoubtKind `json:"kind"`
	Gateway string    `json:"gateway,omitempty"`
	Sensor  string    `json:"sensor,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Count is how many events are concerned, where that is countable.
	Count uint64 `json:"count,omitempty"`
	// Part of the vehicles concerned, 0 to 1, where that is estimated.
	Part float64 `json:"part,omitempty"`
}

// A DoubtKind names a cause of doubt.
type DoubtKind string

const (
	DoubtOffline  DoubtKind = "gateway_offline"  // no word from a gateway
	DoubtBacklog  DoubtKind = "backlog"          // a gateway still holds events that are late
	DoubtLost     DoubtKind = "events_lost"      // sequence numbers that will never come
	DoubtSetAside DoubtKind = "events_set_aside" // events with an impossible time or an unknown sensor
	DoubtDropped  DoubtKind = "outbox_full"      // a gateway had to drop events
	DoubtFailing  DoubtKind = "outbox_failing"   // a gateway cannot keep what it sees
	DoubtDamaged  DoubtKind = "outbox_damaged"   // a gateway had to begin a new outbox, the old one was damaged
	DoubtOutbox   DoubtKind = "outbox_gone"      // a gateway has a new outbox: at least so many of the old one are lost, 0 when it cannot be told
	DoubtOff      DoubtKind = "gateway_was_off"  // a gateway was silent and then started anew: it may have been blind
	DoubtEdges    DoubtKind = "edges_lost"       // the kernel's buffer overflowed
	DoubtUnseen   DoubtKind = "loss_unseen"      // edges of a gateway may be lost without anybody noticing
	DoubtRival    DoubtKind = "name_twice"       // another device has the name of a gateway
	DoubtClock    DoubtKind = "clock_unsynced"   // a gateway's clock is not synchronised
	DoubtTimes    DoubtKind = "times_unsure"     // events of the day were stamped by a clock that was not synchronised
	DoubtStuck    DoubtKind = "sensor_stuck"     // a sensor is occupied for too long
	DoubtSensor   DoubtKind = "sensor_fault"     // a sensor chatters or cannot be read
	DoubtEntries  DoubtKind = "entries_missed"   // counters miss clearly more entries than they used to
	DoubtExits    DoubtKind = "exits_missed"     // the same of exits
	DoubtStuckOff DoubtKind = "sensor_stuck_off" // a sensor counts nothing while the others at the gateway go on
	DoubtQuiet    DoubtKind = "sensor_quiet"     // a sensor is silent where it never is at this hour of the week
	DoubtForecast DoubtKind = "forecast_worse"   // forecasts have become clearly worse than they were
	DoubtSilent   DoubtKind = "sensor_silent"    // the device of a sensor does not answer
	DoubtCounter  DoubtKind = "counter_gap"      // a counter could not be read and may have begun anew meanwhile
	DoubtReset    DoubtKind = "counter_reset"    // a counter began anew: what passed just before may be missing
	DoubtJump     DoubtKind = "counter_jump"     // a counter shows more than can have passed, which is left out
	DoubtUplinks  DoubtKind = "uplinks_lost"     // messages that never came: what they counted is missing
	DoubtSpread   DoubtKind = "times_spread"     // counted during a silence: the times are not known
	DoubtFailed   DoubtKind = "program_failed"   // an error of this program ended a part of the site's work, which began anew
)

// AsOf is the state as it must be shown at now: stale data turns unknown,
// opening hours decide open or closed even when no collector runs any more.
// An unknown state keeps MeasuredAt and TypicalLevel, so that a page can say
// when it was last known and what is usual. What is stale is left out of a
// closed state too: staff must not take it for a count of the vehicles that
// are still inside.
func (b Busyness) AsOf(site *Site, now time.Time) Busyness {
	period, open := site.Hours.At(now)
	b.ClosesAt, b.OpensAt = time.Time{}, time.Time{}
	if open {
		b.ClosesAt = period.End
	} else if next, ok := site.Hours.Next(now); ok {
		b.OpensAt = next.Start
	}
	if !b.Closure.Holds(now) {
		b.Closure = nil
	}
	stale := b.StaleAt.IsZero() || now.After(b.StaleAt)
	if stale {
		b.OnSite, b.Queue, b.AtLeast, b.EntryRate = Interval{}, Interval{}, false, 0
		b.Quality = QualityUnknown
	}
	switch {
	case !open || b.Closure != nil:
		b.Level, b.Band, b.Wait, b.Trend = Closed, Band{}, Interval{}, Steady
	case stale || b.Level == Closed:
		// A state from before opening time, or from before a closure ended, says
		// nothing of the wait yet.
		b.Level, b.Band, b.Wait, b.Trend = Unknown, Band{}, Interval{}, Steady
		b.Quality = QualityUnknown
		if b.TypicalLevel.Rank() > 0 {
			b.Quality = Typical
		}
	}
	return b
}

// A Sample is one row of a site's busyness history.
type Sample struct {
	Estimate
	Level   Level   `json:"level"`
	Quality Quality `json:"quality"`
}
