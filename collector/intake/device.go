package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
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

// SilentAfter is for how long the device may say nothing until it counts as gone.
func (d *Device) SilentAfter() time.Duration {
	return max(present.SilentAfter, d.Every*5/2)
}

const (
	// reportQueue is how many messages may wait for one device. A broker need not
	// keep to any number of messages that are not done with.
	reportQueue = 256
	// uplinkQueue is how many messages may wait to be looked at.
	uplinkQueue = 1024
	// sayEvery is how often it is said how a device is, whether it speaks or not.
	sayEvery = 15 * time.Second
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

// A reporter turns what one device says into passages.
type reporter struct {
	Device
	in      *Intake
	site    *site
	gateway *gateway // commits
	queue   chan report
	gone    bool // its last will came, and nothing since
}

func newReporter(in *Intake, s *site, d Device) *reporter {
	return &reporter{Device: d, in: in, site: s, gateway: newGateway(in, s, d.Gateway), queue: make(chan report, reportQueue)}
}

func (d *reporter) gate(sensor string) string {
	gate, _ := d.site.GateOf(sensor) // checked
	return gate
}

// offer puts a report into the queue and says whether it fit. Counters that do
// not fit are said again; an uplink that is not done stays with its broker.
func (d *reporter) offer(r report) bool {
	select {
	case d.queue <- r:
		return true
	default:
		d.gateway.metrics.dropped.Inc()
		return false
	}
}

// run takes in one report after the other. Until the device speaks, what was
// known of it at the end of the last run is what the live state knows.
func (d *reporter) run(ctx context.Context) {
	t, err := d.load(ctx)
	if err != nil {
		return // ctx has ended
	}
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		d.say(t)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case r := <-d.queue:
			if t = d.record(ctx, t, r); t == nil {
				return
			}
		}
	}
}

// load reads what is remembered of the device and commits what may not have
// been committed. The error is that of ctx.
func (d *reporter) load(ctx context.Context) (*tally, error) {
	var t *tally
	err := d.in.insist(ctx, d.gateway, "read the last reading", func() error {
		r, err := d.in.cfg.Store.Reading(ctx, d.Site, d.Gateway)
		if errors.Is(err, store.ErrNotFound) {
			t = newTally(d.in.cfg.Civil())
			return nil
		}
		switch {
		case err != nil:
		case readBook(r.Data) != nil: // it had an outbox once
			t = newTally(d.in.cfg.Civil())
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

// record takes in a report and returns what is to be remembered now; nil when ctx
// has ended.
func (d *reporter) record(ctx context.Context, t *tally, r report) *tally {
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
	d.in.metrics.reports.WithLabelValues(d.Site, d.Gateway, string(v)).Inc()
	if failed != nil {
		d.in.malformed(d.gateway, "uplink", failed)
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
		d.in.log.Error("reading cannot be kept", logs.Site, d.Site, logs.Gateway, d.Gateway, logs.Error, err)
		return t
	}
	if err := d.in.insist(ctx, d.gateway, "save the reading", func() error {
		return d.in.cfg.Store.SaveReading(ctx, store.Reading{Site: d.Site, Gateway: d.Gateway, Data: data})
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
func (d *reporter) commit(ctx context.Context, t *tally) error {
	b, empty := t.batch(d.Site, d.Gateway, d.in.cfg.Civil())
	if empty {
		return nil
	}
	return d.in.insist(ctx, d.gateway, "commit", func() error {
		_, err := d.gateway.commit(ctx, &b)
		return err
	})
}

// say says how the device is, to the live state and to whoever shows it: there
// is nobody else to do it.
func (d *reporter) say(t *tally) {
	if t.Heard.IsZero() {
		return
	}
	now := d.in.cfg.Civil()
	online := !d.gone && now.Sub(t.Heard) <= d.SilentAfter()
	s := t.status(&d.Device, online)
	d.site.Present.Hear(present.Status{GatewayStatus: s, Heard: t.Heard, Device: true, Doubts: t.doubts(d.Gateway, now)})
	payload, err := broker.EncodeStatus(s)
	if err != nil {
		d.in.log.Error("status of a device cannot be sent", logs.Site, d.Site, logs.Gateway, d.Gateway, logs.Error, err)
		return
	}
	d.site.Present.Publish(broker.Message{Topic: broker.StatusTopic(d.Site, d.Gateway), Payload: payload, Retained: true})
}

// onCounters puts what a device says into its queue.
func (in *Intake) onCounters(m broker.Message) {
	t, err := broker.ParseTopic(m.Topic)
	d := in.reporters[key{t.Site, t.Gateway}]
	if err != nil || d == nil || d.Network != "" {
		in.Refuse(t, m.Topic, err)
		return
	}
	if len(m.Payload) == 0 {
		return // a retained message was deleted
	}
	v, err := broker.DecodeCounters(m.Payload)
	if err != nil {
		in.malformed(d.gateway, "counters", err)
		return
	}
	d.offer(report{counters: &v, received: in.cfg.Civil().Round(0).UTC(), retained: m.Retained})
}

// onWill takes in the last will of a device that reports counts. All else that
// is said of it we say ourselves.
func (in *Intake) onWill(d *reporter, m broker.Message) {
	s, err := broker.DecodeStatus(m.Payload)
	if err == nil && (s.Site != d.Site || s.Gateway != d.Gateway) {
		err = fmt.Errorf("status of %s/%s", s.Site, s.Gateway)
	}
	if err != nil {
		in.malformed(d.gateway, "status", err)
		return
	}
	if s.Online || m.Retained || s.Epoch != "" || !s.At.IsZero() {
		return // a last will knows neither
	}
	d.offer(report{gone: true})
}

// addDevices makes what devices without an outbox need.
func (in *Intake) addDevices(devices []Device, networks []Network) error {
	byID := make(map[string]*network)
	for _, n := range networks {
		if byID[n.ID] != nil || n.Link == nil {
			return fmt.Errorf("network %q is configured twice, or has no link", n.ID)
		}
		byID[n.ID] = newNetwork(in, n)
		in.networks = append(in.networks, byID[n.ID])
	}
	for _, d := range devices {
		s := in.sites[d.Site]
		if s == nil {
			if in.elsewhere[d.Site] {
				continue
			}
			return fmt.Errorf("device %q of site %q, which is not configured", d.Gateway, d.Site)
		}
		if err := d.check(s.Site.Site); err != nil {
			return err
		}
		k := key{d.Site, d.Gateway}
		if in.reporters[k] != nil {
			return fmt.Errorf("device %q is configured twice at site %q", d.Gateway, d.Site)
		}
		r := newReporter(in, s, d)
		in.reporters[k] = r
		if d.Network == "" {
			continue
		}
		n := byID[d.Network]
		if n == nil || n.devices[d.ID] != nil {
			return fmt.Errorf("device %s/%s: network %q is not configured, or device %q is there twice", d.Site, d.Gateway, d.Network, d.ID)
		}
		n.devices[d.ID] = r
	}
	return nil
}
