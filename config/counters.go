package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A LoRaWAN is a LoRaWAN network server, whose MQTT broker brings the uplinks
// of vehicle counters.
type LoRaWAN struct {
	// Name of the network, by which counters refer to it.
	ID ID `yaml:"id" jsonschema:"required" want:"want a short name like lorawan"`
	// Which server it is.
	Format UplinkFormat `yaml:"format" jsonschema:"required" want:"want chirpstack or thethingsstack"`
	// Its MQTT broker, like tcp://chirpstack.example:1883 or
	// ssl://eu1.cloud.thethings.network:8883.
	URL string `yaml:"url" jsonschema:"required" want:"want the URL of its MQTT broker"`
	// Topics of the uplinks, with wildcards: application/+/device/+/event/up of
	// ChirpStack, v3/APPLICATION@TENANT/devices/+/up of The Things Stack.
	Topic TopicFilter `yaml:"topic" jsonschema:"required" want:"want the topics of its uplinks, like application/+/device/+/event/up"`
	// User name at that broker.
	Username string `yaml:"username"`
	// Password or API key at that broker; password_file is safer.
	Password Secret `yaml:"password"`
	// File whose first line is the password or API key.
	PasswordFile string `yaml:"password_file"`
	// File with the certificates (PEM) that the broker's is checked against;
	// those of the system when absent.
	CAFile string `yaml:"ca_file"`
}

// Counters is a device that says how much it has counted, instead of sending
// each passage: an ESPHome device, or a vehicle counter over LoRaWAN.
type Counters struct {
	// Name of the device, in topics and for staff. It is a gateway of the site:
	// while it is silent, the state is unknown.
	ID ID `yaml:"id" jsonschema:"required" want:"want a short name like esp-1"`
	// How often it says something, at least.
	Every Duration `yaml:"every" bounds:"5s,1h" jsonschema:"required" want:"want how often the device says something at least, like 30s or 10m"`
	// Network that its uplinks come from. Without it the device publishes
	// its counters on a topic of its own, as those in firmware-config/esphome do.
	Network ID `yaml:"network"`
	// DevEUI (ChirpStack) or device id (The Things Stack) in that network.
	Device string `yaml:"device"`
	// What its uplinks hold: total counts for ever, delta what came since the
	// uplink before. Take total where the device can do both: then a lost uplink
	// costs nothing.
	Mode CounterMode `yaml:"mode"`
	// Width of a total in bits: after 65535 comes 0 when it is 16.
	Bits int `yaml:"bits" jsonschema:"minimum=1,maximum=53"`
	// Its counters.
	Sensors []CounterSensor `yaml:"sensors" jsonschema:"required,minItems=1" want:"want at least one sensor"`
}

func (d *Counters) setDefaults() {
	d.Mode, d.Bits = ModeTotal, 32
}

// A CounterSensor is one counter of a device.
type CounterSensor struct {
	// Sensor at one of the gates.
	Sensor ID `yaml:"sensor" jsonschema:"required" want:"want the id of a sensor at a gate"`
	// Where the vehicles go that it counts.
	Direction Direction `yaml:"direction" jsonschema:"required" want:"want in or out"`
	// Of an uplink: where the count is in the decoded payload, keys and indices
	// joined by dots, like counters.0.total.
	Path CountPath `yaml:"path"`
}

// An UplinkFormat is a kind of network server.
type UplinkFormat string

// The network servers, by the names that package broker has for them.
const (
	FormatChirpStack     UplinkFormat = "chirpstack"
	FormatTheThingsStack UplinkFormat = "thethingsstack"
)

// Choices are all formats.
func (UplinkFormat) Choices() []string {
	return []string{string(FormatChirpStack), string(FormatTheThingsStack)}
}

// A CounterMode says what an uplink holds.
type CounterMode string

// The modes.
const (
	ModeTotal CounterMode = "total"
	ModeDelta CounterMode = "delta"
)

// Choices are both modes.
func (CounterMode) Choices() []string { return []string{string(ModeTotal), string(ModeDelta)} }

// A CountPath is a path in JSON.
type CountPath string

var countPathPattern = regexp.MustCompile(`^[^.\s]+(\.[^.\s]+){0,15}$`)

func (p CountPath) check() string {
	if len(p) <= 200 && countPathPattern.MatchString(string(p)) {
		return ""
	}
	return "keys joined by dots, like counters.0.total"
}

// A TopicFilter is an MQTT topic, perhaps with wildcards.
type TopicFilter string

func (f TopicFilter) check() string {
	const want = "a topic, in which + stands for one level and a last # for the rest"
	if len(f) > 1000 || strings.ContainsAny(string(f), "\x00 ") || strings.HasPrefix(string(f), "$") {
		return want
	}
	levels := strings.Split(string(f), "/")
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && level != "+" && (level != "#" || i < len(levels)-1) {
			return want
		}
	}
	return ""
}

func (n *LoRaWAN) check(c *checker, at string) {
	if n.URL != "" {
		c.url(at+".url", n.URL, mqttSchemes...)
	}
	if n.Password != "" && n.PasswordFile != "" {
		c.fault(at+".password", "is given beside password_file: want one of them")
	}
}

