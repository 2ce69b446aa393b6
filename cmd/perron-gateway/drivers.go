package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/gateway/gpio"
	"github.com/perrondrukte/perrondrukte/gateway/modbus"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/gateway/replay"
	"github.com/perrondrukte/perrondrukte/gateway/simulated"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// A driver is all that this program knows of one.
type driver struct {
	name config.Driver
	// build makes the source from a configuration that was checked, of which
	// source.<name> is the driver's own. It opens nothing: check-config builds, too.
	build func(g *config.Gateway, now func() time.Time, log *slog.Logger) (parts, error)
	// ownTimes says that the times of events are not read from the device's clock,
	// so that it does not matter whether that is right.
	ownTimes bool
	// The optional abilities of the source. What a driver has is asked of its
	// source; here it stands for who reads, and a test compares the two.
	can abilities
}

// abilities are the optional interfaces of package gateway.
type abilities struct {
	list    bool // gateway.SensorLister
	settle  bool // gateway.Settler
	open    bool // gateway.Opener
	check   bool // gateway.Checker, for check-config
	examine bool // gateway.Examiner, for selftest
}

// drivers is the table of all drivers; docs/add-a-driver.md says how there comes
// to be one more. What watch shows needs nothing of a driver but its source.
var drivers = []driver{
	{name: config.DriverGPIO, build: newGPIO, can: abilities{settle: true, open: true, examine: true}},
	{name: config.DriverModbus, build: newModbus, can: abilities{list: true, examine: true}},
	{name: config.DriverReplay, build: newReplay, ownTimes: true, can: abilities{list: true, check: true}},
	{name: config.DriverSimulate, build: newSimulate, ownTimes: true},
}

// parts are what a driver makes of a gateway's configuration. A source of
// ready-made events needs neither inputs nor sensors.
type parts struct {
	source  gateway.Source
	inputs  []pulse.Input
	sensors []pulse.Sensor
	// ownTimes is the driver's.
	ownTimes bool
}

// newParts builds what the chosen driver needs. There is no other driver to fall
// back to.
func newParts(g *config.Gateway, now func() time.Time, log *slog.Logger) (parts, error) {
	var names []string
	for _, d := range drivers {
		if d.name == g.Source.Driver {
			p, err := d.build(g, now, log)
			p.ownTimes = d.ownTimes
			return p, err
		}
		names = append(names, string(d.name))
	}
	return parts{}, fmt.Errorf("source.driver: %q is no driver: want one of %s", g.Source.Driver, strings.Join(names, ", "))
}

func newGPIO(g *config.Gateway, now func() time.Time, log *slog.Logger) (p parts, err error) {
	var pins []gpio.Input
	for _, in := range g.Inputs {
		p.inputs = append(p.inputs, pulse.Input{ID: string(in.ID), Debounce: in.Debounce.D()})
		pins = append(pins, gpio.Input{
			ID: string(in.ID), Pin: in.Pin, Pull: gpio.Pull(in.Pull),
			ActiveLow: in.Active == config.ActiveLow, Debounce: in.Debounce.D(),
		})
	}
	for _, s := range g.Sensors {
		p.sensors = append(p.sensors, sensor(s))
	}
	p.source, err = gpio.New(pins, now, log)
	return p, err
}

func sensor(s config.Sensor) pulse.Sensor {
	out := pulse.Sensor{
		ID: string(s.ID), Type: pulse.Type(s.Type), Direction: perron.Kind(s.Direction),
		MinHeadway: s.MinHeadway.D(), MaxGap: s.MaxGap.D(), StuckAfter: s.StuckAfter.D(),
	}
	if s.Input != "" {
		out.Inputs = []string{string(s.Input)}
	}
	for _, id := range s.Inputs {
		out.Inputs = append(out.Inputs, string(id))
	}
	return out
}

