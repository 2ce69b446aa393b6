// Package api is how the world asks: REST as openapi/openapi.json describes it,
// a websocket that tells every change, and the sessions of staff.
//
// [Live] keeps what the collectors publish, [Staff] carries out what staff
// decide, [Auth] knows who they are; pages are given all three by whoever wires
// the program. [Server] puts them and the pages behind one address.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

// A Store is the history that answers rest on.
type Store interface {
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
}

// Config is what a server is made of. Sites, Words, Store, Live, Staff, Auth, Now,
// Logger and Registry are needed.
type Config struct {
	Sites    []*perron.Site // in the order in which they are shown
	Words    *words.Languages
	Store    Store
	Live     *Live
	Staff    *Staff
	Auth     *Auth
	Pages    http.Handler // everything that is not the API's
	Now      func() time.Time
	Logger   *slog.Logger
	Registry prometheus.Registerer
	// Origins are the other origins whose pages may open the websocket, like
	// https://www.example.nl. The open GET operations are open to all.
	Origins []string
	// TrustedProxies are those whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// SecureCookies says that clients come over TLS: browsers are told to insist.
	SecureCookies bool
	// Ready says whether everything can be reached; nil is always.
	Ready   func(ctx context.Context) error
	Viewers Viewers
}

// Limits of the HTTP server.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 15 * time.Second
	writeTimeout    = 60 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeader       = 16 << 10 // bytes
	maxBody         = 16 << 10 // bytes; texts of staff
	maxPageBody     = 1 << 20  // bytes; forms

	historyAtOnce = 8
	historyWait   = 5 * time.Second
	historyWork   = 20 * time.Second
)

// Server answers HTTP.
type Server struct {
	order    []*perron.Site
	words    *words.Languages
	sites    map[string]*perron.Site
	store    Store
	live     *Live
	staff    *Staff
	auth     *Auth
	now      func() time.Time
	logger   *slog.Logger
	ready    func(context.Context) error
	history  *turnstile
	profiles *profiles
	feed     *feed
	lounge   *lounge
	http     *http.Server
	listener net.Listener
}

// New puts a server together. It starts nothing.
func New(c Config) (*Server, error) {
	if c.Words == nil || c.Store == nil || c.Live == nil || c.Staff == nil || c.Auth == nil || c.Now == nil || c.Logger == nil || c.Registry == nil {
		return nil, errors.New("api: Words, Store, Live, Staff, Auth, Now, Logger and Registry are needed")
	}
	for _, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != o || u.Host == "" {
			return nil, fmt.Errorf("origin %q is not like https://www.example.nl", o)
		}
	}
	c.Viewers = c.Viewers.withDefaults()
	m, err := newMetrics(c.Registry, c.Live, c.Auth)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	s := &Server{
		order: c.Sites, words: c.Words, sites: make(map[string]*perron.Site, len(c.Sites)), store: c.Store,
		live: c.Live, staff: c.Staff, auth: c.Auth, now: c.Now, logger: c.Logger, ready: c.Ready,
		history: newTurnstile(historyAtOnce, historyWait, historyWork),
	}
	for _, site := range c.Sites {
		s.sites[site.ID] = site
	}
	s.profiles = newProfiles(c.Store, s.history)
	s.feed = newFeed(c.Live, c.Words, c.Viewers.Gap, c.Logger)
	s.lounge = newLounge(&c, s.feed, m)
	s.http = &http.Server{
		Handler:           s.guard(m, s.routes(&c), c.SecureCookies),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(s.lounge.shut) // Shutdown does not know hijacked connections
	return s, nil
}

// routes is everything by its path.
func (s *Server) routes(c *Config) http.Handler {
	mux := http.NewServeMux()
	strict := openapi.NewStrictHandlerWithOptions(handlers{s}, nil, openapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			s.problem(w, r, badBody(err))
		},
		ResponseErrorHandlerFunc: s.problem,
	})
	openapi.HandlerWithOptions(strict, openapi.StdHTTPServerOptions{
		BaseRouter:       mux,
		Middlewares:      []openapi.MiddlewareFunc{conditional, s.withSession},
		ErrorHandlerFunc: s.problem,
	})
	mux.Handle("GET /api/openapi.json", conditional(http.HandlerFunc(s.document)))
	mux.HandleFunc("GET /api/v1/live", func(w http.ResponseWriter, r *http.Request) {
		if err := s.lounge.handle(w, r); err != nil {
			s.problem(w, r, err)
		}
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { s.elsewhere(mux, w, r) })
	if c.Pages != nil {
		mux.Handle("/", c.Pages)
	} else {
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.elsewhere(mux, w, r) })
	}
	return mux
}

