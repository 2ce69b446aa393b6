// Package certs makes and reads the certificates of the connection between
// gateways and broker: a small authority of our own that issues those of
// gateways, and a certificate on disk that is read again when it changes.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
)

const (
	// AuthorityLife is how long the authority may sign. It is renewed by itself
	// when it could not outlive a certificate any more.
	AuthorityLife = 10 * 365 * 24 * time.Hour
	// ClientLife is how long the certificate of a gateway is valid.
	ClientLife = 2 * 365 * 24 * time.Hour
	// WarnAhead is how long before its end a certificate is warned of.
	WarnAhead = 30 * 24 * time.Hour
	// skew is how far a gateway's clock may be behind.
	skew = time.Hour

	authorityFile, keyFile = "ca.pem", "ca-key.pem"
)

// An Authority issues certificates. Its folder holds the certificates that are
// trusted, newest first, and the key of the newest.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Pair is a certificate and its key, as PEM.
type Pair struct {
	Certificate, Key []byte
	Leaf             *x509.Certificate
}

// Fingerprint tells certificates apart: the SHA-256 of the certificate.
func Fingerprint(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }

// OpenAuthority opens the authority in a folder and makes it when it is not
// there, or too old to sign for as long as a gateway's certificate is valid. Its
// key is readable for its owner only, and refused when others can read it.
func OpenAuthority(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the certificate authority: %w", err)
	}
	a := &Authority{dir: dir}
	err := a.read()
	if errors.Is(err, fs.ErrNotExist) || err == nil && now.Add(ClientLife).After(a.cert.NotAfter) {
		err = a.make(now)
	}
	if err != nil {
		return nil, fmt.Errorf("open the certificate authority in %s: %w", dir, err)
	}
	return a, nil
}

func (a *Authority) read() error {
	path := filepath.Join(a.dir, keyFile)
	if err := config.CheckPrivate(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s holds no key in PEM", keyFile)
	}
	if a.key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	trusted, err := os.ReadFile(filepath.Join(a.dir, authorityFile))
	if err != nil {
		return err
	}
	if a.cert, err = first(trusted); err != nil {
		return fmt.Errorf("%s: %w", authorityFile, err)
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return fmt.Errorf("%s is not the key of the first certificate of %s", keyFile, authorityFile)
	}
	return nil
}

// make makes a new certificate and key. The older certificates stay trusted.
func (a *Authority) make(now time.Time) (err error) {
	older, err := os.ReadFile(filepath.Join(a.dir, authorityFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Perrondrukte gateways " + now.Format("2006")},
		NotBefore: now.Add(-skew), NotAfter: now.Add(AuthorityLife),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	// The key first: with it alone the authority is made again.
	if err := writeFile(filepath.Join(a.dir, keyFile), keyPEM, 0o600); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, authorityFile), append(encode(cert), older...), 0o640); err != nil {
		return err
	}
	a.cert, a.key = cert, key
	return nil
}

// Ends is until when the authority may sign.
func (a *Authority) Ends() time.Time { return a.cert.NotAfter }

// Issue makes a certificate with which a client shows that it is name.
func (a *Authority) Issue(name string, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate: %w", err)
	}
	cert, err := sign(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(ClientLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("issue a certificate: %w", err)
	}
	return Pair{Certificate: encode(cert), Key: keyPEM, Leaf: cert}, nil
}

func sign(template, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// first is the first certificate of a PEM file.
func first(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("holds no certificate in PEM")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// writeFile replaces a file as a whole: after a power cut it is the old one or
// the new one.
func writeFile(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Trusted is a pool of the certificates in a PEM text.
func Trusted(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}

// Left says in words how long a certificate is still valid, and whether that
// is worth a warning.
func Left(c *x509.Certificate, now time.Time) (words string, warn bool) {
	if now.Before(c.NotBefore) {
		return "is not valid before " + c.NotBefore.UTC().Format(minute), true
	}
	return LeftUntil(c.NotAfter, now)
}

const minute = "2 January 2006, 15:04 UTC"

// LeftUntil is [Left] of a certificate of which only the end is known.
func LeftUntil(end, now time.Time) (words string, warn bool) {
	day, left := end.UTC().Format(minute), end.Sub(now)
	switch {
	case left <= 0:
		return "expired on " + day, true
	case left < WarnAhead:
		return fmt.Sprintf("expires in %d days, on %s", int(left/(24*time.Hour)), day), true
	}
	return "is valid until " + day, false
}

// DaysLeft is how many days a certificate is still valid; negative when it
// expired.
func DaysLeft(end, now time.Time) float64 { return end.Sub(now).Hours() / 24 }

// Shown is the certificate in a file and, when the system's roots do not vouch
// for it, the last certificate of its chain, in PEM, for clients to trust.
func Shown(certFile string) (leaf *x509.Certificate, trust []byte, err error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read the broker's certificate: %w", err)
	}
	between := x509.NewCertPool()
	var last *x509.Certificate
	var all time.Time // when all of them are valid; whether they are now is not the question
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if last, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, nil, fmt.Errorf("read the broker's certificate: %w", err)
		}
		if leaf == nil {
			leaf, all = last, last.NotAfter
		} else if last.CheckSignatureFrom(last) != nil { // a root is looked for among the system's
			between.AddCert(last)
		}
		if last.NotAfter.Before(all) {
			all = last.NotAfter
		}
	}
	if leaf == nil {
		return nil, nil, fmt.Errorf("read the broker's certificate: %s holds no certificate in PEM", certFile)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: all}); errors.As(err, new(x509.UnknownAuthorityError)) {
		trust = encode(last)
	}
	return leaf, trust, nil
}
