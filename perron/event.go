package perron

import "time"

// A Kind says what an [Event] is. Kinds are part of the wire and store
// formats.
type Kind string

const (
	In  Kind = "in"  // passage: one vehicle onto the site
	Out Kind = "out" // passage: one vehicle off the site
	On  Kind = "on"  // presence: the loop became occupied
	Off Kind = "off" // presence: the loop became free
)

// Valid says whether k is one of the four kinds.
func (k Kind) Valid() bool { return k == In || k == Out || k == On || k == Off }

// Passage says whether k is a passage: one vehicle over one sensor in one
// direction. The other kinds are presences.
func (k Kind) Passage() bool { return k == In || k == Out }

// An Event is a passage or a presence at one sensor.
type Event struct {
	Time   time.Time // of the edge itself, UTC
	Sensor string
	Kind   Kind
	// Unsure says that Time was stamped by a clock that was not synchronised and
	// may be wrong, by any amount. It is on the wire, but in a store only as the
	// doubt of the day.
	Unsure bool
}

// A Record is an event as the store keeps it.
type Record struct {
	Event
	Site    string
	Gateway string
	// Gate is empty for presences.
	Gate string
	// Epoch and Seq identify the event within its gateway.
	Epoch string
	Seq   uint64
}

// Earliest is the oldest time an event may carry. Older stamps come from
// clocks that were never set and are set aside instead of stored as counts.
var Earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// MaxAhead is how far an event's time may lie in the future of the collector.
const MaxAhead = 5 * time.Minute
