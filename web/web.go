package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

// Live is the present as the API node knows it.
type Live interface {
	// Busyness is the state of a site as it must be shown now (AsOf is applied).
	Busyness(site string) perron.Busyness
	Forecast(site string) (perron.Forecast, bool)
	Gateways(site string) []perron.GatewayStatus
}

// History is what the pages read from the store.
type History interface {
	Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error)
	Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error)
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
	Extent(ctx context.Context, site string) (store.Extent, error)
	// Forecasts are those of a site that were made in [from, to), by origin.
	Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error)
}

// Staff carries out what staff decide.
type Staff interface {
	// Act fills in ID and At, stores the action and tells the collector.
	Act(ctx context.Context, a perron.Action) (perron.Action, error)
}

// Auth knows who is asking.
type Auth interface {
	// Wrap loads the session around the staff pages.
	Wrap(next http.Handler) http.Handler
	User(r *http.Request) (name, role string, ok bool)
	// Login returns an error that is [ErrLogin] when name or password are wrong,
	// and one with a method RetryAfter() time.Duration when it was tried too
	// often.
	Login(r *http.Request, name, password string) error
	Logout(r *http.Request) error
}

// ErrLogin is a refused login. An error of another package may say the same
// with a method LoginRefused() bool.
var ErrLogin = errors.New("name or password is wrong")

// Config is what the pages are made from.
type Config struct {
	Sites   []*perron.Site // in the order of the overview
	Words   *words.Languages
	Live    Live
	History History
	Staff   Staff
	Auth    Auth
	// OnSite is how many vehicles were on site on a day that is over, as far as
	// it can be told now that the whole of it is known; nil leaves it out.
	OnSite func(ctx context.Context, site *perron.Site, d perron.Date) ([]perron.Estimate, error)
	Now    func() time.Time
	Logger *slog.Logger
	// Title stands above every page; empty for the usual one of each language.
	Title string
}

type server struct {
	Config
	sites  map[string]*perron.Site
	assets *assets
	pages  *pages
	guides guides
	// planners holds a token for each planner's page that is being made.
	planners chan struct{}
}

// New returns the handler of all pages and their assets. It starts nothing.
func New(c Config) (http.Handler, error) {
	if c.Words == nil || c.Live == nil || c.History == nil || c.Staff == nil || c.Auth == nil {
		return nil, errors.New("web: Words, Live, History, Staff and Auth are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Config: c, sites: make(map[string]*perron.Site), planners: make(chan struct{}, plannersAtOnce)}
	for _, site := range c.Sites {
		s.sites[site.ID] = site
	}
	var err error
	if s.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("load the assets: %w", err)
	}
	if s.pages, err = loadPages(); err != nil {
		return nil, fmt.Errorf("load the templates: %w", err)
	}
	return s.routes(), nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.page(s.overview))
	mux.Handle("GET /perron/{id}", s.page(s.perron))
	mux.Handle("GET /planner", s.page(s.planner))

	staff := http.NewServeMux()
	staff.Handle("GET /staff", s.page(s.staff))
	staff.Handle("GET /staff/login", s.page(s.loginForm))
	staff.Handle("POST /staff/login", s.page(s.login))
	staff.Handle("POST /staff/logout", s.page(s.logout))
	staff.Handle("POST /staff/act", s.page(s.act))
	staff.Handle("/staff/", s.page(notFound))
	mux.Handle("/staff", s.Auth.Wrap(staff))
	mux.Handle("/staff/", s.Auth.Wrap(staff))

	mux.Handle("GET /assets/{name}", s.assets)
	mux.Handle("/", s.page(notFound))

	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(s.page(func(http.ResponseWriter, *http.Request, *visit) error { return errForeign }))
	return secure(byPrefix(s.Words, guard.Handler(mux), s.Now))
}
