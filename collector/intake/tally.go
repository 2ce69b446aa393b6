package intake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/counter"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// offBy is how far the arrival of a message may be behind the device's own
	// time before the message counts as one that was held up on the way. The
	// device's time is exact to a second.
	offBy = 5 * time.Second
	// slack is added to the time between two readings when it is judged how much
	// can have passed: messages do not all take equally long.
	slack = time.Minute
	// spreadOver is for how long nothing may have been heard before staff are
	// told that the times of what was counted meanwhile are not known.
	spreadOver = 15 * time.Minute

	keptBoots    = 16
	keptSessions = 3
	window       = 64 // frames, the bits of session.Seen
)

// A tally is what is remembered of a device that reports counts, as JSON in a
// [store.Reading]. The methods that take a message in have no side effects
// beside it.
type tally struct {
	V int `json:"v"`
	// Epoch and Next number the passages of the device; Runs are the last ones
	// that were made, with the numbers before Next.
	Epoch string `json:"epoch"`
	Next  uint64 `json:"next"`
	Runs  []run  `json:"runs,omitempty"`
	// At is up to when the device has said how much it counted.
	At time.Time `json:"at,omitzero"`
	// Heard is when it last said anything, as far as that can be told.
	Heard time.Time `json:"heard,omitzero"`
	// Started is when it started; ClockOff says that its clock is wrong or not
	// set.
	Started  time.Time          `json:"started,omitzero"`
	ClockOff bool               `json:"clockOff,omitempty"`
	Boots    []string           `json:"boots,omitempty"`    // the newest last
	Sessions []session          `json:"sessions,omitempty"` // the newest last
	Counters map[string]tallied `json:"counters"`           // by sensor
	Notes    []note             `json:"notes,omitempty"`    // doubts of a day
	Date     string             `json:"date,omitempty"`     // of the notes
}

const tallyVersion = 1

// A tallied is one counter of a device.
type tallied struct {
	counter.State
	Passages uint64    `json:"passages"` // made of it
	Last     time.Time `json:"last,omitzero"`
	Failing  bool      `json:"failing,omitempty"` // it was not in the last message
}

// A session is a run of frame counters.
type session struct {
	ID   string    `json:"id"`
	Low  uint32    `json:"low"` // the lowest that is missed if it does not come
	Top  uint32    `json:"top"`
	Seen uint64    `json:"seen,string"` // bit i says that Top-i was seen
	At   time.Time `json:"at"`          // of Top
}

