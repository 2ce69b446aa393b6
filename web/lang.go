package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/words"
)

// A visit is one request with its language and its time.
type visit struct {
	*words.Language
	// Prefix is like "/nl" when the address names the language, else empty.
	Prefix string
	// Path is the address without the prefix.
	Path string
	Now  time.Time
}

type visitKey struct{}

// byPrefix finds the language, by the address first and Accept-Language
// second, and takes the prefix off the address.
func byPrefix(langs *words.Languages, next http.Handler, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Path: r.URL.Path, Now: now().UTC()}
		tag, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if l, ok := langs.Get(tag); ok {
			v.Language, v.Prefix, v.Path = l, "/"+tag, "/"+rest
		} else {
			v.Language = langs.Match(r.Header.Get("Accept-Language"))
			w.Header().Add("Vary", "Accept-Language")
		}
		r2 := r.Clone(context.WithValue(r.Context(), visitKey{}, v))
		r2.URL.Path, r2.URL.RawPath = v.Path, ""
		next.ServeHTTP(w, r2)
	})
}

// Link is the address of a page in the language of this visit.
func (v *visit) Link(path string) string { return v.Prefix + path }
