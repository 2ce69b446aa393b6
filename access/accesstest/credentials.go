package accesstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/store"
)

func credential(site, gateway, hash string) store.Credential {
	return store.Credential{GatewayID: store.GatewayID{Site: site, Gateway: gateway}, Hash: []byte(hash)}
}

// valid wants these credentials to be valid, like "poort/a:new poort/a:old".
func valid(t *testing.T, a Accounts, want string) {
	t.Helper()
	say := func(all []store.Credential) string {
		var out []string
		for _, c := range all {
			out = append(out, fmt.Sprintf("%s/%s:%s", c.Site, c.Gateway, c.Hash))
		}
		return strings.Join(out, " ")
	}
	all, err := a.Gateways(t.Context())
	if got := say(all); got != want || err != nil {
		t.Errorf("valid are %q, %v; want %q", got, err, want)
	}
	// Asked of each gateway it is the same.
	var each []string
	done := map[store.GatewayID]bool{}
	for _, c := range all {
		if done[c.GatewayID] {
			continue
		}
		done[c.GatewayID] = true
		own, err := a.Credentials(t.Context(), c.Site, c.Gateway)
		ok(t, err)
		each = append(each, say(own))
	}
	if got := strings.Join(each, " "); got != want {
		t.Errorf("asked one by one, valid are %q, want %q", got, want)
	}
}

func testCredentials(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := open(t, o, c)
	valid(t, a, "")
	if own, err := a.Credentials(ctx, "poort", "a"); err != nil || len(own) != 0 {
		t.Errorf("of a gateway without any: %v, %v", own, err)
	}
	is(t, "revoking what was never issued", a.RemoveGateway(ctx, "poort", "a"), store.ErrNotFound)
	ok(t, a.SetCredential(ctx, credential("poort", "b", "other")))
	ok(t, a.SetCredential(ctx, credential("poort", "a", "old")))
	ok(t, a.SetCredential(ctx, credential("haven", "a", "there")))
	ok(t, a.SetCredential(ctx, credential("haven", "b", "too")))
	valid(t, a, "haven/a:there haven/b:too poort/a:old poort/b:other")
	c.at = base.Add(time.Minute)
	ok(t, a.SetCredential(ctx, credential("poort", "a", "new")))
	valid(t, a, "haven/a:there haven/b:too poort/a:new poort/b:other")
	own, err := a.Credentials(ctx, "poort", "a")
	ok(t, err)
	want := credential("poort", "a", "new")
	want.Created = c.at
	if d := cmp.Diff([]store.Credential{want}, own); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	ok(t, a.RemoveGateway(ctx, "poort", "a"))
	valid(t, a, "haven/a:there haven/b:too poort/b:other")
	is(t, "revoking twice", a.RemoveGateway(ctx, "poort", "a"), store.ErrNotFound)
	// The next one begins anew.
	ok(t, a.SetCredential(ctx, credential("poort", "a", "again")))
	valid(t, a, "haven/a:there haven/b:too poort/a:again poort/b:other")

	// One may have an end from the start. With none that is valid there is nothing
	// to rotate.
	short := credential("poort", "d", "short")
	short.Until = c.at.Add(time.Hour)
	ok(t, a.SetCredential(ctx, short))
	own, err = a.Credentials(ctx, "poort", "d")
	ok(t, err)
	short.Created = c.at
	if d := cmp.Diff([]store.Credential{short}, own); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	c.at = short.Until
	valid(t, a, "haven/a:there haven/b:too poort/a:again poort/b:other")
	is(t, "rotating what has ended", a.RotateCredential(ctx, credential("poort", "d", "next"), c.at.Add(time.Hour)), store.ErrNotFound)
	valid(t, a, "haven/a:there haven/b:too poort/a:again poort/b:other")
}

