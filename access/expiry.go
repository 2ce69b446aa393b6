package access

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
)

// A CredentialLister lists all valid credentials by site and gateway, then newest
// first.
type CredentialLister interface {
	Gateways(ctx context.Context) ([]store.Credential, error)
}

// An Expiry watches how long the certificates are still valid: the broker's, and
// those that gateways were issued. It is a metric, and what is logged once a day.
type Expiry struct {
	credentials CredentialLister
	broker      func() *x509.Certificate // nil when our broker does without TLS
	logger      *slog.Logger
	left        *prometheus.Desc
}

// NewExpiry makes an Expiry. broker is the certificate that the broker shows now;
// nil when it does without.
func NewExpiry(c CredentialLister, broker func() *x509.Certificate, logger *slog.Logger) *Expiry {
	return &Expiry{credentials: c, broker: broker, logger: logger, left: prometheus.NewDesc("perrondrukte_certificate_days_left",
		"Days until a certificate expires; negative when it has. The holder is broker, or the SITE/GATEWAY it was issued to.", []string{"holder"}, nil)}
}

// Describe implements prometheus.Collector.
func (e *Expiry) Describe(ch chan<- *prometheus.Desc) { ch <- e.left }

// Collect implements prometheus.Collector.
func (e *Expiry) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	if e.broker != nil {
		ch <- prometheus.MustNewConstMetric(e.left, prometheus.GaugeValue, certs.DaysLeft(e.broker().NotAfter, now), "broker")
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
func (e *Expiry) gateways(ctx context.Context) (map[string]time.Time, error) {
	all, err := e.credentials.Gateways(ctx)
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

// Run warns at the start and once a day.
func (e *Expiry) Run(ctx context.Context) error {
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

func (e *Expiry) warn(ctx context.Context, now time.Time) {
	if e.broker != nil {
		if words, warn := certs.Left(e.broker(), now); warn {
			e.logger.Warn("the broker's certificate " + words + ": renew it, the new one is read without a restart")
		}
	}
	ends, err := e.gateways(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.logger.Error("cannot look when certificates of gateways end", logs.Error, err)
		}
		return
	}
	for holder, end := range ends {
		if words, warn := certs.LeftUntil(end, now); warn {
			e.logger.Warn("the certificate of gateway "+holder+" "+words+": issue another with perrondrukte gateway rotate", logs.Gateway, holder)
		}
	}
}
