package web

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var locales embed.FS

// tags are the languages that there are words for; the first is the default.
var tags = []string{"nl", "en"}

type languages struct {
	matcher language.Matcher
	words   map[string]*words
}

func loadLanguages() (*languages, error) {
	l := &languages{words: make(map[string]*words)}
	bundle := i18n.NewBundle(language.Dutch)
	supported := make([]language.Tag, 0, len(tags))
	for _, tag := range tags {
		name := "locales/" + tag + ".json"
		if _, err := bundle.LoadMessageFileFS(locales, name); err != nil {
			return nil, err
		}
		raw, err := locales.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var tree map[string]any
		if err := json.Unmarshal(raw, &tree); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w := &words{tag: tag, local: i18n.NewLocalizer(bundle, tag), script: forScript(tree)}
		parsed := language.MustParse(tag)
		if w.dir, w.run, err = directions(parsed, tree); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		supported = append(supported, parsed)
		l.words[tag] = w
	}
	l.matcher = language.NewMatcher(supported)
	return l, nil
}

// scriptWords are the beginnings of the ids that the script uses as well.
var scriptWords = []string{
	"level.", "wait.", "board.", "trend.", "age.", "onsite.", "visits.", "queue.", "hours.", "state.", "live.", "notice.",
	"weekday.d", "month.", "overview.asof", "day.row", "staff.interval", "staff.undotime",
}

// forScript flattens the messages that the script uses as well.
func forScript(tree map[string]any) map[string]any {
	out := make(map[string]any)
	var walk func(prefix string, v map[string]any)
	walk = func(prefix string, v map[string]any) {
		for k, child := range v {
			id := prefix + k
			if m, ok := child.(map[string]any); ok && m["other"] == nil {
				walk(id+".", m)
			} else if slices.ContainsFunc(scriptWords, func(part string) bool { return strings.HasPrefix(id, part) }) {
				out[id] = child
			}
		}
	}
	walk("", tree)
	return out
}

// A visit is one request with its language and its time.
type visit struct {
	*words
	// Prefix is "/nl" or "/en" when the address names the language, else empty.
	Prefix string
	// Path is the address without the prefix.
	Path string
	Now  time.Time
}

type visitKey struct{}

// byPrefix finds the language, by the address first and Accept-Language
// second, and takes the prefix off the address.
func (l *languages) byPrefix(next http.Handler, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Path: r.URL.Path, Now: now().UTC()}
		for _, tag := range tags {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/"+tag); ok && (rest == "" || rest[0] == '/') {
				v.words, v.Prefix, v.Path = l.words[tag], "/"+tag, rest
				if rest == "" {
					v.Path = "/"
				}
			}
		}
		if v.words == nil {
			_, i := language.MatchStrings(l.matcher, r.Header.Get("Accept-Language"))
			v.words = l.words[tags[i]]
			w.Header().Add("Vary", "Accept-Language")
		}
		r2 := r.Clone(context.WithValue(r.Context(), visitKey{}, v))
		r2.URL.Path, r2.URL.RawPath = v.Path, ""
		next.ServeHTTP(w, r2)
	})
}

// Link is the address of a page in the language of this visit.
func (v *visit) Link(path string) string {
	if path == "/" && v.Prefix != "" {
		return v.Prefix + "/"
	}
	return v.Prefix + path
}
