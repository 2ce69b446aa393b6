package intake

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A network sorts the uplinks of one.
type network struct {
	Network
	in      *Intake
	queue   chan uplinkMessage
	devices map[string]*reporter // by their id in the network
	missed  atomic.Bool          // messages did not fit
}

type uplinkMessage struct {
	broker.Message
	done     func()
	received time.Time
}

func newNetwork(in *Intake, cfg Network) *network {
	n := &network{Network: cfg, in: in, queue: make(chan uplinkMessage, uplinkQueue), devices: make(map[string]*reporter)}
	cfg.Link.Consume(cfg.Filter, func(m broker.Message, done func()) {
		select {
		case n.queue <- uplinkMessage{m, done, in.cfg.Civil().Round(0).UTC()}:
		default:
			n.miss() // the broker keeps it
		}
	})
	return n
}

func (n *network) run(ctx context.Context) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if n.missed.Swap(false) {
				n.Link.Renew()
			}
		case m := <-n.queue:
			n.sort(m)
		}
	}
}

// miss notes that a message did not fit.
func (n *network) miss() {
	n.in.metrics.uplinks.WithLabelValues(n.ID, "dropped").Inc()
	n.missed.Store(true)
}

// sort gives an uplink to its device. What is nobody's is done with: the broker
// would send it again and again.
func (n *network) sort(m uplinkMessage) {
	result := "passed"
	u, err := broker.DecodeUplink(n.Format, m.Payload)
	d := n.devices[u.Device]
	switch {
	case err != nil:
		result = "malformed"
		if times, ok := n.in.rare.Allow("uplink " + n.ID); ok {
			n.in.log.Warn("message of a network is no uplink", logs.Network, n.ID, logs.Topic, m.Topic, logs.Error, err, logs.Times, times)
		}
	case d == nil:
		// Other devices of the municipality, or sites of other collectors.
		result = "unknown_device"
	default:
		if !d.offer(report{uplink: &u, received: m.received, retained: m.Retained, done: m.done}) {
			n.miss()
			return
		}
		n.in.metrics.uplinks.WithLabelValues(n.ID, result).Inc()
		return
	}
	n.in.metrics.uplinks.WithLabelValues(n.ID, result).Inc()
	m.done()
}
