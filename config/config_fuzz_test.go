package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func seed(f *testing.F, kind string) {
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// checkFaults holds for every rejection: it has faults, in the order of their
// lines, and each is one line of text.
func checkFaults(t *testing.T, text []byte, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || len(e.Faults) == 0 {
		t.Fatalf("an error without faults: %v", err)
	}
	last, lines := 0, strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+1
	for _, f := range e.Faults {
		if f.Line < last || f.Line > lines {
			t.Errorf("fault at line %d after %d, of %d: %v", f.Line, last, lines, f)
		}
		last = f.Line
	}
}

func FuzzParseServer(f *testing.F) {
	seed(f, "server")
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseServer(text)
		if err != nil {
			checkFaults(t, text, err)
			return
		}
		if err := s.Validate(); err != nil {
			t.Errorf("accepted, but not valid: %v", err)
		}
		if sites := s.PerronSites(); len(sites) == 0 {
			t.Error("accepted without sites")
		}
	})
}

func FuzzParseGateway(f *testing.F) {
	seed(f, "gateway")
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := ParseGateway(text)
		if err != nil {
			checkFaults(t, text, err)
			return
		}
		if err := g.Validate(); err != nil {
			t.Errorf("accepted, but not valid: %v", err)
		}
	})
}
