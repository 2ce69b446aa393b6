package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/access/password"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is a Wednesday, the day before Ascension, at 12:00 in Amsterdam.
var noon = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

func testSites() []*perron.Site {
	hours := perron.Hours{}
	for d := range hours.Weekly {
		hours.Weekly[d] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	poort := &perron.Site{
		ID: "poort", Name: "Poort", Address: "Argonweg 81", Latitude: 52.34, Longitude: 5.15,
		Bays: 20, Lanes: 2, Gateways: []string{"gw"}, Hours: hours,
		Gates: []perron.Gate{{ID: "main", Name: "Hoofdpoort"}, {ID: "side", Name: "Zijpoort"}},
	}
	haven := &perron.Site{ID: "haven", Name: "Haven", Address: "De Steiger 113", Bays: 10, Lanes: 1, Hours: hours, Gates: []perron.Gate{{ID: "main", Name: "Poort"}}}
	return []*perron.Site{poort, haven}
}

func testLanguages(t testing.TB) *words.Languages {
	t.Helper()
	l, err := words.Built()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// A fakeLink gives every published message to whoever subscribed.
type fakeLink struct {
	mu        sync.Mutex
	handlers  []func(broker.Message)
	published []broker.Message
	err       error
}

func (l *fakeLink) Subscribe(_ string, h func(broker.Message)) {
	if len(l.handlers) == 0 { // one handler serves all filters here
		l.handlers = append(l.handlers, h)
	}
}

func (l *fakeLink) Publish(_ context.Context, m broker.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.published = append(l.published, m)
	return nil
}

func (l *fakeLink) deliver(topic string, payload []byte) {
	for _, h := range l.handlers {
		h(broker.Message{Topic: topic, Payload: payload, Retained: true})
	}
}

func (l *fakeLink) busyness(t testing.TB, b perron.Busyness) {
	t.Helper()
	payload, err := broker.EncodeBusyness(b)
	if err != nil {
		t.Fatal(err)
	}
	l.deliver(broker.BusynessTopic(b.Site), payload)
}

func (l *fakeLink) forecast(t testing.TB, f perron.Forecast) {
	t.Helper()
	payload, err := broker.EncodeForecast(f)
	if err != nil {
		t.Fatal(err)
	}
	l.deliver(broker.ForecastTopic(f.Site), payload)
}

func (l *fakeLink) status(t testing.TB, st perron.GatewayStatus) {
	t.Helper()
	payload, err := broker.EncodeStatus(st)
	if err != nil {
		t.Fatal(err)
	}
	l.deliver(broker.StatusTopic(st.Site, st.Gateway), payload)
}

// A fakeStore answers what it was given and remembers what it was asked.
type fakeStore struct {
	mu      sync.Mutex
	counts  []perron.Count
	samples []perron.Sample
	actions []perron.Action
	err     error
	query   store.CountQuery
	asked   int
}

func (s *fakeStore) Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.query = q
	s.asked++
	var out []perron.Count
	for _, c := range s.counts {
		if !c.Start.Before(q.From) && c.Start.Before(q.To) {
			out = append(out, c)
		}
	}
	return out, s.err
}

func (s *fakeStore) Samples(_ context.Context, _ string, from, to time.Time) ([]perron.Sample, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Sample
	for _, c := range s.samples {
		if !c.At.Before(from) && c.At.Before(to) {
			out = append(out, c)
		}
	}
	return out, s.err
}

func (s *fakeStore) Actions(_ context.Context, site string, from, to time.Time) ([]perron.Action, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Action
	for _, a := range s.actions {
		if a.Site == site && !a.At.Before(from) && a.At.Before(to) {
			out = append(out, a)
		}
	}
	return out, s.err
}

func (s *fakeStore) SaveAction(_ context.Context, a perron.Action) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.actions = append(s.actions, a)
	}
	return s.err
}

func (s *fakeStore) fail(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.err = err }

type account struct{ hash, role string }

type fakeAccounts struct {
	mu    sync.Mutex
	users map[string]account
}

func (a *fakeAccounts) User(_ context.Context, name string) (hash, role string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u, ok := a.users[name]
	if !ok {
		return "", "", store.ErrNotFound
	}
	return u.hash, u.role, nil
}

func (a *fakeAccounts) set(name string, u account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[name] = u
}

func (a *fakeAccounts) remove(name string) { a.mu.Lock(); defer a.mu.Unlock(); delete(a.users, name) }

// A sessionStore is scs's memory store without its goroutine.
type sessionStore struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (s *sessionStore) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, token)
	return nil
}

