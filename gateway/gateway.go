// Package gateway is the edge of the system: a device at the gates of a site.
// It turns what its sensors see into events, keeps them in an outbox on disk,
// and sends them until the collector has stored them.
//
//	Source ── edges ──▶ pulse.Machine ──┐
//	   └──── ready-made events ─────────┴──▶ outbox ──▶ publisher ──▶ broker
//	                                           ▲────── acks ───────────┘
//
// A source comes from a driver, which is a package below this one, such as gpio.
// What a driver may do beside delivering is in abilities.go; the table in cmd/perron-gateway says which drivers there are, and
// docs/add-a-driver.md how there come to be more. The device's clock, its broker
// link and its source are passed in, so that the demo runs three gateways in one
// process, on a clock of its own.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/clock"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Source is where edges or events come from. Run delivers them to the sink
// until ctx ends, or until there are no more: then it returns nil and the
// gateway goes on sending what it has. Any other error ends the gateway. Run is
// called once, and returns only when its goroutines have.
//
// A source may have more abilities: [SensorLister], [Settler], [Opener],
// [Checker], [Examiner].
type Source interface {
	Run(ctx context.Context, sink Sink) error
}

// A Sink takes what a source has. Its methods may be called concurrently, and
// block while the outbox cannot take more; they fail only when the gateway is
// stopping or the source is wrong about its inputs.
type Sink interface {
	// Edge takes a change of level at an input, to be interpreted here. The
	// edges of one input come in their order.
	Edge(ctx context.Context, e pulse.Edge) error
	// Events takes events that need no interpretation, which are the sink's
	// from then on. The position is the source's own note of how far it is
	// behind them; it is on disk if, and only if, the events are.
	Events(ctx context.Context, events []perron.Event, position []byte) error
	// Position is the last one that is on disk, nil if there is none.
	Position() []byte
	// Lost says that n edges of an input could not be kept, or n passages of a
	// sensor whose events come ready-made.
	Lost(input string, n uint64)
	// Fault says that an input cannot be read, until its next edge.
	Fault(input string, err error)
	// Blind says that it cannot be noticed when edges of an input are lost.
	Blind(input string)
	// Report says how a sensor does whose events come ready-made, and where there
	// are gaps in what its device counted: the sink's from then on.
	Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap)
}

// A Link is the connection to a broker, as broker.Client is. Subscribe and OnUp
// are called by New, so before the link runs. Publish confirms that the broker
// has the message, or fails within a bounded time.
type Link interface {
	Subscribe(filter string, handle func(broker.Message))
	OnUp(f func())
	Connected() bool
	Publish(ctx context.Context, m broker.Message) error
}

var _ Link = (*broker.Client)(nil)

// Config says what a gateway is. Zero values have sensible meanings where the
// comment gives one.
type Config struct {
	Site, Gateway string
	Version       string // of the program, for the status

	// DataDir holds the outbox; MaxOutbox bounds it in bytes, 0 is 256 MiB.
	DataDir   string
	MaxOutbox int64

	// Inputs and Sensors say how edges are interpreted. Sensors that only
	// ready-made events come from need not be named.
	Inputs  []pulse.Input
	Sensors []pulse.Sensor
	Source  Source

	Link        Link
	StatusEvery time.Duration // 0 is 30 s
	// Window is how many batches may be on their way; 0 is 4.
	Window int
	// AckTimeout is how long no ack may come before batches are sent again; it
	// doubles up to three times while none comes. 0 is 5 s.
	AckTimeout time.Duration

	Now         func() time.Time // nil is time.Now
	ClockSynced func() *bool     // nil, or a nil result: not known; for the status
	// ReadClock makes the gateway doubt the clock that its source stamps with:
	// see package clock. Readings and the source's times have to be of one clock.
	// Nil believes every stamp. Boot names the time since the device was started.
	ReadClock func() clock.Reading
	Boot      string
	// ClockWait is how long events whose stamps are unsure wait, with the link
	// up, for the clock to be synchronised, before they are sent with that doubt.
	ClockWait  time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// A Gateway is one device. See [New].
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	box     *outbox.Outbox
	sink    *sink
	pub     *publisher
	status  *reporter
	times   *timekeeper
	metrics *metrics
	ready   chan struct{}
}

// OutboxFile is the name of the outbox within the data directory.
const OutboxFile = "outbox.db"

