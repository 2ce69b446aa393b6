package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A metricsServer answers /metrics at an address of its own, so that what the
// public address is opened to does not include how the machine does.
type metricsServer struct {
	listener net.Listener
	http     *http.Server
}

// listenMetrics opens the address.
func listenMetrics(addr string, registry *prometheus.Registry, logger *slog.Logger) (*metricsServer, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return &metricsServer{listener: l, http: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr is the host and port that are listened on.
func (m *metricsServer) Addr() string { return m.listener.Addr().String() }

// Run answers until ctx ends.
func (m *metricsServer) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- m.http.Serve(m.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the metrics: %w", err)
	case <-ctx.Done():
	}
	err := m.http.Close() // a scrape that is cut off comes again
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// addMetrics opens listen.metrics. An address that cannot be had is no reason
// not to count: whoever watches finds out by itself that there is no answer.
func (a *app) addMetrics() {
	if a.cfg.Listen.Metrics == "" {
		return
	}
	m, err := listenMetrics(a.cfg.Listen.Metrics, a.registry, a.logger)
	if err != nil {
		a.logger.Error("the metrics are not to be had: listen.metrics cannot be opened", logs.Address, a.cfg.Listen.Metrics, logs.Error, err)
		return
	}
	a.metrics = m
	a.logger.Info("metrics listen", logs.Address, m.Addr())
	a.parts = append(a.parts, part{"metrics", m.Run})
}
