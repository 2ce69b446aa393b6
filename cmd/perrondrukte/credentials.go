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
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// servicePrefix begins the user names of our own processes at the embedded
// broker. No gateway can have such a name: site ids are checked against it.
const servicePrefix = "service/"

// credentials answers the embedded broker from the accounts file.
type credentials struct {
	accounts *sqlite.Accounts
	service  [sha256.Size]byte // hash of the password of our own processes
	logger   *slog.Logger
}

// Authenticate implements embedded.Credentials.
func (c *credentials) Authenticate(username, password string) (embedded.Principal, bool) {
	hash := sha256.Sum256([]byte(password))
	if strings.HasPrefix(username, servicePrefix) {
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
	return embedded.Principal{Site: site, Gateway: gateway}, subtle.ConstantTimeCompare(hash[:], want) == 1
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
