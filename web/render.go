package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Errors that a page can end in; everything else is an internal one.
var (
	errNotFound    = errors.New("page not found")
	errForeign     = errors.New("form of another site")
	errForbidden   = errors.New("not allowed")
	errUnavailable = errors.New("figures are not available")
)

type pages struct{ byName map[string]*template.Template }

func loadPages() (*pages, error) {
	funcs := template.FuncMap{
		"upper": strings.ToUpper,
		"list":  func(v ...string) []string { return v },
		// list2 and list4 hand a part of a page to a template with the visit.
		"list2": func(v, of any) map[string]any { return map[string]any{"V": v, "Of": of} },
		"list4": func(v, of, kind, options any) map[string]any {
			return map[string]any{"V": v, "Of": of, "Kind": kind, "Options": options}
		},
	}
	base, err := template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/icons.html")
	if err != nil {
		return nil, err
	}
	p := &pages{byName: make(map[string]*template.Template)}
	for _, name := range []string{"overview", "perron", "staff", "login", "planner", "error"} {
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		files := []string{"templates/" + name + ".html"}
		if name == "planner" {
			files = append(files, "templates/accuracy.html")
		}
		if p.byName[name], err = t.ParseFS(templateFiles, files...); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// A layout is what every page carries.
type layout struct {
	*visit
	SiteTitle string
	Title     string // of this page
	Area      string // "resident", "staff" or "planner"
	Style     string
	Script    string // empty when it was not built
	Icon      string
	// Refresh is after how many seconds a browser without scripts loads the
	// page again; 0 for never.
	Refresh int
	// RefreshToggle is the address with the other choice, empty for a page that
	// never refreshes.
	RefreshToggle string
	Languages     []languageLink // this page in every language
	Body          any
}

// A languageLink is the address of a page in a language.
type languageLink struct {
	*words.Language
	Link    string
	Current bool
}

// render writes a page; the whole of it is made before anything is sent.
func (s *server) render(w http.ResponseWriter, r *http.Request, v *visit, status int, name string, l layout) error {
	l.visit = v
	l.SiteTitle = s.Title
	if l.SiteTitle == "" {
		l.SiteTitle = v.T("site.title")
	}
	l.Style, l.Icon = s.assets.url("site.css"), s.assets.url("icon.svg")
	if l.Script != "" {
		l.Script = s.assets.url(l.Script)
	}
	query := ""
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.RawQuery
	}
	for _, to := range s.Words.All() {
		l.Languages = append(l.Languages, languageLink{to, "/" + to.Lang() + v.Path + query, to.Lang() == v.Lang()})
	}
	if l.Refresh > 0 {
		l.RefreshToggle = "?refresh=off"
		if r.URL.Query().Get("refresh") == "off" {
			l.Refresh, l.RefreshToggle = 0, v.Link(v.Path)
		}
	}
	var page bytes.Buffer
	if err := s.pages.byName[name].ExecuteTemplate(&page, "layout", l); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang())
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
		if l.Area == "resident" {
			// A phone that goes back to a page, or wakes a tab that it put to sleep,
			// shows a kept copy without asking, and its waits would look like those
			// of now.
			h.Set("Cache-Control", "no-store")
		}
	}
	h.Add("Vary", "Accept-Encoding")
	return send(w, r, status, tidy(page.Bytes()))
}

var writers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func send(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	if acceptsGzip(r) {
		var z bytes.Buffer
		zw := writers.Get().(*gzip.Writer)
		defer writers.Put(zw)
		zw.Reset(&z)
		if _, err := zw.Write(body); err != nil {
			return fmt.Errorf("compress page: %w", err)
		}
		if err := zw.Close(); err != nil {
			return fmt.Errorf("compress page: %w", err)
		}
		w.Header().Set("Content-Encoding", "gzip")
		body = z.Bytes()
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader went away; nobody is left to tell
	return nil
}

// tidy drops the indentation and empty lines that templates leave behind.
func tidy(page []byte) []byte {
	out := make([]byte, 0, len(page))
	for line := range bytes.Lines(page) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

type pageFunc func(w http.ResponseWriter, r *http.Request, v *visit) error

func notFound(http.ResponseWriter, *http.Request, *visit) error { return errNotFound }

// page turns a page function into a handler: an error becomes an error page
// in the visitor's language, and only internal ones are logged.
func (s *server) page(f pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		err := f(w, r, v)
		if err == nil {
			return
		}
		status, id := http.StatusInternalServerError, "internal"
		switch {
		case errors.Is(err, errNotFound):
			status, id = http.StatusNotFound, "notfound"
		case errors.Is(err, errForeign), errors.Is(err, errForbidden):
			status, id = http.StatusForbidden, "forbidden"
		case errors.Is(err, errUnavailable), errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
			status, id = http.StatusServiceUnavailable, "unavailable"
		}
		if status >= 500 {
			s.Logger.Error("page failed", logs.Path, r.URL.Path, logs.Error, err)
		}
		w.Header().Set("Cache-Control", "no-store")
		l := layout{Title: v.T("error." + id), Area: "error", Body: errorBody{v.T("error." + id), v.T("error." + id + "more")}}
		if strings.HasPrefix(r.URL.Path, "/staff") {
			l.Area = "staff"
		}
		if err := s.render(w, r, v, status, "error", l); err != nil {
			s.Logger.Error("error page failed", logs.Error, err)
			http.Error(w, http.StatusText(status), status)
		}
	})
}

type errorBody struct{ Heading, More string }
