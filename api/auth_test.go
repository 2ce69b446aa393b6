package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/access/password"
)

func TestLoginAndLogout(t *testing.T) {
	r := newRig(t, nil)
	u, err := url.Parse(r.base)
	if err != nil {
		t.Fatal(err)
	}
	token := func() string {
		for _, c := range r.client.Jar.Cookies(u) {
			if c.Name == "perron_session" {
				return c.Value
			}
		}
		return ""
	}
	r.login("anna", RoleStaff)
	first := token()
	if who := r.get("/who").body; who != "anna staff" {
		t.Errorf("it is %q", who)
	}
	if _, plain := r.sessions.m[first]; plain {
		t.Error("the store holds the token itself")
	}
	// Someone may have planted the session that a login starts from.
	r.login("anna", RoleStaff)
	if token() == first {
		t.Error("the token outlives a login")
	}
	// Another role counts at once, and another password ends the session.
	r.accounts.set("anna", account{passwordHash(), RoleAdmin})
	if who := r.get("/who").body; who != "anna admin" {
		t.Errorf("it is %q", who)
	}
	other, err := password.New("another password")
	if err != nil {
		t.Fatal(err)
	}
	r.accounts.set("anna", account{other, RoleAdmin})
	if who := r.get("/who").body; who != "" {
		t.Errorf("after a new password it is %q", who)
	}
	r.login("anna", RoleStaff)
	if got := r.do("POST", "/logout", ""); got.status != 200 {
		t.Errorf("logout %d", got.status)
	}
	if who := r.get("/who").body; who != "" || len(r.sessions.m) != 0 {
		t.Errorf("after logout it is %q with %d sessions", who, len(r.sessions.m))
	}
}

func TestSessionCookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		a := NewAuth(AuthConfig{
			Accounts: &fakeAccounts{users: map[string]account{"anna": {passwordHash(), RoleStaff}}},
			Sessions: &sessionStore{m: map[string][]byte{}}, SecureCookies: secure, Logger: quietLogger(),
		})
		w := httptest.NewRecorder()
		a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := a.Login(r, "anna", theirPassword); err != nil {
				t.Error(err)
			}
		})).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		c := w.Result().Cookies()[0]
		if c.Name != "perron_session" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Path != "/" || c.MaxAge < 7*3600 || c.MaxAge > 8*3600+2 {
			t.Errorf("cookie %+v", c)
		}
	}
}

