package config

import (
	"fmt"
	"slices"
	"time"
)

// A SensorType is how inputs become events.
type SensorType string

// The types of sensors.
const (
	SensorPulse    SensorType = "pulse"    // one contact or loop: a pulse is a passage
	SensorPair     SensorType = "pair"     // two loops: their order is the direction
	SensorPresence SensorType = "presence" // one loop: occupied or free
)

// Choices are all types.
func (SensorType) Choices() []string {
	return []string{string(SensorPulse), string(SensorPair), string(SensorPresence)}
}

// A Direction is where a passage goes.
type Direction string

// The directions.
const (
	DirectionIn  Direction = "in"
	DirectionOut Direction = "out"
)

// Choices are both directions.
func (Direction) Choices() []string { return []string{string(DirectionIn), string(DirectionOut)} }

// A Sensor makes events from one input or two.
type Sensor struct {
	// Id, as in the gates and queue loops of the server's file.
	ID ID `yaml:"id" jsonschema:"required" want:"want the id that the server's file uses, like main-in"`
	// pulse, pair or presence.
	Type SensorType `yaml:"type" jsonschema:"required" want:"want pulse, pair or presence"`
	// The input of a pulse or presence sensor.
	Input ID `yaml:"input"`
	// The two inputs of a pair, in the order in which a vehicle meets them when
	// it goes in the direction.
	Inputs []ID `yaml:"inputs"`
	// Direction of a pulse; of a pair, that of a vehicle that meets the first
	// input first.
	Direction Direction `yaml:"direction"`
	// Pulses of one sensor closer than this are one vehicle; for pulse and pair.
	MinHeadway Duration `yaml:"min_headway" bounds:"0s,10s"`
	// Longest time from the first loop of a pair to the second.
	MaxGap Duration `yaml:"max_gap" bounds:"0s,1m"`
	// After this time of being occupied the sensor is called stuck.
	StuckAfter Duration `yaml:"stuck_after" bounds:"1m,24h"`
}

func (s *Sensor) setDefaults() { s.StuckAfter = Duration(30 * time.Minute) }

// complete fills in what depends on the type.
func (s *Sensor) complete() {
	if s.MinHeadway == 0 && s.Type == SensorPulse {
		s.MinHeadway = Duration(800 * time.Millisecond)
	}
	if s.MaxGap == 0 && s.Type == SensorPair {
		s.MaxGap = Duration(3 * time.Second)
	}
}

func (s *Sensor) check(c *checker, at string, inputs []string) {
	known := func(path string, id ID) {
		if id == "" || slices.Contains(inputs, string(id)) {
			return
		}
		hint := "want one of inputs"
		if near := nearest(string(id), inputs); near != "" {
			hint = "did you mean " + quote(near) + "?"
		} else if len(inputs) > 0 {
			hint = "want " + orList(inputs)
		}
		c.fault(path, "%s is no input: %s", quote(string(id)), hint)
	}
	known(at+".input", s.Input)
	for i, id := range s.Inputs {
		known(fmt.Sprintf("%s.inputs[%d]", at, i), id)
	}
	alien := func(field string, given bool) {
		if given {
			c.fault(at+"."+field, "does not belong to a sensor of type %s: leave it out", s.Type)
		}
	}
	switch s.Type {
	case SensorPulse, SensorPresence:
		if s.Input == "" {
			c.fault(at+".input", "is missing: want the id of an input")
		}
		alien("inputs", len(s.Inputs) > 0)
		alien("max_gap", s.MaxGap != 0)
	case SensorPair:
		if len(s.Inputs) != 2 || s.Inputs[0] == s.Inputs[1] {
			c.fault(at+".inputs", "want the ids of two inputs, in the order of the direction, like [a, b]")
		}
		alien("input", s.Input != "")
	}
	switch s.Type {
	case SensorPresence:
		alien("direction", s.Direction != "")
		alien("min_headway", s.MinHeadway != 0)
	case SensorPulse, SensorPair:
		if s.Direction == "" {
			c.fault(at+".direction", "is missing: want in or out")
		}
	}
}
