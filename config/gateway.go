package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"time"
)

// A Gateway is the configuration of perron-gateway.
type Gateway struct {
	// Id of the site, as in the server's file.
	Site ID `yaml:"site" jsonschema:"required" want:"want the id of a site, as in the server's file"`
	// Id of this gateway within the site.
	Gateway ID `yaml:"gateway" jsonschema:"required" want:"want the id of this gateway, as in the server's file"`
	// Directory of the outbox. A relative path counts from the directory of
	// this file.
	DataDir string `yaml:"data_dir" want:"want a directory like /var/lib/perron-gateway"`
	// Where to send events.
	Broker GatewayBroker `yaml:"broker" jsonschema:"required"`
	// What keeps events until the server has stored them.
	Outbox Outbox `yaml:"outbox"`
	// What to do while the device's clock is not synchronised.
	Clock Clock `yaml:"clock"`
	// How often the status is sent when nothing changes.
	StatusEvery Duration `yaml:"status_every" bounds:"5s,10m"`
	// Where events come from.
	Source Source `yaml:"source"`
	// Electrical inputs, for the driver gpio.
	Inputs []Input `yaml:"inputs"`
	// What is connected to the inputs, for the driver gpio.
	Sensors []Sensor `yaml:"sensors"`
}

// GatewayBroker is the broker that a gateway sends to. The user name is
// site/gateway.
type GatewayBroker struct {
	// Address, like ssl://perrons.example:8883 or tcp://127.0.0.1:1883.
	URL string `yaml:"url" jsonschema:"required" want:"want a URL like ssl://perrons.example:8883"`
	// Password as perrondrukte gateway add printed it; password_file is safer.
	Password Secret `yaml:"password"`
	// File whose first line is the password.
	PasswordFile string `yaml:"password_file"`
	// File with the certificates (PEM) that the broker's is checked against;
	// those of the system when absent.
	CAFile string `yaml:"ca_file"`
	// The same certificates themselves.
	CA string `yaml:"ca"`
	// The gateway's own certificate (PEM), where it was issued one.
	Certificate string `yaml:"certificate"`
	// File with that certificate.
	CertificateFile string `yaml:"certificate_file"`
	// Private key (PEM) of the certificate.
	Key Secret `yaml:"key"`
	// File with that key.
	KeyFile string `yaml:"key_file"`
}

func (b *GatewayBroker) check(c *checker) {
	if b.URL != "" {
		c.url("broker.url", b.URL, mqttSchemes...)
	}
	one := func(field, value, file string) bool {
		if value != "" && file != "" {
			c.fault("broker."+field, "is given beside %s_file: want one of them", field)
		}
		return value != "" || file != ""
	}
	one("password", string(b.Password), b.PasswordFile)
	one("ca", b.CA, b.CAFile)
	certificate, key := one("certificate", b.Certificate, b.CertificateFile), one("key", string(b.Key), b.KeyFile)
	if certificate && !key {
		c.fault("broker.key", "is missing: a certificate wants its key")
	}
	if key && !certificate {
		c.fault("broker.certificate", "is missing: a key wants its certificate")
	}
}

// ReadTLS is what the gateway shows and trusts, as PEM: its certificate with
// its key, and the certificates that the broker's is checked against. What is
// not configured is nil.
func (b *GatewayBroker) ReadTLS() (certificate, key, ca []byte, err error) {
	read := func(field, value, file string) []byte {
		if file == "" {
			if value == "" {
				return nil
			}
			return []byte(value)
		}
		text, openErr := os.ReadFile(file)
		if openErr != nil {
			err = errors.Join(err, fmt.Errorf("read broker.%s_file: %w", field, openErr))
		}
		return text
	}
	certificate = read("certificate", b.Certificate, b.CertificateFile)
	key = read("key", b.Key.Reveal(), b.KeyFile)
	ca = read("ca", b.CA, b.CAFile)
	return certificate, key, ca, err
}

// ReadPassword is the password at the broker, from the file if one is named;
// "" without either.
func (b *GatewayBroker) ReadPassword() (string, error) {
	return readSecret("broker.password_file", b.Password, b.PasswordFile)
}

// Outbox is what keeps events until the server has stored them.
type Outbox struct {
	// How large it may become before new events are dropped.
	MaxSize Size `yaml:"max_size" bounds:"1MiB,64GiB"`
}

// Clock says what to do while the device's clock is not synchronised.
type Clock struct {
	// How long events wait for it once the server can be reached, so that they
	// are sent with the right time. After that they are sent with a doubt.
	Wait Duration `yaml:"wait" bounds:"0s,1h"`
}

// A Driver is where events come from.
type Driver string

// The drivers.
const (
	DriverGPIO     Driver = "gpio"     // inputs of the device
	DriverModbus   Driver = "modbus"   // devices that count by themselves
	DriverReplay   Driver = "replay"   // a recording
	DriverSimulate Driver = "simulate" // an imagined yard
)

// Choices are all drivers.
func (Driver) Choices() []string {
	return []string{string(DriverGPIO), string(DriverModbus), string(DriverReplay), string(DriverSimulate)}
}

// Source is where events come from.
type Source struct {
	// gpio for the inputs of the device, modbus for devices that count by
	// themselves, replay for a recording, simulate for an imagined yard.
	Driver Driver `yaml:"driver" want:"want gpio, modbus, replay or simulate"`
	// The counters, for the driver modbus.
	Modbus *Modbus `yaml:"modbus"`
	// The recording, for the driver replay.
	Replay *Replay `yaml:"replay"`
	// The imagined yard, for the driver simulate.
	Simulate *Simulate `yaml:"simulate"`
}

