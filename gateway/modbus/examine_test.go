package modbus

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/perron"
)

// What an installer is told of counters.
func TestFindings(t *testing.T) {
	well := answer{
		Counter: Counter{Sensor: "main", Kind: perron.In, Unit: 3, Address: 12, Bits: 32},
		bus:     "rtu:///dev/ttyUSB0", value: 5123, counted: 2, took: 4*time.Millisecond + 120*time.Microsecond,
	}
	mute, refused, wild := well, well, well
	mute.err, mute.hint = errors.New("request timed out"), "the unit's number"
	refused.err = errors.New("device failure")
	wild.value, wild.counted, wild.Input = 70_659, 65_536, true
	const name = "sensor main, in: unit 3, holding register 12 on rtu:///dev/ttyUSB0: "
	for what, c := range map[string]struct {
		seen  answer
		grade gateway.Grade
		want  string
	}{
		"well":    {well, gateway.Good, name + "shows 5123, counted 2 in 1s, answers in 4.1ms"},
		"mute":    {mute, gateway.Wrong, name + "request timed out; look at the unit's number"},
		"refused": {refused, gateway.Wrong, name + "device failure"},
		"wild":    {wild, gateway.Wrong, "sensor main, in: unit 3, input register 12 on rtu:///dev/ttyUSB0: went from 5123 to 70659 in 1s, which no gate does: another register, the halves in the wrong order (first), or a contact that chatters"},
	} {
		t.Run(what, func(t *testing.T) {
			if got, want := c.seen.finding(time.Second), (gateway.Finding{Grade: c.grade, Text: c.want}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// A serial line has one user: beside the running gateway nothing is asked.
func TestExamine_besideTheGateway(t *testing.T) {
	s, err := New([]Bus{{URL: "tcp://192.0.2.1:502", Counters: []Counter{{Sensor: "main", Kind: perron.In, Bits: 16}}}}, time.Now, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Examine(t.Context(), time.Hour, &gateway.View{Sensors: []gateway.SeenSensor{
		{SensorStatus: perron.SensorStatus{Sensor: "main", Health: perron.SensorOK}, In: 12, Out: 3},
		{SensorStatus: perron.SensorStatus{Sensor: "side", Health: perron.SensorSilent}},
	}})
	want := []gateway.Finding{
		{Grade: gateway.Note, Text: "the running gateway asks the counters; to ask them from here, stop it first"},
		{Grade: gateway.Good, Text: "sensor main: the running gateway counted 12 in and 3 out since its start"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}
