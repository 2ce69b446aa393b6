package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DriverModbus asks devices that count by themselves.
const DriverModbus Driver = "modbus"

// Modbus is what is asked over Modbus: devices that count by themselves.
type Modbus struct {
	// The serial lines, and the devices and converters in the network.
	Buses []ModbusBus `yaml:"buses" jsonschema:"required" want:"want at least one serial line or address"`
}

// A ModbusBus is a serial line, or a device or converter in the network.
type ModbusBus struct {
	// rtu:///dev/ttyUSB0 for a serial line, tcp://192.168.1.20:502 for Modbus
	// TCP, rtuovertcp://192.168.1.20:4001 for a converter that carries RTU frames.
	URL string `yaml:"url" jsonschema:"required" want:"want an address like rtu:///dev/ttyUSB0 or tcp://192.168.1.20:502"`
	// Speed of a serial line, in bits a second.
	Speed int `yaml:"speed" jsonschema:"enum=1200,enum=2400,enum=4800,enum=9600,enum=19200,enum=38400,enum=57600,enum=115200"`
	// Parity of a serial line: none, even or odd.
	Parity Parity `yaml:"parity"`
	// Stop bits of a serial line.
	StopBits int `yaml:"stop_bits" jsonschema:"minimum=1,maximum=2"`
	// How long an answer may take.
	Timeout Duration `yaml:"timeout" bounds:"20ms,10s"`
	// How often each counter is asked.
	Every Duration `yaml:"every" bounds:"100ms,10m"`
	// How long a counter may give no answer before it is called silent.
	SilentAfter Duration `yaml:"silent_after" bounds:"1s,1h"`
	// What is asked there.
	Counters []ModbusCounter `yaml:"counters" jsonschema:"required" want:"want at least one counter"`
}

func (b *ModbusBus) setDefaults() {
	b.Speed, b.Parity, b.StopBits = 19200, ParityEven, 1
	b.Timeout, b.Every, b.SilentAfter = Duration(500*time.Millisecond), Duration(time.Second), Duration(10*time.Second)
}

// A Parity of a serial line.
type Parity string

// The parities.
const (
	ParityNone Parity = "none"
	ParityEven Parity = "even"
	ParityOdd  Parity = "odd"
)

// Choices are all parities.
func (Parity) Choices() []string {
	return []string{string(ParityNone), string(ParityEven), string(ParityOdd)}
}

// A ModbusCounter is a register, or two, that counts passages.
type ModbusCounter struct {
	// Id of the sensor, as in the gates of the server's file.
	Sensor ID `yaml:"sensor" jsonschema:"required" want:"want the id that the server's file uses, like main-in"`
	// Where what it counts goes: in or out.
	Direction Direction `yaml:"direction" jsonschema:"required" want:"want in or out"`
	// Address of the device on its bus.
	Unit int `yaml:"unit" jsonschema:"minimum=0,maximum=255"`
	// Kind of register: holding (function 3; manuals number them from 40001) or
	// input (function 4, from 30001).
	Register Register `yaml:"register"`
	// Address of the register in the request, from 0: what a manual calls 40053
	// is 52.
	Address int `yaml:"address" jsonschema:"required,exclusiveMinimum=-1,maximum=65535"`
	// Width: 16, or 32 for two registers.
	Bits int `yaml:"bits" jsonschema:"enum=16,enum=32"`
	// Which of two registers comes first: the upper half (high) or the lower (low).
	First WordOrder `yaml:"first"`
	// Shortest time between two vehicles. More than that allows are not counted.
	MinHeadway Duration `yaml:"min_headway" bounds:"10ms,10s"`
}

func (m *ModbusCounter) setDefaults() {
	m.Unit, m.Register, m.Address, m.Bits, m.MinHeadway = 1, RegisterHolding, notGiven, 16, Duration(500*time.Millisecond)
}

// notGiven is the address of a counter whose file has none: 0 is one.
const notGiven = -1

// A Register is a kind of register.
type Register string

// The kinds.
const (
	RegisterHolding Register = "holding"
	RegisterInput   Register = "input"
)

