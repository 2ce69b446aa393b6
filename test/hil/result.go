// Package hil tries the production gateway on the kernel's own GPIO interface:
// hardware in the loop, without the hardware. A virtual machine runs Debian's
// kernel with a simulated GPIO chip (gpio-sim) whose contacts a small program
// in the guest opens and closes, while the gateway counts. What the gateway has
// in its outbox at the end is compared, edge by edge and with its time, with
// what the contacts did.
//
// The virtual machine counts its own instructions for time and does not wait
// for the clock on the wall, so that a busy machine makes the test slower and
// not different.
//
// A second virtual machine has a network card and waits for the wall's clock
// when it has nothing to do: its gateway sends what it counts to a server on the
// host, and what is stored there is compared.
package hil

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Result is what the guest found out in one case. It is written to the serial
// console, as a line of JSON after [Mark].
type Result struct {
	Case  string `json:"case"`
	Error string `json:"error,omitempty"` // why there is no result
	// Edges is how often a contact changed, bounces included.
	Edges int `json:"edges"`
	// Events of the outbox, by sensor and kind, like "gate in".
	Events map[string]int `json:"events"`
	// Differs says what the first event is that does not agree with what the
	// contacts did; empty when all agree, in number, order, kind and sensor.
	Differs string `json:"differs,omitempty"`
	// Passed is what the contacts did, where the host compares.
	Passed []Passage `json:"passed,omitempty"`
	// Earliest and Latest are how far the times of events are from those at
	// which the contact changed; earlier is negative.
	Earliest time.Duration `json:"earliest"`
	Latest   time.Duration `json:"latest"`
	// Lost edges, as the outbox has them.
	Lost uint64 `json:"lost"`
	// Took is by the guest's clock.
	Took time.Duration `json:"took"`
	// CPU is what the gateway used, in user and kernel mode.
	CPU time.Duration `json:"cpu"`
	// Memory is the largest that the gateway was, in kB.
	Memory int64 `json:"memory"`
	// Log of the gateway, when something is wrong.
	Log string `json:"log,omitempty"`
}

// A Passage is an event that the traffic must lead to, between two instants of
// the guest's clock.
type Passage struct {
	Sensor string      `json:"sensor"`
	Kind   perron.Kind `json:"kind"`
	From   time.Time   `json:"from"`
	To     time.Time   `json:"to"`
}

// Mark begins each line of the console that is the guest's word, and End the
// last one.
const (
	Mark = "HIL "
	End  = "HIL-END"
)

// Arrived is the line with which the host says that it has stored all. The
// guest then tells, as events of the kind Counted, how many the outbox had.
const (
	Arrived = "arrived"
	Counted = "counted"
)
