package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/internal/certs"
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
	// certified refuses gateways whose credential has no certificate.
	certified bool
	logger    *slog.Logger

	mu sync.Mutex
	// used is what each gateway last came in with, as a hash.
	used map[store.GatewayID][sha256.Size]byte
}

// Reasons of a refusal, for the broker's log.
var (
	errNoCredential   = errors.New("it has no credential: it was never issued one, or it was revoked")
	errWrongPassword  = errors.New("the password is wrong, or was replaced")
	errNoCertificate  = errors.New("it does not show the client certificate that belongs to its credential")
	errNoName         = errors.New("the user name is not SITE/GATEWAY")
	errNotCertified   = errors.New("its credential has no client certificate, which require_client_certificates asks for: issue another with gateway rotate --mtls")
	errNotLookedUp    = errors.New("the credential cannot be looked up")
	errServiceRefused = errors.New("the password of the service is wrong")
)

// Authenticate implements embedded.Credentials.
func (c *credentials) Authenticate(l embedded.Login) (embedded.Principal, error) {
	hash := sha256.Sum256([]byte(l.Password))
	if l.Username == serviceUser || strings.HasPrefix(l.Username, servicePrefix) {
		if subtle.ConstantTimeCompare(hash[:], c.service[:]) != 1 {
			return embedded.Principal{}, errServiceRefused
		}
		return embedded.Principal{Service: true}, nil
	}
	site, gateway, ok := strings.Cut(l.Username, "/")
	if !ok {
		return embedded.Principal{}, errNoName
	}
	if l.Certificate != nil && l.Certificate.Subject.CommonName != l.Username {
		return embedded.Principal{}, fmt.Errorf("it shows the certificate of %q", l.Certificate.Subject.CommonName)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	valid, err := c.accounts.Credentials(ctx, site, gateway)
	if err != nil {
		c.logger.Error("cannot look up a gateway's credential", "site", site, "gateway", gateway, "error", err)
		return embedded.Principal{}, errNotLookedUp
	}
	if len(valid) == 0 {
		return embedded.Principal{}, errNoCredential
	}
	at := slices.IndexFunc(valid, func(v store.Credential) bool { return subtle.ConstantTimeCompare(hash[:], v.Hash) == 1 })
	if at < 0 {
		return embedded.Principal{}, errWrongPassword
	}
	switch want := valid[at].Certificate; {
	case want == nil && c.certified:
		return embedded.Principal{}, errNotCertified
	case want != nil && l.Certificate == nil:
		return embedded.Principal{}, errNoCertificate
	case want != nil:
		if print := certs.Fingerprint(l.Certificate); !bytes.Equal(print[:], want) {
			return embedded.Principal{}, errNoCertificate
		}
	}
	if at < len(valid)-1 { // it is used, so the ones before it end
		if err := c.accounts.UseCredential(ctx, site, gateway, hash[:]); err != nil {
			// They end by themselves, only later.
			c.logger.Error("cannot end a credential that was replaced", "site", site, "gateway", gateway, "error", err)
		} else {
			c.logger.Info("a gateway uses its new credential; the one before has ended", "site", site, "gateway", gateway)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == nil {
		c.used = make(map[store.GatewayID][sha256.Size]byte)
	}
	c.used[store.GatewayID{Site: site, Gateway: gateway}] = hash
	return embedded.Principal{Site: site, Gateway: gateway}, nil
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
		valid, err := c.accounts.Credentials(ctx, id.Site, id.Gateway)
		if err != nil {
			if ctx.Err() == nil {
				c.logger.Error("cannot look up a gateway's credential", "site", id.Site, "gateway", id.Gateway, "error", err)
			}
			return // it says nothing about anybody
		}
		if slices.ContainsFunc(valid, func(v store.Credential) bool { return subtle.ConstantTimeCompare(hash[:], v.Hash) == 1 }) {
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
