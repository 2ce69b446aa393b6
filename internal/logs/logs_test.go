package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode"
)

// fixed is a record of a known time.
func fixed(level slog.Level, message string, args ...any) slog.Record {
	r := slog.NewRecord(time.Date(2026, 11, 28, 15, 4, 5, 0, time.FixedZone("", 3600)), level, message, 0)
	r.Add(args...)
	return r
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin Begin
		r     slog.Record
		want  string
	}{
		{
			"stamped", Stamp,
			fixed(slog.LevelWarn, "no connection, trying again", Broker, "ssl://perron.example:8883", RetryIn, 2*time.Second, Error, errors.New("connection refused")),
			`2026-11-28T15:04:05+01:00 WARN no connection, trying again broker=ssl://perron.example:8883 retry_in=2s error="connection refused"`,
		},
		{"nothing behind", Stamp, fixed(slog.LevelInfo, "stopped"), `2026-11-28T15:04:05+01:00 INFO stopped`},
		{"bare", Bare, fixed(slog.LevelError, "page failed", Site, "poort"), `page failed site=poort`},
		{"journal, error", Priority, fixed(slog.LevelError, "page failed"), `<3>ERROR page failed`},
		{"journal, warning", Priority, fixed(slog.LevelWarn, "page failed"), `<4>WARN page failed`},
		{"journal, info", Priority, fixed(slog.LevelInfo, "stopped"), `<6>INFO stopped`},
		{"journal, debug", Priority, fixed(slog.LevelDebug, "viewer lost"), `<7>DEBUG viewer lost`},
		{"a letter of the site's language", Bare, fixed(slog.LevelInfo, "café open", Site, "café"), `café open site=café`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := NewText(&out, slog.LevelDebug, c.begin).Handle(t.Context(), c.r); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != c.want+"\n" {
				t.Errorf("got  %q\nwant %q", got, c.want+"\n")
			}
		})
	}
}

// What comes from outside must not pass for a line of the log or steer a
// terminal that shows it.
func TestText_oneLineARecord(t *testing.T) {
	var out bytes.Buffer
	slog.New(NewText(&out, slog.LevelInfo, Stamp)).Warn("page failed\x1b[2J\n",
		Path, "/perron/x\n2026-11-28T15:04:05Z INFO website listens", Error, errors.New("bad \x1b[2J topic"), Site, "x\u2028y")
	text := out.String()
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\u2028") {
		t.Errorf("more than a line, or a control character:\n%q", text)
	}
	for _, want := range []string{`"page failed\x1b[2J\n"`, `path="/perron/x\n2026`, `\x1b[2J topic`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

// The standard library's own tests of a handler, on lines that end as logfmt.
func TestText_isAHandler(t *testing.T) {
	var out bytes.Buffer
	begin := func(r slog.Record) string {
		s := "level=" + r.Level.String() + " msg="
		if !r.Time.IsZero() {
			s = "time=" + r.Time.Format(time.RFC3339) + " " + s
		}
		return s
	}
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return NewText(&out, slog.LevelInfo, begin)
	}, func(t *testing.T) map[string]any {
		fields := make(map[string]any)
		for word := range strings.FieldsSeq(out.String()) {
			key, value, ok := strings.Cut(word, "=")
			if !ok {
				continue // of the sentence
			}
			at, path := fields, strings.Split(key, ".")
			for _, group := range path[:len(path)-1] {
				inner, ok := at[group].(map[string]any)
				if !ok {
					inner = make(map[string]any)
					at[group] = inner
				}
				at = inner
			}
			at[path[len(path)-1]] = value
		}
		return fields
	})
}

func TestFlags(t *testing.T) {
	var out bytes.Buffer
	log := Flags{LogFormat: "json", LogLevel: "warn"}.Logger(&out)
	log.Info("stopped")
	log.Warn("page failed", Site, "poort")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, &out)
	}
	if line["msg"] != "page failed" || line["level"] != "WARN" || line[Site] != "poort" {
		t.Errorf("got %v", line)
	}
	out.Reset()
	Flags{LogFormat: "text", LogLevel: "info"}.Logger(&out).Info("stopped")
	if got := out.String(); !strings.HasSuffix(got, " INFO stopped\n") || strings.HasPrefix(got, "<") {
		t.Errorf("got %q", got)
	}
}

// A key is its name in snake case, is there once, and does not hide what slog
// itself writes.
func TestKeys(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "keys.go", nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name := spec.Names[0].Name
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if want := snake(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
		if spec.Comment == nil {
			t.Errorf("%s: say what it is, with its unit", name)
		}
		switch value {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey:
			t.Errorf("%s: slog writes %q itself", name, value)
		}
		if other, ok := seen[value]; ok {
			t.Errorf("%s and %s are both %q", other, name, value)
		}
		seen[value] = name
		return true
	})
	if len(seen) == 0 {
		t.Error("no keys were found")
	}
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