// ReadPassword is the password at the network's broker, from the file if one is
// named; "" without either.
func (n *LoRaWAN) ReadPassword() (string, error) {
	return readSecret("networks."+string(n.ID)+".password_file", n.Password, n.PasswordFile)
}

func (n *LoRaWAN) files() []*string { return []*string{&n.PasswordFile, &n.CAFile} }

// checkNetworks checks the networks, and that counters name what is there.
func (s *Server) checkNetworks(c *checker) {
	known := map[ID]int{}
	for i := range s.Networks {
		n := &s.Networks[i]
		at := fmt.Sprintf("networks[%d]", i)
		if first, twice := known[n.ID]; twice && n.ID != "" {
			c.fault(at+".id", "%s is the id of networks[%d] too: want one of its own", quote(string(n.ID)), first)
		} else {
			known[n.ID] = i
		}
		n.check(c, at)
	}
	devices := map[string]string{} // where a device of a network is used
	for i := range s.Sites {
		site := &s.Sites[i]
		for j := range site.Counters {
			d := &site.Counters[j]
			at := fmt.Sprintf("sites[%d].counters[%d]", i, j)
			if d.Network != "" {
				if n, ok := known[d.Network]; !ok {
					c.fault(at+".network", "%s is none of the networks: want the id of one", quote(string(d.Network)))
				} else if s.Networks[n].Format == FormatChirpStack && d.Device != "" && !devEUIPattern.MatchString(d.Device) {
					c.fault(at+".device", "%s: want the DevEUI that ChirpStack shows, 16 hexadecimal digits", quote(d.Device))
				}
				key := string(d.Network) + " " + strings.ToLower(d.Device)
				if first, twice := devices[key]; twice && d.Device != "" {
					c.fault(at+".device", "%s is the device of %s already: want one of its own", quote(d.Device), first)
				} else {
					devices[key] = at
				}
			}
			// One message may get lost without the state of the site being unknown.
			if stale := site.staleAfter(s.StaleAfter); d.Every > 0 && 2*d.Every > stale {
				c.fault(at+".every", "%s: the state of the site is unknown %s after a message: want stale_after of the site to be twice as long as this at least", d.Every, stale)
			}
		}
	}
}

var devEUIPattern = regexp.MustCompile(`^[0-9a-fA-F]{16}$`)

// checkCounters checks the counters of one site as far as that can be done
// without knowing the networks.
func (s *Site) checkCounters(c *checker, at string, gateways map[ID]bool) {
	gates := map[ID]bool{}
	for _, g := range s.Gates {
		for _, sensor := range g.Sensors {
			gates[sensor] = true
		}
	}
	used := map[ID]string{}
	for i := range s.Counters {
		d := &s.Counters[i]
		at := fmt.Sprintf("%s.counters[%d]", at, i)
		if gateways[d.ID] && d.ID != "" {
			c.fault(at+".id", "%s is a gateway already: want an id of its own, and not among gateways", quote(string(d.ID)))
		}
		gateways[d.ID] = true
		if d.Network == "" {
			for _, f := range []struct {
				key   string
				given bool
			}{{"device", d.Device != ""}, {"mode", d.Mode != ModeTotal}, {"bits", d.Bits != 32}} {
				if f.given {
					c.fault(at+"."+f.key, "belongs to a device of a network: want network too, or leave it out")
				}
			}
		} else if d.Device == "" {
			c.fault(at+".device", "is missing: want the DevEUI or device id that the network knows")
		}
		for j, sensor := range d.Sensors {
			at := fmt.Sprintf("%s.sensors[%d]", at, j)
			switch first, twice := used[sensor.Sensor]; {
			case sensor.Sensor == "":
			case twice:
				c.fault(at+".sensor", "%s is counted by %s already: a passage counts once", quote(string(sensor.Sensor)), first)
			case !gates[sensor.Sensor]:
				c.fault(at+".sensor", "%s is no sensor of a gate of this site: want one of those", quote(string(sensor.Sensor)))
			default:
				used[sensor.Sensor] = at
			}
			if has, want := sensor.Path != "", d.Network != ""; has && !want {
				c.fault(at+".path", "belongs to a device of a network: want network too, or leave it out")
			} else if want && !has {
				c.fault(at+".path", "is missing: want where the count is in the decoded payload, like counters.0.total")
			}
		}
	}
	if s.StaleAfter != 0 && (s.StaleAfter < minStale || s.StaleAfter > maxStale) {
		c.fault(at+".stale_after", "%s: want %s to %s", s.StaleAfter, minStale, maxStale)
	}
}

const (
	minStale = Duration(30 * time.Second)
	maxStale = Duration(2 * time.Hour)
)

// staleAfter is the limit of the site: its own, or that of all.
func (s *Site) staleAfter(all Duration) Duration {
	if s.StaleAfter > 0 {
		return s.StaleAfter
	}
	return all
}

// rebaseNetworks takes relative paths from the directory of the file.
func (s *Server) rebaseNetworks(path string) {
	for i := range s.Networks {
		rebase(filepath.Dir(path), s.Networks[i].files())
	}
}
