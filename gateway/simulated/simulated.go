// Package simulated is a source of edges from a made-up day: what a yard's
// sensors would say is turned back into what their contacts and loops would do,
// in real time on the gateway's clock. From there on everything is as on a real
// gate: debounce, headway, the order of two loops.
package simulated

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// contact is how long a contact closes for a vehicle, when the next does not
	// come too soon.
	contact = 200 * time.Millisecond
	// loopStep lies between the edges of a vehicle that crosses two loops.
	loopStep = 300 * time.Millisecond
)

// Wire gives each sensor an input of the same name: pulses inwards, pulses
// outwards, and presences.
func Wire(in, out, presences []string) ([]pulse.Input, []pulse.Sensor) {
	var inputs []pulse.Input
	var sensors []pulse.Sensor
	add := func(ids []string, kind pulse.Type, direction perron.Kind) {
		for _, id := range ids {
			inputs = append(inputs, pulse.Input{ID: id, Debounce: 10 * time.Millisecond})
			s := pulse.Sensor{ID: id, Type: kind, Inputs: []string{id}, Direction: direction}
			if kind == pulse.Pulse {
				s.MinHeadway = 800 * time.Millisecond
			}
			sensors = append(sensors, s)
		}
	}
	add(in, pulse.Pulse, perron.In)
	add(out, pulse.Pulse, perron.Out)
	add(presences, pulse.Presence, "")
	return inputs, sensors
}

// Source makes the edges.
type Source struct {
	day     func(perron.Date) []perron.Event
	sensors map[string]pulse.Sensor
	order   []pulse.Sensor
	now     func() time.Time
	speed   float64
	log     *slog.Logger
}

var _ gateway.Source = (*Source)(nil)

// New makes a source of what day returns for each civil day: events by time, of
// which those of the given sensors are taken. The sensors are wired as the
// gateway's own are. Speed is how fast now goes, in seconds a real second.
func New(day func(perron.Date) []perron.Event, sensors []pulse.Sensor, now func() time.Time, speed float64, log *slog.Logger) *Source {
	s := &Source{day: day, sensors: make(map[string]pulse.Sensor), order: sensors, now: now, speed: speed, log: log}
	for _, one := range sensors {
		s.sensors[one.ID] = one
	}
	return s
}

// Run plays the day from now on, and then day after day, until ctx ends.
func (s *Source) Run(ctx context.Context, sink gateway.Sink) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := func(until time.Time) error {
		for {
			d := until.Sub(s.now())
			if d <= 0 {
				return ctx.Err()
			}
			timer.Reset(time.Duration(float64(d) / s.speed))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	start := s.now()
	date := perron.DateOf(start)
	edges := s.edges(date)
	next, err := s.levels(ctx, sink, edges, start)
	if err != nil {
		return err
	}
	for {
		for _, e := range edges[next:] {
			if err := wait(e.Time); err != nil {
				return err
			}
			if err := sink.Edge(ctx, e); err != nil {
				return err
			}
		}
		if err := wait(date.End()); err != nil {
			return err
		}
		date = date.AddDays(1)
		edges, next = s.edges(date), 0
		s.log.Debug("a new day is simulated", logs.Date, date, logs.Edges, len(edges))
	}
}

// levels tells every input's level at the start, and how many edges are over.
func (s *Source) levels(ctx context.Context, sink gateway.Sink, edges []pulse.Edge, start time.Time) (over int, err error) {
	active := make(map[string]bool)
	for over < len(edges) && !edges[over].Time.After(start) {
		active[edges[over].Input] = edges[over].Active
		over++
	}
	for _, one := range s.order {
		for _, id := range one.Inputs {
			if err := sink.Edge(ctx, pulse.Edge{Input: id, Time: start, Active: active[id], Known: true}); err != nil {
				return over, fmt.Errorf("simulated sensor %s: %w", one.ID, err)
			}
		}
	}
	return over, nil
}

// edges is a day, as the inputs see it.
func (s *Source) edges(date perron.Date) []pulse.Edge {
	var out []pulse.Edge
	add := func(input string, at time.Time, active bool) {
		out = append(out, pulse.Edge{Input: input, Time: at, Active: active})
	}
	events := s.day(date)
	next := make(map[string]time.Time) // event of the same sensor, going backwards
	for _, e := range slices.Backward(events) {
		one, ours := s.sensors[e.Sensor]
		if !ours {
			continue
		}
		switch {
		case one.Type == pulse.Presence && !e.Kind.Passage():
			add(one.Inputs[0], e.Time, e.Kind == perron.On)
		case one.Type == pulse.Pulse && e.Kind == one.Direction:
			width := contact
			if after, ok := next[e.Sensor]; ok {
				width = min(width, after.Sub(e.Time)/2)
			}
			if width <= 0 {
				break // at the same instant as the next: one pulse
			}
			add(one.Inputs[0], e.Time.Add(width), false)
			add(one.Inputs[0], e.Time, true)
			next[e.Sensor] = e.Time
		case one.Type == pulse.Pairs && e.Kind.Passage():
			first, second := one.Inputs[0], one.Inputs[1]
			if e.Kind != one.Direction {
				first, second = second, first
			}
			add(second, e.Time, false) // the edge that counts
			add(first, e.Time.Add(-loopStep), false)
			add(second, e.Time.Add(-2*loopStep), true)
			add(first, e.Time.Add(-3*loopStep), true)
		default:
			s.log.Warn("a simulated event does not fit its sensor", logs.Sensor, e.Sensor, logs.Type, one.Type, logs.Kind, e.Kind)
		}
	}
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b pulse.Edge) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return out
}