// New checks the configuration, opens the outbox and subscribes to the
// gateway's acks. Nothing runs before Run. Without Run, Close has to be called.
func New(ctx context.Context, cfg Config) (*Gateway, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.StatusEvery <= 0 {
		cfg.StatusEvery = 30 * time.Second
	}
	if cfg.Window <= 0 {
		cfg.Window = 4
	}
	if cfg.AckTimeout <= 0 {
		cfg.AckTimeout = 5 * time.Second
	}
	switch {
	case !perron.ValidID(cfg.Site):
		return nil, fmt.Errorf("gateway: site %q is not a valid id", cfg.Site)
	case !perron.ValidID(cfg.Gateway):
		return nil, fmt.Errorf("gateway: %q is not a valid id", cfg.Gateway)
	case cfg.Source == nil || cfg.Link == nil:
		return nil, errors.New("gateway: no source or no link")
	}
	machine, err := pulse.New(cfg.Inputs, cfg.Sensors)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if lister, ok := cfg.Source.(SensorLister); ok {
		for _, id := range lister.Sensors() {
			machine.Expect(id)
		}
	}
	log := cfg.Logger.With(logs.Site, cfg.Site, logs.Gateway, cfg.Gateway)
	g := &Gateway{cfg: cfg, log: log, ready: make(chan struct{})}
	box, err := outbox.Open(ctx, filepath.Join(cfg.DataDir, OutboxFile),
		outbox.Options{MaxBytes: cfg.MaxOutbox, Logger: log, Now: cfg.Now, Boot: cfg.Boot, Life: func() outbox.Life { return g.times.life() }})
	if err != nil {
		return nil, err
	}
	g.box, g.times = box, newTimekeeper(&cfg, box, log)
	if g.metrics, err = newMetrics(cfg, box); err != nil {
		return nil, errors.Join(fmt.Errorf("gateway: %w", err), box.Close())
	}
	g.sink = newSink(machine, box, cfg.Now, g.times, log, g.metrics)
	g.sink.recall(filepath.Join(cfg.DataDir, HabitsFile))
	if settler, ok := cfg.Source.(Settler); ok {
		g.sink.settle = settler.Settle
	}
	g.pub = newPublisher(&g.cfg, box, log, g.metrics)
	g.status = newReporter(&g.cfg, box, g.sink, g.times, &g.pub.rival, log)
	cfg.Link.Subscribe(broker.AckTopic(cfg.Site, cfg.Gateway), g.pub.handleAck)
	cfg.Link.OnUp(func() {
		poke(g.pub.up)
		poke(g.status.up)
	})
	return g, nil
}

// Run works until ctx ends or the source fails; a source that is finished ends
// nothing. At the end everything that came in is on disk, and the broker has
// been told that the gateway is off: the link has to outlive Run for that. The
// outbox is closed.
func (g *Gateway) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, g.Close()) }()
	s := g.box.State()
	g.log.Info("gateway runs", logs.Epoch, s.Epoch, logs.Waiting, s.Waiting)

	// The outbox ends after all that feed it and read it.
	boxCtx, stopBox := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBox()
	boxErr := make(chan error, 1)
	go func() { boxErr <- g.box.Run(boxCtx) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		switch err := g.cfg.Source.Run(ctx, g.sink); {
		case ctx.Err() != nil:
			if err != nil && !errors.Is(err, context.Canceled) {
				g.log.Error("the source did not come to a clean end; edges may be missing", logs.Error, err)
			}
		case err != nil:
			failed = fmt.Errorf("source: %w", err)
			cancel()
		default:
			if g.box.Flush(ctx) != nil {
				return // only when ctx has ended meanwhile
			}
			g.log.Info("the source has come to its end; what it gave is being sent")
			g.sink.finish()
		}
	})
	wg.Go(func() { g.sink.run(ctx) })
	wg.Go(func() { g.sink.remember(ctx, filepath.Join(g.cfg.DataDir, HabitsFile)) })
	wg.Go(func() { g.pub.run(ctx) })
	wg.Go(func() { g.status.run(ctx) })
	wg.Go(func() { g.times.run(ctx) })
	wg.Go(func() { g.begin(ctx) })
	<-ctx.Done()
	wg.Wait()
	g.sink.close()
	stopBox()
	err = errors.Join(failed, <-boxErr)
	g.status.goodbye()
	return err
}

// Close releases the outbox. It is for a gateway that was never run; Run closes
// by itself.
func (g *Gateway) Close() error { return g.box.Close() }

// Idle says whether the source is finished, with everything from it on disk and
// acknowledged.
func (g *Gateway) Idle() bool { return g.sink.done() && g.box.State().Waiting == 0 }

// begin closes ready when the gateway counts.
func (g *Gateway) begin(ctx context.Context) {
	if opener, ok := g.cfg.Source.(Opener); ok {
		select {
		case <-opener.Opened():
		case <-ctx.Done():
			return
		}
	}
	close(g.ready)
}

// Ready is closed when the gateway counts: the outbox is open, and all inputs
// are. It says nothing of the link.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Ping returns once every part of the gateway has shown that it makes progress:
// what the kernel had of edges has been read, what was seen has been written,
// and what sends it answers. It is an error when ctx ends first. A watchdog asks
// it. A disk that cannot be written to is no reason to fail, as starting again
// does not help against it; nor are edges that are not read because of that.
func (g *Gateway) Ping(ctx context.Context) error {
	failing := func() bool { return g.box.State().Failing != nil }
	if !failing() {
		if g.sink.settle(ctx); ctx.Err() != nil && !failing() {
			return fmt.Errorf("edges are not read: %w", ctx.Err())
		}
	}
	if !failing() {
		if err := g.box.Flush(ctx); err != nil && !failing() {
			return fmt.Errorf("the outbox does not answer: %w", err)
		}
	}
	for name, c := range map[string]chan chan struct{}{"publisher": g.pub.pings, "status": g.status.pings} {
		done := make(chan struct{})
		select {
		case c <- done:
			<-done
		case <-ctx.Done():
			return fmt.Errorf("the %s does not answer: %w", name, ctx.Err())
		}
	}
	return nil
}

// Status is what the gateway says of itself now.
func (g *Gateway) Status(ctx context.Context) perron.GatewayStatus { return g.status.now(ctx) }

// Will is the last will that a gateway's link needs: the broker publishes it
// when the gateway falls silent.
func Will(site, gateway string) (*broker.Message, error) {
	payload, err := broker.EncodeStatus(perron.GatewayStatus{Site: site, Gateway: gateway})
	if err != nil {
		return nil, fmt.Errorf("last will: %w", err)
	}
	return &broker.Message{Topic: broker.StatusTopic(site, gateway), Payload: payload, Retained: true}, nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
