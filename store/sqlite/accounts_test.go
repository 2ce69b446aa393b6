package sqlite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/perrondrukte/perrondrukte/access/accesstest"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

var _ scs.CtxStore = (*Sessions)(nil)

func TestAccounts(t *testing.T) {
	accesstest.Run(t, func(t *testing.T) accesstest.Opener {
		path := filepath.Join(t.TempDir(), "accounts.db")
		return func(t *testing.T, now func() time.Time) accesstest.Accounts {
			t.Helper()
			a, err := OpenAccounts(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			a.now = now
			return a
		}
	})
}

// Nobody but the owner can read the files.
func TestAccounts_private(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.db")
	a, err := OpenAccounts(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, name := range []string{path, path + "-wal"} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", name, fi.Mode(), err)
		}
	}
}

// Sessions that have ended do not stay on disk.
func TestSessions_endOnDisk(t *testing.T) {
	ctx := t.Context()
	a, err := OpenAccounts(ctx, filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	now := time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)
	a.now = func() time.Time { return now }
	for i, token := range []string{"t1", "t2"} {
		if err := a.Sessions().CommitCtx(ctx, token, []byte("data"), now.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Hour)
	if err := a.Sessions().CommitCtx(ctx, "t3", nil, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := a.reader.QueryRow("SELECT count(*) FROM session").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d sessions on disk, %v; want 2, without the one that has ended", rows, err)
	}
}

// TestOneFile has store and accounts share a file and write at once.
func TestOneFile(t *testing.T) {
	ctx := t.Context()
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
