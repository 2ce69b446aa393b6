package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// The body of a chunk is a row of records. Each begins with a byte: the kind of
// an event in its low bits, then
//
//	sensor  uvarint   0: a new one follows, as length and bytes; else its place
//	                  among those of this body, from 1
//	time    varint    nanoseconds after the event before (the first: after 1970)
//
// or hole, followed by how many events in a row were dropped (uvarint).
const (
	codeIn byte = iota
	codeOut
	codeOn
	codeOff
	codeHole
)

var kinds = [...]perron.Kind{codeIn: perron.In, codeOut: perron.Out, codeOn: perron.On, codeOff: perron.Off}

func codeOf(k perron.Kind) (byte, bool) {
	switch k {
	case perron.In:
		return codeIn, true
	case perron.Out:
		return codeOut, true
	case perron.On:
		return codeOn, true
	case perron.Off:
		return codeOff, true
	}
	return 0, false
}

// An encoder builds a body.
type encoder struct {
	body      []byte
	sensors   map[string]uint64
	last      int64
	n         int // events and holes
	presences int
	holes     int
}

func (e *encoder) reset() {
	e.body = e.body[:0]
	e.last, e.n, e.presences, e.holes = 0, 0, 0, 0
	if e.sensors == nil {
		e.sensors = make(map[string]uint64)
	}
	clear(e.sensors)
}

// valid says what about an event's kind or time cannot be kept.
func valid(e perron.Event) error {
	switch {
	case !e.Kind.Valid():
		return fmt.Errorf("event of kind %q", e.Kind)
	case e.Time.Year() < 1700 || e.Time.Year() > 2260:
		return fmt.Errorf("event in the year %d", e.Time.Year())
	}
	return nil
}

// add takes an event that is valid.
func (e *encoder) add(ev perron.Event) {
	c, _ := codeOf(ev.Kind)
	e.body = append(e.body, c)
	if i, ok := e.sensors[ev.Sensor]; ok {
		e.body = binary.AppendUvarint(e.body, i)
	} else {
		e.sensors[ev.Sensor] = uint64(len(e.sensors) + 1)
		e.body = append(e.body, 0)
		e.body = binary.AppendUvarint(e.body, uint64(len(ev.Sensor)))
		e.body = append(e.body, ev.Sensor...)
	}
	t := ev.Time.UnixNano()
	e.body = binary.AppendVarint(e.body, t-e.last)
	e.last = t
	e.n++
	if !ev.Kind.Passage() {
		e.presences++
	}
}

func (e *encoder) hole(n int) {
	if n > 0 {
		e.body = append(e.body, codeHole)
		e.body = binary.AppendUvarint(e.body, uint64(n))
		e.n += n
		e.holes += n
	}
}

var errBody = errors.New("chunk does not decode")

// decode calls visit for each event of a body, and for each run of n > 0 holes,
// until visit returns false.
func decode(body []byte, visit func(ev perron.Event, holes int) bool) error {
	var sensors []string
	var last int64
	for len(body) > 0 {
		c := body[0]
		i, w := binary.Uvarint(body[1:])
		if w <= 0 || c > codeHole {
			return errBody
		}
		body = body[1+w:]
		if c == codeHole {
			if i == 0 || i > 1<<20 {
				return errBody
			}
			if !visit(perron.Event{}, int(i)) {
				return nil
			}
			continue
		}
		if i == 0 {
			n, w := binary.Uvarint(body)
			if w <= 0 || n > uint64(len(body)-w) {
				return errBody
			}
			sensors = append(sensors, string(body[w:w+int(n)]))
			body = body[w+int(n):]
			i = uint64(len(sensors))
		}
		d, w := binary.Varint(body)
		if w <= 0 || i > uint64(len(sensors)) {
			return errBody
		}
		body = body[w:]
		last += d
		if !visit(perron.Event{Time: time.Unix(0, last).UTC(), Sensor: sensors[i-1], Kind: kinds[c]}, 0) {
			return nil
		}
	}
	return nil
}
