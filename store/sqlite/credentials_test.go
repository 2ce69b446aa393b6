package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

func TestCredentials(t *testing.T) {
	ctx := t.Context()
	a, err := OpenAccounts(ctx, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	now := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	a.now = func() time.Time { return now }
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	credential := func(gateway, hash string) store.Credential {
		return store.Credential{GatewayID: store.GatewayID{Site: "poort", Gateway: gateway}, Hash: []byte(hash)}
	}
	valid := func(want string) {
		t.Helper()
		all, err := a.Gateways(ctx)
		ok(err)
		var got []string
		for _, c := range all {
			got = append(got, fmt.Sprintf("%s:%s", c.Gateway, c.Hash))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("valid are %s, want %s", s, want)
		}
	}

	if err := a.RotateCredential(ctx, credential("a", "x"), now.Add(time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nothing to rotate: %v", err)
	}
	ok(a.SetCredential(ctx, credential("a", "old")))
	ok(a.SetCredential(ctx, credential("a", "1")))
	ok(a.SetCredential(ctx, credential("b", "other")))
	valid("a:1 b:other")

	// Both are valid until the new one was used, whatever the clock says.
	now = now.Add(-time.Minute)
	second := credential("a", "2")
	second.Certificate, second.CertificateEnds = []byte("print"), now.Add(48*time.Hour)
	ok(a.RotateCredential(ctx, second, now.Add(time.Hour)))
	valid("a:2 a:1 b:other")
	ok(a.UseCredential(ctx, "poort", "a", []byte("1")))
	valid("a:2 a:1 b:other")
	ok(a.UseCredential(ctx, "poort", "a", []byte("2")))
	valid("a:2 b:other")
	list, err := a.Credentials(ctx, "poort", "a")
	if err != nil || len(list) != 1 || string(list[0].Certificate) != "print" || !list[0].CertificateEnds.Equal(second.CertificateEnds) || !list[0].Until.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}

	// Or until the time is over; a later rotation gives no more of it.
	ok(a.RotateCredential(ctx, credential("a", "3"), now.Add(time.Hour)))
	ok(a.RotateCredential(ctx, credential("a", "4"), now.Add(2*time.Hour)))
	valid("a:4 a:3 a:2 b:other")
	now = now.Add(time.Hour)
	valid("a:4 a:3 b:other")
	now = now.Add(time.Hour)
	valid("a:4 b:other")

	ok(a.RemoveGateway(ctx, "poort", "a"))
	if err := a.RemoveGateway(ctx, "poort", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	valid("b:other")
	if list, err := a.Credentials(ctx, "poort", "a"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// A file from before credentials could be rotated keeps them.
func TestCredentials_ofAnOlderFile(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "accounts.db")
	a, err := OpenAccounts(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"DROP TABLE credentials", "DELETE FROM goose_accounts WHERE version_id > 1",
		"CREATE TABLE credential (site TEXT NOT NULL, gateway TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (site, gateway)) WITHOUT ROWID",
		"INSERT INTO credential VALUES ('poort', 'a', 'hash')",
	} {
		if _, err := a.exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = OpenAccounts(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if list, err := a.Credentials(ctx, "poort", "a"); err != nil || len(list) != 1 || string(list[0].Hash) != "hash" {
		t.Errorf("%+v, %v", list, err)
	}
}
