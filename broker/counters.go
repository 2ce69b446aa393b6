package broker

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// LeafCounters ends the topic on which a device without an outbox says how far
// its counters are: device → collector, retained.
const LeafCounters = "counters"

// CountersFilter selects the counters of all devices.
const CountersFilter = prefix + "+/+/" + LeafCounters

// CountersTopic is where a device tells its counters.
func CountersTopic(site, device string) string { return gatewayTopic(site, device, LeafCounters) }

const (
	maxCounters = 64      // in one message
	maxCount    = 1 << 53 // what a number in JSON holds exactly
	maxSeconds  = 1 << 32 // since the device started: 136 years
)

// Counters is what a device says of its counters, on each pulse and every half
// minute or so:
//
//	{"v":1,"boot":"9f3a01c7","up":3600.25,"at":1780142400,
//	 "counters":{"main-in":{"base":990,"n":244,"ago":0.02}}}
type Counters struct {
	// Boot is another each time the device starts, by chance.
	Boot string
	// Up is for how long it has been running.
	Up time.Duration
	// At is the device's time of the message; zero when it does not know it.
	At time.Time
	// Counters are by sensor.
	Counters map[string]Counter
}

// A Counter is one counter of a device.
type Counter struct {
	// N counts since the device started.
	N uint64
	// Base is what the counter had reached before, as far as the device could
	// keep it: at most what it really was, 0 when nothing is kept.
	Base uint64
	// Ago is how long before the message the last pulse was; negative when the
	// device does not say.
	Ago time.Duration
}

type wireCounters struct {
	V        int                    `json:"v"`
	Boot     string                 `json:"boot"`
	Up       float64                `json:"up"`
	At       float64                `json:"at,omitempty"`
	Counters map[string]wireCounter `json:"counters"`
}

type wireCounter struct {
	Base uint64   `json:"base"`
	N    uint64   `json:"n"`
	Ago  *float64 `json:"ago,omitempty"`
}

// EncodeCounters is the message on the wire.
func EncodeCounters(c Counters) ([]byte, error) {
	w := wireCounters{V: Version, Boot: c.Boot, Up: c.Up.Seconds(), Counters: make(map[string]wireCounter, len(c.Counters))}
	if !c.At.IsZero() {
		w.At = float64(c.At.UnixMilli()) / 1000
	}
	for sensor, v := range c.Counters {
		wire := wireCounter{Base: v.Base, N: v.N}
		if v.Ago >= 0 {
			ago := v.Ago.Seconds()
			wire.Ago = &ago
		}
		w.Counters[sensor] = wire
	}
	if _, err := w.counters(); err != nil {
		return nil, fmt.Errorf("encode counters: %w", err)
	}
	return encode("counters", w)
}

// DecodeCounters reads the counters of a device.
func DecodeCounters(b []byte) (Counters, error) {
	var w wireCounters
	if err := decode("counters", b, &w, &w.V); err != nil {
		return Counters{}, err
	}
	c, err := w.counters()
	if err != nil {
		return Counters{}, fmt.Errorf("decode counters: %w", err)
	}
	return c, nil
}

// counters checks what is on the wire.
func (w *wireCounters) counters() (Counters, error) {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	switch {
	case !ValidEpoch(w.Boot):
		return Counters{}, invalid("boot", w.Boot, wantEpoch)
	case !(w.Up >= 0 && w.Up <= maxSeconds):
		return Counters{}, invalid("up", number(w.Up), "a number of seconds")
	case w.At != 0 && !(w.At >= float64(perron.Earliest.Unix()) && w.At < 1<<33):
		return Counters{}, invalid("at", number(w.At), "seconds since 1970, or left out")
	case len(w.Counters) > maxCounters:
		return Counters{}, invalid("counters", strconv.Itoa(len(w.Counters)), fmt.Sprintf("at most %d counters", maxCounters))
	}
	c := Counters{Boot: w.Boot, Up: seconds(w.Up), Counters: make(map[string]Counter, len(w.Counters))}
	if w.At != 0 {
		c.At = time.UnixMilli(int64(math.Round(w.At * 1000))).UTC()
	}
	for sensor, v := range w.Counters {
		if !perron.ValidID(sensor) {
			return Counters{}, invalid("counters", sensor, "a valid id")
		}
		if v.N > maxCount || v.Base > maxCount {
			return Counters{}, invalid("counters."+sensor, strconv.FormatUint(max(v.N, v.Base), 10), "a count up to 2^53")
		}
		out := Counter{N: v.N, Base: v.Base, Ago: -1}
		if v.Ago != nil {
			if !(*v.Ago >= 0 && *v.Ago <= maxSeconds) {
				return Counters{}, invalid("counters."+sensor+".ago", number(*v.Ago), "a number of seconds")
			}
			out.Ago = seconds(*v.Ago)
		}
		c.Counters[sensor] = out
	}
	return c, nil
}

// seconds is exact to the millisecond.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s*1000)) * time.Millisecond
}
