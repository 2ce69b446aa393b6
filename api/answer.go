package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An answer is what a handler can say of its answer besides the body.
type answer struct {
	accept string // the request's header
	tag    string
	keep   time.Duration
}

type answerKey struct{}

func answerOf(ctx context.Context) *answer {
	if a, ok := ctx.Value(answerKey{}).(*answer); ok {
		return a
	}
	return new(answer)
}

// aboutAnswer says how long shared caches may keep the answer and, when same
// is not nil, what makes two answers the same; otherwise the body does.
func aboutAnswer(ctx context.Context, keep time.Duration, same any) error {
	a := answerOf(ctx)
	a.keep = keep
	if same == nil {
		return nil
	}
	b, err := json.Marshal(same)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	a.tag = tagOf(b)
	return nil
}

// tagOf is weak: ages and compression differ between answers that are the same.
func tagOf(b []byte) string {
	sum := sha256.Sum256(b)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// conditional gives answers their ETag and Cache-Control, answers 304 to those
// who have it already, and compresses JSON.
func conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		a := &answer{accept: strings.Join(r.Header.Values("Accept"), ",")}
		held := &heldWriter{ResponseWriter: w, answer: a}
		next.ServeHTTP(held, r.WithContext(context.WithValue(r.Context(), answerKey{}, a)))
		held.release(r)
	})
}

// A heldWriter holds a JSON answer back until it is complete. Others pass.
type heldWriter struct {
	http.ResponseWriter
	answer  *answer
	body    bytes.Buffer
	holding bool
	started bool
}

func (w *heldWriter) WriteHeader(code int) {
	if w.started {
		return
	}
	w.started = true
	h := w.Header()
	if code == http.StatusOK && h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
		if w.answer.keep > 0 {
			h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(w.answer.keep.Seconds())))
			h.Add("Vary", "Accept, Accept-Encoding")
		}
	}
	if code == http.StatusOK && h.Get("Content-Type") == "application/json" {
		w.holding = true
		return
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *heldWriter) Write(b []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	if w.holding {
		return w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// worthwhile is the size in bytes from which compression saves a packet.
const worthwhile = 1400

var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// release sends what was held. The client may be gone by then, which is its
// own affair.
func (w *heldWriter) release(r *http.Request) {
	if !w.holding {
		return
	}
	h := w.Header()
	if w.answer.keep > 0 {
		tag := w.answer.tag
		if tag == "" {
			tag = tagOf(w.body.Bytes())
		}
		h.Set("ETag", tag)
		if matches(r.Header.Values("If-None-Match"), tag) {
			h.Del("Content-Type")
			w.ResponseWriter.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body := w.body.Bytes()
	if len(body) >= worthwhile && acceptsGzip(r) {
		var small bytes.Buffer
		z := zippers.Get().(*gzip.Writer)
		z.Reset(&small)
		_, err1 := z.Write(body)
		err2 := z.Close()
		zippers.Put(z)
		if err1 == nil && err2 == nil {
			h.Set("Content-Encoding", "gzip")
			body = small.Bytes()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.ResponseWriter.WriteHeader(http.StatusOK)
	_, _ = w.ResponseWriter.Write(body)
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, param, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(param), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// matches compares weakly (RFC 9110, section 13.1.2).
func matches(ifNoneMatch []string, tag string) bool {
	for part := range strings.SplitSeq(strings.Join(ifNoneMatch, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func (w *heldWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
