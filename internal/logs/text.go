package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Begin says what stands before the sentence of a line.
type Begin func(slog.Record) string

// Stamp begins a line with time and level.
func Stamp(r slog.Record) string { return r.Time.Format(time.RFC3339) + " " + r.Level.String() + " " }

// Bare begins a line with its sentence.
func Bare(slog.Record) string { return "" }

// Priority begins a line as journald takes it from a service: with the syslog
// priority, see sd-daemon(3), and without the time, which the journal adds.
func Priority(r slog.Record) string {
	priority := "<7>"
	switch {
	case r.Level >= slog.LevelError:
		priority = "<3>"
	case r.Level >= slog.LevelWarn:
		priority = "<4>"
	case r.Level >= slog.LevelInfo:
		priority = "<6>"
	}
	return priority + r.Level.String() + " "
}

// text writes a record as one line. What follows the sentence is written by the
// standard library's handler, which has the rest from it: quoting, groups,
// values that are worked out late.
type text struct {
	*output
	rest slog.Handler // writes into line
}

type output struct {
	mu    sync.Mutex
	w     io.Writer
	begin Begin
	line  bytes.Buffer
}

// NewText makes a handler that writes lines for people. It is safe for
// concurrent use, and each line is one Write.
func NewText(w io.Writer, level slog.Leveler, begin Begin) slog.Handler {
	out := &output{w: w, begin: begin}
	return &text{out, slog.NewTextHandler(&out.line, &slog.HandlerOptions{Level: level, ReplaceAttr: onlyRest})}
}

// onlyRest leaves out what stands before the attributes.
func onlyRest(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

func (t *text) Enabled(ctx context.Context, l slog.Level) bool { return t.rest.Enabled(ctx, l) }

func (t *text) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &text{t.output, t.rest.WithAttrs(attrs)}
}

func (t *text) WithGroup(name string) slog.Handler { return &text{t.output, t.rest.WithGroup(name)} }

func (t *text) Handle(ctx context.Context, r slog.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.Reset()
	t.line.WriteString(t.begin(r))
	t.line.WriteString(printable(r.Message))
	t.line.WriteByte(' ')
	before := t.line.Len()
	if err := t.rest.Handle(ctx, r); err != nil {
		return err
	}
	line := t.line.Bytes()
	if len(line) == before+1 { // nothing but the line's end
		line = append(line[:before-1], '\n')
	}
	_, err := t.w.Write(line)
	return err
}

// printable quotes what could pass for another line or steer a terminal: a
// sentence may have in it what came from outside.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
