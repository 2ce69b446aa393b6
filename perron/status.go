package perron

import "time"

// A GatewayStatus is what a gateway says of itself, every half minute and
// whenever it changes.
type GatewayStatus struct {
	Site    string    `json:"site"`
	Gateway string    `json:"gateway"`
	At      time.Time `json:"at"` // by the gateway's clock; zero in a last will
	Online  bool      `json:"online"`
	Version string    `json:"version,omitempty"`
	Epoch   string    `json:"epoch,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Waiting is the number of events in the outbox that are not acknowledged;
	// OldestWaiting is the time of the first of them.
	Waiting       uint64    `json:"waiting"`
	OldestWaiting time.Time `json:"oldestWaiting,omitzero"`
	OutboxBytes   int64     `json:"outboxBytes"`
	// Next is the number that the next event will have in the epoch; 0 when it is
	// not said. When the epoch ends, what was stored of it tells how many of the
	// waiting are lost with it.
	Next uint64 `json:"next,omitempty"`
	// Dropped counts events that did not fit in the outbox, LostEdges the edges
	// that the kernel reports as lost, both since the epoch began.
	Dropped   uint64 `json:"dropped"`
	LostEdges uint64 `json:"lostEdges"`
	// FailingSince is since when the outbox cannot be written to, a card that has
	// become read-only for instance: what is seen since then is lost with the
	// next restart, if not before. It is zero while all is well.
	FailingSince time.Time `json:"failingSince,omitzero"`
	// Damaged counts the outboxes that were found damaged and moved aside, with
	// what they held. They count for as long as they lie on the device.
	Damaged int `json:"damaged,omitempty"`
	// LossUnseen says that edges may be lost without LostEdges counting them:
	// some input is read in a way that does not number its edges.
	LossUnseen bool `json:"lossUnseen,omitempty"`
	// Rival is since when another device has kept coming with the name of this
	// gateway; zero when none does.
	Rival time.Time `json:"rival,omitzero"`
	// ClockSynced is nil when the device cannot tell.
	ClockSynced *bool `json:"clockSynced,omitempty"`
	// Outages are the times of the last two days in which the gateway was not
	// running, by its own account, oldest first; nil when it keeps none.
	Outages []Outage       `json:"outages,omitzero"`
	Sensors []SensorStatus `json:"sensors,omitempty"`
	// Omitted counts sensors that did not fit in the message; what ails comes
	// first.
	Omitted int `json:"omitted,omitempty"`
}

// An Outage is a time in which a gateway was not running, and saw nothing.
type Outage struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// SensorHealth is the judgement of a gateway on one sensor.
type SensorHealth string

const (
	SensorOK       SensorHealth = "ok"
	SensorStuck    SensorHealth = "stuck"     // active for longer than its limit
	SensorChatter  SensorHealth = "chatter"   // bounces far more than it passes
	SensorFault    SensorHealth = "fault"     // cannot be read
	SensorSilent   SensorHealth = "silent"    // its device does not answer
	SensorStuckOff SensorHealth = "stuck_off" // counts nothing while the others do as ever
	SensorQuiet    SensorHealth = "quiet"     // silent where it never is at this hour of the week
	SensorFinished SensorHealth = "finished"  // a replay that has reached its end
)

// A SensorStatus is the state of one sensor of a gateway.
type SensorStatus struct {
	Sensor string       `json:"sensor"`
	Health SensorHealth `json:"health"`
	Since  time.Time    `json:"since,omitzero"` // when Health became what it is; of silence, the last event
	Last   time.Time    `json:"last,omitzero"`  // last event
	Events uint64       `json:"events"`         // since the gateway started
	Active bool         `json:"active"`         // level now
	// Gaps are the last times in which a device that counts by itself may have
	// counted more than is known, or in which it is not known when; the newest is
	// the last.
	Gaps []CounterGap `json:"gaps,omitempty"`
}

// MaxGaps is how many a [SensorStatus] has at most.
const MaxGaps = 8

// A CounterGap is a time in which a sensor that is a counter of its own was not
// read, or after which its value does not fit the one before.
type CounterGap struct {
	// Kind is what was found at its end, one of the kinds of package counter.
	Kind string `json:"kind"`
	// From is zero when the clock of then cannot be trusted.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to"`
	// Counted passages lie at estimated times within the gap.
	Counted uint64 `json:"counted,omitempty"`
	// Refused is by how much the counter was higher than can have passed.
	Refused uint64 `json:"refused,omitempty"`
	// Missed says that passages may be missing.
	Missed bool `json:"missed,omitempty"`
}