// A run is a number of passages of one sensor, after From and up to To.
type run struct {
	Sensor string      `json:"sensor"`
	Kind   perron.Kind `json:"kind"`
	Gate   string      `json:"gate"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
	N      uint64      `json:"n"`
	// Exact says that the last of them passed at To.
	Exact bool `json:"exact,omitempty"`
}

type note struct {
	Kind   perron.DoubtKind `json:"kind"`
	Sensor string           `json:"sensor,omitempty"`
	Since  time.Time        `json:"since"`
	Count  uint64           `json:"count,omitempty"`
}

// A verdict is what became of a message.
type verdict string

const (
	isNew       verdict = "new"
	isDuplicate verdict = "duplicate"
	isLate      verdict = "late" // older than what is known, and of no use any more
)

// newTally begins to count a device. Its epoch is that of no other tally.
func newTally(now time.Time) *tally {
	return &tally{V: tallyVersion, Epoch: "c" + strconv.FormatInt(now.UnixNano(), 36), Next: 1, Counters: make(map[string]tallied)}
}

// readTally reads what encode wrote.
func readTally(data string) (*tally, error) {
	t := new(tally)
	if err := json.Unmarshal([]byte(data), t); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if t.V != tallyVersion {
		return nil, fmt.Errorf("reading of version %d, which a newer version of this program made; this one knows %d", t.V, tallyVersion)
	}
	if t.Counters == nil {
		t.Counters = make(map[string]tallied)
	}
	return t, nil
}

func (t *tally) encode() (string, error) {
	b, err := json.Marshal(t)
	return string(b), err
}

// clone is a tally to take the next message in, without the passages that were
// made of the last.
func (t *tally) clone() *tally {
	c := *t
	c.Runs = nil
	c.Boots = slices.Clone(t.Boots)
	c.Sessions = slices.Clone(t.Sessions)
	c.Counters = maps.Clone(t.Counters)
	c.Notes = slices.Clone(t.Notes)
	return &c
}

// batch is the passages of the last message. It is the same each time, to the
// nanosecond. Empty says that there are none.
func (t *tally) batch(site, gateway string, received time.Time) (b store.Batch, empty bool) {
	b = store.Batch{Site: site, Gateway: gateway, Epoch: t.Epoch, Received: received.UTC()}
	for _, r := range t.Runs {
		n, exact := r.N, r.Exact && r.N > 0
		if exact {
			n--
		}
		for at := range counter.Spread(r.From, r.To, n) {
			b.Entries = append(b.Entries, r.entry(at))
		}
		if exact {
			b.Entries = append(b.Entries, r.entry(r.To))
		}
	}
	slices.SortStableFunc(b.Entries, func(a, b store.Entry) int { return a.Time.Compare(b.Time) })
	b.First = t.Next - uint64(len(b.Entries))
	b.Floor = b.First
	return b, len(b.Entries) == 0
}

func (r *run) entry(at time.Time) store.Entry {
	return store.Entry{Event: perron.Event{Time: at.UTC(), Sensor: r.Sensor, Kind: r.Kind}, Gate: r.Gate}
}

// begin takes in that a message came. Notes are those of one day.
func (t *tally) begin(received time.Time) {
	if date := perron.DateOf(received).String(); t.Date != date {
		t.Date, t.Notes = date, nil
	}
}

// note adds to a doubt.
func (t *tally) note(kind perron.DoubtKind, sensor string, at time.Time, count uint64) {
	for i := range t.Notes {
		if n := &t.Notes[i]; n.Kind == kind && n.Sensor == sensor {
			n.Count += count
			return
		}
	}
	t.Notes = append(t.Notes, note{kind, sensor, at.UTC(), count})
}

// found takes back a part of a doubt.
func (t *tally) found(kind perron.DoubtKind) {
	for i := range t.Notes {
		if n := &t.Notes[i]; n.Kind == kind {
			if n.Count--; n.Count == 0 {
				t.Notes = slices.Delete(t.Notes, i, i+1)
			}
			return
		}
	}
}

// counters takes in what a device says of its counters. Received is when the
// message came; a retained one may have lain there for long.
func (t *tally) counters(d *Device, gate func(string) string, m broker.Counters, received time.Time, retained bool) verdict {
	at, dated := received, !retained
	t.begin(received)
	t.ClockOff = m.At.IsZero() || m.At.After(received.Add(perron.MaxAhead)) || !retained && t.setBack(m)
	if !t.ClockOff && (retained || received.Sub(m.At) > offBy) {
		at, dated = m.At, true
	}
	at = laterOf(at, t.At) // time does not go back where counts go forward
	current := len(t.Boots) > 0 && t.Boots[len(t.Boots)-1] == m.Boot
	switch {
	case current:
		for sensor, v := range m.Counters {
			if was, ok := t.Counters[sensor]; ok && v.Base+v.N < was.Value {
				return isLate // within one life counters do not go down
			}
		}
	case slices.Contains(t.Boots, m.Boot):
		return isLate
	default:
		if len(t.Boots) == keptBoots {
			t.Boots = slices.Delete(t.Boots, 0, 1)
		}
		t.Boots = append(t.Boots, m.Boot)
	}
	if !current && !t.At.IsZero() {
		// Between the last message and the new life it may have counted more than
		// it could keep.
		t.note(perron.DoubtReset, "", t.At, 0)
	}
	started := laterOf(at.Add(-m.Up), t.At)
	for _, c := range d.Counters {
		was, known := t.Counters[c.Sensor]
		v, ok := m.Counters[c.Sensor]
		was.Failing = !ok
		if !ok {
			t.Counters[c.Sensor] = was
			continue
		}
		total := v.Base + v.N
		if known && was.Known() && !current {
			if v.Base > was.Value {
				t.count(d, gate, c, &was, counter.Counter{Bits: 64}, counter.Reading{Value: v.Base, At: started}, -1)
			}
			was.State = counter.State{Value: v.Base, At: started}
		}
		// Within one life it is the same device: nothing to disbelieve but chatter.
		t.count(d, gate, c, &was, counter.Counter{Bits: 64}, counter.Reading{Value: total, At: at}, v.Ago)
		t.Counters[c.Sensor] = was
	}
	if !current || t.Started.IsZero() {
		t.Started = started.UTC()
	}
	if dated {
		t.At, t.Heard = at.UTC(), laterOf(t.Heard, at).UTC()
	}
	return isNew
}

// setBack says whether a message is newer than what is known, because it counts
// more within the same life, and is older by its own time: the device's clock was
// set.
func (t *tally) setBack(m broker.Counters) bool {
	if n := len(t.Boots); n == 0 || t.Boots[n-1] != m.Boot || !m.At.Before(t.At.Add(-offBy)) {
		return false
	}
	for sensor, v := range m.Counters {
		if was, ok := t.Counters[sensor]; ok && was.Known() && v.Base+v.N > was.Value {
			return true
		}
	}
	return false
}

// uplink takes in a message over LoRaWAN.
func (t *tally) uplink(d *Device, gate func(string) string, u broker.Uplink, received time.Time) (verdict, error) {
	t.begin(received)
	at := u.Time
	if at.After(received.Add(perron.MaxAhead)) {
		at = received
	}
	f := t.frame(u, at, d.Every)
	if f.verdict == isDuplicate || f.verdict == isLate && !d.Delta {
		return f.verdict, nil
	}
	if d.Delta {
		if f.missing > 0 {
			t.note(perron.DoubtUplinks, "", at, f.missing)
		}
		if f.found {
			t.found(perron.DoubtUplinks)
		}
	}
	t.Heard = laterOf(t.Heard, at).UTC()
	was, counted := t.At, false
	var failed error
	for _, c := range d.Counters {
		n, ok, err := u.Count(c.Path)
		v := t.Counters[c.Sensor]
		if err != nil {
			failed = err
			v.Failing = true
			t.Counters[c.Sensor] = v
			continue
		}
		if !ok {
			continue // a message for another purpose
		}
		v.Failing = false
		switch {
		case d.Delta:
			// What it counted since the message before, which is not always the last
			// one that came.
			from := at.Add(-d.Every)
			if f.follows && was.Before(at) && !was.IsZero() {
				from = was
			}
			v.State = counter.State{At: from}
			t.count(d, gate, c, &v, counter.Counter{Bits: 64}, counter.Reading{Value: n, At: at}, -1)
		default:
			t.count(d, gate, c, &v, counter.Counter{Bits: d.Bits}, counter.Reading{Value: n, At: laterOf(at, v.At), Gap: f.began}, -1)
		}
		t.Counters[c.Sensor] = v
		counted = true
	}
	if counted {
		t.At = laterOf(t.At, at).UTC()
	}
	return isNew, failed
}

// count takes in one reading of one counter and makes passages of it. Ago is
// how long before the reading the last of them was, if it is not negative.
func (t *tally) count(d *Device, gate func(string) string, c DeviceCounter, v *tallied, how counter.Counter, r counter.Reading, ago time.Duration) {
	was := v.State
	if was.Known() {
		was.At = was.At.Add(-slack)
	}
	next, step := how.Step(was, r)
	if step.Kind == counter.Late || step.Kind == counter.Wide {
		next = v.State
	}
	from := v.At
	v.State = counter.State{Value: next.Value, At: next.At.UTC()}
	switch {
	case step.Kind == counter.Wide:
		v.Failing = true
	case step.Kind == counter.Jump:
		t.note(perron.DoubtJump, c.Sensor, r.At, step.Refused)
	case step.Doubt:
		t.note(perron.DoubtReset, c.Sensor, laterOf(from, r.At.Add(-d.Every)), 0)
	}
	if step.Delta == 0 {
		return
	}
	x := run{Sensor: c.Sensor, Kind: c.Kind, Gate: gate(c.Sensor), From: from, To: r.At.UTC(), N: step.Delta}
	if last := r.At.Add(-ago); ago >= 0 && last.After(from) {
		x.To, x.Exact = last.UTC(), true
	}
	vague := x.N
	if x.Exact {
		vague--
	}
	if vague > 0 && x.To.Sub(x.From) > max(spreadOver, 2*d.Every) {
		t.note(perron.DoubtSpread, c.Sensor, x.From, vague)
	}
	t.Runs = append(t.Runs, x)
	t.Next += x.N
	v.Passages += x.N
	v.Last = laterOf(v.Last, x.To)
}

// A frame is what the frame counter of an uplink says.
type frame struct {
	verdict verdict
	follows bool   // it is the one after the last
	began   bool   // the device has begun a new session
	missing uint64 // how many before it have not come
	found   bool   // it is one of those
}

// frame takes in a frame counter. Uplinks come twice, by two brokers' care or
// after a restart, and not always in order. A device joins anew after it was
// without power, or begins its frames anew without that (activated by hand).
func (t *tally) frame(u broker.Uplink, at time.Time, every time.Duration) frame {
	i := slices.IndexFunc(t.Sessions, func(s session) bool { return s.ID == u.Session })
	first := len(t.Sessions) == 0
	if i < 0 {
		older := !first && at.Before(t.Sessions[len(t.Sessions)-1].At)
		s := session{ID: u.Session, Low: u.Frame, Top: u.Frame, Seen: 1, At: at.UTC()}
		if older {
			// The end of an older session, of which nothing was seen so far.
			t.Sessions = slices.Insert(t.Sessions, len(t.Sessions)-1, s)
			return t.forget(frame{verdict: isLate})
		}
		f := frame{verdict: isNew, began: !first}
		if !first {
			s.Low, f.missing = 0, uint64(u.Frame)
		}
		t.Sessions = append(t.Sessions, s)
		return t.forget(f)
	}
	s := &t.Sessions[i]
	if u.Frame > s.Top {
		ahead := u.Frame - s.Top
		s.Seen = s.Seen<<ahead | 1 // a shift by more than 63 leaves nothing
		s.Top, s.At = u.Frame, at.UTC()
		f := frame{verdict: isNew, follows: ahead == 1, missing: uint64(ahead - 1)}
		if i < len(t.Sessions)-1 {
			f.verdict, f.follows = isLate, false // of an older session
		}
		return f
	}
	// Old, unless it was sent well after the newest.
	if at.Sub(s.At) > max(every/2, time.Minute) {
		*s = session{ID: u.Session, Top: u.Frame, Seen: 1, At: at.UTC()}
		return frame{verdict: isNew, began: true, missing: uint64(u.Frame)}
	}
	back := s.Top - u.Frame
	if back >= window || s.Seen>>back&1 == 1 {
		return frame{verdict: isDuplicate}
	}
	s.Seen |= 1 << back
	return frame{verdict: isLate, found: u.Frame >= s.Low}
}

func (t *tally) forget(f frame) frame {
	if len(t.Sessions) > keptSessions {
		t.Sessions = slices.Delete(t.Sessions, 0, 1)
	}
	return f
}

// doubts are the notes of today.
func (t *tally) doubts(gateway string, now time.Time) []perron.Doubt {
	if t.Date != perron.DateOf(now).String() {
		return nil
	}
	out := make([]perron.Doubt, 0, len(t.Notes))
	for _, n := range t.Notes {
		out = append(out, perron.Doubt{Kind: n.Kind, Gateway: gateway, Sensor: n.Sensor, Since: n.Since, Count: n.Count})
	}
	return out
}

// status is the device as a gateway says it of itself.
func (t *tally) status(d *Device, online bool) perron.GatewayStatus {
	s := perron.GatewayStatus{Site: d.Site, Gateway: d.Gateway, At: t.At, Online: online, Epoch: t.Epoch, Started: t.Started}
	if d.Network == "" {
		synced := !t.ClockOff
		s.ClockSynced = &synced
	}
	for _, c := range d.Counters {
		v := t.Counters[c.Sensor]
		x := perron.SensorStatus{Sensor: c.Sensor, Health: perron.SensorOK, Last: v.Last, Events: v.Passages}
		if v.Failing {
			x.Health = perron.SensorFault
		}
		s.Sensors = append(s.Sensors, x)
	}
	slices.SortFunc(s.Sensors, func(a, b perron.SensorStatus) int { return cmp.Compare(a.Sensor, b.Sensor) })
	return s
}
