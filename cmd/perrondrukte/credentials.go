package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// serviceUser is the user name of other processes of ours at the embedded
// broker, and servicePrefix begins that of the roles in this one. No gateway can
// have such a name: site ids are checked against it.
const (
	serviceUser   = "service"
	servicePrefix = serviceUser + "/"
)

// credentials answers the embedded broker from the accounts file.
type credentials struct {
	accounts *sqlite.Accounts
	service  [sha256.Size]byte // hash of the password of our own processes
	logger   *slog.Logger

	mu sync.Mutex
	// used is what each gateway last came in with, as a hash.
	used map[store.GatewayID][sha256.Size]byte
}

// Authenticate implements embedded.Credentials.
func (c *credentials) Authenticate(username, password string) (embedded.Principal, bool) {
	hash := sha256.Sum256([]byte(password))
	if username == serviceUser || strings.HasPrefix(username, servicePrefix) {
		return embedded.Principal{Service: true}, subtle.ConstantTimeCompare(hash[:], c.service[:]) == 1
	}
	site, gateway, ok := strings.Cut(username, "/")
	if !ok {
		return embedded.Principal{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	want, err := c.accounts.Gateway(ctx, site, gateway)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			c.logger.Error("cannot look up a gateway's credential", "site", site, "gateway", gateway, "error", err)
		}
		return embedded.Principal{}, false
	}
	if subtle.ConstantTimeCompare(hash[:], want) != 1 {
		return embedded.Principal{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == nil {
		c.used = make(map[store.GatewayID][sha256.Size]byte)
	}
	c.used[store.GatewayID{Site: site, Gateway: gateway}] = hash
	return embedded.Principal{Site: site, Gateway: gateway}, true
}

// cutEvery is how long a connection may outlive its credential. Credentials are
// revoked by another process, so the file is asked.
const cutEvery = 10 * time.Second

// watch ends connections whose credential was revoked or replaced, until ctx
// ends.
func (c *credentials) watch(disconnect func(site, gateway string)) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(cutEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				c.cut(ctx, disconnect)
			}
		}
	}
}

func (c *credentials) cut(ctx context.Context, disconnect func(site, gateway string)) {
	ctx, cancel := context.WithTimeout(ctx, cutEvery)
	defer cancel()
	c.mu.Lock()
	used := maps.Clone(c.used)
	c.mu.Unlock()
	for id, hash := range used {
		want, err := c.accounts.Gateway(ctx, id.Site, id.Gateway)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			if ctx.Err() == nil {
				c.logger.Error("cannot look up a gateway's credential", "site", id.Site, "gateway", id.Gateway, "error", err)
			}
			return // it says nothing about anybody
		case err == nil && subtle.ConstantTimeCompare(hash[:], want) == 1:
			continue
		}
		c.mu.Lock()
		same := c.used[id] == hash // else it has come in with a new one meanwhile
		if same {
			delete(c.used, id)
		}
		c.mu.Unlock()
		if same {
			c.logger.Warn("a gateway is cut off: its credential was revoked or replaced", "site", id.Site, "gateway", id.Gateway)
			disconnect(id.Site, id.Gateway)
		}
	}
}

// newSecret makes a password of 256 random bits and its hash. A secret with so
// much entropy needs no slow hash.
func newSecret() (secret string, hash [sha256.Size]byte) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, sha256.Sum256([]byte(secret))
}

// issueGateway stores a new credential and returns its password.
func issueGateway(ctx context.Context, accounts *sqlite.Accounts, site, gateway string) (string, error) {
	secret, hash := newSecret()
	if err := accounts.SetGateway(ctx, site, gateway, hash[:]); err != nil {
		return "", fmt.Errorf("store the credential of %s/%s: %w", site, gateway, err)
	}
	return secret, nil
}
