package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// A credential that is revoked or replaced while the server runs ends the
// connection that stands on it, and no other.
func TestCredentials_revokedWhileConnected(t *testing.T) {
	accounts, err := sqlite.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer accounts.Close()
	log := slog.New(slog.DiscardHandler)
	own, hash := newSecret()
	creds := &credentials{accounts: accounts, service: hash, logger: log}
	b, err := embedded.New(embedded.Config{Listen: "127.0.0.1:0", Credentials: creds, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	var clients []part
	connect := func(user, secret string) *broker.Client {
		c, err := broker.NewClient(broker.ClientConfig{URL: "tcp://" + b.Addr(), ClientID: user, Username: user, Password: secret, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, part{user, c.Run})
		return c
	}
	gateway := func(name string) *broker.Client {
		secret, err := issueGateway(t.Context(), accounts, "poort", name)
		if err != nil {
			t.Fatal(err)
		}
		return connect("poort/"+name, secret)
	}
	revoked, replaced, kept, service := gateway("revoked"), gateway("replaced"), gateway("kept"), connect("service/collector", own)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- runParts(ctx, append([]part{{"broker", b.Run}}, clients...)) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	until(t, "all are connected", func() bool {
		return revoked.Connected() && replaced.Connected() && kept.Connected() && service.Connected()
	})
	creds.cut(t.Context(), b.Disconnect)
	time.Sleep(50 * time.Millisecond) // time enough to lose a connection wrongly
	if !revoked.Connected() || !replaced.Connected() {
		t.Error("a good credential is cut off")
	}

	if err := accounts.RemoveGateway(t.Context(), "poort", "revoked"); err != nil {
		t.Fatal(err)
	}
	if _, err := issueGateway(t.Context(), accounts, "poort", "replaced"); err != nil {
		t.Fatal(err)
	}
	creds.cut(t.Context(), b.Disconnect)
	until(t, "the old credentials are cut off", func() bool { return !revoked.Connected() && !replaced.Connected() })
	if !kept.Connected() || !service.Connected() {
		t.Error("a good credential is cut off with the others")
	}
	if n := len(creds.used); n != 1 {
		t.Errorf("%d connections are watched, want 1", n)
	}
}

// A file of accounts that cannot be read says nothing about anybody.
func TestCredentials_unreadableCutsNobody(t *testing.T) {
	accounts, err := sqlite.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	creds := &credentials{accounts: accounts, service: [sha256.Size]byte{}, logger: slog.New(slog.DiscardHandler)}
	secret, err := issueGateway(t.Context(), accounts, "poort", "gate")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := creds.Authenticate(embedded.Login{Username: "poort/gate", Password: secret}); err != nil {
		t.Fatal(err)
	}
	if err := accounts.Close(); err != nil {
		t.Fatal(err)
	}
	creds.cut(t.Context(), func(site, gateway string) { t.Errorf("%s/%s is cut off", site, gateway) })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