// Two are valid at once until the new one was used, or until the time is over.
func testRotation(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := open(t, o, c)
	later := func(d time.Duration) time.Time { return c.at.Add(d) }
	is(t, "rotating what is not there", a.RotateCredential(ctx, credential("poort", "a", "x"), later(time.Hour)), store.ErrNotFound)
	valid(t, a, "")
	ok(t, a.SetCredential(ctx, credential("haven", "a", "there")))
	ok(t, a.SetCredential(ctx, credential("poort", "b", "other")))
	ok(t, a.SetCredential(ctx, credential("poort", "a", "1")))
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "2"), later(time.Hour)))
	valid(t, a, "haven/a:there poort/a:2 poort/a:1 poort/b:other")
	if own, err := a.Credentials(ctx, "poort", "a"); err != nil || !own[0].Until.IsZero() || !own[1].Until.Equal(later(time.Hour)) {
		t.Errorf("they end at %v and %v, %v", own[0].Until, own[1].Until, err)
	}
	ok(t, a.UseCredential(ctx, "poort", "a", []byte("1")))
	ok(t, a.UseCredential(ctx, "poort", "a", []byte("of nobody")))
	valid(t, a, "haven/a:there poort/a:2 poort/a:1 poort/b:other")
	ok(t, a.UseCredential(ctx, "poort", "a", []byte("2")))
	valid(t, a, "haven/a:there poort/a:2 poort/b:other")

	// A later rotation gives the first one no more time.
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "3"), later(time.Hour)))
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "4"), later(2*time.Hour)))
	valid(t, a, "haven/a:there poort/a:4 poort/a:3 poort/a:2 poort/b:other")
	c.at = later(time.Hour)
	valid(t, a, "haven/a:there poort/a:4 poort/a:3 poort/b:other")
	c.at = later(time.Hour)
	valid(t, a, "haven/a:there poort/a:4 poort/b:other")

	// Setting one ends those that overlap, and so does revoking.
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "5"), later(time.Hour)))
	ok(t, a.SetCredential(ctx, credential("poort", "a", "6")))
	valid(t, a, "haven/a:there poort/a:6 poort/b:other")
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "7"), later(time.Hour)))
	ok(t, a.RemoveGateway(ctx, "poort", "a"))
	valid(t, a, "haven/a:there poort/b:other")
	is(t, "rotating what was revoked", a.RotateCredential(ctx, credential("poort", "a", "8"), later(time.Hour)), store.ErrNotFound)
	valid(t, a, "haven/a:there poort/b:other")
}

// Which credential is the newer one does not hang on the clock.
func testClockSetBack(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := open(t, o, c)
	ok(t, a.SetCredential(ctx, credential("poort", "a", "1")))
	c.at = base.Add(-time.Minute)
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "2"), base.Add(time.Hour)))
	valid(t, a, "poort/a:2 poort/a:1")
	ok(t, a.UseCredential(ctx, "poort", "a", []byte("1")))
	valid(t, a, "poort/a:2 poort/a:1")
	ok(t, a.UseCredential(ctx, "poort", "a", []byte("2")))
	valid(t, a, "poort/a:2")
}

