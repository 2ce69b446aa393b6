// Package accesstest is what every backend must do that keeps accounts, sessions
// and credentials of gateways, as tests. A backend runs it from its own tests:
//
//	accesstest.Run(t, func(t *testing.T) accesstest.Opener { … })
package accesstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

// Accounts is everything that a backend does. Consumers declare the part that
// they need; this is the whole.
//
// What returns nil is durable; what returns an error has not happened. Names are
// taken as they are: case counts. Errors wrap [store.ErrUnavailable] or
// [store.ErrFull] when trying again can help, and the context's error when it
// has ended. All of it is safe for concurrent use, also by several processes.
type Accounts interface {
	// AddUser is store.ErrExists when the name is taken, and then changes nothing.
	AddUser(ctx context.Context, name, hash, role string) error
	// SetPassword leaves the role as it is. It is store.ErrNotFound for a name
	// without an account.
	SetPassword(ctx context.Context, name, hash string) error
	// RemoveUser is store.ErrNotFound for a name without an account.
	RemoveUser(ctx context.Context, name string) error
	// User is store.ErrNotFound for a name without an account.
	User(ctx context.Context, name string) (hash, role string, err error)
	// Users lists all by name, in the order of its bytes.
	Users(ctx context.Context) ([]store.User, error)

	// Sessions keep the sessions of those who have logged in.
	Sessions() store.Sessions

	// SetCredential gives a gateway a credential, in place of all that it has.
	// Created is set.
	SetCredential(ctx context.Context, c store.Credential) error
	// RotateCredential gives a gateway another credential beside those that it has.
	// They end at the time until, or when the new one is used; none of them gains
	// time by it. Created is set, and later than theirs also where the clock was set
	// back: the newest is the last that was stored. It is store.ErrNotFound for a
	// gateway without a valid one.
	RotateCredential(ctx context.Context, c store.Credential, until time.Time) error
	// UseCredential ends the credentials of a gateway that are older than the one
	// with the hash, whatever the clock has said meanwhile. Without one of that
	// hash it does nothing.
	UseCredential(ctx context.Context, site, gateway string, hash []byte) error
	// Credentials lists those of a gateway that are valid, newest first.
	Credentials(ctx context.Context, site, gateway string) ([]store.Credential, error)
	// Gateways lists all valid credentials by site and gateway, then newest first.
	Gateways(ctx context.Context) ([]store.Credential, error)
	// RemoveGateway takes all credentials of a gateway away. It is
	// store.ErrNotFound for a gateway without any.
	RemoveGateway(ctx context.Context, site, gateway string) error

	Ping(ctx context.Context) error
	Close() error
}

// An Opener opens one and the same backend again and again, also while it is
// open, as another process does; the first time it is empty. now is its clock.
type Opener func(t *testing.T, now func() time.Time) Accounts

// Run runs the suite. fresh makes an empty backend.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"Users", testUsers},
		{"NamesAreTakenAsTheyAre", testNames},
		{"UsersConcurrently", testUsersConcurrently},
		{"Sessions", testSessions},
		{"SessionsEnd", testSessionsEnd},
		{"Credentials", testCredentials},
		{"Rotation", testRotation},
		{"RotationWithClockSetBack", testClockSetBack},
		{"Certificates", testCertificates},
		{"CredentialsConcurrently", testCredentialsConcurrently},
		{"Reopen", testReopen},
		{"TwoProcesses", testTwoProcesses},
		{"Canceled", testCanceled},
		{"Closed", testClosed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, fresh(t)) })
	}
}

// base is when the clock of a test begins, unless it says otherwise.
var base = time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)

// A clock is one that a test sets. It is not to be set while others read it.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// open opens the backend and closes it at the end of the test.
func open(t *testing.T, o Opener, c *clock) Accounts {
	t.Helper()
	a := o(t, c.now)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

// ok wants no error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is wants an error that wraps target.
func is(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}
