package embedded

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
)

// A record is a log that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) has(words string) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Contains(r.text.String(), words)
	}
}

func (r *record) logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(r, t.Output()), nil))
}

// What a client's certificate decides, and what both sides say of it.
func TestClientCertificates(t *testing.T) {
	cert, pool := selfSigned(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(name string) *x509.Certificate {
		ca := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if ca, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return ca
	}
	own, foreign := issuer("own"), issuer("foreign")
	issue := func(by *x509.Certificate, name string, end time.Time) []tls.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, by, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	}
	clients := x509.NewCertPool()
	clients.AddCert(own)
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	for _, c := range []struct {
		name         string
		shown        []tls.Certificate
		in           bool
		broker, edge string // what their logs say
	}{
		{"its own", issue(own, "poort/pi-1", later), true, "", "connected to the broker"},
		{"none", nil, false, "no certificate of its own", "the certificate that goes with it is missing"},
		{"of another gateway", issue(own, "buiten/pi-1", later), false, "no certificate of its own", "the broker refuses"},
		{"expired", issue(own, "poort/pi-1", before), false, "broker refused a client: its certificate expired on ", ""},
		{"of another authority", issue(foreign, "poort/pi-1", later), false, "broker refused a client: its certificate was not issued by this server", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var brokerLog, edgeLog record
			r := start(t, func(cfg *Config) {
				cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients}
				cfg.Logger = brokerLog.logger(t)
			})
			r.users.certified = true
			pi := r.client("poort/pi-1", nil, func(cfg *broker.ClientConfig) {
				cfg.TLS, cfg.Logger = nil, edgeLog.logger(t)
				// Shown whoever the broker says that it knows.
				shown := &tls.Config{RootCAs: pool}
				if c.shown != nil {
					shown.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.shown[0], nil }
				}
				cfg.Login = func() (broker.Login, error) { return broker.Login{Password: "poort/pi-1?", TLS: shown}, nil }
			})
			within(t, "said by the broker: "+c.broker, brokerLog.has(c.broker))
			within(t, "said by the gateway: "+c.edge, edgeLog.has(c.edge))
			if c.name == "expired" {
				// The end of the connection may overtake what is said of it, but not always.
				within(t, "said by the gateway", edgeLog.has("the broker refuses our certificate: it has expired"))
			}
			if c.in {
				r.up(pi)
			} else if pi.Connected() {
				t.Error("it is in")
			}
		})
	}
}
