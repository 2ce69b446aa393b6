package collector

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// A Device is a gateway of a site that has no outbox: it says how much it has
// counted, and the collector makes passages of that.
//
// Each message is taken in by steps that may end anywhere: a [tally] makes
// passages of it; the tally is saved, with them; they are committed under
// numbers of the tally; and only then is the next message looked at. After a
// crash the tally is read again and its passages are committed once more, which
// changes nothing if they were.
type Device struct {
	Site, Gateway string
	// Every is how often the device says something, at least.
	Every time.Duration
	// Network and ID say which uplinks are the device's; without a network it
	// publishes its counters.
	Network, ID string
	// Delta says that uplinks hold what came since the one before, and not a total
	// of so many Bits.
	Delta    bool
	Bits     int
	Counters []DeviceCounter
}

// A DeviceCounter is one counter of a device.
type DeviceCounter struct {
	Sensor string
	Kind   perron.Kind // In or Out
	Path   broker.Path // in an uplink
}

// A Network is where uplinks come from.
type Network struct {
	ID     string
	Format broker.UplinkFormat
	Filter string // topics of uplinks
	Link   Consumer
}

// A Consumer is a connection to a broker that keeps messages until they are
// done with.
type Consumer interface {
	// Consume is called before the link runs. Handlers only enqueue.
	Consume(filter string, handle func(m broker.Message, done func()))
	// Renew makes the connection anew: the broker sends again what was not done
	// with.
	Renew()
}

// check says what is wrong with a device of a site.
func (d *Device) check(site *perron.Site) error {
	switch {
	case !site.HasGateway(d.Gateway):
		return fmt.Errorf("device %q is no gateway of site %q", d.Gateway, site.ID)
	case d.Every <= 0:
		return fmt.Errorf("device %s/%s does not say how often it reports", d.Site, d.Gateway)
	case d.Network != "" && d.ID == "":
		return fmt.Errorf("device %s/%s of network %q has no id there", d.Site, d.Gateway, d.Network)
	case d.Network != "" && !d.Delta && (d.Bits < 1 || d.Bits > 53):
		return fmt.Errorf("device %s/%s: %d bits: want 1 to 53", d.Site, d.Gateway, d.Bits)
	}
	for _, c := range d.Counters {
		if _, ok := site.GateOf(c.Sensor); !ok || !c.Kind.Passage() {
			return fmt.Errorf("device %s/%s: sensor %q counts %q at no gate", d.Site, d.Gateway, c.Sensor, c.Kind)
		}
	}
	return nil
}

// silentAfter is when the device counts as gone.
func (d *Device) silentAfter() time.Duration {
	return max(silentAfter, d.Every*5/2)
}

const (
	// reportQueue is how many messages may wait for one device. A broker need not
	// keep to any number of messages that are not done with.
	reportQueue = 256
	// uplinkQueue is how many messages may wait to be looked at.
	uplinkQueue = 1024
	// askAgain is how long after messages did not fit the broker is asked to send
	// them once more.
	askAgain = 5 * time.Second
)

// A report is a message of a device that waits.
type report struct {
	counters *broker.Counters
	uplink   *broker.Uplink
	received time.Time
	retained bool
	gone     bool   // a last will, and nothing else
	done     func() // of an uplink
}

// A teller turns what one device says into passages.
type teller struct {
	Device
	c      *Collector
	live   *live
	worker *worker // commits
	queue  chan report
	gone   bool // its last will came, and nothing since
}

func newTeller(c *Collector, l *live, d Device) *teller {
	return &teller{Device: d, c: c, live: l, worker: newWorker(c, l, d.Gateway), queue: make(chan report, reportQueue)}
}

func (d *teller) gate(sensor string) string {
	gate, _ := d.live.site.GateOf(sensor) // checked
	return gate
}

// offer puts a report into the queue and says whether it fit. Counters that do
// not fit are said again; an uplink that is not done stays with its broker.
func (d *teller) offer(r report) bool {
	select {
	case d.queue <- r:
		return true
	default:
		d.worker.metrics.dropped.Inc()
		return false
	}
}

