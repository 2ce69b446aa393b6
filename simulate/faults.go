package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Faults are the errors of the sensors, as probabilities a vehicle and as
// spells in which one sensor misbehaves. They never change the truth of a day,
// and a fault that is added leaves the luck of the others as it was.
type Faults struct {
	MissIn, MissOut float64
	Double          float64 // a second passage within two seconds
	// Bounce is the part of the passages whose contact chatters: two to five
	// more of them within a quarter of a second.
	Bounce float64
	// Tailgate is the part of the vehicles within four seconds of the one before
	// that a passage sensor takes for its trailer.
	Tailgate float64
	Spells   []Spell
}

// A Spell is a time of the day in which one sensor misbehaves.
type Spell struct {
	Sensor string
	// From and Until are civil times; Until is not part of it, and 24:00 when 0.
	From, Until perron.TimeOfDay
	Trouble     Trouble
	// Miss is the part of the vehicles that a Weak passage sensor misses, in
	// place of MissIn or MissOut.
	Miss float64
	// Chance is the probability of a day to have the spell; 0 means every day.
	Chance float64
}

// Trouble is what is wrong with a sensor.
type Trouble string

const (
	Dead  Trouble = "dead"  // it reports nothing, what is going on included
	Stuck Trouble = "stuck" // a queue loop reports a vehicle throughout; a passage sensor sees no edge and is dead
	Weak  Trouble = "weak"  // a passage sensor misses more, or fewer, than before
)

const (
	trailer   = 4.0  // seconds between two vehicles that may count as one
	chatter   = 0.25 // seconds
	fewBounce = 2
	moreMay   = 4 // up to three more than that
)

// A spell in seconds after the start of the civil day.
type spell struct {
	span
	Spell
}

// spells are those of today.
func (y *Yard) spells(d perron.Date, r *rand.Rand) []spell {
	start, end := d.Start(), d.End()
	var out []spell
	for _, s := range y.Faults.Spells {
		if r.Float64() >= cmp.Or(s.Chance, 1) {
			continue
		}
		t := spell{span{d.At(s.From).Sub(start).Seconds(), end.Sub(start).Seconds()}, s}
		if s.Until > 0 {
			t.close = d.At(s.Until).Sub(start).Seconds()
		}
		out = append(out, t)
	}
	return out
}

func (s span) holds(sec float64) bool { return s.open <= sec && sec < s.close }

// passing is what a passage sensor reports of the vehicles that pass it.
type passing struct {
	sensor string
	kind   perron.Kind
	miss   float64
	spells []spell
}

// missAt is the part of the vehicles that is missed at an instant.
func (p *passing) missAt(sec float64) float64 {
	miss := p.miss
	for i := range p.spells {
		s := &p.spells[i]
		switch {
		case s.Sensor != p.sensor || !s.holds(sec):
		case s.Trouble == Weak:
			miss = s.Miss
		default:
			return 1
		}
	}
	return miss
}

// sense turns what happened into what the sensors report.
func (y *Yard) sense(run *run, d perron.Date) []perron.Event {
	start := d.Start()
	at := func(sec float64) time.Time {
		// Loops and gates are stamped in milliseconds.
		return start.Add(time.Duration(sec*1000) * time.Millisecond)
	}
	usual, odd := y.rand(d, "sensors"), y.rand(d, "bounces")
	spells := y.spells(d, y.rand(d, "spells"))
	entry := passing{cmp.Or(y.EntrySensor, "main-in"), perron.In, y.Faults.MissIn, spells}
	exit := passing{cmp.Or(y.ExitSensor, "main-out"), perron.Out, y.Faults.MissOut, spells}
	trailers := y.trailers(run, y.rand(d, "trailers"))
	var events []perron.Event
	pass := func(sec float64, p *passing, trailer bool) {
		// As many draws for every vehicle, whatever becomes of it.
		missed, doubled, gap := usual.Float64() < p.missAt(sec), usual.Float64() < y.Faults.Double, 0.3+1.7*usual.Float64()
		chatters, more, first := odd.Float64() < y.Faults.Bounce, fewBounce+odd.IntN(moreMay), odd.Float64()
		if missed || trailer {
			return
		}
		report := func(sec float64) {
			events = append(events, perron.Event{Time: at(sec), Sensor: p.sensor, Kind: p.kind})
		}
		report(sec)
		if doubled {
			report(sec + gap)
		}
		if chatters {
			for k := range more {
				report(sec + chatter*(float64(k)+first)/float64(more))
			}
		}
	}
	for i := range run.vehicles {
		if v := &run.vehicles[i]; v.fate == Served {
			pass(v.entered, &entry, trailers[visitEnd{i, perron.In}])
			pass(v.left, &exit, trailers[visitEnd{i, perron.Out}])
		}
	}
	for k, loop := range y.Site.QueueLoops {
		events = append(events, loopEvents(loop.Sensor, run.presences(k), spells, at)...)
	}
	slices.SortStableFunc(events, func(a, b perron.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// visitEnd is the passage of a vehicle, by its index.
type visitEnd struct {
	vehicle int
	kind    perron.Kind
}

// trailers are the passages of vehicles that a sensor takes for a part of the
// vehicle before.
func (y *Yard) trailers(run *run, r *rand.Rand) map[visitEnd]bool {
	if y.Faults.Tailgate <= 0 {
		return nil
	}
	out := map[visitEnd]bool{}
	for _, kind := range []perron.Kind{perron.In, perron.Out} {
		type passage struct {
			at      float64
			vehicle int
		}
		var by []passage
		for i := range run.vehicles {
			if v := &run.vehicles[i]; v.fate != Served {
				continue
			} else if kind == perron.In {
				by = append(by, passage{v.entered, i})
			} else {
				by = append(by, passage{v.left, i})
			}
		}
		slices.SortFunc(by, func(a, b passage) int { return cmp.Compare(a.at, b.at) })
		for i := 1; i < len(by); i++ {
			if by[i].at-by[i-1].at < trailer && r.Float64() < y.Faults.Tailgate {
				out[visitEnd{by[i].vehicle, kind}] = true
			}
		}
	}
	return out
}

// loopEvents are what a queue loop reports of its presences. Edges within a
// dead spell are lost, so that a presence may begin or end unseen.
func loopEvents(sensor string, presences []span, spells []spell, at func(float64) time.Time) []perron.Event {
	for _, s := range spells {
		if s.Sensor == sensor && s.Trouble == Stuck {
			presences = joined(append(presences, s.span))
		}
	}
	var out []perron.Event
	report := func(sec float64, kind perron.Kind) {
		for _, s := range spells {
			if s.Sensor == sensor && s.Trouble == Dead && s.holds(sec) {
				return
			}
		}
		out = append(out, perron.Event{Time: at(sec), Sensor: sensor, Kind: kind})
	}
	for _, p := range presences {
		report(p.open, perron.On)
		report(p.close, perron.Off)
	}
	return out
}
