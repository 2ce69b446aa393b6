package main

import (
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// Who is let in with which password and certificate.
func TestCredentials_certificates(t *testing.T) {
	dir := t.TempDir()
	accounts, err := sqlite.OpenAccounts(t.Context(), filepath.Join(dir, "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer accounts.Close()
	issue := func(name string, mtls bool) issued {
		t.Helper()
		authority := ""
		if mtls {
			authority = filepath.Join(dir, "ca")
		}
		i, err := newCredential("poort", name, authority, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	plain, first, second, other := issue("plain", false), issue("a", true), issue("a", true), issue("b", true)
	for _, i := range []issued{plain, first, other} {
		if err := accounts.SetCredential(t.Context(), i.Credential); err != nil {
			t.Fatal(err)
		}
	}
	creds := &credentials{accounts: accounts, logger: slog.New(slog.DiscardHandler)}
	try := func(user, secret string, cert *x509.Certificate, want string) {
		t.Helper()
		_, err := creds.Authenticate(embedded.Login{Username: user, Password: secret, Certificate: cert})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", user, err, want)
		}
	}
	try("poort/plain", plain.secret, nil, "")
	try("poort/plain", plain.secret, other.pair.Leaf, `it shows the certificate of "poort/b"`)
	try("poort/a", first.secret, first.pair.Leaf, "")
	try("poort/a", first.secret, nil, "does not show the client certificate")
	try("poort/a", first.secret, second.pair.Leaf, "does not show the client certificate") // of its name, but another
	try("poort/a", other.secret, first.pair.Leaf, "password is wrong")
	try("poort/none", plain.secret, nil, "has no credential")
	try("poort", plain.secret, nil, "not SITE/GATEWAY")

	if err := accounts.RotateCredential(t.Context(), second.Credential, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	try("poort/a", first.secret, first.pair.Leaf, "")
	try("poort/a", first.secret, second.pair.Leaf, "does not show the client certificate") // half of each
	try("poort/a", second.secret, second.pair.Leaf, "")
	try("poort/a", first.secret, first.pair.Leaf, "password is wrong, or was replaced")

	creds.certified = true
	try("poort/plain", plain.secret, nil, "which require_client_certificates asks for")
	try("poort/a", second.secret, second.pair.Leaf, "")
}

// With several gateways somebody has to say what is wired to which.
func TestWired(t *testing.T) {
	cfg, err := config.ParseServer([]byte(`
data_dir: d
sites:
  - {id: a, name: A, bays: 1, gateways: [g1, g2], gates: [{id: in, sensors: [in-1, in-2]}, {id: out, sensors: [out-1]}], queue_loops: [{sensor: queue-2, distance: 2}]}
  - {id: b, name: B, bays: 1, gateways: [g1], gates: [{id: in, sensors: [in-1]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		site           string
		sensors, gates []string
		want, fault    string
	}{
		{"a", nil, nil, "", "its sensors are in-1,in-2,out-1,queue-2, and its gates in,out"},
		{"a", []string{"queue-2", "in-2"}, nil, "in-2 queue-2", ""},
		{"a", []string{"queue-2"}, []string{"in"}, "in-1 in-2 queue-2", ""},
		{"a", []string{"in-3"}, nil, "", `no sensor "in-3"`},
		{"a", nil, []string{"side"}, "", `no gate "side"`},
		{"b", nil, nil, "in-1", ""},
	} {
		got, err := wired(cfg, cfg.Site(c.site), c.sensors, c.gates, false)
		if s := strings.Join(got, " "); s != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%v: %q, %v", c, s, err)
		}
	}
}
