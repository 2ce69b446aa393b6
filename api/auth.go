package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/access/password"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
)

// Roles of accounts.
const (
	RoleStaff   = "staff"
	RolePlanner = "planner"
	RoleAdmin   = "admin"
)

// ErrLogin means that name and password do not belong together. Nobody learns
// which of the two was wrong.
var ErrLogin error = loginError{}

type loginError struct{}

func (loginError) Error() string { return "wrong name or password" }

// LoginRefused tells pages, which do not know this package, what it is.
func (loginError) LoginRefused() bool { return true }

// TooManyError means that there were too many attempts to log in.
type TooManyError struct{ After time.Duration }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts, try again in %s", e.After.Round(time.Second))
}

// RetryAfter is how long to wait.
func (e *TooManyError) RetryAfter() time.Duration { return e.After }

// Accounts are the people who may log in. User returns store.ErrNotFound for a
// name without an account.
type Accounts interface {
	User(ctx context.Context, name string) (hash, role string, err error)
}

// AuthConfig is what logging in needs. Zero durations stand for the defaults.
type AuthConfig struct {
	Accounts Accounts
	// Sessions keeps the sessions; with scs.CtxStore it gets the request's
	// context.
	Sessions       scs.Store
	SecureCookies  bool           // behind TLS
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Idle           time.Duration  // a session ends without use; 8 h
	Lifetime       time.Duration  // and in any case; 24 h
	Logger         *slog.Logger
}

// Attempts to log in. A name has few, so that a password cannot be guessed; an
// address has more, because many people can share one.
const (
	nameBurst, namePeriod   = 10, 30 * time.Second
	addrBurst, addrPeriod   = 30, 10 * time.Second
	limiterSize             = 10_000
	hashesAtOnce            = 2  // 19 MiB each
	hashesWaiting           = 16 // more are turned away
	maxName                 = 64 // bytes
	sessionUser, sessionKey = "user", "key"
	cookieName              = "perron_session"
)

// Auth is who people are: sessions in cookies, passwords as argon2id hashes,
// and a limit on guessing. It starts nothing.
type Auth struct {
	accounts Accounts
	sessions *scs.SessionManager
	trusted  []netip.Prefix
	logger   *slog.Logger
	now      func() time.Time // the process's clock, never a demo's
	nobody   password.Hash
	names    *limiter
	addrs    *limiter
	homes    homes
	waiting  chan struct{}
	hashing  chan struct{}
	logins   *prometheus.CounterVec // result; registered by the Server
}

// NewAuth makes an Auth.
func NewAuth(c AuthConfig) *Auth {
	set(&c.Idle, 8*time.Hour)
	set(&c.Lifetime, 24*time.Hour)
	a := &Auth{
		accounts: c.Accounts, trusted: c.TrustedProxies, logger: c.Logger,
		now: time.Now, nobody: password.Nobody(),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "logins_total",
			Help: "Attempts to log in.",
		}, []string{"result"}),
		// Not scs.New, which starts a store of its own that nobody stops.
		sessions: &scs.SessionManager{Codec: scs.GobCodec{}},
		names:    newLimiter(nameBurst, namePeriod, limiterSize),
		addrs:    newLimiter(addrBurst, addrPeriod, limiterSize),
		waiting:  make(chan struct{}, hashesAtOnce+hashesWaiting),
		hashing:  make(chan struct{}, hashesAtOnce),
	}
	s := a.sessions
	s.Store, s.IdleTimeout, s.Lifetime = c.Sessions, c.Idle, c.Lifetime
	s.HashTokenInStore = true // a copy of the database is no key ring
	s.Cookie = scs.SessionCookie{
		Name: cookieName, Path: "/", Secure: c.SecureCookies,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true,
	}
	s.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		problem(w, r, a.logger, fmt.Errorf("session: %w", err))
	}
	return a
}

// Wrap loads the session for next, and keeps it alive.
func (a *Auth) Wrap(next http.Handler) http.Handler { return a.sessions.LoadAndSave(next) }

// User is who the request is from. It is asked of the accounts every time, so
// that a removed account, another role or a new password counts at once. r has
// come through Wrap.
func (a *Auth) User(r *http.Request) (name, role string, ok bool) {
	name, role, err := a.user(r.Context())
	if err != nil {
		a.logger.Error("look up session", logs.Error, err)
	}
	return name, role, err == nil && name != ""
}

func (a *Auth) user(ctx context.Context) (name, role string, err error) {
	name = a.sessions.GetString(ctx, sessionUser)
	if name == "" {
		return "", "", nil
	}
	hash, role, err := a.accounts.User(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", "", nil
	case err != nil:
		return "", "", fmt.Errorf("account %q: %w", name, err)
	case a.sessions.GetString(ctx, sessionKey) != fingerprint(hash):
		return "", "", nil
	}
	return name, role, nil
}

