package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/certs"
)

// expiry watches how long the certificates are still valid: the broker's, and
// those that gateways were issued.
type expiry struct {
	a    *app
	left *prometheus.Desc
}

// addExpiry registers the metric and the daily look at it.
func (a *app) addExpiry() error {
	e := &expiry{a: a, left: prometheus.NewDesc("perrondrukte_certificate_days_left",
		"Days until a certificate expires; negative when it has. The holder is broker, or the SITE/GATEWAY it was issued to.", []string{"holder"}, nil)}
	if err := a.registry.Register(e); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	a.parts = append(a.parts, part{"certificates", e.run})
	return nil
}

// Describe implements prometheus.Collector.
func (e *expiry) Describe(ch chan<- *prometheus.Desc) { ch <- e.left }

// Collect implements prometheus.Collector.
func (e *expiry) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	if e.a.certs != nil {
		ch <- prometheus.MustNewConstMetric(e.left, prometheus.GaugeValue, certs.DaysLeft(e.a.certs.Leaf().NotAfter, now), "broker")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ends, err := e.gateways(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(e.left, err)
		return
	}
	for holder, end := range ends {
		ch <- prometheus.MustNewConstMetric(e.left, prometheus.GaugeValue, certs.DaysLeft(end, now), holder)
	}
}

// gateways is when the newest certificate of each gateway ends.
func (e *expiry) gateways(ctx context.Context) (map[string]time.Time, error) {
	all, err := e.a.accounts.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	ends := make(map[string]time.Time)
	for _, c := range all {
		holder := c.Site + "/" + c.Gateway
		if _, newer := ends[holder]; !newer && c.Certificate != nil {
			ends[holder] = c.CertificateEnds
		}
	}
	return ends, nil
}

// run warns at the start and once a day.
func (e *expiry) run(ctx context.Context) error {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		e.warn(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (e *expiry) warn(ctx context.Context, now time.Time) {
	if e.a.certs != nil {
		if words, warn := certs.Left(e.a.certs.Leaf(), now); warn {
			e.a.logger.Warn("the broker's certificate " + words + ": renew it, the new one is read without a restart")
		}
	}
	ends, err := e.gateways(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.a.logger.Error("cannot look when certificates of gateways end", "error", err)
		}
		return
	}
	for holder, end := range ends {
		if words, warn := certs.LeftUntil(end, now); warn {
			e.a.logger.Warn("the certificate of gateway "+holder+" "+words+": issue another with perrondrukte gateway rotate", "gateway", holder)
		}
	}
}