func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.m[token]
	return b, ok, nil
}

func (s *sessionStore) Commit(token string, b []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[token] = b
	return nil
}

// theirPassword is that of everybody who may log in.
const theirPassword = "recycle it all"

var passwordHash = sync.OnceValue(func() string {
	h, err := password.New(theirPassword)
	if err != nil {
		panic(err)
	}
	return h
})

// A rig is a running server with everything around it faked.
type rig struct {
	t        testing.TB
	clock    *clock
	link     *fakeLink
	store    *fakeStore
	accounts *fakeAccounts
	sessions *sessionStore
	auth     *Auth
	server   *Server
	base     string // http://127.0.0.1:port
	client   *http.Client
	registry *prometheus.Registry
	stop     func()
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, clock: &clock{t: noon}, link: &fakeLink{}, store: &fakeStore{},
		accounts: &fakeAccounts{users: map[string]account{}}, sessions: &sessionStore{m: map[string][]byte{}},
	}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	r.registry = prometheus.NewRegistry()
	sites := testSites()
	live := NewLive(sites, r.link, r.clock.now, logger)
	r.auth = NewAuth(AuthConfig{
		Accounts: r.accounts, Sessions: r.sessions, Logger: logger,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	r.auth.now = r.clock.now // else a slow machine refills what may be tried
	c := Config{
		Sites: sites, Words: testLanguages(t), Store: r.store, Live: live,
		Staff: NewStaff(sites, testLanguages(t).Tags(), r.store, r.link, r.clock.now, logger),
		Auth:  r.auth, Pages: r.auth.Wrap(http.HandlerFunc(r.page)),
		Now: r.clock.now, Logger: logger, Registry: r.registry,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	if change != nil {
		change(&c)
	}
	var err error
	if r.server, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err := r.server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.base = "http://" + r.server.Addr()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	r.client = &http.Client{Jar: jar, Transport: transport}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end")
		}
	})
	t.Cleanup(r.stop)
	return r
}

// page logs in and out, as the pages do.
func (r *rig) page(w http.ResponseWriter, req *http.Request) {
	var err error
	switch req.URL.Path {
	case "/login":
		err = r.auth.Login(req, req.FormValue("name"), req.FormValue("password"))
	case "/logout":
		err = r.auth.Logout(req)
	case "/who":
		name, role, ok := r.auth.User(req)
		if ok {
			io.WriteString(w, name+" "+role)
		}
		return
	case "/panic":
		panic("secret of the house")
	default:
		http.NotFound(w, req)
		return
	}
	var later interface{ RetryAfter() time.Duration }
	switch {
	case errors.As(err, &later):
		w.WriteHeader(http.StatusTooManyRequests)
	case errors.Is(err, ErrLogin):
		w.WriteHeader(http.StatusUnauthorized)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (r *rig) login(name, role string) {
	r.t.Helper()
	r.accounts.set(name, account{passwordHash(), role})
	resp, err := r.client.PostForm(r.base+"/login", url.Values{"name": {name}, "password": {theirPassword}})
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		r.t.Fatalf("login: %s", resp.Status)
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do asks; headers are pairs.
func (r *rig) do(method, path, body string, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

func (r *rig) get(path string, headers ...string) reply { return r.do("GET", path, "", headers...) }

// into decodes the body.
func (p reply) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.body), v); err != nil {
		t.Fatalf("%v in %q", err, p.body)
	}
}

// eventually waits for something that another goroutine brings about.
// patience is how long a test waits for what is bound to come; a busy machine
// may take its time.
const patience = 2 * time.Minute

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// busy is a state of poort, measured half a minute ago.
func busy(now time.Time) perron.Busyness {
	return perron.Busyness{
		Site: "poort",
		Estimate: perron.Estimate{
			At: now, OnSite: perron.Interval{Low: 17.2, Mid: 19.6, High: 22.4},
			Queue: perron.Interval{Low: 3, Mid: 4.4, High: 6}, Wait: perron.Interval{Low: 8, Mid: 11.8, High: 16.2},
			EntryRate: 0.4,
		},
		MeasuredAt: now.Add(-30 * time.Second), StaleAt: now.Add(-30 * time.Second).Add(5 * time.Minute),
		Quality: perron.Measured, Level: perron.Busy, Band: perron.Band{Min: 10, Max: 15},
		Trend: perron.Falling, TypicalLevel: perron.Moderate,
		Gates: []perron.GateCount{{Gate: "main", InToday: 120, OutToday: 100, InHour: 30, OutHour: 28}},
	}
}
