package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

var (
	_ scs.CtxStore         = (*Sessions)(nil)
	_ scs.IterableCtxStore = (*Sessions)(nil)
)

func TestAccounts(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "accounts.db")
	a, err := OpenAccounts(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	a.now = func() time.Time { return now }
	want := func(err, target error) {
		t.Helper()
		if !errors.Is(err, target) {
			t.Errorf("error %v, want %v", err, target)
		}
	}
	for _, name := range []string{path, path + "-wal"} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", name, fi.Mode(), err)
		}
	}

	want(a.AddUser(ctx, "bob", "$hash1", "planner"), nil)
	want(a.AddUser(ctx, "anna", "$hash2", "staff"), nil)
	want(a.AddUser(ctx, "anna", "$hash3", "admin"), store.ErrExists)
	want(a.SetPassword(ctx, "anna", "$hash4"), nil)
	want(a.SetPassword(ctx, "carl", "$hash4"), store.ErrNotFound)
	_, _, err = a.User(ctx, "carl")
	want(err, store.ErrNotFound)
	hash, role, err := a.User(ctx, "anna")
	if err != nil || hash != "$hash4" || role != "staff" {
		t.Errorf("anna: %q, %q, %v", hash, role, err)
	}
	users, err := a.Users(ctx)
	if d := cmp.Diff([]store.User{{Name: "anna", Hash: "$hash4", Role: "staff", Created: now}, {Name: "bob", Hash: "$hash1", Role: "planner", Created: now}}, users); d != "" || err != nil {
		t.Errorf("users: %v\n%s", err, d)
	}
	want(a.RemoveUser(ctx, "bob"), nil)
	want(a.RemoveUser(ctx, "bob"), store.ErrNotFound)

	s := a.Sessions()
	want(s.CommitCtx(ctx, "t1", []byte("one"), now.Add(time.Hour)), nil)
	want(s.CommitCtx(ctx, "t2", []byte("two"), now.Add(2*time.Hour)), nil)
	want(s.CommitCtx(ctx, "t1", []byte("uno"), now.Add(time.Hour)), nil)
	if d, ok, err := s.FindCtx(ctx, "t1"); !ok || err != nil || string(d) != "uno" {
		t.Errorf("session: %q, %v, %v", d, ok, err)
	}
	now = now.Add(time.Hour)
	if _, ok, err := s.FindCtx(ctx, "t1"); ok || err != nil {
		t.Errorf("expired session: %v, %v", ok, err)
	}
	all, err := s.AllCtx(ctx)
	if d := cmp.Diff(map[string][]byte{"t2": []byte("two")}, all); d != "" || err != nil {
		t.Errorf("sessions: %v\n%s", err, d)
	}
	want(s.CommitCtx(ctx, "t3", nil, now.Add(time.Hour)), nil)
	var rows int
	if err := a.reader.QueryRow("SELECT count(*) FROM session").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d sessions on disk, %v; want 2, without the expired one", rows, err)
	}
	want(s.DeleteCtx(ctx, "t2"), nil)
	want(s.DeleteCtx(ctx, "t2"), nil)

	want(a.Close(), nil)
	if a, err = OpenAccounts(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, _, err := a.User(ctx, "anna"); err != nil {
		t.Error(err)
	}
}

// TestOneFile has store and accounts share a file and write at once.
func TestOneFile(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "both.db")
	s, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := OpenAccounts(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := a.SetCredential(ctx, store.Credential{GatewayID: store.GatewayID{Site: "poort", Gateway: "gate-1"}, Hash: []byte{byte(i)}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	base := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	for i := range 50 {
		if err := s.SaveSamples(ctx, "poort", []perron.Sample{{Estimate: perron.Estimate{At: base.Add(time.Duration(i) * time.Minute)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := s.Samples(ctx, "poort", base, base.Add(time.Hour)); err != nil || len(got) != 50 {
		t.Errorf("%d samples, %v", len(got), err)
	}
}
