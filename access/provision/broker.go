package provision

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/certs"
)

// A Broker is what a device knows of the broker.
type Broker struct {
	URL string
	CA  []byte // PEM; nothing when the system of the device trusts the broker already
}

// FindBroker is where a device finds the broker: at the given address, or else at
// the configured one. warnings say why a device may not reach it or not trust it.
func FindBroker(cfg *config.Server, address string) (b Broker, warnings []string, err error) {
	var leaf *x509.Certificate
	if e := cfg.Broker.Embedded; e != nil && e.TLS != nil {
		if leaf, b.CA, err = certs.Shown(e.TLS.CertFile); err != nil {
			return b, nil, fmt.Errorf("broker.embedded.tls: %w", err)
		}
	}
	asked, scheme := address, "tcp://"
	if leaf != nil {
		scheme = "ssl://"
	}
	switch {
	case address == "":
		address = cfg.BrokerURL()
		if u, err := url.Parse(address); err == nil && leaf != nil && leaf.VerifyHostname(u.Hostname()) != nil && len(leaf.DNSNames) > 0 {
			address = scheme + net.JoinHostPort(leaf.DNSNames[0], u.Port())
		}
	case !strings.Contains(address, "://"):
		address = scheme + address
	}
	b.URL = address
	u, err := url.Parse(address)
	if err != nil {
		return b, nil, fmt.Errorf("address of the broker: %w", err)
	}
	if asked != "" && u.Port() == "" {
		return b, nil, fmt.Errorf("--broker %s: want the port as well, like %s:8883", asked, u.Hostname())
	}
	if ip := net.ParseIP(u.Hostname()); asked == "" && ip != nil && ip.IsLoopback() {
		warnings = append(warnings, fmt.Sprintf("%s is the device itself when the device looks for it: have broker.embedded.listen at an address that devices reach, and give that with --broker", u.Hostname()))
	}
	if leaf != nil {
		if err := leaf.VerifyHostname(u.Hostname()); err != nil {
			warnings = append(warnings, fmt.Sprintf("the gateway will refuse the broker: its certificate is not for %s; give its address with --broker (%v)", u.Hostname(), err))
		}
	}
	return b, warnings, nil
}

// Section is the section broker of a gateway's configuration.
func (b Broker) Section(i access.Issued) string {
	var text strings.Builder
	fmt.Fprintf(&text, "broker:\n  url: %s\n  password: %s\n", b.URL, i.Secret)
	block := func(key string, value []byte) {
		if len(value) > 0 {
			fmt.Fprintf(&text, "  %s: |\n    %s\n", key, indent(value))
		}
	}
	block("ca", b.CA)
	block("certificate", i.Pair.Certificate)
	block("key", i.Pair.Key)
	return text.String()
}

// indent puts the lines of a PEM block below a key of a section.
func indent(pem []byte) string {
	return strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n    ")
}
