package simulated

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// interpreter is a sink with the real pulse logic.
type interpreter struct {
	machine *pulse.Machine
	got     []perron.Event
	late    time.Duration
	now     func() time.Time
}

func (i *interpreter) Edge(_ context.Context, e pulse.Edge) error {
	i.late = max(i.late, i.now().Sub(e.Time))
	events, err := i.machine.Edge(e)
	i.got = append(i.got, events...)
	return err
}

func (i *interpreter) Events(context.Context, []perron.Event, []byte) error {
	return errors.New("ready-made events from a source of edges")
}
func (i *interpreter) Position() []byte                                        { return nil }
func (i *interpreter) Lost(string, uint64)                                     {}
func (i *interpreter) Blind(string)                                            {}
func (i *interpreter) Report(string, perron.SensorHealth, []perron.CounterGap) {}
func (i *interpreter) Fault(string, error)                                     {}

// What the day says comes out again behind the pulse logic, from now on and at
// its own time, also over midnight and on a shifted clock.
func TestDayComesOutAgain(t *testing.T) {
	noon := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	day := func(d perron.Date) []perron.Event {
		at := func(s float64) time.Time { return d.At(12 * 60).Add(time.Duration(s * float64(time.Second))) }
		return []perron.Event{
			{Time: at(-60), Sensor: "main-in", Kind: perron.In}, // over when the test begins
			{Time: at(-50), Sensor: "queue-1", Kind: perron.On},
			{Time: at(5), Sensor: "main-in", Kind: perron.In},
			{Time: at(6), Sensor: "main-in", Kind: perron.In},
			{Time: at(6.5), Sensor: "main-in", Kind: perron.In}, // doubled: sooner than the headway
			{Time: at(7), Sensor: "other", Kind: perron.In},     // another gateway's
			{Time: at(8), Sensor: "lane", Kind: perron.In},
			{Time: at(20), Sensor: "lane", Kind: perron.Out},
			{Time: at(30), Sensor: "main-out", Kind: perron.Out},
			{Time: at(31), Sensor: "queue-1", Kind: perron.Off},
		}
	}
	inputs, sensors := Wire([]string{"main-in"}, []string{"main-out"}, []string{"queue-1"})
	inputs = append(inputs, pulse.Input{ID: "a"}, pulse.Input{ID: "b"})
	sensors = append(sensors, pulse.Sensor{ID: "lane", Type: pulse.Pairs, Inputs: []string{"a", "b"}, Direction: perron.In})
	synctest.Test(t, func(t *testing.T) {
		shift := time.Until(noon)
		now := func() time.Time { return time.Now().Add(shift) }
		m, err := pulse.New(inputs, sensors)
		if err != nil {
			t.Fatal(err)
		}
		i := &interpreter{machine: m, now: now}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour+25*time.Second)
		defer cancel()
		s := New(day, sensors, now, 1, slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err := s.Run(ctx, i); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		today, tomorrow := day(perron.DateOf(noon)), day(perron.DateOf(noon).AddDays(1))
		on := today[1]
		on.Time = noon // known at the start
		want := []perron.Event{on, today[2], today[3], today[6], today[7], today[8], today[9]}
		want = append(want, tomorrow[0], tomorrow[1], tomorrow[2], tomorrow[3], tomorrow[6], tomorrow[7])
		if d := cmp.Diff(want, i.got); d != "" {
			t.Errorf("events (-want +got)\n%s", d)
		}
		if i.late > 0 {
			t.Errorf("edges came up to %v late", i.late)
		}
	})
}
