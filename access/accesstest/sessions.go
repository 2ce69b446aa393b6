package accesstest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/access/password"
	"github.com/perrondrukte/perrondrukte/api"
)

func testSessions(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{base}
	s := open(t, o, c).Sessions()
	find := func(token, want string) {
		t.Helper()
		got, found, err := s.FindCtx(ctx, token)
		if err != nil || found != (want != "") || string(got) != want {
			t.Errorf("%s: %q, %v, %v; want %q", token, got, found, err, want)
		}
	}
	find("t1", "")
	ok(t, s.CommitCtx(ctx, "t1", []byte("one"), base.Add(time.Hour)))
	ok(t, s.CommitCtx(ctx, "t2", []byte("two\x00"), base.Add(2*time.Hour)))
	find("t1", "one")
	ok(t, s.CommitCtx(ctx, "t1", []byte("uno"), base.Add(time.Hour)))
	find("t1", "uno")
	// Storing a session again moves its end, in both directions.
	ok(t, s.CommitCtx(ctx, "longer", []byte("l"), base.Add(time.Minute)))
	ok(t, s.CommitCtx(ctx, "longer", []byte("l"), base.Add(2*time.Hour)))
	ok(t, s.CommitCtx(ctx, "shorter", []byte("s"), base.Add(2*time.Hour)))
	ok(t, s.CommitCtx(ctx, "shorter", []byte("s"), base.Add(time.Minute)))
	c.at = base.Add(time.Hour - 1)
	find("t1", "uno")
	find("longer", "l")
	find("shorter", "")
	c.at = base.Add(time.Hour)
	find("t1", "") // it has ended
	find("t2", "two\x00")
	ok(t, s.CommitCtx(ctx, "t1", []byte("again"), base.Add(3*time.Hour)))
	find("t1", "again")
	ok(t, s.DeleteCtx(ctx, "t2"))
	ok(t, s.DeleteCtx(ctx, "t2"))
	find("t2", "")
	// An empty session is one, too.
	ok(t, s.CommitCtx(ctx, "t3", nil, base.Add(3*time.Hour)))
	if data, found, err := s.FindCtx(ctx, "t3"); len(data) != 0 || !found || err != nil {
		t.Errorf("an empty session: %q, %v, %v", data, found, err)
	}
	// Without a context they do the same.
	ok(t, s.Commit("t4", []byte("four"), base.Add(3*time.Hour)))
	if data, found, err := s.Find("t4"); string(data) != "four" || !found || err != nil {
		t.Errorf("%q, %v, %v", data, found, err)
	}
	ok(t, s.DeleteCtx(ctx, "t1"))
	ok(t, s.Delete("t4"))
	find("t1", "")
	find("t4", "")
	if _, found, err := s.FindCtx(ctx, "t3"); !found || err != nil { // none but those
		t.Errorf("t3 is gone as well: %v", err)
	}

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			token := fmt.Sprint("many-", i)
			for n := range 5 {
				if err := s.CommitCtx(ctx, token, []byte{byte(n)}, base.Add(3*time.Hour)); err != nil {
					t.Errorf("%s: %v", token, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		find(fmt.Sprint("many-", i), "\x04")
	}
}

// A visitor is a browser with the cookies that it was given, before an api.Auth.
type visitor struct {
	t       *testing.T
	auth    *api.Auth
	cookies map[string]*http.Cookie
}

// do has the request come through the sessions, and keeps the cookies.
func (v *visitor) do(each func(*http.Request)) {
	v.t.Helper()
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, "/", nil)
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	v.auth.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { each(r) })).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		v.cookies[c.Name] = c
	}
}

func (v *visitor) login(name, secret string) {
	v.t.Helper()
	v.do(func(r *http.Request) {
		if err := v.auth.Login(r, name, secret); err != nil {
			v.t.Errorf("login of %s: %v", name, err)
		}
	})
}

// is wants to be seen as somebody, "" for nobody.
func (v *visitor) is(why, want string) {
	v.t.Helper()
	v.do(func(r *http.Request) {
		got := ""
		if name, role, ok := v.auth.User(r); ok {
			got = name + ", " + role
		}
		if got != want {
			v.t.Errorf("%s: it is %q, want %q", why, got, want)
		}
	})
}

// A session is that of an account and of its password: a new password, another
// role and a removal count at once, whoever made them; another process goes on
// with the sessions that there are.
func testSessionsEnd(t *testing.T, o Opener) {
	ctx, c := t.Context(), &clock{time.Now()} // as the cookies are
	a := open(t, o, c)
	auth := func(a Accounts) *api.Auth {
		return api.NewAuth(api.AuthConfig{Accounts: a, Sessions: a.Sessions(), Logger: slog.New(slog.DiscardHandler)})
	}
	var hashes [2]string
	for i, secret := range []string{"the first of her passwords", "the second of her passwords"} {
		var err error
		hashes[i], err = password.New(secret)
		ok(t, err)
	}
	ok(t, a.AddUser(ctx, "anna", hashes[0], api.RoleStaff))
	v := &visitor{t: t, auth: auth(a), cookies: map[string]*http.Cookie{}}
	v.is("before", "")
	v.login("anna", "the first of her passwords")
	v.is("after the login", "anna, staff")

	other := open(t, o, c)
	w := &visitor{t: t, auth: auth(other), cookies: v.cookies}
	w.is("for another process", "anna, staff")
	ok(t, other.SetPassword(ctx, "anna", hashes[1]))
	v.is("with the password that it was opened with replaced", "")

	v.login("anna", "the second of her passwords")
	v.is("after another login", "anna, staff")
	ok(t, other.RemoveUser(ctx, "anna"))
	v.is("removed", "")
	ok(t, other.AddUser(ctx, "anna", hashes[1], api.RolePlanner))
	v.is("added again with that password and another role", "anna, planner")
}
