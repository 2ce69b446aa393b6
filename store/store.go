// Package store holds the nouns of storage that collectors, the API and the
// backends share: batches and what became of them, queries, and the sentinel
// errors. It does no I/O. The backends are store/sqlite and store/influx; what
// each must do is the suite in store/storetest.
package store

import (
	"errors"
	"fmt"
	"strings"
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
	// ErrNotFound means that what was named is not there.
	ErrNotFound = errors.New("not found")
	// ErrExists means that what was to be added is there already.
	ErrExists = errors.New("exists already")
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
// With gap the batch is too early and nothing may be stored. Events that are in
// the batch are never lost, whatever its floor says.
func Place(acked uint64, b *Batch) (skip int, lost uint64, gap bool) {
	next := acked + 1
	floor := b.Floor
	if len(b.Entries) > 0 {
		floor = min(floor, b.First)
	}
	if floor > next {
		lost = floor - next
		next = floor
	}
	if b.First > next {
		return 0, 0, true
	}
	skip = int(min(next-b.First, uint64(len(b.Entries))))
	return skip, lost, false
}

// Last is the highest sequence number that is settled when everything up to
// acked was and the batch has been stored with lost from [Place].
func (b *Batch) Last(acked, lost uint64) uint64 {
	last := acked + lost
	if n := uint64(len(b.Entries)); n > 0 {
		last = max(last, b.First+n-1)
	}
	return last
}

// MaxSeq is the highest sequence number that a store can keep.
const MaxSeq = 1<<63 - 1

// Validate names what in the batch no store can keep. Collectors build batches
// from checked messages, so an error here is a fault in the program and trying
// again is of no use.
func (b *Batch) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !perron.ValidID(b.Site) {
		fault("site %q is not a name", b.Site)
	}
	if !perron.ValidID(b.Gateway) {
		fault("gateway %q is not a name", b.Gateway)
	}
	if !validEpoch(b.Epoch) {
		fault("epoch %q is not 1 to 64 printable characters without spaces", b.Epoch)
	}
	n := uint64(len(b.Entries))
	if b.First < 1 || b.First > MaxSeq-n {
		fault("first sequence number %d is not between 1 and %d", b.First, uint64(MaxSeq)-n)
	}
	if b.Floor > MaxSeq {
		fault("floor %d is above %d", b.Floor, uint64(MaxSeq))
	}
	if !storable(b.Received) {
		fault("received at %v, which is no time of this age", b.Received)
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.SetAside != "" {
			if !perron.ValidID(strings.ReplaceAll(e.SetAside, "_", "-")) {
				fault("entry %d: reason %q is not a name", i, e.SetAside)
			}
			continue // kept as text, whatever it holds
		}
		switch {
		case !e.Kind.Valid():
			fault("entry %d: kind %q is none of in, out, on, off", i, e.Kind)
		case !perron.ValidID(e.Sensor):
			fault("entry %d: sensor %q is not a name", i, e.Sensor)
		case e.Gate != "" && !perron.ValidID(e.Gate):
			fault("entry %d: gate %q is not a name", i, e.Gate)
		case e.Gate != "" && !e.Kind.Passage():
			fault("entry %d: presence %q at gate %q", i, e.Kind, e.Gate)
		case !storable(e.Time):
			fault("entry %d: time %v cannot be stored", i, e.Time)
		}
		if len(errs) > 5 {
			break
		}
	}
	return errors.Join(errs...)
}

// validEpoch wants 1 to 64 printable ASCII characters without spaces.
func validEpoch(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// farthest is the end of what nanoseconds since 1970 can count in 63 bits,
// less the weeks that rounding to an interval may add.
var farthest = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)

func storable(t time.Time) bool { return !t.Before(perron.Earliest) && t.Before(farthest) }

// CheckTime is an error when a store cannot hold the time.
func CheckTime(t time.Time) error {
	if !storable(t) {
		return fmt.Errorf("time %v cannot be stored", t)
	}
	return nil
}

// Nanos is t in nanoseconds since 1970, brought into the range that stores can
// hold, so that any time may bound a query.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(perron.Earliest):
		return perron.Earliest.UnixNano()
	case !t.Before(farthest):
		return farthest.UnixNano()
	}
	return t.UnixNano()
}

// FromNanos is the instant that [Nanos] wrote down, in UTC.
func FromNanos(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

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

// A Loss is a number of events that a gateway lost, that were set aside, or
// whose times are unsure.
type Loss struct {
	Site, Gateway string
	Kind          perron.DoubtKind // DoubtLost, DoubtSetAside, DoubtTimes or DoubtOutbox
	Reason        string           // of setting aside; of unsure times, the civil day; of an outbox, its epoch
	// At is when it was noticed; of unsure times, the first of them; of an outbox,
	// when it was last heard of, on the day on which that was noticed.
	At    time.Time
	Count uint64 // of an outbox, at least; 0 when it cannot be told
	// Withdrawn says that it turned out to be none. Such a loss is not listed.
	Withdrawn bool
}

// A SetAside is an event that was kept without being counted. Its time is what
// the gateway said, as far as a year of four digits can hold it.
type SetAside struct {
	perron.Record
	Reason   string
	Received time.Time
}

// AsideTime is the time that is kept of an event that is set aside: in UTC, and
// within the years 0 to 9999 that its text form can hold.
func AsideTime(t time.Time) time.Time {
	t = t.UTC()
	switch {
	case t.Year() < 0:
		return time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}

// An Extent is the span of time that a site has events for: the times of its
// first and last event. Both are zero when there is none.
type Extent struct{ First, Last time.Time }

// A User may sign in. Hash is what password.New made of the password.
type User struct {
	Name, Hash, Role string
	Created          time.Time
}

// A GatewayID names a gateway that has a credential.
type GatewayID struct{ Site, Gateway string }

// A Credential is what a gateway proves with that it is the one.
type Credential struct {
	GatewayID
	Hash []byte // SHA-256 of its secret
	// Certificate is the SHA-256 of the client certificate that it has to show
	// beside; nil when none is asked for.
	Certificate     []byte
	CertificateEnds time.Time // zero without a certificate
	Created         time.Time
	// Until is when it ends, because another one replaces it; zero for never.
	Until time.Time
}
