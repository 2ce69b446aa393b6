package api

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A Link is the way to the broker.
type Link interface {
	// Subscribe is called before the link runs; handle only enqueues.
	Subscribe(filter string, handle func(broker.Message))
	Publish(ctx context.Context, m broker.Message) error
}

// Live keeps what the retained topics last said of every site: its busyness,
// its forecast and the status of its gateways. It keeps nothing else, so any
// number of API nodes show the same. Reading needs no Run; taking in messages
// does.
type Live struct {
	now    func() time.Time
	logger *slog.Logger
	order  []*perron.Site

	// The mailbox holds the newest message of each topic until Run gets to it.
	// Only topics of configured sites and gateways enter, so it is bounded.
	mailMu sync.Mutex
	mail   map[string]broker.Message
	mailed chan struct{}

	mu    sync.RWMutex
	sites map[string]*liveSite

	changeMu sync.Mutex
	changes  map[change]struct{}
	changed  chan struct{}

	sayings sayings

	received, refused atomic.Uint64
	complained        *rarely.Limiter // by topic
}

type liveSite struct {
	site     *perron.Site
	version  uint64 // rises with every message that was taken in
	busyness perron.Busyness
	forecast *perron.Forecast
	gateways map[string]perron.GatewayStatus
}

// A change names what may be different from before.
type change struct {
	site     string
	forecast bool
}

// NewLive subscribes to the retained topics of the sites. It starts nothing:
// [Server.Run] runs it.
func NewLive(sites []*perron.Site, link Link, now func() time.Time, logger *slog.Logger) *Live {
	l := &Live{
		now: now, logger: logger, order: sites,
		mail: make(map[string]broker.Message), mailed: make(chan struct{}, 1),
		sites:   make(map[string]*liveSite, len(sites)),
		changes: make(map[change]struct{}), changed: make(chan struct{}, 1),
		sayings:    sayings{kept: make(map[sayingKey]saying)},
		complained: rarely.New(time.Minute),
	}
	for _, s := range sites {
		l.sites[s.ID] = &liveSite{
			site: s,
			busyness: perron.Busyness{
				Site: s.ID, Level: perron.Unknown, Quality: perron.QualityUnknown,
				Trend: perron.Steady, TypicalLevel: perron.Unknown,
			},
			gateways: make(map[string]perron.GatewayStatus),
		}
	}
	link.Subscribe(broker.BusynessFilter, l.post)
	link.Subscribe(broker.ForecastFilter, l.post)
	link.Subscribe(broker.StatusFilter, l.post)
	return l
}

// post puts a message in the mailbox.
func (l *Live) post(m broker.Message) {
	topic, err := broker.ParseTopic(m.Topic)
	s := l.sites[topic.Site]
	if err != nil || s == nil || (topic.Gateway != "" && !s.site.HasGateway(topic.Gateway)) {
		l.refused.Add(1)
		return
	}
	l.mailMu.Lock()
	l.mail[m.Topic] = m
	l.mailMu.Unlock()
	signal(l.mailed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run takes messages in until ctx ends.
func (l *Live) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.mailed:
		}
		l.mailMu.Lock()
		mail := l.mail
		l.mail = make(map[string]broker.Message)
		l.mailMu.Unlock()
		for _, m := range mail {
			l.received.Add(1)
			if err := l.take(m); err != nil {
				l.refused.Add(1)
				l.complain(m.Topic, err)
			}
		}
	}
}

// complain logs at most once a minute and topic.
func (l *Live) complain(topic string, err error) {
	if n, ok := l.complained.Allow(topic); ok {
		l.logger.Warn("message refused", logs.Topic, topic, logs.Error, err, logs.Times, n)
	}
}

func (l *Live) take(m broker.Message) error {
	topic, err := broker.ParseTopic(m.Topic)
	if err != nil {
		return err
	}
	c := change{site: topic.Site}
	switch {
	case m.Topic == broker.BusynessTopic(topic.Site):
		b, err := broker.DecodeBusyness(m.Payload)
		if err != nil {
			return err
		}
		if b.Site != topic.Site {
			return fmt.Errorf("site is %q in the message", b.Site)
		}
		l.update(topic.Site, func(s *liveSite) { s.busyness = b })
	case m.Topic == broker.ForecastTopic(topic.Site):
		f, err := broker.DecodeForecast(m.Payload)
		if err != nil {
			return err
		}
		if f.Site != topic.Site {
			return fmt.Errorf("site is %q in the message", f.Site)
		}
		c.forecast = true
		l.update(topic.Site, func(s *liveSite) { s.forecast = &f })
	case m.Topic == broker.StatusTopic(topic.Site, topic.Gateway):
		st, err := broker.DecodeStatus(m.Payload)
		if err != nil {
			return err
		}
		if st.Site != topic.Site || st.Gateway != topic.Gateway {
			return fmt.Errorf("it is of %q/%q in the message", st.Site, st.Gateway)
		}
		l.update(topic.Site, func(s *liveSite) {
			// A last will knows nothing but that the gateway is gone.
			if old, ok := s.gateways[topic.Gateway]; ok && st.At.IsZero() {
				old.Online = false
				st = old
			}
			s.gateways[topic.Gateway] = st
		})
	default:
		return fmt.Errorf("nothing is expected on this topic")
	}
	l.mark(c)
	return nil
}

func (l *Live) update(site string, f func(*liveSite)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.sites[site])
	l.sites[site].version++
}

func (l *Live) version(site string) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.sites[site].version
}

func (l *Live) mark(c change) {
	l.changeMu.Lock()
	l.changes[c] = struct{}{}
	l.changeMu.Unlock()
	signal(l.changed)
}

// drain returns what was marked since it was last called.
func (l *Live) drain() map[change]struct{} {
	l.changeMu.Lock()
	defer l.changeMu.Unlock()
	c := l.changes
	l.changes = make(map[change]struct{})
	return c
}

// Busyness is the state of a site as it must be shown now. A site that nothing
// was heard of, or that is not configured, is unknown.
func (l *Live) Busyness(site string) perron.Busyness {
	b, _ := l.busyness(site, l.now())
	return b
}

func (l *Live) busyness(site string, now time.Time) (perron.Busyness, *perron.Site) {
	l.mu.RLock()
	s, ok := l.sites[site]
	if !ok {
		l.mu.RUnlock()
		return perron.Busyness{Site: site, Level: perron.Unknown, Quality: perron.QualityUnknown, TypicalLevel: perron.Unknown}, nil
	}
	b := s.busyness
	l.mu.RUnlock()
	return b.AsOf(s.site, now), s.site
}

// Forecast is the newest forecast of a site; there may be none yet. It is
// shared and must not be changed.
func (l *Live) Forecast(site string) (perron.Forecast, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, ok := l.sites[site]
	if !ok || s.forecast == nil {
		return perron.Forecast{}, false
	}
	return *s.forecast, true
}

// Gateways is what the gateways of a site last said, in the order in which
// they are configured. Gateways that were never heard are absent.
func (l *Live) Gateways(site string) []perron.GatewayStatus {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, ok := l.sites[site]
	if !ok {
		return nil
	}
	out := make([]perron.GatewayStatus, 0, len(s.gateways))
	for _, id := range s.site.Gateways {
		if st, ok := s.gateways[id]; ok {
			out = append(out, st)
		}
	}
	return slices.Clip(out)
}
