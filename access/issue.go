package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/store"
)

// NewSecret makes a password of 256 random bits and its hash. A secret with so
// much entropy needs no slow hash.
func NewSecret() (secret string, hash [sha256.Size]byte) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, sha256.Sum256([]byte(secret))
}

// An Issued credential is shown once and not kept: only its hashes are stored.
type Issued struct {
	store.Credential
	Secret string
	Pair   certs.Pair // empty without a certificate
}

// NewCredential makes a password and, with the folder of an authority, a
// certificate. It stores neither.
func NewCredential(site, gateway, authority string, now time.Time) (Issued, error) {
	secret, hash := NewSecret()
	i := Issued{Credential: store.Credential{GatewayID: store.GatewayID{Site: site, Gateway: gateway}, Hash: hash[:]}, Secret: secret}
	if authority == "" {
		return i, nil
	}
	a, err := certs.OpenAuthority(authority, now)
	if err != nil {
		return Issued{}, err
	}
	if i.Pair, err = a.Issue(site+"/"+gateway, now); err != nil {
		return Issued{}, err
	}
	print := certs.Fingerprint(i.Pair.Leaf)
	i.Certificate, i.CertificateEnds = print[:], i.Pair.Leaf.NotAfter
	return i, nil
}

// CredentialSetter stores a credential in place of all that its gateway has.
type CredentialSetter interface {
	SetCredential(ctx context.Context, c store.Credential) error
}

// Issue stores a new credential without a certificate and returns its password.
func Issue(ctx context.Context, s CredentialSetter, site, gateway string) (secret string, err error) {
	i, err := NewCredential(site, gateway, "", time.Now())
	if err != nil {
		return "", err
	}
	return i.Secret, s.SetCredential(ctx, i.Credential)
}
