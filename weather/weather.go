package weather

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	maxAnswer  = 8 << 20 // bytes
	timeout    = 30 * time.Second
	keepDays   = 420
	retryAfter = time.Minute // and twice that with each failure
)

// Config says where the weather comes from: URL or File.
type Config struct {
	Sites []*perron.Site
	// URL answers as Open-Meteo; {lat} and {lon} in it are the site's.
	URL string
	// File is a CSV, for all sites; it is read again when it has changed.
	File string
	// Every is how often it is fetched.
	Every time.Duration
	// CacheDir keeps what was fetched, a file a site, so that a restart and a
	// service that is away for a while lose nothing; "" keeps it in memory only.
	CacheDir   string
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// A Source is the weather of the sites. It is safe for concurrent use.
type Source struct {
	cfg    Config
	client *http.Client
	failed prometheus.Counter
	age    *prometheus.GaugeVec

	mu    sync.Mutex
	sites map[string]*known
}

// known is the weather of one site.
type known struct {
	hours    map[int64]perron.Weather // by Unix time
	revision int
}

// New makes a source and reads what was kept of earlier runs. It fetches
// nothing.
func New(cfg Config) (*Source, error) {
	if (cfg.URL == "") == (cfg.File == "") {
		return nil, errors.New("weather without a URL or a file, or with both")
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Hour
	}
	s := &Source{
		cfg: cfg,
		client: &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the weather service points elsewhere: configure that address")
		}},
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "perrondrukte_weather_failures_total", Help: "Times that the weather could not be had.",
		}),
		age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "perrondrukte_weather_fetched_timestamp_seconds", Help: "When the weather of a site was last had.",
		}, []string{"site"}),
		sites: map[string]*known{},
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(s.failed, s.age)
	}
	for _, site := range cfg.Sites {
		s.sites[site.ID] = &known{hours: map[int64]perron.Weather{}}
		hours, err := s.readCache(site.ID)
		if err != nil {
			// What is damaged is fetched again.
			cfg.Logger.Warn("the kept weather cannot be read", logs.Site, site.ID, logs.Error, err)
			continue
		}
		s.add(site.ID, hours)
	}
	return s, nil
}

// Hours are all hours of a site that are known, when they are newer than the
// revision that was given with them before; 0 asks for the first time.
func (s *Source) Hours(site string, since int) (hours []perron.Weather, revision int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.sites[site]
	if k == nil || k.revision == since {
		return nil, since
	}
	for _, w := range k.hours {
		hours = append(hours, w)
	}
	return hours, k.revision
}

// Run fetches until ctx ends. What goes wrong is logged and counted, and does
// not end it.
func (s *Source) Run(ctx context.Context) error {
	failures := 0
	for {
		wait := s.cfg.Every
		if err := s.Fetch(ctx); err != nil && ctx.Err() == nil {
			s.failed.Inc()
			if failures == 0 { // once, not each time
				s.cfg.Logger.Warn("the weather cannot be had; forecasts go on with what was known", logs.Error, err)
			}
			wait = min(wait, retryAfter<<min(failures, 10))
			failures++
		} else if failures > 0 && ctx.Err() == nil {
			s.cfg.Logger.Info("the weather is back")
			failures = 0
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// Fetch gets the weather of every site once. Sites do not wait for each other's
// failures, which are joined.
func (s *Source) Fetch(ctx context.Context) error {
	var errs []error
	if s.cfg.File != "" {
		hours, err := s.readFile()
		if err != nil {
			return err
		}
		for _, site := range s.cfg.Sites {
			s.add(site.ID, hours)
			s.age.WithLabelValues(site.ID).Set(float64(s.cfg.Now().Unix()))
		}
		return nil
	}
	for _, site := range s.cfg.Sites {
		hours, err := s.get(ctx, site)
		if err == nil {
			s.add(site.ID, hours)
			s.age.WithLabelValues(site.ID).Set(float64(s.cfg.Now().Unix()))
			err = s.writeCache(site.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", site.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Source) readFile() ([]perron.Weather, error) {
	f, err := os.Open(s.cfg.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return DecodeCSV(io.LimitReader(f, 16*maxAnswer))
}

func (s *Source) get(ctx context.Context, site *perron.Site) ([]perron.Weather, error) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	address := strings.NewReplacer("{lat}", number(site.Latitude), "{lon}", number(site.Longitude)).Replace(s.cfg.URL)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "perrondrukte")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer is %s", res.Status)
	}
	return DecodeJSON(body)
}

// add keeps hours; a newer word on an hour replaces the old one.
func (s *Source) add(site string, hours []perron.Weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.sites[site]
	changed := false
	for _, w := range hours {
		at := w.Hour.Unix()
		if old, ok := k.hours[at]; !ok || old != w {
			k.hours[at] = w
			changed = true
		}
	}
	if !changed {
		return
	}
	k.revision++
	oldest := s.cfg.Now().AddDate(0, 0, -keepDays).Unix()
	for at := range k.hours {
		if at < oldest {
			delete(k.hours, at)
		}
	}
}

func (s *Source) cachePath(site string) string {
	return filepath.Join(s.cfg.CacheDir, "weather-"+site+".json")
}

func (s *Source) readCache(site string) ([]perron.Weather, error) {
	if s.cfg.CacheDir == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.cachePath(site))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []perron.Weather
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	good := all[:0]
	for _, w := range all {
		if w.Plausible() {
			good = append(good, w)
		}
	}
	return good, nil
}

// writeCache replaces the file in one step.
func (s *Source) writeCache(site string) error {
	if s.cfg.CacheDir == "" {
		return nil
	}
	hours, _ := s.Hours(site, 0)
	hours, err := sorted(hours)
	if err != nil {
		return err
	}
	text, err := json.Marshal(hours)
	if err != nil {
		return err
	}
	path := s.cachePath(site)
	if err := os.WriteFile(path+".new", text, 0o640); err != nil {
		return fmt.Errorf("keep the weather: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep the weather: %w", err)
	}
	return nil
}
