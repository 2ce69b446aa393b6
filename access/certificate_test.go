package access

import (
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// Who is let in with which password and certificate.
func TestIdentify_certificates(t *testing.T) {
	dir := t.TempDir()
	accounts, err := sqlite.OpenAccounts(t.Context(), filepath.Join(dir, "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer accounts.Close()
	issue := func(name string, mtls bool) Issued {
		t.Helper()
		authority := ""
		if mtls {
			authority = filepath.Join(dir, "ca")
		}
		i, err := NewCredential("poort", name, authority, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	plain, first, second, other := issue("plain", false), issue("a", true), issue("a", true), issue("b", true)
	for _, i := range []Issued{plain, first, other} {
		if err := accounts.SetCredential(t.Context(), i.Credential); err != nil {
			t.Fatal(err)
		}
	}
	config := GuardConfig{Credentials: accounts, Logger: slog.New(slog.DiscardHandler)}
	guard := NewGuard(config)
	try := func(user, secret string, cert *x509.Certificate, want string) {
		t.Helper()
		_, err := guard.Identify(user, secret, cert)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", user, err, want)
		}
	}
	try("poort/plain", plain.Secret, nil, "")
	try("poort/plain", plain.Secret, other.Pair.Leaf, `it shows the certificate of "poort/b"`)
	try("poort/a", first.Secret, first.Pair.Leaf, "")
	try("poort/a", first.Secret, nil, "does not show the client certificate")
	try("poort/a", first.Secret, second.Pair.Leaf, "does not show the client certificate") // of its name, but another
	try("poort/a", other.Secret, first.Pair.Leaf, "password is wrong")
	try("poort/none", plain.Secret, nil, "has no credential")
	try("poort", plain.Secret, nil, "not SITE/GATEWAY")

	if err := accounts.RotateCredential(t.Context(), second.Credential, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	try("poort/a", first.Secret, first.Pair.Leaf, "")
	try("poort/a", first.Secret, second.Pair.Leaf, "does not show the client certificate") // half of each
	try("poort/a", second.Secret, second.Pair.Leaf, "")
	try("poort/a", first.Secret, first.Pair.Leaf, "password is wrong, or was replaced")

	config.Certified = true
	guard = NewGuard(config)
	try("poort/plain", plain.Secret, nil, "which require_client_certificates asks for")
	try("poort/a", second.Secret, second.Pair.Leaf, "")
}
