package present

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// MaxEvents bounds what is kept in memory of one site's day: some 50 MB. A
// busy perron has 20,000 events a day; only a chattering sensor has a million.
const MaxEvents = 1 << 20

// A day holds what a live state rests on: the events since the last local
// midnight, when the yard was empty. Events up to [perron.MaxAhead] past its
// end belong to the next day already and are kept for it.
type day struct {
	date       perron.Date
	start, end time.Time
	events     []perron.Event // in order of time
	late       []perron.Event // not merged yet
	full       bool           // not every event could be kept
	counts     [][]passages   // by gate, then quarter; a day has 92, 96 or 100
}

type passages struct{ in, out int }

const quarter = 15 * time.Minute

func newDay(date perron.Date, gates int) *day {
	d := &day{date: date, start: date.Start(), end: date.End()}
	d.counts = make([][]passages, gates)
	for i := range d.counts {
		d.counts[i] = make([]passages, d.end.Sub(d.start)/quarter)
	}
	return d
}

// count adds a passage at a gate; gate is negative for presences.
func (d *day) count(e perron.Event, gate int) {
	if gate < 0 || !e.Kind.Passage() || e.Time.Before(d.start) || !e.Time.Before(d.end) {
		return
	}
	p := &d.counts[gate][e.Time.Sub(d.start)/quarter]
	if e.Kind == perron.In {
		p.in++
	} else {
		p.out++
	}
}

// keep adds an event to those in order, or to the late ones.
func (d *day) keep(e perron.Event, late bool) {
	if len(d.events)+len(d.late) >= MaxEvents {
		d.full = true
		return
	}
	if late {
		d.late = append(d.late, e)
	} else {
		d.events = append(d.events, e)
	}
}

// merge puts the late events in their place. Events of one time keep the order
// in which they came.
func (d *day) merge() {
	if len(d.late) == 0 {
		return
	}
	d.events = append(d.events, d.late...)
	d.late = nil
	slices.SortStableFunc(d.events, func(a, b perron.Event) int { return a.Time.Compare(b.Time) })
}

// next is the day after, with what is known of it already.
func (d *day) next(gateOf func(sensor string) int) *day {
	d.merge()
	n := newDay(d.date.AddDays(1), len(d.counts))
	for _, e := range d.events {
		if !e.Time.Before(n.start) {
			n.keep(e, false)
			n.count(e, gateOf(e.Sensor))
		}
	}
	return n
}

// gateCount is what passed a gate on the day and since the full hour of now.
func (d *day) gateCount(gate int, now time.Time) (c perron.GateCount) {
	hour := int(perron.Hour.Start(now).Sub(d.start) / quarter)
	for i, p := range d.counts[gate] {
		c.InToday += p.in
		c.OutToday += p.out
		if i >= hour && i < hour+4 {
			c.InHour += p.in
			c.OutHour += p.out
		}
	}
	return c
}
