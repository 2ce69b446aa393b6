package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An authority is what a municipality gets its certificates from.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, dir: dir, key: key}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a municipality"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue writes cert.pem and key.pem for a server on loopback, in place of the
// ones before.
func (a *authority) issue(serial int64, from, to time.Time) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "broker"}, NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	for name, text := range map[string][]byte{
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), "cert.pem": chain,
	} {
		replace(a.t, filepath.Join(a.dir, name), string(text))
	}
}

// replace puts a file in the place of another as a whole.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func secureYAML(dir string) string {
	return strings.Replace(serverYAML(dir), `listen: "127.0.0.1:0"}`,
		`listen: "127.0.0.1:0", tls: {cert_file: cert.pem, key_file: key.pem, require_client_certificates: true}}`, 1)
}

var sourceOf = regexp.MustCompile(`(?s)source:\n.*`)

// A gateway counts while its password, its certificate and the broker's
// certificate are replaced. Nothing is lost or doubled, what was replaced is
// refused, and no secret is in any log.
func TestRotation_whileCounting(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(2, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	config := write(t, dir, "server.yaml", secureYAML(dir))
	s := startServer(t, config, true)

	const events = 900 // one a second, sixty times as fast
	var csv strings.Builder
	csv.WriteString("time\n")
	began := time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)
	for i := range events {
		fmt.Fprintln(&csv, began.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
	}
	write(t, dir, "passages.csv", csv.String())
	yaml := filepath.Join(dir, "gateway.yaml")
	cli := func(args ...string) string {
		t.Helper()
		out, code := runCommand(t, "", "perrondrukte", append([]string{"gateway", args[0], "--config", config}, args[1:]...)...)
		if code != 0 {
			t.Fatalf("gateway %s: %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	var secrets []string
	keep := func(text string) string {
		t.Helper()
		secrets = append(secrets, regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(text)[1],
			regexp.MustCompile(`(?s)EC PRIVATE KEY-----\n *(\S+)\n`).FindStringSubmatch(text)[1])
		return text
	}
	cli("add", "yard", "yard-1", "--mtls", "--broker", s.broker, "--output", yaml)
	finished, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := runCommand(t, "", "perron-gateway", "check-config", yaml); code != 0 {
		t.Fatalf("the finished configuration: %d\n%s", code, out)
	}
	// The device of this test has no inputs.
	keep(string(finished))
	rest := sourceOf.ReplaceAllString(string(finished), `source:
  driver: replay
  replay:
    file: passages.csv
    speed: 60
    time: {column: time, layout: "2006-01-02T15:04:05Z07:00", zone: UTC}
    sensor: {value: main-in}
    kind: {value: in}
`)
	rest = strings.Replace(rest, "/var/lib/perron-gateway", filepath.Join(dir, "device"), 1)
	replace(t, yaml, rest)
	out, code := runCommand(t, "", "perron-gateway", "check-config", yaml)
	if code != 0 {
		t.Fatalf("%d\n%s", code, out)
	}
	checked := out
	g := start(t, "perron-gateway", "run", "--config", yaml, "--log-format", "json", "--once")
	eventually(t, time.Minute, "the first passages are stored", func() bool { return countIn(s) > 0 })

	section := regexp.MustCompile(`(?s)broker:\n.*?(\nsource:)`)
	rotate := func(more ...string) {
		t.Helper()
		before := len(s.logged("a gateway uses its new credential; the one before has ended"))
		text := keep(cli(append([]string{"rotate", "yard", "yard-1", "--broker", s.broker}, more...)...))
		if !strings.Contains(cli("list"), "being replaced, valid until") {
			t.Error("the credential in use ended before the new one was used")
		}
		t.Logf("%d of %d passages are stored when the credential is replaced", countIn(s), events)
		rest = section.ReplaceAllString(rest, strings.TrimSuffix(text[strings.Index(text, "broker:"):], "\n")+"$1")
		replace(t, yaml, rest)
		g.waitLog("the credential has changed; connecting anew", nil)
		eventually(t, time.Minute, "the new credential is used", func() bool {
			return len(s.logged("a gateway uses its new credential; the one before has ended")) > before
		})
	}
	rotate()
	// The broker's certificate is renewed under way; new connections see it.
	ca.issue(3, time.Now().Add(-time.Minute), time.Now().Add(20*24*time.Hour))
	rotate()
	s.waitLog("", func(l logLine) bool {
		return strings.HasPrefix(l.str("msg"), "the broker's certificate was read anew; it expires in 19 days")
	})
	if out := cli("list"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "yard/yard-1, with a certificate that is valid until") {
		t.Errorf("list: %s", out)
	}

	// The one before is refused, in words that name it, also with the new
	// certificate.
	old := strings.Replace(rest, secrets[len(secrets)-2], secrets[0], 1)
	old = strings.Replace(old, filepath.Join(dir, "device"), filepath.Join(dir, "other"), 1)
	write(t, dir, "old.yaml", old)
	impostor := start(t, "perron-gateway", "run", "--config", filepath.Join(dir, "old.yaml"), "--log-format", "json")
	impostor.waitLog("no connection to the broker, trying again", func(l logLine) bool {
		return strings.Contains(l.str("error"), `the broker refuses "yard/yard-1": the password is wrong, was replaced or was revoked`)
	})
	s.waitLog("broker refused a client", func(l logLine) bool {
		return l.str("error") == "the password is wrong, or was replaced"
	})
	impostor.stop()

	select {
	case <-g.done:
		if g.err != nil {
			t.Fatal(g.err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the gateway does not get rid of its events")
	}
	if n := countIn(s); n != events {
		t.Errorf("%d passages are stored, want %d", n, events)
	}

	// Revoked while it is connected.
	replace(t, yaml, strings.Replace(rest, "speed: 60", "speed: 1", 1))
	if err := os.RemoveAll(filepath.Join(dir, "device")); err != nil {
		t.Fatal(err)
	}
	again := start(t, "perron-gateway", "run", "--config", yaml, "--log-format", "json")
	again.waitLog("connected to the broker", nil)
	said := cli("revoke", "yard", "yard-1")
	revoked := time.Now()
	s.waitLog("a gateway is cut off: its credential was revoked or replaced", nil)
	again.waitLog("no connection to the broker, trying again", func(l logLine) bool {
		return strings.Contains(l.str("error"), `the broker refuses "yard/yard-1"`)
	})
	t.Logf("cut off %v after it was revoked", time.Since(revoked).Round(100*time.Millisecond))
	s.waitLog("broker refused a client", func(l logLine) bool {
		return strings.HasPrefix(l.str("error"), "it has no credential")
	})
	again.stop()
	s.stop()

	out, code = runCommand(t, "", "perrondrukte", "check-config", config)
	if code != 0 {
		t.Errorf("check-config: %d", code)
	}
	texts := map[string]string{"check-config": out + checked, "revoke": said}
	for _, p := range []*process{s.process, g, impostor, again} {
		texts["the log of "+p.name] += p.text()
	}
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %s", where)
			}
		}
	}
}

// A broker's certificate that has expired keeps gateways away, and both logs
// say so; when it is renewed, the server is not restarted.
func TestExpiredBroker(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(2, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour))
	s := startServer(t, write(t, dir, "server.yaml", secureYAML(dir)), true)
	s.waitLog("", func(l logLine) bool {
		return strings.HasPrefix(l.str("msg"), "the broker's certificate expired on ") && strings.HasSuffix(l.str("msg"), "renew it, the new one is read without a restart")
	})
	yaml := filepath.Join(dir, "gateway.yaml")
	out, code := runCommand(t, "", "perrondrukte", "gateway", "add", "--config", filepath.Join(dir, "server.yaml"), "yard", "yard-1", "--mtls", "--broker", s.broker, "--output", yaml)
	if code != 0 {
		t.Fatal(out)
	}
	text, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, yaml, strings.Replace(sourceOf.ReplaceAllString(string(text), "source: {driver: simulate}\n"), "/var/lib/perron-gateway", filepath.Join(dir, "device"), 1))
	g := start(t, "perron-gateway", "run", "--config", yaml, "--log-format", "json")
	g.waitLog("no connection to the broker, trying again", func(l logLine) bool {
		return strings.Contains(l.str("error"), "so it has expired, or this clock is wrong")
	})
	s.waitLog("broker refused a client: it does not accept the broker's certificate", nil)
	ca.issue(3, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	g.waitLog("connected to the broker", nil)
	if days := metric(s, `perrondrukte_certificate_days_left\{holder="broker"\}`); days <= 0 || days > 0.05 {
		t.Errorf("%v days left of an hour", days)
	}
	if days := metric(s, `perrondrukte_certificate_days_left\{holder="yard/yard-1"\}`); days < 725 || days > 731 {
		t.Errorf("%v days left of two years", days)
	}
}
