package gpio

import (
	"errors"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
)

// What an installer is told of inputs, which are not there to be tried.
func TestFindings(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	running := &gateway.View{Now: now, Inputs: []pulse.Level{
		{Input: "a", Known: true, Edges: 12},
		{Input: "b", Fault: true},
		{Input: "d", Known: true, Active: true, Since: now.Add(-90 * time.Second), Edges: 3},
	}}
	in := func(id string) Input { return Input{ID: id, Pin: "GPIO17", Pull: PullUp} }
	for name, c := range map[string]struct {
		seen    inspection
		running *gateway.View
		grade   gateway.Grade
		want    string
	}{
		"free":       {inspection{Input: in("a"), chip: "/dev/gpiochip0", pullSet: true, edges: 2}, nil, gateway.Good, "input a (GPIO17) on /dev/gpiochip0: present, pull up, now free, 2 edges in 1s"},
		"active":     {inspection{Input: in("a"), chip: "/dev/gpiochip0", pullSet: true, active: true}, nil, gateway.Good, "input a (GPIO17) on /dev/gpiochip0: present, pull up, now ACTIVE: a vehicle is there, or active: high and low are mixed up, 0 edges in 1s"},
		"chatters":   {inspection{Input: in("a"), pullSet: true, edges: 50}, nil, gateway.Wrong, "input a (GPIO17): chatters: 50 edges in 1s, and 0 lost; a loose contact, or a cable without a shield"},
		"loses":      {inspection{Input: in("a"), pullSet: true, lost: 1}, nil, gateway.Wrong, "input a (GPIO17): chatters: 0 edges in 1s, and 1 lost; a loose contact, or a cable without a shield"},
		"no pull":    {inspection{Input: in("a")}, nil, gateway.Wrong, "input a (GPIO17): the kernel has not set the pull up that was asked for"},
		"no pin":     {inspection{Input: in("a"), err: errors.New("no pin")}, nil, gateway.Wrong, "input a (GPIO17): no pin"},
		"taken":      {inspection{Input: in("a"), busy: true, owner: "spi0"}, nil, gateway.Wrong, "input a (GPIO17): is in use by spi0, which shows nothing of itself; if that is the gateway, it is of an older version or of another configuration"},
		"ours":       {inspection{Input: in("a"), busy: true}, running, gateway.Good, "input a (GPIO17): the running gateway has it: now free, 12 edges since its start"},
		"ours, held": {inspection{Input: in("d"), busy: true}, running, gateway.Good, "input d (GPIO17): the running gateway has it: now ACTIVE for 1m30s, 3 edges since its start"},
		"ours, bad":  {inspection{Input: in("b"), busy: true}, running, gateway.Wrong, "input b (GPIO17): the running gateway has it, and cannot read it"},
		"another's":  {inspection{Input: in("c"), busy: true}, running, gateway.Wrong, "input c (GPIO17): is in use, but the running gateway does not know it: it runs with another configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := c.seen.finding(time.Second, c.running), (gateway.Finding{Grade: c.grade, Text: c.want}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}