// Choices are both kinds.
func (Register) Choices() []string { return []string{string(RegisterHolding), string(RegisterInput)} }

// A WordOrder says which half of a number comes first.
type WordOrder string

// The orders.
const (
	HighFirst WordOrder = "high"
	LowFirst  WordOrder = "low"
)

// Choices are both orders.
func (WordOrder) Choices() []string { return []string{string(HighFirst), string(LowFirst)} }

// maxModbusCounters is what fits into one status.
const maxModbusCounters = 64

var (
	modbusSpeeds = []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200}
	devicePath   = regexp.MustCompile(`^/dev/[A-Za-z0-9._:/-]+$`)
)

func (m *Modbus) check(c *checker, at string) {
	total := 0
	urls := map[string]bool{}
	sensors := map[string]bool{}
	for i := range m.Buses {
		b := &m.Buses[i]
		here := fmt.Sprintf("%s.buses[%d]", at, i)
		if urls[b.URL] && b.URL != "" {
			c.fault(here+".url", "%s is given twice: want all counters of a bus in one place", quote(b.URL))
		}
		urls[b.URL] = true
		b.check(c, here)
		registers := map[[3]int]ID{}
		for k := range b.Counters {
			n := &b.Counters[k]
			there := fmt.Sprintf("%s.counters[%d]", here, k)
			n.check(c, there)
			name := string(n.Sensor) + "/" + string(n.Direction)
			if sensors[name] && n.Sensor != "" {
				c.fault(there, "sensor %s has a counter for %s already: want one", quote(string(n.Sensor)), n.Direction)
			}
			sensors[name] = true
			for w := range max(n.Bits/16, 1) {
				key := [3]int{n.Unit, slices.Index(n.Register.Choices(), string(n.Register)), n.Address + w}
				if other, twice := registers[key]; twice && n.Address >= 0 {
					c.fault(there+".address", "%d: register %d belongs to the counter of %s too", n.Address, n.Address+w, quote(string(other)))
					break
				}
				registers[key] = n.Sensor
			}
			total++
		}
	}
	if total > maxModbusCounters {
		c.fault(at, "has %d counters: want at most %d a gateway", total, maxModbusCounters)
	}
}

func (b *ModbusBus) check(c *checker, at string) {
	const want = "want an address like rtu:///dev/ttyUSB0, tcp://192.168.1.20:502 or rtuovertcp://192.168.1.20:4001"
	scheme, rest, _ := strings.Cut(b.URL, "://")
	switch scheme {
	case "rtu":
		if !devicePath.MatchString(rest) {
			c.fault(at+".url", "%s: %s", quote(b.URL), want)
		}
	case "tcp", "rtuovertcp":
		u, err := url.Parse(b.URL)
		if err != nil || u.Hostname() == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
			c.fault(at+".url", "is no address: %s", want)
			break
		}
		_, port, err := net.SplitHostPort(u.Host)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
			c.fault(at+".url", "%s: want a port after the host, 502 for most", quote(b.URL))
		}
	default:
		if b.URL != "" {
			c.fault(at+".url", "%s: %s", quote(b.URL), want)
		}
	}
	if !slices.Contains(modbusSpeeds, b.Speed) {
		c.fault(at+".speed", "%d: want one of 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200", b.Speed)
	}
}

func (m *ModbusCounter) check(c *checker, at string) {
	switch {
	case m.Address == notGiven:
		c.fault(at+".address", "is missing: want the register's address, from 0")
	case m.Address < 0:
		c.fault(at+".address", "%d: want 0 to 65535", m.Address)
	}
	switch {
	case m.Bits != 16 && m.Bits != 32:
		c.fault(at+".bits", "%d: want 16 or 32", m.Bits)
	case m.Bits == 32 && m.First == "":
		c.fault(at+".first", "is missing: want high or low, which of the two registers comes first")
	case m.Bits == 16 && m.First != "":
		c.fault(at+".first", "belongs to a counter of 32 bits: want bits: 32, or leave it out")
	case m.Address+m.Bits/16 > 1<<16:
		c.fault(at+".address", "%d: a counter of %d bits ends beyond the last register, 65535", m.Address, m.Bits)
	}
}
