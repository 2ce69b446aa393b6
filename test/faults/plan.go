package main

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A fault is something that happens to the processes or between them.
type fault string

const (
	killGateway   fault = "kill -9 of a gateway"
	killServer    fault = "kill -9 of the server"
	killAtPublish fault = "kill -9 of the server when a batch arrives"
	killAtPuback  fault = "kill -9 of the gateway between publish and PUBACK"
	killAtAck     fault = "kill -9 of the server between commit and ack"
	killAtStored  fault = "kill -9 of the gateway when an ack arrives"
	stopGateway   fault = "SIGSTOP of a gateway"
	stopServer    fault = "SIGSTOP of the server"
	cutBoth       fault = "link cut"
	cutUp         fault = "link cut towards the server"
	cutDown       fault = "link cut towards the gateway"
	halfOpen      fault = "half-open connection"
	reset         fault = "connection reset"
	latency       fault = "latency"
	slow          fault = "9.6 kbit/s"
	duplicate     fault = "batches doubled and repeated out of order"
	swallow       fault = "broker loses what it has confirmed"
	fullGateway   fault = "full disk of a gateway"
	fullServer    fault = "full disk of the server"
	deleteOutbox  fault = "outbox deleted"
	damageOutbox  fault = "outbox damaged"
	powerGateway  fault = "power cut of a gateway"
	powerServer   fault = "power cut of the server"
	killCollector fault = "kill -9 of the collector"
	killBroker    fault = "kill -9 of the broker, which forgets all sessions"
	stopBroker    fault = "SIGSTOP of the broker"
	cutCollector  fault = "link between broker and collector cut"
	resetBroker   fault = "connections of the collector reset"
	stopLong      fault = "SIGSTOP for a minute"
	reorder       fault = "batches out of order"
	revoke        fault = "credential revoked while connected, and issued again"
	rotate        fault = "credential replaced while connected"
	certificate   fault = "certificate of the broker expired, then renewed"
	twins         fault = "two gateways with the same name"
	clock1970     fault = "clock starts in 1970, and is set later"
	clockJump     fault = "clock jumps by hours"
	clockSlew     fault = "clock is slewed"
	leapSecond    fault = "leap second"
)

// A shape is what the server is made of.
type shape string

const (
	whole   shape = "one process"
	apart   shape = "broker and collector apart"
	foreign shape = "Mosquitto, which keeps nothing on disk"
	secure  shape = "TLS"
)

// shapes are all of them with how often they are drawn.
var shapes = []struct {
	shape
	weight int
}{{whole, 6}, {apart, 2}, {foreign, 3}, {secure, 2}}

// fits says whether a fault can be done to a shape.
func (f fault) fits(s shape) bool {
	switch f {
	case killBroker, stopBroker, cutCollector, resetBroker, killCollector:
		return s == apart || s == foreign
	case killServer:
		return s == whole || s == secure
	case revoke, rotate:
		return s != foreign
	case certificate:
		return s == secure
	case killAtPublish, killAtPuback, killAtAck, killAtStored, duplicate, swallow, reorder:
		return s != secure // the proxy cannot look into it
	}
	return true
}

type weighted struct {
	fault
	weight int
}

// faults are all of them with how often they are drawn.
var faults = []weighted{
	{killGateway, 10},
	{killServer, 8},
	{killAtPublish, 5},
	{killAtPuback, 5},
	{killAtAck, 5},
	{killAtStored, 5},
	{stopGateway, 6},
	{stopServer, 6},
	{cutBoth, 7},
	{cutUp, 6},
	{cutDown, 6},
	{halfOpen, 4},
	{reset, 8},
	{latency, 5},
	{slow, 4},
	{duplicate, 7},
	{swallow, 6},
	{fullGateway, 4},
	{fullServer, 4},
	{deleteOutbox, 2},
	{damageOutbox, 2},
	{powerGateway, 10},
	{powerServer, 8},
	{killCollector, 10},
	{killBroker, 14},
	{stopBroker, 6},
	{cutCollector, 8},
	{resetBroker, 6},
	{stopLong, 1},
	{reorder, 6},
	{revoke, 2},
	{rotate, 4},
	{certificate, 24},
	{twins, 4},
	{clock1970, 8},
	{clockJump, 5},
	{clockSlew, 3},
	{leapSecond, 3},
}

// A step is a fault at a moment after the beginning.
type step struct {
	fault
	after   time.Duration
	lasts   time.Duration // of a fault that has an end; else until the process is started again
	gateway int
	random  uint64 // what else the fault chooses
}

// A plan says all that will be done.
type plan struct {
	seed      uint64
	shape     shape
	speed     float64 // of the replay; 0 is as fast as possible
	gateways  [][]perron.Event
	twins     [][]perron.Event // of second gateways with the name of the first
	steps     []step
	clockWait time.Duration // how long gateways hold back what has a wrong time
	// patient waits at the end for connections that hang; else they break, and
	// the gateways start again.
	patient bool
}