// Simulate is an imagined yard.
type Simulate struct {
	// Two runs with the same seed are the same.
	Seed uint64 `yaml:"seed"`
	// Visits on an average open day.
	VisitsPerDay int `yaml:"visits_per_day" jsonschema:"minimum=1,maximum=100000"`
	// Number of vehicles that can unload at once.
	Bays int `yaml:"bays" jsonschema:"minimum=1,maximum=1000"`
	// Number of vehicles that can enter at once.
	Lanes int `yaml:"lanes" jsonschema:"minimum=1,maximum=20"`
	// Usual time on the yard.
	Dwell Duration `yaml:"dwell" bounds:"1m,4h"`
	// How many vehicles fit between the entrance and the public road.
	RoadSpace int `yaml:"road_space" jsonschema:"minimum=0,maximum=1000"`
}

func (s *Simulate) setDefaults() {
	*s = Simulate{Seed: 1, VisitsPerDay: 600, Bays: 24, Lanes: 1, Dwell: Duration(14 * time.Minute), RoadSpace: 30}
}

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

// defaultGateway is a gateway before its file is read.
func defaultGateway() *Gateway {
	return &Gateway{
		DataDir:     "/var/lib/perron-gateway",
		Outbox:      Outbox{MaxSize: 256 << 20},
		Clock:       Clock{Wait: Duration(5 * time.Minute)},
		StatusEvery: Duration(30 * time.Second),
		Source:      Source{Driver: DriverGPIO},
	}
}

// LoadGateway reads, completes and checks a gateway's file. Relative paths in
// it are taken from its directory. A file with faults gives an *[Error] that
// names all of them. Files with secrets that others may read are refused: see
// [CheckPrivate].
func LoadGateway(path string) (*Gateway, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	g, err := ParseGateway(text)
	if err != nil {
		return nil, inFile(err, path)
	}
	files := []*string{&g.DataDir, &g.Broker.PasswordFile, &g.Broker.CAFile, &g.Broker.CertificateFile, &g.Broker.KeyFile}
	if g.Source.Replay != nil {
		files = append(files, &g.Source.Replay.File)
	}
	rebase(filepath.Dir(path), files)
	if err := checkPrivate(path, []Secret{g.Broker.Password, g.Broker.Key}, g.Broker.PasswordFile, g.Broker.KeyFile); err != nil {
		return nil, err
	}
	return g, nil
}

// ParseGateway reads, completes and checks the text of a gateway's file. Paths
// are left as they are written.
func ParseGateway(text []byte) (*Gateway, error) {
	g := defaultGateway()
	d := decode(text, g)
	if g.Source.Driver == DriverSimulate && g.Source.Simulate == nil {
		g.Source.Simulate = &Simulate{}
		g.Source.Simulate.setDefaults()
	}
	for i := range g.Sensors {
		g.Sensors[i].complete()
	}
	c := &checker{lines: d.lines}
	g.check(c)
	if err := asError(d.all(c.faults)); err != nil {
		return nil, err
	}
	return g, nil
}

// Validate checks a configuration that was made or changed by code.
func (g *Gateway) Validate() error {
	c := &checker{}
	g.check(c)
	return asError(c.faults)
}

// Username is what the gateway is called at the broker.
func (g *Gateway) Username() string { return string(g.Site) + "/" + string(g.Gateway) }

func (g *Gateway) check(c *checker) {
	c.tags(reflect.ValueOf(g).Elem(), "")
	g.Broker.check(c)
	src := &g.Source
	if src.Modbus != nil && src.Driver != DriverModbus {
		c.fault("source.modbus", "belongs to the driver modbus: want driver: modbus, or leave it out")
	}
	if src.Replay != nil && src.Driver != DriverReplay {
		c.fault("source.replay", "belongs to the driver replay: want driver: replay, or leave it out")
	}
	if src.Simulate != nil && src.Driver != DriverSimulate {
		c.fault("source.simulate", "belongs to the driver simulate: want driver: simulate, or leave it out")
	}
	switch src.Driver {
	case DriverGPIO:
		if len(g.Inputs) == 0 {
			c.fault("inputs", "is missing: the driver gpio wants at least one input")
		}
		if len(g.Sensors) == 0 {
			c.fault("sensors", "is missing: the driver gpio wants at least one sensor")
		}
	case DriverModbus:
		if src.Modbus == nil {
			c.fault("source.modbus", "is missing: the driver modbus wants buses and counters")
		} else {
			src.Modbus.check(c, "source.modbus")
		}
	case DriverReplay:
		if src.Replay == nil {
			c.fault("source.replay", "is missing: the driver replay wants the recording's file and columns")
		} else {
			src.Replay.check(c, "source.replay")
		}
	}
	if src.Driver != DriverGPIO && src.Driver != "" {
		if len(g.Inputs) > 0 {
			c.fault("inputs", "belongs to the driver gpio: want driver: gpio, or leave it out")
		}
		if len(g.Sensors) > 0 {
			c.fault("sensors", "belongs to the driver gpio: want driver: gpio, or leave it out")
		}
	}
	inputs := g.checkInputs(c)
	seen := map[ID]bool{}
	for i := range g.Sensors {
		s := &g.Sensors[i]
		at := fmt.Sprintf("sensors[%d]", i)
		if seen[s.ID] && s.ID != "" {
			c.fault(at+".id", "%s is given twice: want an id of its own", quote(string(s.ID)))
		}
		seen[s.ID] = true
		s.check(c, at, inputs)
	}
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
