package config

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// DriverGPIO reads inputs of the device. What it reads is said by inputs and
// sensors, at the top of the file, and not by a block of source.
const DriverGPIO Driver = "gpio"

// A Pull is a resistor inside the device.
type Pull string

// The pulls.
const (
	PullUp   Pull = "up"
	PullDown Pull = "down"
	PullNone Pull = "none"
)

// Choices are all pulls.
func (Pull) Choices() []string { return []string{string(PullUp), string(PullDown), string(PullNone)} }

// An Active is the electrical level that means "vehicle".
type Active string

// The levels.
const (
	ActiveLow  Active = "low"
	ActiveHigh Active = "high"
)

// Choices are both levels.
func (Active) Choices() []string { return []string{string(ActiveLow), string(ActiveHigh)} }

// An Input is one electrical input.
type Input struct {
	// Name for use in sensors.
	ID ID `yaml:"id" jsonschema:"required" want:"want a short name like a"`
	// Pin, like GPIO17.
	Pin string `yaml:"pin" jsonschema:"required" want:"want a pin like GPIO17"`
	// Resistor inside the device: up, down or none.
	Pull Pull `yaml:"pull"`
	// Level that means "vehicle": low for a contact to ground.
	Active Active `yaml:"active"`
	// How long a level must last to count.
	Debounce Duration `yaml:"debounce" bounds:"0s,1s"`
}

func (i *Input) setDefaults() {
	i.Pull, i.Active, i.Debounce = PullUp, ActiveLow, Duration(10*time.Millisecond)
}

var pinPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.+-]{0,31}$`)

func (g *Gateway) checkInputs(c *checker) (ids []string) {
	pins := map[string]ID{}
	for i, in := range g.Inputs {
		at := fmt.Sprintf("inputs[%d]", i)
		switch {
		case in.ID == "":
		case slices.Contains(ids, string(in.ID)):
			c.fault(at+".id", "%s is given twice: want an id of its own", quote(string(in.ID)))
		default:
			ids = append(ids, string(in.ID))
		}
		if in.Pin == "" {
			continue
		}
		if !pinPattern.MatchString(in.Pin) {
			c.fault(at+".pin", "%s: want a pin like GPIO17", quote(in.Pin))
		}
		if other, twice := pins[in.Pin]; twice {
			c.fault(at+".pin", "%s is the pin of input %s too: want one of its own", quote(in.Pin), quote(string(other)))
		}
		pins[in.Pin] = in.ID
	}
	return ids
}
