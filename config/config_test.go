package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The corpus: *.good.yaml loads, *.bad.yaml gives exactly the faults that its
// leading "# want: " comments name.
func TestCorpus(t *testing.T) {
	parsers := map[string]func([]byte) error{
		"server":  func(b []byte) error { _, err := ParseServer(b); return err },
		"gateway": func(b []byte) error { _, err := ParseGateway(b); return err },
	}
	for kind, parse := range parsers {
		files, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("corpus of %s files: %d files, %v", kind, len(files), err)
		}
		for _, file := range files {
			t.Run(kind+"/"+filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for line := range strings.Lines(string(text)) {
					if w, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# want: "); ok {
						want = append(want, w)
					}
				}
				if bad := strings.HasSuffix(file, ".bad.yaml"); bad != (len(want) > 0) {
					t.Fatalf("%d lines of # want: in a file of this name", len(want))
				}
				var got []string
				if err := parse(text); err != nil {
					got = strings.Split(err.Error(), "\n")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("faults (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestAlmere(t *testing.T) {
	s := Almere()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range s.PerronSites() {
		ids = append(ids, p.ID)
		if gate, ok := p.GateOf("main-in"); !ok || gate != "in" {
			t.Errorf("%s: gate of main-in is %q, %v", p.ID, gate, ok)
		}
		if len(p.QueueLoops) != 3 || p.QueueLoops[2].Distance != 12 {
			t.Errorf("%s: queue loops %v", p.ID, p.QueueLoops)
		}
		if !p.HasGateway(p.ID + "-1") {
			t.Errorf("%s: gateways %v", p.ID, p.Gateways)
		}
	}
	if diff := cmp.Diff([]string{"poort", "buiten", "haven"}, ids); diff != "" {
		t.Error(diff)
	}
	s.Sites[0].Bays = 0
	if Almere().Sites[0].Bays == 0 {
		t.Error("two calls share a value")
	}
	var e *Error
	if err := s.Validate(); !errors.As(err, &e) || e.Faults[0].Path != "sites[0].bays" {
		t.Errorf("a site without bays: %v", err)
	}
}