func testCertificates(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := open(t, o, c)
	plain, certified := credential("poort", "a", "1"), credential("poort", "a", "2")
	certified.Certificate, certified.CertificateEnds = []byte("\x00print\xff"), base.Add(48*time.Hour+time.Nanosecond)
	ok(t, a.SetCredential(ctx, plain))
	ok(t, a.RotateCredential(ctx, certified, base.Add(time.Hour)))
	own, err := a.Credentials(ctx, "poort", "a")
	ok(t, err)
	plain.Until = base.Add(time.Hour)
	for i := range own {
		own[i].Created = time.Time{}
	}
	if d := cmp.Diff([]store.Credential{certified, plain}, own); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Rotations at once come one after the other: all are valid, and using the
// newest ends all others.
func testCredentialsConcurrently(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a, b := open(t, o, c), open(t, o, c) // as two processes
	ok(t, a.SetCredential(ctx, credential("poort", "a", "0")))
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			by := a
			if i%2 == 1 {
				by = b
			}
			if err := by.RotateCredential(ctx, credential("poort", "a", fmt.Sprint(i+1)), base.Add(time.Hour)); err != nil {
				t.Errorf("rotation %d: %v", i, err)
			}
			if err := by.SetCredential(ctx, credential("poort", fmt.Sprint("g-", i), "x")); err != nil {
				t.Errorf("gateway %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	own, err := b.Credentials(ctx, "poort", "a")
	ok(t, err)
	if len(own) != n+1 {
		t.Fatalf("%d credentials, want %d", len(own), n+1)
	}
	for i := range own[1:] {
		if !own[i].Created.After(own[i+1].Created) || own[i+1].Until.IsZero() {
			t.Errorf("credential %d was made at %v, the one before at %v until %v", i, own[i].Created, own[i+1].Created, own[i+1].Until)
		}
	}
	ok(t, a.UseCredential(ctx, "poort", "a", own[0].Hash))
	if left, err := b.Credentials(ctx, "poort", "a"); err != nil || len(left) != 1 || string(left[0].Hash) != string(own[0].Hash) {
		t.Errorf("%v, %v are left", left, err)
	}
	if all, err := a.Gateways(ctx); err != nil || len(all) != n+1 {
		t.Errorf("%d credentials of all gateways, %v; want %d", len(all), err, n+1)
	}
}

// What is written is there when the backend is opened again.
func testReopen(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := o(t, c.now)
	ok(t, a.AddUser(ctx, "anna", "$hash", "staff"))
	ok(t, a.AddUser(ctx, "bob", "$hash", "staff"))
	ok(t, a.RemoveUser(ctx, "bob"))
	ok(t, a.Sessions().CommitCtx(ctx, "token", []byte("data"), base.Add(time.Hour)))
	ok(t, a.SetCredential(ctx, credential("poort", "a", "1")))
	ok(t, a.RotateCredential(ctx, credential("poort", "a", "2"), base.Add(time.Hour)))
	ok(t, a.Close())

	a = open(t, o, c)
	ok(t, a.Ping(ctx))
	sameUsers(t, a, []store.User{{Name: "anna", Hash: "$hash", Role: "staff", Created: base}})
	if data, found, err := a.Sessions().FindCtx(ctx, "token"); string(data) != "data" || !found || err != nil {
		t.Errorf("the session: %q, %v, %v", data, found, err)
	}
	valid(t, a, "poort/a:2 poort/a:1")
}

// What one process writes counts for another at once.
func testTwoProcesses(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	server, command := open(t, o, c), open(t, o, c)
	valid(t, server, "")
	ok(t, command.SetCredential(ctx, credential("poort", "a", "1")))
	valid(t, server, "poort/a:1")
	ok(t, command.RotateCredential(ctx, credential("poort", "a", "2"), base.Add(time.Hour)))
	ok(t, server.UseCredential(ctx, "poort", "a", []byte("2")))
	valid(t, command, "poort/a:2")
	ok(t, command.RemoveGateway(ctx, "poort", "a"))
	valid(t, server, "")
	ok(t, command.AddUser(ctx, "anna", "$hash", "staff"))
	sameUsers(t, server, []store.User{{Name: "anna", Hash: "$hash", Role: "staff", Created: base}})
}

// each calls everything that takes a context.
func each(ctx context.Context, a Accounts) map[string]error {
	_, _, user := a.User(ctx, "anna")
	_, users := a.Users(ctx)
	_, _, find := a.Sessions().FindCtx(ctx, "token")
	_, own := a.Credentials(ctx, "poort", "a")
	_, all := a.Gateways(ctx)
	return map[string]error{
		"AddUser": a.AddUser(ctx, "bob", "$hash", "staff"), "SetPassword": a.SetPassword(ctx, "anna", "$next"), "RemoveUser": a.RemoveUser(ctx, "anna"),
		"User": user, "Users": users,
		"FindCtx": find, "CommitCtx": a.Sessions().CommitCtx(ctx, "token", nil, base.Add(time.Hour)), "DeleteCtx": a.Sessions().DeleteCtx(ctx, "token"),
		"SetCredential": a.SetCredential(ctx, credential("poort", "a", "2")), "RotateCredential": a.RotateCredential(ctx, credential("poort", "a", "3"), base),
		"UseCredential": a.UseCredential(ctx, "poort", "a", []byte("1")), "Credentials": own, "Gateways": all, "RemoveGateway": a.RemoveGateway(ctx, "poort", "a"),
		"Ping": a.Ping(ctx),
	}
}

// With a context that has ended everything is its error, and nothing happens.
func testCanceled(t *testing.T, o Opener) {
	ctx := t.Context()
	a := open(t, o, &clock{base})
	ok(t, a.AddUser(ctx, "anna", "$hash", "staff"))
	ok(t, a.SetCredential(ctx, credential("poort", "a", "1")))
	ok(t, a.Sessions().CommitCtx(ctx, "token", []byte("data"), base.Add(time.Minute)))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, err := range each(ended, a) {
		is(t, name, err, context.Canceled)
	}
	sameUsers(t, a, []store.User{{Name: "anna", Hash: "$hash", Role: "staff", Created: base}})
	valid(t, a, "poort/a:1")
	if data, found, err := a.Sessions().FindCtx(ctx, "token"); string(data) != "data" || !found || err != nil {
		t.Errorf("the session: %q, %v, %v", data, found, err)
	}
}

// A backend that is closed can be asked nothing, and says so.
func testClosed(t *testing.T, o Opener) {
	a := o(t, (&clock{base}).now)
	ok(t, a.Close())
	ok(t, a.Close())
	for name, err := range each(t.Context(), a) {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", name, err, store.ErrUnavailable)
		}
	}
}
