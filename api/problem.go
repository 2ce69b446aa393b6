package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
)

// A failure is an error that a client may read. Whatever else is wrong is
// answered with the bare status 500 and logged.
type failure struct {
	status           int
	detail           string
	parameter, value string
	retryAfter       time.Duration
	cause            error // for the log only
}

func (f *failure) Error() string {
	if f.cause != nil {
		return fmt.Sprintf("%s: %v", f.detail, f.cause)
	}
	return f.detail
}

func (f *failure) Unwrap() error { return f.cause }

func invalid(parameter, value, format string, args ...any) error {
	return &failure{
		status: http.StatusBadRequest, parameter: parameter, value: clip(value),
		detail: fmt.Sprintf("%s: %s", parameter, fmt.Sprintf(format, args...)),
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}

func noSite(id string) error {
	return &failure{
		status: http.StatusNotFound, parameter: "id", value: clip(id),
		detail: fmt.Sprintf("there is no site %q", clip(id)),
	}
}

// failureOf decides what the client is told about an error.
func failureOf(r *http.Request, err error) *failure {
	var (
		f       *failure
		input   *InvalidError
		format  *openapi.InvalidParamFormatError
		tooMany *TooManyError
		tooBig  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &input):
		return &failure{status: http.StatusBadRequest, detail: input.Error(), parameter: input.Field, value: clip(input.Value)}
	case errors.As(err, &format):
		value := r.URL.Query().Get(format.ParamName)
		return &failure{
			status: http.StatusBadRequest, parameter: format.ParamName, value: clip(value),
			detail: fmt.Sprintf("%s: %q cannot be read", format.ParamName, clip(value)),
		}
	case errors.As(err, &tooBig):
		return &failure{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("the body is larger than %d bytes", tooBig.Limit)}
	case errors.As(err, &tooMany):
		return &failure{status: http.StatusTooManyRequests, detail: "too many attempts", retryAfter: tooMany.RetryAfter()}
	case errors.Is(err, ErrNoSite):
		return &failure{status: http.StatusNotFound, detail: "there is no such site"}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrFull), errors.Is(err, context.DeadlineExceeded):
		return &failure{
			status: http.StatusServiceUnavailable, detail: "the history cannot be reached now",
			retryAfter: 5 * time.Second, cause: err,
		}
	case errors.Is(err, context.Canceled):
		return &failure{status: http.StatusServiceUnavailable, detail: "the request was given up"}
	}
	return &failure{status: http.StatusInternalServerError, cause: err}
}

// problem answers with what an error allows to be said (RFC 9457). It is the
// only place where errors of requests are logged.
func problem(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	f := failureOf(r, err)
	if f.status >= 500 && f.cause != nil {
		logger.Error("request failed", logs.Method, r.Method, logs.Path, r.URL.Path, logs.Status, f.status, logs.Error, f.cause)
	}
	body, err := json.Marshal(openapi.Problem{
		Type: "about:blank", Title: http.StatusText(f.status), Status: f.status,
		Detail: f.detail, Parameter: f.parameter, Value: f.value,
	})
	if err != nil {
		logger.Error("encode problem", logs.Error, err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	w.WriteHeader(f.status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		logger.Debug("write problem", logs.Path, r.URL.Path, logs.Error, err)
	}
}
