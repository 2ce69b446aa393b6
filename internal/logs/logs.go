// Package logs is how both programs write their logs: one set of keys, and one
// form of a line.
//
// A line is a sentence with what belongs to it behind as key=value, quoted where
// it has to be:
//
//	2026-11-28T15:04:05+01:00 WARN no connection to the broker, trying again broker=ssl://perron.example:8883 retry_in=2s error="connection refused"
//
// The sentence stands bare, because people read it first, mostly in the journal;
// the rest is logfmt, which grep and log collectors take apart. In the journal
// of systemd the time is left out and the priority goes before the line, so that
// journalctl -p warning finds what is wrong, as with any other service. Who
// collects logs by machine asks for JSON lines, with the same keys.
//
// A log call names its keys by the constants of this package.
package logs

import (
	"io"
	"log/slog"
)

// Flags are the command-line flags of a program that logs, in kong's notation.
type Flags struct {
	LogFormat string `enum:"text,json" default:"text" help:"A sentence with key=value behind it (text) or a JSON object a line (json)."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"The least important lines to show: ${enum}."`
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Logger writes to w as the flags say. The command line has refused other words
// than those of the flags; they mean info and text here.
func (f Flags) Logger(w io.Writer) *slog.Logger {
	level := levels[f.LogLevel]
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	begin := Stamp
	if toJournal(w) {
		begin = Priority
	}
	return slog.New(NewText(w, level, begin))
}