func TestGuessing(t *testing.T) {
	r := newRig(t, nil)
	hash := passwordHash()
	r.accounts.set("anna", account{hash, RoleStaff})
	r.accounts.set("bert", account{hash, RoleStaff})
	try := func(name, pw, addr string) int {
		return r.do("POST", "/login", url.Values{"name": {name}, "password": {pw}}.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-For", addr).status
	}
	const yard = "203.0.113.77"
	if code := try("anna", theirPassword, yard); code != 200 {
		t.Fatalf("from the yard: %d", code)
	}
	for i := range nameBurst {
		if code := try("anna", "wrong password", "198.51.100."+string(rune('1'+i%9))); code != 401 {
			t.Fatalf("attempt %d: %d", i, code)
		}
	}
	// However many addresses and spellings help, and the right password does not help either.
	if code := try("anna", theirPassword, "203.0.113.1"); code != 429 {
		t.Errorf("attempt too many: %d", code)
	}
	if code := try("Anna ", theirPassword, "203.0.113.2"); code != 429 {
		t.Errorf("another spelling: %d", code)
	}
	// Whose name it is can still come in from where she always does, and even
	// there a password cannot be guessed.
	if code := try("anna", theirPassword, yard); code != 200 {
		t.Errorf("from the yard, while strangers try: %d", code)
	}
	for range nameBurst {
		if code := try("anna", "wrong password", yard); code != 401 {
			t.Errorf("a wrong password from the yard: %d", code)
		}
	}
	if code := try("anna", theirPassword, yard); code != 429 {
		t.Errorf("attempt too many from the yard: %d", code)
	}
	if code := try("bert", theirPassword, "203.0.113.1"); code != 200 {
		t.Errorf("another name: %d", code)
	}
	// One address tries many names, of which none exists.
	got := 0
	for i := range addrBurst + 1 {
		if got = try("nobody"+strings.Repeat("x", i), "wrong password", "192.0.2.1"); got == 429 && i < addrBurst {
			t.Errorf("attempt %d of an address: %d", i, got)
		}
	}
	if got != 429 {
		t.Errorf("an address may try as often as it likes: %d", got)
	}
}

// A name without an account is hashed for all the same.
func TestUnknownNameTakesAsLong(t *testing.T) {
	accounts := &fakeAccounts{users: map[string]account{"anna": {passwordHash(), RoleStaff}}}
	a := NewAuth(AuthConfig{Accounts: accounts, Sessions: &sessionStore{m: map[string][]byte{}}, Logger: quietLogger()})
	best := map[string]time.Duration{"anna": time.Hour, "nobody": time.Hour}
	for range 5 {
		for name := range best {
			a.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				start := time.Now()
				if err := a.Login(r, name, "wrong password"); err != ErrLogin {
					t.Errorf("%s: %v", name, err)
				}
				best[name] = min(best[name], time.Since(start))
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
		}
	}
	if ratio := float64(best["nobody"]) / float64(best["anna"]); ratio < 0.3 || ratio > 3 {
		t.Errorf("anna takes %s, nobody %s", best["anna"], best["nobody"])
	}
}

func TestHashingIsBounded(t *testing.T) {
	a := NewAuth(AuthConfig{Accounts: &fakeAccounts{}, Sessions: &sessionStore{m: map[string][]byte{}}, Logger: quietLogger()})
	for range cap(a.waiting) {
		a.waiting <- struct{}{}
	}
	err := a.Login(httptest.NewRequest("POST", "/", nil), "nobody", "wrong password")
	if e, ok := err.(*TooManyError); !ok || e.RetryAfter() <= 0 {
		t.Errorf("with everyone waiting: %v", err)
	}
}

func TestLimiter(t *testing.T) {
	l := newLimiter(2, time.Minute, 3)
	for i, c := range []struct {
		key  string
		at   time.Duration
		ok   bool
		wait time.Duration
	}{
		{"a", 0, true, 0},
		{"a", 0, true, 0},
		{"a", 0, false, time.Minute},
		{"a", 45 * time.Second, false, 15 * time.Second},
		{"b", 45 * time.Second, true, 0},
		{"a", time.Minute, true, 0},
		{"a", time.Minute, false, time.Minute},
		{"a", time.Hour, true, 0},
		{"a", time.Hour, true, 0},
		{"a", time.Hour, false, time.Minute},
	} {
		if wait, ok := l.take(c.key, noon.Add(c.at)); ok != c.ok || wait != c.wait {
			t.Errorf("step %d: %s, %t", i, wait, ok)
		}
	}
	for _, key := range []string{"c", "d", "e", "f", "g"} {
		l.take(key, noon.Add(time.Hour))
	}
	if len(l.whole) > 3 {
		t.Errorf("%d keys are remembered", len(l.whole))
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"198.51.100.1:80", "", "198.51.100.1"},
		{"198.51.100.1:80", "203.0.113.1", "198.51.100.1"}, // anyone can say that
		{"10.0.0.1:80", "203.0.113.1", "203.0.113.1"},
		{"10.0.0.1:80", "192.0.2.1, 203.0.113.1, 10.0.0.2", "203.0.113.1"},
		{"10.0.0.1:80", "", "10.0.0.1"},
		{"10.0.0.1:80", "nonsense", "10.0.0.1"},
		{"[::1]:80", "::ffff:203.0.113.1", "203.0.113.1"},
		{"@", "203.0.113.1", "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientAddr(r, trusted).String(); got != c.want {
			t.Errorf("%s for %q is %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	if a, b := clientKey(netip.MustParseAddr("2001:db8::1")), clientKey(netip.MustParseAddr("2001:db8::ffff:1")); a != b {
		t.Errorf("one network counts as %s and %s", a, b)
	}
}
