// Package intake takes in what devices send about sites: it is stored, then
// acknowledged, and then the present of the site is told.
//
// A gateway with an outbox sends batches of events. Each has a worker: it decodes
// batches, finds a place for every event, commits in one transaction and only
// then acknowledges. What was sent twice changes nothing and is acknowledged
// again; what came too early is not stored, and the repeated acknowledgement tells
// the gateway where to go on. Beside that the worker keeps a book of the gateway's
// outboxes (see [epochs]), so that what is lost with one is known.
//
// A device without an outbox says how much it has counted. A reporter makes
// passages of that (see [Device]) and stores them as a gateway's.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
	"github.com/perrondrukte/perrondrukte/store"
)

// A Store keeps events, losses and readings. Errors that are [store.ErrFull] or
// [store.ErrUnavailable] are tried again.
type Store interface {
	Commit(ctx context.Context, b store.Batch) (store.Result, error)
	store.LossStore
	store.ReadingStore
}

// A Link is a connection to the broker.
type Link interface {
	// Subscribe is called before the link runs. Handlers only enqueue.
	Subscribe(filter string, handle func(broker.Message))
	Publish(ctx context.Context, m broker.Message) error
}

// A Present is told what was stored of a site. It is safe for concurrent use, and
// takes no time.
type Present interface {
	// Together does something that stores and then tells the present of it, but
	// not while the present reads the store: it either reads or is told, and never
	// both.
	Together(do func() error) error
	// Stored tells of a batch that was committed, within Together.
	Stored(b *store.Batch, res store.Result)
	// Lost tells of a loss that was saved, within Together.
	Lost(l store.Loss)
	// Hear tells what a gateway says of itself.
	Hear(s present.Status)
	// Publish publishes a retained message of the site.
	Publish(m broker.Message)
}

// A Site is one whose devices are taken in.
type Site struct {
	*perron.Site
	Present Present
}

// Config of an intake.
type Config struct {
	Sites []Site
	// Elsewhere are the sites of other collectors, whose messages are none of
	// this one's business.
	Elsewhere []*perron.Site
	// Devices are the gateways that say how much they counted, and Networks where
	// the uplinks of some of them come from.
	Devices  []Device
	Networks []Network
	Store    Store
	Link     Link
	// Civil is the civil time.
	Civil func() time.Time
	// Failed is told of a call of the store that failed and is made again; of is the
	// site and the gateway.
	Failed func(of, call string, err error)
	// Guard does a part of the work of a site, or of none when that is empty, until
	// it returns; a panic in it is its business.
	Guard      func(ctx context.Context, site, part string, run func())
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil for no metrics
}

// An Intake serves the devices of its sites.
type Intake struct {
	cfg       Config
	log       *slog.Logger
	metrics   *metrics
	rare      *rarely.Limiter
	sites     map[string]*site
	gateways  map[key]*gateway
	reporters map[key]*reporter
	networks  []*network
	// elsewhere are the ids of the sites of other collectors.
	elsewhere map[string]bool
}

type key struct{ site, gateway string }

// A site is one with what finds the place of its sensors.
type site struct {
	Site
	gates map[string]int // gate of each sensor, negative for queue loops
}

func newSite(s Site) *site {
	out := &site{Site: s, gates: make(map[string]int)}
	for _, loop := range s.QueueLoops {
		out.gates[loop.Sensor] = -1
	}
	for i, g := range s.Gates {
		for _, sensor := range g.Sensors {
			out.gates[sensor] = i
		}
	}
	return out
}

// New subscribes and starts nothing; messages wait until Run.
func New(cfg Config) (*Intake, error) {
	in := &Intake{
		cfg: cfg, log: cfg.Logger, metrics: newMetrics(cfg.Registerer), rare: rarely.New(time.Minute),
		sites: make(map[string]*site), gateways: make(map[key]*gateway), elsewhere: make(map[string]bool),
		reporters: make(map[key]*reporter),
	}
	for _, s := range cfg.Elsewhere {
		in.elsewhere[s.ID] = true
	}
	reports := make(map[key]bool)
	for _, d := range cfg.Devices {
		reports[key{d.Site, d.Gateway}] = true
	}
	for _, s := range cfg.Sites {
		if in.sites[s.ID] != nil {
			return nil, fmt.Errorf("site %q is configured twice", s.ID)
		}
		own := newSite(s)
		in.sites[s.ID] = own
		for _, id := range s.Gateways {
			k := key{s.ID, id}
			if in.gateways[k] != nil {
				return nil, fmt.Errorf("gateway %q is configured twice at site %q", id, s.ID)
			}
			if !reports[k] { // else it sends no batches
				in.gateways[k] = newGateway(in, own, id)
			}
		}
	}
	if err := in.addDevices(cfg.Devices, cfg.Networks); err != nil {
		return nil, err
	}
	cfg.Link.Subscribe(broker.CountersFilter, in.onCounters)
	cfg.Link.Subscribe(broker.EventsFilter, in.onEvents)
	cfg.Link.Subscribe(broker.StatusFilter, in.onStatus)
	return in, nil
}

