package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// plainLog writes records as sentences for people: the time, the message, and
// the attributes in brackets. Services that collect logs use --log-format json.
type plainLog struct {
	mu    *sync.Mutex
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

func newPlainLog(w io.Writer, level slog.Level) *plainLog {
	return &plainLog{mu: new(sync.Mutex), w: w, level: level}
}

func (h *plainLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *plainLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.Format("15:04:05 "))
	if r.Level >= slog.LevelWarn {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(printable(r.Message))
	sep := " ("
	add := func(a slog.Attr) bool {
		b.WriteString(sep + a.Key + ": " + printable(a.Value.Resolve().String()))
		sep = ", "
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if sep == ", " {
		b.WriteByte(')')
	}
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

// printable quotes what could pass for another line or steer a terminal: paths,
// topics and user names come from outside.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func (h *plainLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr{}, h.attrs...), attrs...)
	return &c
}

// WithGroup keeps attributes flat: groups are not used in this program.
func (h *plainLog) WithGroup(string) slog.Handler { return h }

// newLogger builds the logger of a command; format is "text" or "json".
func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(newPlainLog(w, level))
}
