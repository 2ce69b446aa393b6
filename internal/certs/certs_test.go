package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)

func pool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, authorityFile))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Trusted(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func verify(p *x509.CertPool, c *x509.Certificate, at time.Time) error {
	_, err := c.Verify(x509.VerifyOptions{Roots: p, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "ca")
	a, err := OpenAuthority(dir, begin)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Issue("poort/poort-1", begin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(pair.Certificate, pair.Key); err != nil {
		t.Fatal(err)
	}
	if n := pair.Leaf.Subject.CommonName; n != "poort/poort-1" || pair.Leaf.IsCA {
		t.Errorf("issued to %q, may sign: %v", n, pair.Leaf.IsCA)
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	for at, good := range map[time.Time]bool{begin: true, begin.Add(ClientLife - time.Hour): true, begin.Add(ClientLife + time.Hour): false, begin.Add(-2 * skew): false} {
		if err := verify(pool(t, dir), pair.Leaf, at); (err == nil) != good {
			t.Errorf("at %v: %v", at, err)
		}
	}

	// It is the same authority the next time, and a new one once it could not
	// outlive what it signs; what the old one signed is good still.
	again, err := OpenAuthority(dir, begin.Add(AuthorityLife-ClientLife-time.Hour))
	if err != nil || !again.cert.Equal(a.cert) {
		t.Errorf("another authority: %v", err)
	}
	late := begin.Add(AuthorityLife - ClientLife + time.Hour)
	older, err := again.Issue("a", late.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := OpenAuthority(dir, late)
	if err != nil || renewed.cert.Equal(a.cert) {
		t.Fatalf("the authority is not renewed: %v", err)
	}
	newer, err := renewed.Issue("a", late)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Pair{older, newer} {
		if err := verify(pool(t, dir), c.Leaf, late); err != nil {
			t.Error(err)
		}
	}

	if err := os.Chmod(filepath.Join(dir, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthority(dir, late); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a key that everybody can read: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), pair.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, keyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthority(dir, late); err == nil || !strings.Contains(err.Error(), "is not the key of") {
		t.Errorf("the key of another: %v", err)
	}
}

func TestWordsOfAnEnd(t *testing.T) {
	for left, want := range map[time.Duration]string{
		31 * 24 * time.Hour: "is valid until 2 June 2026, 08:00 UTC",
		29 * 24 * time.Hour: "expires in 29 days, on 31 May 2026, 08:00 UTC",
		time.Hour:           "expires in 0 days, on 2 May 2026, 09:00 UTC",
		-time.Hour:          "expired on 2 May 2026, 07:00 UTC",
	} {
		words, warn := LeftUntil(begin.Add(left), begin)
		if words != want || warn != (left < WarnAhead) {
			t.Errorf("%v: %q, %v", left, words, warn)
		}
	}
}

// server makes a certificate for a server, signed by itself.
func server(t *testing.T, name string, from, to time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	c, err := sign(template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := encodeKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return encode(c), text
}

// A certificate that is renewed is shown from the next connection on, and one
// that does not fit its key is not.
func TestFiles_areReadAgain(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	put := func(name string, text []byte) {
		t.Helper()
		if err := writeFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certA, keyA := server(t, "a", now.Add(-time.Hour), now.Add(time.Hour))
	certB, keyB := server(t, "b", now.Add(-time.Hour), now.Add(-time.Minute))
	put("cert.pem", certA)
	put("key.pem", keyA)
	var log strings.Builder
	f, err := OpenFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca"), time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	shown := func() (string, tls.ClientAuthType) {
		t.Helper()
		f.looked = time.Time{} // it is time to look
		c, err := f.Server().GetConfigForClient(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificates[0].Leaf.Subject.CommonName, c.ClientAuth
	}
	if name, auth := shown(); name != "a" || auth != tls.NoClientCert {
		t.Errorf("%s, %v", name, auth)
	}
	if log.Len() > 0 {
		t.Errorf("nothing has changed, and it says %s", &log)
	}
	put("cert.pem", certB)
	if name, _ := shown(); name != "a" || !strings.Contains(log.String(), "cannot be used; the one before stays") {
		t.Errorf("half of a renewal: %s is shown\n%s", name, &log)
	}
	put("key.pem", keyB)
	if name, _ := shown(); name != "b" || !strings.Contains(log.String(), "the broker's certificate was read anew; it expired on") || !strings.Contains(log.String(), "gateways refuse it") {
		t.Errorf("%s is shown\n%s", name, &log)
	}
	// Clients are asked for a certificate as soon as one was issued.
	if _, err := OpenAuthority(filepath.Join(dir, "ca"), now); err != nil {
		t.Fatal(err)
	}
	if _, auth := shown(); auth != tls.VerifyClientCertIfGiven {
		t.Errorf("clients are asked: %v", auth)
	}
	if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFiles(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), dir, time.Now, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a key that everybody can read: %v", err)
	}
}

// What the system does not vouch for is given to clients to trust, also when it
// has expired.
func TestShown(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cert.pem")
	for _, end := range []time.Time{time.Now().Add(time.Hour), time.Now().Add(-time.Minute)} {
		cert, _ := server(t, "own", time.Now().Add(-time.Hour), end)
		if err := os.WriteFile(file, cert, 0o600); err != nil {
			t.Fatal(err)
		}
		leaf, trust, err := Shown(file)
		if err != nil || leaf.Subject.CommonName != "own" || !bytes.Equal(trust, cert) {
			t.Errorf("%v, %q, %v", leaf, trust, err)
		}
	}
	for _, text := range []string{"", "no PEM", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Shown(file); err == nil {
			t.Errorf("%q is a certificate", text)
		}
	}
	if _, _, err := Shown(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
