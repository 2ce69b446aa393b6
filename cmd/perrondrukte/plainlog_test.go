package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// What comes from outside must not pass for a line of the log or steer a
// terminal that shows it.
func TestPlainLog_oneLineARecord(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, "text", slog.LevelInfo).Warn("page failed",
		"path", "/perron/x\n12:00:00 website listens", "err", errors.New("bad \x1b[2J topic"), "site", "café")
	text := out.String()
	if strings.Count(text, "\n") != 1 || strings.ContainsRune(text, 0x1b) {
		t.Errorf("more than a line, or a control character:\n%q", text)
	}
	for _, want := range []string{"warn: page failed (path: ", `"/perron/x\n12:00:00 website listens"`, `\x1b[2J topic`, "site: café)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
