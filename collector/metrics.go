package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	events       *prometheus.CounterVec // site, gateway, verdict
	malformed    *prometheus.CounterVec
	dropped      *prometheus.CounterVec
	gaps         *prometheus.CounterVec
	unacked      *prometheus.CounterVec
	foreign      prometheus.Counter
	commit       prometheus.Histogram
	commitErrors *prometheus.CounterVec // reason
	storeErrors  *prometheus.CounterVec // what
	panics       *prometheus.CounterVec // site
	reports      *prometheus.CounterVec // site, gateway, verdict
	uplinks      *prometheus.CounterVec // network, result

	rebuilds     *prometheus.CounterVec // site
	recomputes   *prometheus.CounterVec
	recompute    prometheus.Histogram
	rebuild      prometheus.Histogram
	published    *prometheus.CounterVec
	unpublished  *prometheus.CounterVec
	measuredAt   *prometheus.GaugeVec
	loggedEvents *prometheus.GaugeVec
	mended       *prometheus.CounterVec // site
	mend         prometheus.Histogram
	forecast     prometheus.Histogram
	refit        prometheus.Histogram

	mae      *prometheus.GaugeVec // site, of, horizon
	pinball  *prometheus.GaugeVec
	coverage *prometheus.GaugeVec
	scored   *prometheus.GaugeVec
	worse    *prometheus.GaugeVec // site
	scoring  prometheus.Histogram

	missed *prometheus.GaugeVec // site, of
	study  prometheus.Histogram
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
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	score := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "forecast", Name: name, Help: help}, []string{"site", "of", "horizon"})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30},
		})
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
		commit:       seconds("commit_seconds", "Time to store a batch."),
		commitErrors: vec("commit_errors_total", "Failed attempts to store a batch: full, unavailable or other.", "reason"),
		storeErrors:  vec("store_errors_total", "Other failed calls of the store.", "call"),
		panics:       vec("panics_total", "Panics in a site's work, of which each is an error of this program.", "site"),
		reports:      vec("reports_total", "Messages of devices that report counts, by what became of them: new, duplicate or late.", "site", "gateway", "verdict"),
		uplinks:      vec("uplinks_total", "Messages of LoRaWAN networks: passed, unknown_device, malformed, or dropped because too many waited, to be asked for again.", "network", "result"),
		rebuilds:     vec("rebuilds_total", "Live states rebuilt because something came late.", "site"),
		recomputes:   vec("recomputes_total", "Live states computed.", "site"),
		recompute:    seconds("recompute_seconds", "Time to compute a live state."),
		rebuild:      seconds("rebuild_seconds", "Time to rebuild a live state."),
		published:    vec("published_total", "States published.", "site", "topic"),
		unpublished:  vec("unpublished_total", "Failed attempts to publish a state.", "site", "topic"),
		measuredAt:   gauge("measured_timestamp_seconds", "Until when the sensors are known to have reported everything.", "site"),
		loggedEvents: gauge("live_events", "Events of today that the live state rests on.", "site"),
		mended:       vec("mended_samples_total", "Samples of today computed again or for the first time because events came late.", "site"),
		mend:         seconds("mend_seconds", "Time to compute samples of today again."),
		forecast:     seconds("forecast_seconds", "Time to make a forecast."),
		refit:        seconds("refit_seconds", "Time to learn from the past."),
		mae:          score("mae", "Mean absolute error of the forecasts of the last four weeks: vehicles a slot, or minutes of wait."),
		pinball:      score("pinball", "Mean quantile loss (10, 50 and 90 %) of the forecasts of the last four weeks."),
		coverage:     score("coverage", "Part of what came within the 80 % interval of the forecasts of the last four weeks."),
		scored:       score("pairs", "Pairs of a forecast and its truth that the scores rest on."),
		worse: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "forecast", Name: "worse", Help: "Whether forecasts are clearly worse than they were.",
		}, []string{"site"}),
		missed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "missed_ratio", Help: "Part of the entries and exits that the counters are believed to miss.",
		}, []string{"site", "of"}),
		study:   seconds("study_seconds", "Time to learn from a closed day."),
		scoring: seconds("score_seconds", "Time to score forecasts against what came."),
	}
	if reg != nil {
		reg.MustRegister(m.events, m.malformed, m.dropped, m.gaps, m.unacked, m.foreign, m.commit, m.commitErrors, m.storeErrors, m.panics, m.reports, m.uplinks,
			m.rebuilds, m.recomputes, m.recompute, m.rebuild, m.published, m.unpublished, m.measuredAt, m.loggedEvents, m.mended, m.mend, m.forecast, m.refit,
			m.mae, m.pinball, m.coverage, m.scored, m.worse, m.scoring, m.missed, m.study)
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
