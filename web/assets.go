package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// static holds what is checked in: the built style and the icon.
//
//go:embed static
var static embed.FS

// dist holds the built scripts; it is empty when Node was not there to build
// them.
//
//go:embed all:dist
var dist embed.FS

// An asset is a file that a page refers to by a name with its hash in it, so
// that browsers may keep it for ever.
type asset struct {
	url        string
	mediaType  string
	body, gzip []byte
}

type assets struct {
	byName map[string]*asset // "site.css"
	byURL  map[string]*asset // "site.1a2b3c4d5e.css"
}

var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func loadAssets() (*assets, error) {
	a := &assets{byName: make(map[string]*asset), byURL: make(map[string]*asset)}
	for _, dir := range []struct {
		fs   fs.FS
		name string
	}{{static, "static"}, {dist, "dist"}} {
		entries, err := fs.ReadDir(dir.fs, dir.name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			mediaType, ok := mediaTypes[path.Ext(e.Name())]
			if !ok {
				continue // .gitkeep, licence notes
			}
			body, err := fs.ReadFile(dir.fs, dir.name+"/"+e.Name())
			if err != nil {
				return nil, err
			}
			if err := a.add(e.Name(), mediaType, body); err != nil {
				return nil, err
			}
		}
	}
	if a.byName["site.css"] == nil {
		return nil, errors.New("static/site.css is missing")
	}
	return a, nil
}

func (a *assets) add(name, mediaType string, body []byte) error {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("compress %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("compress %s: %w", name, err)
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext
	v := &asset{url: "/assets/" + hashed, mediaType: mediaType, body: body, gzip: z.Bytes()}
	a.byName[name], a.byURL[hashed] = v, v
	return nil
}

// url is the address of a built file, empty when it was not built.
func (a *assets) url(name string) string {
	if v := a.byName[name]; v != nil {
		return v.url
	}
	return ""
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := a.byURL[r.PathValue("name")]
	if v == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", v.mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := v.body
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = v.gzip
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body) // the reader went away; nobody is left to tell
}

// acceptsGzip reads Accept-Encoding as far as it matters: gzip is named and
// not refused.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
