package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
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

// parts is a gateway's configuration, turned into what its parts take.
type parts struct {
	inputs  []pulse.Input
	sensors []pulse.Sensor
	source  gateway.Source
	pins    []gpio.Input // of the driver gpio
	// ownTimes says that the source's times are not of the device's clock.
	ownTimes bool
}

func newParts(g *config.Gateway, now func() time.Time, log *slog.Logger) (p parts, err error) {
	p.ownTimes = g.Source.Driver == config.DriverReplay || g.Source.Driver == config.DriverSimulate
	switch g.Source.Driver {
	case config.DriverReplay:
		p.source, err = newReplay(g.Source.Replay, now, log)
	case config.DriverModbus:
		p.source, err = newModbus(g.Source.Modbus, now, log)
	case config.DriverSimulate:
		y := yard(g)
		p.inputs, p.sensors = simulated.Wire([]string{"main-in"}, []string{"main-out"}, loops(y.Site))
		p.source = simulated.New(func(d perron.Date) []perron.Event { return y.Day(d).Events }, p.sensors, now, 1, log)
	default:
		for _, in := range g.Inputs {
			p.inputs = append(p.inputs, pulse.Input{ID: string(in.ID), Debounce: in.Debounce.D()})
			p.pins = append(p.pins, gpio.Input{
				ID: string(in.ID), Pin: in.Pin, Pull: gpio.Pull(in.Pull),
				ActiveLow: in.Active == config.ActiveLow, Debounce: in.Debounce.D(),
			})
		}
		for _, s := range g.Sensors {
			p.sensors = append(p.sensors, sensor(s))
		}
		p.source, err = gpio.New(p.pins, now, log)
	}
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

func newModbus(m *config.Modbus, now func() time.Time, log *slog.Logger) (*modbus.Source, error) {
	var buses []modbus.Bus
	for _, b := range m.Buses {
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
	return modbus.New(buses, now, clock.KernelSynced, log)
}

func newReplay(r *config.Replay, now func() time.Time, log *slog.Logger) (*replay.Source, error) {
	zone, err := time.LoadLocation(r.Time.Zone)
	if err != nil {
		return nil, fmt.Errorf("replay: time zone: %w", err)
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
	return replay.New(cfg, now, log)
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

// newLink is the connection to the broker.
func newLink(g *config.Gateway, shown *credential, log *slog.Logger) (*broker.Client, error) {
	cfg, err := linkConfig(g, log)
	if err != nil {
		return nil, err
	}
	cfg.Login = shown.Login
	return broker.NewClient(cfg)
}

// linkConfig says how to connect to the broker, with the gateway's last will and
// the credential of now.
func linkConfig(g *config.Gateway, log *slog.Logger) (cfg broker.ClientConfig, err error) {
	shown, err := newCredential(&g.Broker, log)
	if err != nil {
		return cfg, err
	}
	will, err := gateway.Will(string(g.Site), string(g.Gateway))
	if err != nil {
		return cfg, err
	}
	return broker.ClientConfig{
		URL: g.Broker.URL, ClientID: g.Username(), Username: g.Username(), Password: shown.login.Password, TLS: shown.login.TLS,
		Will: will, Logger: log,
	}, nil
}

// checkParts finds what is wrong with a configuration beyond its file.
func checkParts(ctx context.Context, g *config.Gateway) error {
	p, err := newParts(g, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if _, err := pulse.New(p.inputs, p.sensors); err != nil {
		return err
	}
	// Of what the file holds itself; other files may be on another machine.
	inline := config.GatewayBroker{CA: g.Broker.CA, Certificate: g.Broker.Certificate, Key: g.Broker.Key}
	if inline.Certificate == "" || inline.Key == "" {
		inline.Certificate, inline.Key = "", ""
	}
	if _, err := newCredential(&inline, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if r, ok := p.source.(*replay.Source); ok && g.Source.Replay.OnError == config.OnErrorRefuse {
		_, err := r.Check(ctx)
		return err
	}
	return nil
}
