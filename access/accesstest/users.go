package accesstest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/store"
)

func testUsers(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a := open(t, o, c)
	if all, err := a.Users(ctx); err != nil || len(all) != 0 {
		t.Errorf("at first there are %v, %v", all, err)
	}
	ok(t, a.AddUser(ctx, "bob", "$hash1", "planner"))
	c.at = base.Add(90 * time.Minute)
	ok(t, a.AddUser(ctx, "anna", "$hash2", "staff"))
	is(t, "a name that is taken", a.AddUser(ctx, "anna", "$hash3", "admin"), store.ErrExists)
	want := []store.User{
		{Name: "anna", Hash: "$hash2", Role: "staff", Created: c.at},
		{Name: "bob", Hash: "$hash1", Role: "planner", Created: base},
	}
	sameUsers(t, a, want)
	ok(t, a.SetPassword(ctx, "anna", "$hash4"))
	want[0].Hash = "$hash4"
	sameUsers(t, a, want)

	_, _, err := a.User(ctx, "carl")
	is(t, "who was never added", err, store.ErrNotFound)
	is(t, "the password of who was never added", a.SetPassword(ctx, "carl", "$hash"), store.ErrNotFound)
	is(t, "removing who was never added", a.RemoveUser(ctx, "carl"), store.ErrNotFound)
	ok(t, a.RemoveUser(ctx, "bob"))
	is(t, "removing again", a.RemoveUser(ctx, "bob"), store.ErrNotFound)
	_, _, err = a.User(ctx, "bob")
	is(t, "who was removed", err, store.ErrNotFound)
	sameUsers(t, a, want[:1])

	// Who comes back does so with the role that is given now.
	ok(t, a.AddUser(ctx, "bob", "$hash1", "admin"))
	if hash, role, err := a.User(ctx, "bob"); err != nil || hash != "$hash1" || role != "admin" {
		t.Errorf("bob again: %q, %q, %v", hash, role, err)
	}

	// As the command line does it: a new password, but no other role by accident.
	ok(t, access.SetUser(ctx, a, "dora", "a password of hers", "staff"))
	first, _, err := a.User(ctx, "dora")
	ok(t, err)
	ok(t, access.SetUser(ctx, a, "dora", "another of her passwords", "staff"))
	if second, _, err := a.User(ctx, "dora"); err != nil || second == first {
		t.Errorf("the password is not replaced: %v", err)
	}
	if err := access.SetUser(ctx, a, "dora", "another of her passwords", "admin"); err == nil || !strings.Contains(err.Error(), "already as staff") {
		t.Errorf("another role: %v", err)
	}
	if _, role, err := a.User(ctx, "dora"); err != nil || role != "staff" {
		t.Errorf("dora is %q, %v", role, err)
	}
}

// sameUsers compares the list, and what is said of each of it.
func sameUsers(t *testing.T, a Accounts, want []store.User) {
	t.Helper()
	got, err := a.Users(t.Context())
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("users: %v (-want +got)\n%s", err, d)
	}
	for _, u := range want {
		if hash, role, err := a.User(t.Context(), u.Name); hash != u.Hash || role != u.Role || err != nil {
			t.Errorf("%s: %q, %q, %v; want %q, %q", u.Name, hash, role, err, u.Hash, u.Role)
		}
	}
}

// Names that differ in case, in blanks or in a character that a database might
// take for its own are different people.
func testNames(t *testing.T, o Opener) {
	ctx := t.Context()
	a := open(t, o, &clock{base})
	names := []string{" anna", "%", "Anna", "Zed", "anna", "anna'; DROP TABLE account; --", "zoë", "王"}
	for _, n := range names {
		ok(t, a.AddUser(ctx, n, "$"+n, "staff"))
	}
	for _, n := range names {
		if hash, _, err := a.User(ctx, n); err != nil || hash != "$"+n {
			t.Errorf("%q: %q, %v", n, hash, err)
		}
	}
	all, err := a.Users(ctx)
	ok(t, err)
	var got []string
	for _, u := range all {
		got = append(got, u.Name)
	}
	if !slices.Equal(got, names) { // in the order of their bytes
		t.Errorf("%q, want %q", got, names)
	}

	// What is done to one is done to no other.
	ok(t, a.SetPassword(ctx, "anna", "$next"))
	ok(t, a.RemoveUser(ctx, "%"))
	for _, n := range names {
		hash, _, err := a.User(ctx, n)
		switch n {
		case "%":
			is(t, "who was removed", err, store.ErrNotFound)
			continue
		case "anna":
			n = "next"
		}
		if err != nil || hash != "$"+n {
			t.Errorf("%q: %q, %v", n, hash, err)
		}
	}
	ok(t, a.RemoveUser(ctx, "anna"))
	if _, _, err := a.User(ctx, "Anna"); err != nil {
		t.Errorf("Anna is gone with anna: %v", err)
	}
}

// Of many who add one name at once one succeeds; of many other names none is
// lost.
func testUsersConcurrently(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	a, b := open(t, o, c), open(t, o, c) // as two processes
	const n = 8
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			by := a
			if i%2 == 1 {
				by = b
			}
			errs[i] = by.AddUser(ctx, "anna", fmt.Sprint("$", i), "staff")
			if err := by.AddUser(ctx, fmt.Sprint("user-", i), "$hash", "staff"); err != nil {
				t.Errorf("user-%d: %v", i, err)
			}
			if err := by.SetPassword(ctx, fmt.Sprint("user-", i), "$next"); err != nil {
				t.Errorf("user-%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	added := -1
	for i, err := range errs {
		switch {
		case err == nil && added < 0:
			added = i
		case !errors.Is(err, store.ErrExists):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if hash, _, err := a.User(ctx, "anna"); err != nil || hash != fmt.Sprint("$", added) {
		t.Errorf("%q is kept of writer %d, %v", hash, added, err)
	}
	all, err := b.Users(ctx)
	ok(t, err)
	if len(all) != n+1 {
		t.Errorf("%d users, want %d", len(all), n+1)
	}
	for _, u := range all {
		if u.Name != "anna" && u.Hash != "$next" {
			t.Errorf("%s has %q", u.Name, u.Hash)
		}
	}
}
