package gateway

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/perron"
)

// metrics of one gateway; site and gateway are labels of all of them, so that
// several gateways share a registry.
type metrics struct {
	edges    *prometheus.CounterVec
	events   *prometheus.CounterVec
	batches  prometheus.Counter
	sent     prometheus.Counter
	resends  prometheus.Counter
	failures prometheus.Counter
	badAcks  prometheus.Counter
}

func newMetrics(cfg Config, box *outbox.Outbox) (*metrics, error) {
	labels := prometheus.Labels{"site": cfg.Site, "gateway": cfg.Gateway}
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "perrondrukte", Subsystem: "gateway", Name: name, Help: help, ConstLabels: labels}
	}
	m := &metrics{
		edges:    prometheus.NewCounterVec(opts("edges_total", "Edges seen, by input."), []string{"input"}),
		events:   prometheus.NewCounterVec(opts("events_total", "Events put into the outbox, by kind."), []string{"kind"}),
		batches:  prometheus.NewCounter(opts("batches_sent_total", "Batches sent, again or for the first time.")),
		sent:     prometheus.NewCounter(opts("events_sent_total", "Events sent, again or for the first time.")),
		resends:  prometheus.NewCounter(opts("resends_total", "How often batches on their way were sent again.")),
		failures: prometheus.NewCounter(opts("send_failures_total", "Batches that the broker did not confirm.")),
		badAcks:  prometheus.NewCounter(opts("bad_acks_total", "Acks that do not decode.")),
	}
	gauge := func(name, help string, value func(outbox.State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts(name, help)), func() float64 { return value(box.State()) })
	}
	if cfg.Registerer == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.edges, m.events, m.batches, m.sent, m.resends, m.failures, m.badAcks,
		gauge("outbox_waiting", "Events that are not acknowledged.", func(s outbox.State) float64 { return float64(s.Waiting) }),
		gauge("outbox_bytes", "Bytes of events in the outbox.", func(s outbox.State) float64 { return float64(s.Bytes) }),
		gauge("outbox_dropped", "Events dropped for want of room since the epoch began.", func(s outbox.State) float64 { return float64(s.Dropped) }),
		gauge("lost_edges", "Edges that the kernel could not keep since the epoch began.", func(s outbox.State) float64 { return float64(s.LostEdges) }),
		gauge("outbox_failing", "1 while nothing can be written.", func(s outbox.State) float64 {
			if s.Failing != nil {
				return 1
			}
			return 0
		}),
	} {
		errs = append(errs, cfg.Registerer.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) count(events []perron.Event) {
	var n [4]int
	kinds := [...]perron.Kind{perron.In, perron.Out, perron.On, perron.Off}
	for _, e := range events {
		for i, k := range kinds {
			if e.Kind == k {
				n[i]++
			}
		}
	}
	for i, k := range kinds {
		if n[i] > 0 {
			m.events.WithLabelValues(string(k)).Add(float64(n[i]))
		}
	}
}