// Run takes in until ctx ends and waits for what it started.
func (in *Intake) Run(ctx context.Context) {
	var wg sync.WaitGroup
	start := func(site, part string, run func()) {
		wg.Go(func() { in.cfg.Guard(ctx, site, part, run) })
	}
	for _, g := range in.gateways {
		start(g.site.ID, "gateway "+g.id, func() { g.run(ctx) })
		start(g.site.ID, "acknowledgements of "+g.id, func() { g.acks.run(ctx, g) })
	}
	for _, r := range in.reporters {
		start(r.site.ID, "device "+r.Gateway, func() { r.run(ctx) })
	}
	for _, n := range in.networks {
		start("", "network "+n.ID, func() { n.run(ctx) })
	}
	wg.Wait()
}

// onEvents puts a batch into the queue of its gateway. A full queue drops it;
// without an acknowledgement the gateway sends it again.
func (in *Intake) onEvents(m broker.Message) {
	g := in.gatewayOf(m)
	if g == nil {
		return
	}
	select {
	case g.queue <- m.Payload:
	default:
		g.metrics.dropped.Inc()
	}
}

func (in *Intake) onStatus(m broker.Message) {
	if t, err := broker.ParseTopic(m.Topic); err == nil {
		if r := in.reporters[key{t.Site, t.Gateway}]; r != nil {
			in.onWill(r, m)
			return
		}
	}
	g := in.gatewayOf(m)
	if g == nil {
		return
	}
	s, err := broker.DecodeStatus(m.Payload)
	if err == nil && (s.Site != g.site.ID || s.Gateway != g.id) {
		err = fmt.Errorf("status of %s/%s", s.Site, s.Gateway)
	}
	if err != nil {
		in.malformed(g, "status", err)
		return
	}
	if s.Online && !m.Retained && g.runs.returned(s.Started, time.Now()) {
		in.rival(g)
	}
	heard := in.cfg.Civil()
	if m.Retained && s.At.Before(heard) {
		heard = s.At // it may have lain there for days
	}
	g.epochs.hear(&s, heard)
	g.site.Present.Hear(present.Status{GatewayStatus: s, Heard: heard})
}

// gatewayOf finds the gateway that a topic belongs to.
func (in *Intake) gatewayOf(m broker.Message) *gateway {
	t, err := broker.ParseTopic(m.Topic)
	if err == nil {
		if g := in.gateways[key{t.Site, t.Gateway}]; g != nil {
			return g
		}
	}
	in.Refuse(t, m.Topic, err)
	return nil
}

// Refuse counts a message of a site or a gateway that is not configured, or
// whose topic has the given fault. It is not acknowledged: its sender keeps what
// nobody has stored. A site of another collector is left to that one.
func (in *Intake) Refuse(t broker.Topic, topic string, err error) {
	if err == nil && in.elsewhere[t.Site] {
		return
	}
	in.metrics.foreign.Inc()
	if n, ok := in.rare.Allow("foreign"); ok {
		if err == nil {
			err = errors.New("no such site or gateway is configured")
		}
		in.log.Warn("message refused", logs.Topic, topic, logs.Error, err, logs.Times, n)
	}
}

// malformed counts a message that does not decode.
func (in *Intake) malformed(g *gateway, what string, err error) {
	g.metrics.malformed.Inc()
	if n, ok := in.rare.Allow("malformed " + g.name()); ok {
		in.log.Warn("message does not decode", logs.Site, g.site.ID, logs.Gateway, g.id, logs.Kind, what, logs.Error, err, logs.Times, n)
	}
}

// insist does something for a gateway until it succeeds or ctx ends.
func (in *Intake) insist(ctx context.Context, g *gateway, call string, do func() error) error {
	return pace.Insist(ctx, func(err error) { in.cfg.Failed(g.name(), call, err) }, do)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// levelOf is for what could not be sent: that there is no connection is no news,
// the link says so itself.
func levelOf(err error) slog.Level {
	if errors.Is(err, broker.ErrOffline) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