// newPlan draws a plan from the faults whose name holds a text. The passages lie in a day of the past, or in the hours
// before now, so that the live state takes part.
func newPlan(seed uint64, only string) *plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &plan{seed: seed, patient: r.IntN(8) == 0}
	p.clockWait = 5 * time.Minute
	if r.IntN(3) == 0 {
		p.clockWait = 200 * time.Millisecond
	}
	span := time.Duration(3+r.IntN(4)) * time.Second // what the faults are spread over
	passages := 300 + r.IntN(1500)
	from := time.Date(2024, 6, 1, 6, 0, 0, 0, time.UTC)
	// Who never knew the time and does not wait for it sends what a clock that is
	// hours ahead says, and the server sets aside what is from the future.
	if r.IntN(2) == 0 && p.clockWait >= time.Minute {
		from = time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	}
	const recorded = 3 * time.Hour
	if r.IntN(3) > 0 {
		p.speed = float64(recorded / span)
	} else {
		passages *= 20
	}
	for g := range 1 + r.IntN(3) {
		p.gateways = append(p.gateways, passagesOf(r, g, passages, from, recorded))
		// Another day, so that what is stored tells them apart.
		p.twins = append(p.twins, passagesOf(r, g, 50+r.IntN(200), from.AddDate(0, -1, 0), recorded))
	}
	drawn := p.draw(r, only)
	weights := 0
	for _, f := range drawn {
		weights += f.weight
	}
	for range 4 + r.IntN(6) {
		n := r.IntN(weights)
		var s step
		for _, f := range drawn {
			if n -= f.weight; n < 0 {
				s.fault = f.fault
				break
			}
		}
		s.after = time.Duration(r.Int64N(int64(span)))
		s.lasts = time.Duration(50+r.IntN(2000)) * time.Millisecond
		switch {
		case s.fault == stopLong:
			s.lasts = time.Minute
		case s.fault == revoke && r.IntN(2) == 0:
			s.lasts = 12 * time.Second // until the broker looks
		}
		s.gateway = r.IntN(len(p.gateways))
		s.random = r.Uint64()
		p.steps = append(p.steps, s)
	}
	slices.SortStableFunc(p.steps, func(a, b step) int { return int(a.after - b.after) })
	return p
}

// passagesOf draws the passages of a gateway, in the order of their times.
func passagesOf(r *rand.Rand, gateway, n int, from time.Time, over time.Duration) []perron.Event {
	events := make([]perron.Event, n)
	for i := range events {
		e := &events[i]
		// Whole seconds: many passages have the same stamp.
		e.Time = from.Add(time.Duration(r.Int64N(int64(over))).Truncate(time.Second))
		e.Kind, e.Sensor = perron.In, fmt.Sprintf("gate-%d-in", gateway+1)
		if r.IntN(2) == 0 {
			e.Kind, e.Sensor = perron.Out, fmt.Sprintf("gate-%d-out", gateway+1)
		}
	}
	slices.SortStableFunc(events, func(a, b perron.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// draw chooses the shape, and returns the faults that can be done to it.
func (p *plan) draw(r *rand.Rand, only string) []weighted {
	fitting := func(s shape) []weighted {
		return slices.DeleteFunc(slices.Clone(faults), func(f weighted) bool {
			return !f.fits(s) || !strings.Contains(string(f.fault), only)
		})
	}
	weights := 0
	for _, s := range shapes {
		if len(fitting(s.shape)) > 0 {
			weights += s.weight
		}
	}
	n := r.IntN(weights)
	for _, s := range shapes {
		f := fitting(s.shape)
		if len(f) == 0 {
			continue
		}
		if n -= s.weight; n < 0 {
			p.shape = s.shape
			return f
		}
	}
	panic("the weights do not add up")
}

func (p *plan) has(f fault, gateway int) bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.fault == f && (gateway < 0 || s.gateway == gateway) })
}

// clocks says whether the clock of a gateway is wrong at times.
func (p *plan) clocks(gateway int) bool {
	return p.has(clock1970, gateway) || p.has(clockJump, gateway) || p.has(clockSlew, gateway) || p.has(leapSecond, gateway)
}

func (p *plan) passages() (n int) {
	for i, g := range p.gateways {
		n += len(g)
		if p.has(twins, i) && !p.clocks(i) {
			n += len(p.twins[i])
		}
	}
	return n
}

func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  plan: %s, %d gateways with %d passages, speed %g, patient %v\n", p.shape, len(p.gateways), p.passages(), p.speed, p.patient)
	for _, s := range p.steps {
		fmt.Fprintf(&b, "  %7.3f s  gateway %d  %s (%s)\n", s.after.Seconds(), s.gateway+1, s.fault, s.lasts)
	}
	return b.String()
}

const stamp = "2006-01-02T15:04:05Z"

// writeRecording writes the events in their order.
func writeRecording(path string, events []perron.Event) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	if err := w.Write([]string{"t", "sensor", "kind"}); err != nil {
		return err
	}
	for _, e := range events {
		if err := w.Write([]string{e.Time.Format(stamp), e.Sensor, string(e.Kind)}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
