package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/config"
)

// What check-config calls right can be connected with.
func TestGoodConfigurationsHaveALink(t *testing.T) {
	files, err := filepath.Glob("../../config/testdata/gateway/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file) // one with a secret would have to be private to be loaded
		if err != nil {
			t.Fatal(err)
		}
		g, err := config.ParseGateway(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		g.Broker.CAFile = "" // not among the files of the test
		if g.Broker.PasswordFile != "" {
			g.Broker.PasswordFile = filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(g.Broker.PasswordFile, []byte(strings.Repeat("x", 43)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if g.Broker.Key != "" { // not a real one
			continue
		}
		shown, err := newCredential(&g.Broker, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if _, err := newLink(g, shown, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}