func newModbus(g *config.Gateway, now func() time.Time, log *slog.Logger) (p parts, err error) {
	var buses []modbus.Bus
	for _, b := range g.Source.Modbus.Buses {
		bus := modbus.Bus{
			URL: b.URL, Speed: b.Speed, Parity: modbus.Parity(b.Parity), StopBits: b.StopBits,
			Timeout: b.Timeout.D(), Every: b.Every.D(), SilentAfter: b.SilentAfter.D(),
		}
		for _, n := range b.Counters {
			bus.Counters = append(bus.Counters, modbus.Counter{
				Sensor: string(n.Sensor), Kind: perron.Kind(n.Direction), Unit: uint8(n.Unit), Input: n.Register == config.RegisterInput,
				Address: uint16(n.Address), Bits: n.Bits, LowFirst: n.First == config.LowFirst, MinHeadway: n.MinHeadway.D(),
			})
		}
		buses = append(buses, bus)
	}
	p.source, err = modbus.New(buses, now, clock.KernelSynced, log)
	return p, err
}

func newReplay(g *config.Gateway, now func() time.Time, log *slog.Logger) (p parts, err error) {
	r := g.Source.Replay
	zone, err := time.LoadLocation(r.Time.Zone)
	if err != nil {
		return p, fmt.Errorf("replay: time zone: %w", err)
	}
	cfg := replay.Config{
		File: r.File, Speed: r.Speed, ShiftToNow: r.Shift == config.ShiftNow, Refuse: r.OnError == config.OnErrorRefuse,
		Time:   replay.Time{Column: r.Time.Column, Layout: r.Time.Layout, Zone: zone},
		Sensor: field(r.Sensor), Kind: field(r.Kind),
	}
	if r.Key != nil {
		cfg.Key = &replay.Key{Columns: r.Key.Columns, Map: make(map[string]replay.Meaning)}
		for text, m := range r.Key.Map {
			cfg.Key.Map[text] = replay.Meaning{Sensor: string(m.Sensor), Kind: perron.Kind(m.Kind)}
		}
	}
	if r.Counts != nil {
		cfg.Counts = &replay.Counts{In: count(r.Counts.In), Out: count(r.Counts.Out), Over: r.Counts.Over.D()}
	}
	p.source, err = replay.New(cfg, now, log)
	return p, err
}

func field(f *config.ReplayField) *replay.Field {
	if f == nil {
		return nil
	}
	return &replay.Field{Column: f.Column, Value: f.Value, Map: f.Map}
}

func count(c *config.ReplayCount) *replay.Count {
	if c == nil {
		return nil
	}
	return &replay.Count{Column: c.Column, Sensor: string(c.Sensor)}
}

func newSimulate(g *config.Gateway, now func() time.Time, log *slog.Logger) (p parts, _ error) {
	y := yard(g)
	p.inputs, p.sensors = simulated.Wire([]string{"main-in"}, []string{"main-out"}, loops(y.Site))
	p.source = simulated.New(func(d perron.Date) []perron.Event { return y.Day(d).Events }, p.sensors, now, 1, log)
	return p, nil
}

// yard is the imagined yard of the driver simulate. It is open from seven to
// ten every day, so that there is something to see when somebody looks.
func yard(g *config.Gateway) *simulate.Yard {
	sim := g.Source.Simulate
	open := []perron.Span{{Open: 7 * 60, Close: 22 * 60}}
	site := &perron.Site{
		ID: string(g.Site), Bays: sim.Bays, Lanes: sim.Lanes, TypicalDwell: sim.Dwell.D().Minutes(), RoadSpace: sim.RoadSpace,
		Hours: perron.Hours{Holidays: make(map[perron.Holiday][]perron.Span)},
	}
	for d := range site.Hours.Weekly {
		site.Hours.Weekly[d] = open
	}
	for _, h := range perron.Holidays() {
		site.Hours.Holidays[h] = open
	}
	for _, distance := range []int{2, 6, 12} {
		if distance <= sim.RoadSpace {
			site.QueueLoops = append(site.QueueLoops, perron.QueueLoop{Sensor: fmt.Sprintf("queue-%d", distance), Distance: distance})
		}
	}
	return &simulate.Yard{Site: site, Seed: sim.Seed, Visits: float64(sim.VisitsPerDay)}
}

func loops(s *perron.Site) (ids []string) {
	for _, l := range s.QueueLoops {
		ids = append(ids, l.Sensor)
	}
	return ids
}
