package store

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of a store, the same for every backend.
type Metrics struct {
	commits *prometheus.HistogramVec
	events  *prometheus.CounterVec
}

// NewMetrics registers the metrics; reg may be nil.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "perrondrukte_store_commit_seconds",
			Help:    "Time to store a batch durably, by outcome: ok, full, unavailable, canceled, failed.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "perrondrukte_store_events_total",
			Help: "Events by what became of them: stored, set_aside, duplicate, lost.",
		}, []string{"fate"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.commits), reg.Register(m.events))
}

// Committed counts one call of Commit.
func (m *Metrics) Committed(took time.Duration, r Result, err error) {
	outcome := "ok"
	switch {
	case err == nil:
		m.events.WithLabelValues("stored").Add(float64(r.Stored))
		m.events.WithLabelValues("set_aside").Add(float64(r.SetAside))
		m.events.WithLabelValues("duplicate").Add(float64(r.Duplicate))
		m.events.WithLabelValues("lost").Add(float64(r.Lost))
	case errors.Is(err, ErrFull):
		outcome = "full"
	case errors.Is(err, ErrUnavailable):
		outcome = "unavailable"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		outcome = "canceled"
	default:
		outcome = "failed"
	}
	m.commits.WithLabelValues(outcome).Observe(took.Seconds())
}
