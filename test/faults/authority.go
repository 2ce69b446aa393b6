package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An authority issues the broker's certificate.
type authority struct {
	caFile, certFile, keyFile string

	ca  *x509.Certificate
	key *ecdsa.PrivateKey // of the authority and of the broker
}

func newAuthority(dir string) (*authority, error) {
	a := &authority{caFile: filepath.Join(dir, "ca.pem"), certFile: filepath.Join(dir, "broker.pem"), keyFile: filepath.Join(dir, "broker-key.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	a.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Yard CA"},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca, err := x509.CreateCertificate(rand.Reader, a.ca, a.ca, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return a, errors.Join(writePEM(a.keyFile, "PRIVATE KEY", key), writePEM(a.caFile, "CERTIFICATE", ca))
}

// issue writes a certificate that holds until an instant, which may have
// passed.
func (a *authority) issue(until time.Time) error {
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "broker"},
		NotBefore: until.AddDate(0, -3, 0), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.ca, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return writePEM(a.certFile, "CERTIFICATE", cert)
}

// writePEM replaces a file at once: a process may be reading it.
func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