// fingerprint ties a session to the password that it was opened with.
func fingerprint(hash string) string {
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:8])
}

// Login opens a session for the name when the password is right. It returns
// [ErrLogin] or a [*TooManyError] otherwise; any other error is ours. r has
// come through Wrap.
func (a *Auth) Login(r *http.Request, name, given string) error {
	err := a.login(r, name, given)
	addr := clientAddr(r, a.trusted)
	switch _, limited := errors.AsType[*TooManyError](err); {
	case err == nil:
		a.logins.WithLabelValues("ok").Inc()
		a.logger.Info("login", logs.User, name, logs.Address, addr)
	case limited:
		a.logins.WithLabelValues("limited").Inc()
	case errors.Is(err, ErrLogin):
		// Without the name: people type passwords into that field.
		a.logins.WithLabelValues("refused").Inc()
		a.logger.Warn("login refused", logs.Address, addr)
	default:
		a.logins.WithLabelValues("failed").Inc()
	}
	return err
}

func (a *Auth) login(r *http.Request, name, given string) error {
	ctx := r.Context()
	if err := a.allow(name, clientKey(clientAddr(r, a.trusted))); err != nil {
		return err
	}
	if name == "" || len(name) > maxName || len(given) > password.MaxBytes {
		return ErrLogin
	}
	hash, _, err := a.accounts.User(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("account: %w", err)
	}
	known, want := err == nil, a.nobody
	if known {
		if want, err = password.Parse(hash); err != nil {
			return fmt.Errorf("account %q: %w", name, err)
		}
	}
	right, err := a.check(ctx, want, given)
	if err != nil {
		return err
	}
	if !right || !known {
		return ErrLogin
	}
	// A session from before must not become one with rights.
	if err := a.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	a.sessions.Put(ctx, sessionUser, name)
	a.sessions.Put(ctx, sessionKey, fingerprint(hash))
	addr := clientKey(clientAddr(r, a.trusted))
	a.names.reset(a.nameKey(name, addr))
	a.homes.add(name, addr)
	return nil
}

func (a *Auth) allow(name, addr string) error {
	now := a.now()
	if wait, ok := a.addrs.take(addr, now); !ok {
		return &TooManyError{wait}
	}
	if len(name) > maxName {
		return nil // such an account cannot be
	}
	if wait, ok := a.names.take(a.nameKey(name, addr), now); !ok {
		return &TooManyError{wait}
	}
	return nil
}

// nameKey is one for all spellings that could mean the same account. An address
// from which the name has come in before has an allowance of its own, or any
// stranger could keep staff out by trying their names.
func (a *Auth) nameKey(name, addr string) string {
	key := strings.ToLower(strings.TrimSpace(name))
	if a.homes.has(name, addr) {
		key += "\x00" + addr
	}
	return key
}

// check hashes the password when it is its turn. Each hash takes 19 MiB, so
// few are made at once and few may wait.
func (a *Auth) check(ctx context.Context, want password.Hash, given string) (bool, error) {
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		return false, &TooManyError{2 * time.Second}
	}
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return want.Matches(given), nil
}

// Logout ends the session. r has come through Wrap.
func (a *Auth) Logout(r *http.Request) error {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

var (
	errNoSession = &failure{status: http.StatusUnauthorized, detail: "log in first"}
	errNoRight   = &failure{status: http.StatusForbidden, detail: "this is for staff"}
)

// staffOf is the name of the staff member that the context's session is of.
func (a *Auth) staffOf(ctx context.Context) (string, error) {
	name, role, err := a.user(ctx)
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", errNoSession
	case role != RoleStaff && role != RoleAdmin:
		return "", errNoRight
	}
	return name, nil
}

// authorize admits staff by the request's cookie without touching the session,
// for a websocket, which is not use of it. stillValid asks again later.
func (a *Auth) authorize(r *http.Request) (stillValid func(context.Context) bool, err error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, errNoSession
	}
	check := func(ctx context.Context) error {
		ctx, err := a.sessions.Load(ctx, cookie.Value)
		if err != nil {
			return fmt.Errorf("session: %w", err)
		}
		_, err = a.staffOf(ctx)
		return err
	}
	if err := check(r.Context()); err != nil {
		return nil, err
	}
	return func(ctx context.Context) bool {
		err := check(ctx)
		// A store that cannot be asked for a moment does not end a session.
		_, decided := errors.AsType[*failure](err)
		return err == nil || !decided
	}, nil
}
