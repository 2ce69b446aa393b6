package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestExplain(t *testing.T) {
	network := func(err error) error { return fmt.Errorf("%w : %w", packets.ErrorNetworkError, err) }
	end := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	leaf := &x509.Certificate{NotBefore: end.AddDate(-1, 0, 0), NotAfter: end, DNSNames: []string{"a.example"}}
	verify := func(err error) error {
		return network(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: err})
	}
	plain := errors.New("something else")
	for want, err := range map[string]error{
		"password is wrong, was replaced or was revoked": packets.ErrorRefusedNotAuthorised,
		`the broker refuses "a/b": the password`:         packets.ErrorRefusedBadUsernameOrPassword,
		"perhaps because another device":                 packets.ErrorRefusedIDRejected,
		"takes nobody in":                                packets.ErrorRefusedServerUnavailable,
		"is valid from 2 May 2025 to 2 May 2026 only":    verify(x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired}),
		"is for another name":                            verify(x509.HostnameError{Certificate: leaf, Host: "b.example"}),
		"signed by nobody that is trusted here":          verify(x509.UnknownAuthorityError{Cert: leaf}),
		"does not speak TLS":                             network(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}),
		"refuses our certificate: it has expired":        network(&net.OpError{Op: "remote error", Err: errors.New("tls: expired certificate")}),
		"refuses our certificate: it does not know who":  network(&net.OpError{Op: "remote error", Err: errors.New("tls: unknown certificate authority")}),
		"wants a certificate and we have none":           network(&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}),
	} {
		got := Explain(err, "a/b")
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %q", err, got, want)
		}
	}
	if Explain(plain, "a/b") != plain || Explain(nil, "a/b") != nil {
		t.Error("what needs no words is given some")
	}
}
