package intake

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	events       *prometheus.CounterVec // site, gateway, verdict
	malformed    *prometheus.CounterVec // site, gateway
	dropped      *prometheus.CounterVec
	gaps         *prometheus.CounterVec
	unacked      *prometheus.CounterVec
	foreign      prometheus.Counter
	commit       prometheus.Histogram
	commitErrors *prometheus.CounterVec // reason
	reports      *prometheus.CounterVec // site, gateway, verdict
	uplinks      *prometheus.CounterVec // network, result
}

// gatewayMetrics are the metrics of one gateway.
type gatewayMetrics struct {
	stored, aside, duplicate, lost    prometheus.Counter
	malformed, dropped, gaps, unacked prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "perrondrukte", "collector"
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	m := &metrics{
		events:    vec("events_total", "Events by what became of them: stored, set_aside, duplicate or lost.", "site", "gateway", "verdict"),
		malformed: vec("malformed_total", "Messages that do not decode.", "site", "gateway"),
		dropped:   vec("dropped_batches_total", "Batches dropped because the queue was full; they are sent again.", "site", "gateway"),
		gaps:      vec("gaps_total", "Batches that came before an earlier one; they are sent again.", "site", "gateway"),
		unacked:   vec("unacked_total", "Acknowledgements that could not be sent.", "site", "gateway"),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "foreign_total",
			Help: "Messages of a site or gateway that is not configured.",
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "commit_seconds", Help: "Time to store a batch.",
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30},
		}),
		commitErrors: vec("commit_errors_total", "Failed attempts to store a batch: full, unavailable or other.", "reason"),
		reports:      vec("reports_total", "Messages of devices that report counts, by what became of them: new, duplicate or late.", "site", "gateway", "verdict"),
		uplinks:      vec("uplinks_total", "Messages of LoRaWAN networks: passed, unknown_device, malformed, or dropped because too many waited, to be asked for again.", "network", "result"),
	}
	if reg != nil {
		reg.MustRegister(m.events, m.malformed, m.dropped, m.gaps, m.unacked, m.foreign, m.commit, m.commitErrors, m.reports, m.uplinks)
	}
	return m
}

func (m *metrics) gateway(site, gateway string) *gatewayMetrics {
	return &gatewayMetrics{
		stored:    m.events.WithLabelValues(site, gateway, "stored"),
		aside:     m.events.WithLabelValues(site, gateway, "set_aside"),
		duplicate: m.events.WithLabelValues(site, gateway, "duplicate"),
		lost:      m.events.WithLabelValues(site, gateway, "lost"),
		malformed: m.malformed.WithLabelValues(site, gateway),
		dropped:   m.dropped.WithLabelValues(site, gateway),
		gaps:      m.gaps.WithLabelValues(site, gateway),
		unacked:   m.unacked.WithLabelValues(site, gateway),
	}
}