// run takes in one report after the other. Until the device speaks, what was
// known of it at the end of the last run is what the live state knows.
func (d *teller) run(ctx context.Context) {
	t, err := d.load(ctx)
	if err != nil {
		return // ctx has ended
	}
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		d.tell(t)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case r := <-d.queue:
			if t = d.take(ctx, t, r); t == nil {
				return
			}
		}
	}
}

// load reads what is remembered of the device and commits what may not have
// been committed. The error is that of ctx.
func (d *teller) load(ctx context.Context) (*tally, error) {
	var t *tally
	err := d.c.insist(ctx, d.worker.name(), "read the last reading", func() error {
		r, err := d.c.cfg.Store.Reading(ctx, d.Site, d.Gateway)
		if errors.Is(err, store.ErrNotFound) {
			t = newTally(d.c.cfg.Now())
			return nil
		}
		switch {
		case err != nil:
		case readBook(r.Data) != nil: // it had an outbox once
			t = newTally(d.c.cfg.Now())
		default:
			t, err = readTally(r.Data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, d.commit(ctx, t)
}

// take takes in a report and returns what is to be remembered now; nil when ctx
// has ended.
func (d *teller) take(ctx context.Context, t *tally, r report) *tally {
	if d.gone = r.gone; d.gone {
		return t
	}
	next := t.clone()
	var v verdict
	var failed error
	if r.uplink != nil {
		v, failed = next.uplink(&d.Device, d.gate, *r.uplink, r.received)
	} else {
		v = next.counters(&d.Device, d.gate, *r.counters, r.received, r.retained)
	}
	d.c.metrics.reports.WithLabelValues(d.Site, d.Gateway, string(v)).Inc()
	if failed != nil {
		d.c.malformed(d.worker, "uplink", failed)
	}
	if v != isNew {
		if r.done != nil {
			r.done()
		}
		return t
	}
	data, err := next.encode()
	if err == nil {
		next, err = readTally(data) // exactly what will be read after a crash
	}
	if err != nil {
		d.c.log.Error("reading cannot be kept", "site", d.Site, "gateway", d.Gateway, "error", err)
		return t
	}
	if err := d.c.insist(ctx, d.worker.name(), "save the reading", func() error {
		return d.c.cfg.Store.SaveReading(ctx, store.Reading{Site: d.Site, Gateway: d.Gateway, Data: data})
	}); err != nil {
		return nil
	}
	if r.done != nil {
		r.done() // the passages are certain from here on
	}
	if err := d.commit(ctx, next); err != nil {
		return nil
	}
	return next
}

// commit stores the passages of the last report. The error is that of ctx.
func (d *teller) commit(ctx context.Context, t *tally) error {
	b, empty := t.batch(d.Site, d.Gateway, d.c.cfg.Now())
	if empty {
		return nil
	}
	return d.c.insist(ctx, d.worker.name(), "commit", func() error {
		_, err := d.worker.commit(ctx, &b)
		return err
	})
}

// tell says how the device is, to the live state and to whoever shows it: there
// is nobody else to do it.
func (d *teller) tell(t *tally) {
	if t.Heard.IsZero() {
		return
	}
	now := d.c.cfg.Now()
	online := !d.gone && now.Sub(t.Heard) <= d.silentAfter()
	s := t.status(&d.Device, online)
	d.live.receive(func(in *inbox) {
		in.statuses = append(in.statuses, heardStatus{GatewayStatus: s, heard: t.Heard, device: true, doubts: t.doubts(d.Gateway, now)})
	})
	payload, err := broker.EncodeStatus(s)
	if err != nil {
		d.c.log.Error("status of a device cannot be sent", "site", d.Site, "gateway", d.Gateway, "error", err)
		return
	}
	d.live.out.put(broker.Message{Topic: broker.StatusTopic(d.Site, d.Gateway), Payload: payload, Retained: true})
}

// onCounters puts what a device says into its queue.
func (c *Collector) onCounters(m broker.Message) {
	t, err := broker.ParseTopic(m.Topic)
	d := c.tellers[gatewayKey{t.Site, t.Gateway}]
	if err != nil || d == nil || d.Network != "" {
		c.refuse(t, m.Topic, err)
		return
	}
	if len(m.Payload) == 0 {
		return // a retained message was deleted
	}
	v, err := broker.DecodeCounters(m.Payload)
	if err != nil {
		c.malformed(d.worker, "counters", err)
		return
	}
	d.offer(report{counters: &v, received: c.cfg.Now().Round(0).UTC(), retained: m.Retained})
}

// An intake sorts the uplinks of one network.
type intake struct {
	Network
	c       *Collector
	queue   chan uplinkMessage
	devices map[string]*teller // by their id in the network
	missed  atomic.Bool        // messages did not fit
}

type uplinkMessage struct {
	broker.Message
	done     func()
	received time.Time
}

func newIntake(c *Collector, n Network) *intake {
	in := &intake{Network: n, c: c, queue: make(chan uplinkMessage, uplinkQueue), devices: make(map[string]*teller)}
	n.Link.Consume(n.Filter, func(m broker.Message, done func()) {
		select {
		case in.queue <- uplinkMessage{m, done, c.cfg.Now().Round(0).UTC()}:
		default:
			in.miss() // the broker keeps it
		}
	})
	return in
}

func (in *intake) run(ctx context.Context) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if in.missed.Swap(false) {
				in.Link.Renew()
			}
		case m := <-in.queue:
			in.sort(m)
		}
	}
}

// miss notes that a message did not fit.
func (in *intake) miss() {
	in.c.metrics.uplinks.WithLabelValues(in.ID, "dropped").Inc()
	in.missed.Store(true)
}

// sort gives an uplink to its device. What is nobody's is done with: the broker
// would send it again and again.
func (in *intake) sort(m uplinkMessage) {
	result := "passed"
	u, err := broker.DecodeUplink(in.Format, m.Payload)
	d := in.devices[u.Device]
	switch {
	case err != nil:
		result = "malformed"
		if n, ok := in.c.rare.Allow("uplink " + in.ID); ok {
			in.c.log.Warn("message of a network is no uplink", "network", in.ID, "topic", m.Topic, "error", err, "times", n)
		}
	case d == nil:
		// Other devices of the municipality, or sites of other collectors.
		result = "unknown_device"
	default:
		if !d.offer(report{uplink: &u, received: m.received, retained: m.Retained, done: m.done}) {
			in.miss()
			return
		}
		in.c.metrics.uplinks.WithLabelValues(in.ID, result).Inc()
		return
	}
	in.c.metrics.uplinks.WithLabelValues(in.ID, result).Inc()
	m.done()
}

// addDevices makes what devices without an outbox need.
func (c *Collector) addDevices(devices []Device, networks []Network) error {
	intakes := make(map[string]*intake)
	for _, n := range networks {
		if intakes[n.ID] != nil || n.Link == nil {
			return fmt.Errorf("network %q is configured twice, or has no link", n.ID)
		}
		intakes[n.ID] = newIntake(c, n)
		c.intakes = append(c.intakes, intakes[n.ID])
	}
	for _, d := range devices {
		l := c.sites[d.Site]
		if l == nil {
			if c.elsewhere[d.Site] {
				continue
			}
			return fmt.Errorf("device %q of site %q, which is not configured", d.Gateway, d.Site)
		}
		if err := d.check(l.site); err != nil {
			return err
		}
		key := gatewayKey{d.Site, d.Gateway}
		if c.tellers[key] != nil {
			return fmt.Errorf("device %q is configured twice at site %q", d.Gateway, d.Site)
		}
		t := newTeller(c, l, d)
		c.tellers[key] = t
		l.gateways[d.Gateway].silent = d.silentAfter()
		if d.Network == "" {
			continue
		}
		in := intakes[d.Network]
		if in == nil || in.devices[d.ID] != nil {
			return fmt.Errorf("device %s/%s: network %q is not configured, or device %q is there twice", d.Site, d.Gateway, d.Network, d.ID)
		}
		in.devices[d.ID] = t
	}
	return nil
}