func (s *Server) problem(w http.ResponseWriter, r *http.Request, err error) {
	problem(w, r, s.logger, err)
}

// badBody says what is wrong with a body, without the names of Go types.
func badBody(err error) error {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooBig
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return invalid(wrong.Field, wrong.Value, "a %s does not belong here", wrong.Value)
	}
	return &failure{status: http.StatusBadRequest, parameter: "body", detail: "the body is not a JSON object as it should be"}
}

func (s *Server) document(w http.ResponseWriter, r *http.Request) {
	if err := aboutAnswer(r.Context(), keepDocument, nil); err != nil {
		s.problem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi.Document) // an error is the client's leaving
}

// elsewhere answers for paths and methods that are not there.
func (s *Server) elsewhere(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		s.problem(w, r, &failure{status: http.StatusNotFound, detail: "there is nothing at " + clip(r.URL.Path)})
		return
	}
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead, http.MethodOptions)
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.problem(w, r, &failure{status: http.StatusMethodNotAllowed, detail: "allowed are " + strings.Join(allowed, ", ")})
}

// forStaff says whether an API path needs a session. Such answers are nobody
// else's business: no page of another origin reads them, no cache keeps them.
func forStaff(path string) bool { return strings.HasSuffix(path, "/actions") }

// withSession loads the session for operations that need one, and sees that
// what is sent to them is JSON, which no plain form of another page can send.
func (s *Server) withSession(next http.Handler) http.Handler {
	loaded := s.auth.Wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !forStaff(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); r.Method == http.MethodPost && !strings.EqualFold(strings.TrimSpace(t), "application/json") {
			s.problem(w, r, &failure{status: http.StatusUnsupportedMediaType, detail: "the body has to be application/json"})
			return
		}
		loaded.ServeHTTP(w, r)
	})
}

// guard stands before everything: measurement, panics, requests forged by
// other pages, sizes, and headers that tell browsers what not to do.
func (s *Server) guard(m *metrics, next http.Handler, secure bool) http.Handler {
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, r, &failure{status: http.StatusForbidden, detail: "pages of another origin may not do this"})
	}))
	inner := csrf.Handler(next)
	return m.measure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				s.logger.Error("panic", logs.Method, r.Method, logs.Path, r.URL.Path, logs.Panic, v, logs.Stack, string(debug.Stack()))
				s.problem(w, r, &failure{status: http.StatusInternalServerError})
			}
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		limit := int64(maxPageBody)
		if strings.HasPrefix(r.URL.Path, "/api/") {
			limit = maxBody
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Referrer-Policy", "no-referrer")
			if !forStaff(r.URL.Path) {
				h.Set("Access-Control-Allow-Origin", "*")
				h.Set("Access-Control-Allow-Methods", "GET, HEAD")
				h.Set("Access-Control-Allow-Headers", "Accept, If-None-Match")
				h.Set("Access-Control-Expose-Headers", "ETag, Retry-After")
				h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			}
		}
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		inner.ServeHTTP(w, r)
	}))
}

// Listen opens the address, so that ":0" has a port at once.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	s.listener = l
	return nil
}

// Addr is the address that Listen opened, host and port.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Viewers is the number of open websockets.
func (s *Server) Viewers() int {
	return s.feed.viewers()
}

// Run answers until ctx ends, then lets running requests finish, closes the
// websockets and waits for all that it started. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("serve HTTP: Listen was not called")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.live.run(ctx) })
	g.Go(func() error { return s.feed.run(ctx) })
	g.Go(func() error {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := s.http.Shutdown(stop)
		if err != nil {
			err = errors.Join(fmt.Errorf("shut down HTTP: %w", err), s.http.Close())
		}
		s.lounge.shut()
		s.lounge.wait()
		return err
	})
	return g.Wait()
}
