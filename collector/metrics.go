package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	storeErrors *prometheus.CounterVec // what
	panics      *prometheus.CounterVec // site

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
		storeErrors:  vec("store_errors_total", "Other failed calls of the store.", "call"),
		panics:       vec("panics_total", "Panics in a site's work, of which each is an error of this program.", "site"),
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
		reg.MustRegister(m.storeErrors, m.panics,
			m.rebuilds, m.recomputes, m.recompute, m.rebuild, m.published, m.unpublished, m.measuredAt, m.loggedEvents, m.mended, m.mend, m.forecast, m.refit,
			m.mae, m.pinball, m.coverage, m.scored, m.worse, m.scoring, m.missed, m.study)
	}
	return m
}
