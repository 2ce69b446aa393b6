package access

import (
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

func openAccounts(t *testing.T) *sqlite.Accounts {
	t.Helper()
	accounts, err := sqlite.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := accounts.Close(); err != nil {
			t.Error(err)
		}
	})
	return accounts
}

// A credential that is revoked or replaced while a gateway is connected ends the
// connection that stands on it, and no other.
func TestGuard_cutsOffWhatIsRevoked(t *testing.T) {
	ctx := t.Context()
	accounts := openAccounts(t)
	own, hash := NewSecret()
	g := NewGuard(GuardConfig{Credentials: accounts, Service: hash, Logger: slog.New(slog.DiscardHandler)})
	issue := func(name string) string {
		t.Helper()
		secret, err := Issue(ctx, accounts, "poort", name)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	connect := func(user, secret string, want Client) {
		t.Helper()
		if got, err := g.Identify(user, secret, nil); err != nil || got != want {
			t.Fatalf("%s: %+v, %v", user, got, err)
		}
	}
	cut := func() (off []string) {
		g.cut(ctx, func(site, gateway string) { off = append(off, site+"/"+gateway) })
		slices.Sort(off)
		return off
	}
	for _, name := range []string{"revoked", "replaced", "kept"} {
		connect("poort/"+name, issue(name), Client{GatewayID: store.GatewayID{Site: "poort", Gateway: name}})
	}
	connect(ServicePrefix+"collector", own, Client{Service: true})
	if off := cut(); len(off) != 0 {
		t.Errorf("cut off with a good credential: %v", off)
	}
	if err := accounts.RemoveGateway(ctx, "poort", "revoked"); err != nil {
		t.Fatal(err)
	}
	next := issue("replaced")
	if off := cut(); !slices.Equal(off, []string{"poort/replaced", "poort/revoked"}) {
		t.Errorf("cut off: %v", off)
	}
	if off := cut(); len(off) != 0 {
		t.Errorf("cut off again: %v", off)
	}
	connect("poort/replaced", next, Client{GatewayID: store.GatewayID{Site: "poort", Gateway: "replaced"}})
	if off := cut(); len(off) != 0 {
		t.Errorf("cut off with the new credential: %v", off)
	}
}

// Accounts that cannot be read say nothing about anybody.
func TestGuard_unreadableCutsNobody(t *testing.T) {
	accounts := openAccounts(t)
	g := NewGuard(GuardConfig{Credentials: accounts, Service: [sha256.Size]byte{}, Logger: slog.New(slog.DiscardHandler)})
	secret, err := Issue(t.Context(), accounts, "poort", "gate")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Identify("poort/gate", secret, nil); err != nil {
		t.Fatal(err)
	}
	if err := accounts.Close(); err != nil {
		t.Fatal(err)
	}
	g.cut(t.Context(), func(site, gateway string) { t.Errorf("%s/%s is cut off", site, gateway) })
}

// Our own processes come in with the password of the service and no other.
func TestGuard_service(t *testing.T) {
	own, hash := NewSecret()
	g := NewGuard(GuardConfig{Credentials: openAccounts(t), Service: hash, Logger: slog.New(slog.DiscardHandler)})
	for _, user := range []string{ServiceUser, ServicePrefix + "api"} {
		if c, err := g.Identify(user, own, nil); err != nil || !c.Service {
			t.Errorf("%s: %+v, %v", user, c, err)
		}
		if c, err := g.Identify(user, own+"x", nil); err == nil {
			t.Errorf("%s comes in with a wrong password as %+v", user, c)
		}
	}
}
