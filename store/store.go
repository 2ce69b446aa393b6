// Package store holds the nouns of storage that collectors, the API and the
// backends share: batches and what became of them, queries, and the sentinel
// errors. It does no I/O. The backends are store/sqlite and store/influx; what
// both must do is the suite in store/storetest.
package store

import (
	"errors"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

var (
	// ErrUnavailable means that the backend cannot be reached or asked now;
	// nothing of the call was stored and it may be tried again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFull means that there is no room. Nothing of the call was stored; it
	// succeeds again when there is room.
	ErrFull = errors.New("store full")
)

// A Batch is what a gateway sends at once: a run of events with consecutive
// sequence numbers within an epoch.
type Batch struct {
	Site, Gateway, Epoch string
	// Floor is the lowest sequence number that the gateway still holds or will
	// give out. What is below it and not stored will never come.
	Floor uint64
	// First is the sequence number of Entries[0]; it is at least 1.
	First   uint64
	Entries []Entry
	// Received is when the collector got the batch.
	Received time.Time
}

// An Entry is one event of a batch with the collector's verdict on it.
type Entry struct {
	perron.Event
	Gate string // empty for presences
	// SetAside is why the event does not count ("future", "ancient",
	// "unknown_sensor"), empty when it does. Events that are set aside are kept,
	// so that they can be looked at, but appear in no count.
	SetAside string
}

// A Result says what Commit did.
type Result struct {
	// Acked is the highest sequence number up to which everything is stored or
	// known to be lost.
	Acked uint64
	// Stored, SetAside and Duplicate count the entries of this batch; their sum
	// is less than the batch when Gap is set.
	Stored, SetAside, Duplicate int
	// Lost is how many sequence numbers this batch showed to be lost for ever.
	Lost uint64
	// Gap says that sequence numbers before First are still to come. Nothing was
	// stored; the gateway resends from Acked+1.
	Gap bool
}

// Place decides what to store of a batch when everything up to acked is
// stored already: skip entries are duplicates, lost numbers will never come.
// With gap the batch is too early and nothing may be stored.
func Place(acked uint64, b *Batch) (skip int, lost uint64, gap bool) {
	next := acked + 1
	if b.Floor > next {
		lost = b.Floor - next
		next = b.Floor
	}
	if b.First > next {
		return 0, 0, true
	}
	skip = int(min(next-b.First, uint64(len(b.Entries))))
	return skip, lost, false
}

// A CountQuery asks for passages by interval.
type CountQuery struct {
	Site string
	// Gate selects one gate; ByGate gives a row a gate. With neither the gates
	// are summed and Count.Gate is empty.
	Gate   string
	ByGate bool
	// From and To bound the intervals by their start: From included, To not.
	// Both are cut down to a quarter of an hour.
	From, To time.Time
	Step     perron.Step
}

// A Loss is a number of events that a gateway lost or that were set aside.
type Loss struct {
	Site, Gateway string
	Kind          perron.DoubtKind // DoubtLost or DoubtSetAside
	Reason        string           // of setting aside
	At            time.Time        // when it was noticed
	Count         uint64
}

// An Extent is the span of time that a site has events for.
type Extent struct{ First, Last time.Time }
