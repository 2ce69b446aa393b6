package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
)

// ServiceUser is the user name of other processes of ours at the embedded
// broker, and ServicePrefix begins that of the roles in this one. No gateway can
// have such a name: site ids are checked against it.
const (
	ServiceUser   = "service"
	ServicePrefix = ServiceUser + "/"
)

// Credentials are those that a Guard judges by.
type Credentials interface {
	// Credentials lists those of a gateway that are valid, newest first.
	Credentials(ctx context.Context, site, gateway string) ([]store.Credential, error)
	// UseCredential ends the credentials of a gateway that are older than the one
	// with the hash.
	UseCredential(ctx context.Context, site, gateway string, hash []byte) error
}

// GuardConfig is what a Guard needs.
type GuardConfig struct {
	Credentials Credentials
	Service     [sha256.Size]byte // hash of the password of our own processes
	// Certified refuses gateways whose credential has no certificate.
	Certified bool
	Logger    *slog.Logger
}

// A Guard says who a client of the broker is, and ends connections whose
// credential was revoked or replaced. It is safe for concurrent use.
type Guard struct {
	credentials Credentials
	service     [sha256.Size]byte
	certified   bool
	logger      *slog.Logger

	mu sync.Mutex
	// used is what each gateway last came in with, as a hash.
	used map[store.GatewayID][sha256.Size]byte
}

// NewGuard makes a Guard.
func NewGuard(c GuardConfig) *Guard {
	return &Guard{
		credentials: c.Credentials, service: c.Service, certified: c.Certified, logger: c.Logger,
		used: make(map[store.GatewayID][sha256.Size]byte),
	}
}

// A Client is who a client of the broker has proved to be: a gateway, or one of
// our own processes.
type Client struct {
	store.GatewayID
	Service bool
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

// Identify says who a client is by its user name, its password and the
// certificate that it has proved to hold, nil without one. Its error is the
// reason of a refusal, for the broker's log.
func (g *Guard) Identify(user, password string, certificate *x509.Certificate) (Client, error) {
	hash := sha256.Sum256([]byte(password))
	if user == ServiceUser || strings.HasPrefix(user, ServicePrefix) {
		if subtle.ConstantTimeCompare(hash[:], g.service[:]) != 1 {
			return Client{}, errServiceRefused
		}
		return Client{Service: true}, nil
	}
	site, gateway, ok := strings.Cut(user, "/")
	if !ok {
		return Client{}, errNoName
	}
	if certificate != nil && certificate.Subject.CommonName != user {
		return Client{}, fmt.Errorf("it shows the certificate of %q", certificate.Subject.CommonName)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	valid, err := g.credentials.Credentials(ctx, site, gateway)
	if err != nil {
		g.logger.Error("cannot look up a gateway's credential", logs.Site, site, logs.Gateway, gateway, logs.Error, err)
		return Client{}, errNotLookedUp
	}
	if len(valid) == 0 {
		return Client{}, errNoCredential
	}
	at := slices.IndexFunc(valid, func(v store.Credential) bool { return subtle.ConstantTimeCompare(hash[:], v.Hash) == 1 })
	if at < 0 {
		return Client{}, errWrongPassword
	}
	switch want := valid[at].Certificate; {
	case want == nil && g.certified:
		return Client{}, errNotCertified
	case want != nil && certificate == nil:
		return Client{}, errNoCertificate
	case want != nil:
		if print := certs.Fingerprint(certificate); !bytes.Equal(print[:], want) {
			return Client{}, errNoCertificate
		}
	}
	if at < len(valid)-1 { // it is used, so the ones before it end
		if err := g.credentials.UseCredential(ctx, site, gateway, hash[:]); err != nil {
			// They end by themselves, only later.
			g.logger.Error("cannot end a credential that was replaced", logs.Site, site, logs.Gateway, gateway, logs.Error, err)
		} else {
			g.logger.Info("a gateway uses its new credential; the one before has ended", logs.Site, site, logs.Gateway, gateway)
		}
	}
	id := store.GatewayID{Site: site, Gateway: gateway}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used[id] = hash
	return Client{GatewayID: id}, nil
}

// CutEvery is how long a connection may outlive its credential. Credentials are
// revoked by another process, so the file is asked.
const CutEvery = 10 * time.Second

// Watch ends connections whose credential was revoked or replaced, until ctx
// ends.
func (g *Guard) Watch(disconnect func(site, gateway string)) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(CutEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				g.cut(ctx, disconnect)
			}
		}
	}
}

func (g *Guard) cut(ctx context.Context, disconnect func(site, gateway string)) {
	ctx, cancel := context.WithTimeout(ctx, CutEvery)
	defer cancel()
	g.mu.Lock()
	used := maps.Clone(g.used)
	g.mu.Unlock()
	for id, hash := range used {
		valid, err := g.credentials.Credentials(ctx, id.Site, id.Gateway)
		if err != nil {
			if ctx.Err() == nil {
				g.logger.Error("cannot look up a gateway's credential", logs.Site, id.Site, logs.Gateway, id.Gateway, logs.Error, err)
			}
			return // it says nothing about anybody
		}
		if slices.ContainsFunc(valid, func(v store.Credential) bool { return subtle.ConstantTimeCompare(hash[:], v.Hash) == 1 }) {
			continue
		}
		g.mu.Lock()
		same := g.used[id] == hash // else it has come in with a new one meanwhile
		if same {
			delete(g.used, id)
		}
		g.mu.Unlock()
		if same {
			g.logger.Warn("a gateway is cut off: its credential was revoked or replaced", logs.Site, id.Site, logs.Gateway, id.Gateway)
			disconnect(id.Site, id.Gateway)
		}
	}
}
