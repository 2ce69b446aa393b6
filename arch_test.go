// Package perrondrukte_test holds the import rules of the house, which
// docs/architecture.md explains, as a test.
package perrondrukte_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/perrondrukte/perrondrukte"

// rooms says what the product code of each folder may import of the house. A
// folder without a line of its own follows the nearest one above it; what a
// room contains may import each other. Tests may import what they like.
var rooms = map[string][]string{
	"perron":            {},
	"config":            {"perron"},
	"config/schema":     {"config"}, // the generator of the JSON Schemas
	"broker":            {"perron", "internal/logs", "internal/rarely"},
	"broker/embedded":   {"perron", "broker", "internal/logs", "internal/rarely"},
	"counter":           {},
	"gateway":           {"perron", "broker", "counter", "internal/logs"},
	"present":           {"perron", "counter"},
	"collector":         {"perron", "broker", "store", "counter", "present", "internal/logs", "internal/pace", "internal/rarely"},
	"collector/learner": {"perron", "collector", "occupancy"},
	"yard":              {"perron"},
	"occupancy":         {"perron", "yard"},
	"forecast":          {"perron", "yard"},
	"weather":           {"perron", "internal/logs"},
	"simulate":          {"perron"},
	"store":             {"perron"},
	"store/sqlite":      {"perron", "store"},
	"store/influx":      {"perron", "store"},
	"store/storetest":   {"perron", "store", "internal/recordings"},
	"access":            {"perron", "config", "store", "access/password", "internal/certs", "internal/logs"},
	"access/password":   {},
	"access/accesstest": {"access", "access/password", "api", "store"},
	"words":             {"perron"},
	"api":               {"perron", "broker", "store", "words", "access/password", "internal/logs", "internal/rarely"},
	"web":               {"perron", "store", "words", "internal/logs"},
	"demo":              {"perron", "store", "broker", "gateway", "gateway/simulated", "simulate", "occupancy", "forecast"},
	"eval":              {"perron", "store", "simulate", "occupancy", "forecast"},
	"hindsight":         {"perron", "occupancy"},

	"internal/certs":      {"config", "internal/logs"},
	"internal/logs":       {}, // keys and form of the log
	"internal/pace":       {}, // how loops wait
	"internal/rarely":     {}, // a log that repeats itself
	"internal/recordings": {}, // for tests
}

// free are the folders that see everything.
var free = []string{"cmd", "test", "bench"}

// owners says which folders' product code may import a library. Others use the
// owner's types, so that a library can be replaced in one place.
var owners = map[string][]string{
	"github.com/eclipse/paho.mqtt.golang":      {"broker"},
	"github.com/mochi-mqtt/server":             {"broker/embedded"},
	"periph.io/x":                              {"gateway/gpio"},
	"github.com/simonvetter/modbus":            {"gateway/modbus"},
	"github.com/gorilla/websocket":             {"api"},
	"modernc.org/sqlite":                       {"store/sqlite", "gateway/outbox"},
	"github.com/pressly/goose":                 {"store/sqlite", "gateway/outbox"},
	"github.com/influxdata/influxdb-client-go": {"store/influx"},
	"github.com/alecthomas/kong":               {"cmd"},
	"golang.org/x/term":                        {"cmd"},
	"github.com/goccy/go-yaml":                 {"config"},
	"github.com/invopop/jsonschema":            {"config/schema"},
	"github.com/getkin/kin-openapi":            {"api"},
	"github.com/oapi-codegen":                  {"api"},
	"github.com/alexedwards/scs":               {"api"},
	"golang.org/x/crypto":                      {"access/password"},
	"golang.org/x/time":                        {"api"},
	"github.com/oklog/ulid":                    {"api", "gateway/outbox"},
	"github.com/nicksnyder/go-i18n":            {"words"},
	"golang.org/x/text":                        {"words"},
	"gonum.org/v1/gonum":                       {"occupancy", "forecast", "simulate"},
	"github.com/prometheus":                    {"broker", "gateway", "collector", "store", "weather", "access", "api", "web", "cmd"},
	"golang.org/x/sys":                         {"gateway", "cmd"},
	"golang.org/x/sync":                        {"gateway", "collector", "store", "api", "demo", "cmd"},
	"go.uber.org/goleak":                       {}, // tests only
	"github.com/google/go-cmp":                 {"store/storetest", "access/accesstest"},
	"github.com/santhosh-tekuri/jsonschema":    {},
}

// A listed package is what go list says of it.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
	Deps       []string
	Error      *struct{ Err string }
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Dir,Imports,GoFiles,Deps,Error"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		packages = append(packages, p)
	}
}

// folder is the path of a package below the root; ok is false for the packages
// of others.
func folder(importPath string) (path string, ok bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func within(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// room is the nearest folder at or above path that has a line in rooms.
func room(path string) (string, bool) {
	for at := path; at != "."; at = filepath.ToSlash(filepath.Dir(at)) {
		if _, ok := rooms[at]; ok {
			return at, true
		}
	}
	return "", false
}

func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func TestRoomsMeetWhereTheyMay(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, ok := folder(p.ImportPath)
		if !ok || from == "" || within(from, free...) {
			continue
		}
		home, ok := room(from)
		if !ok {
			t.Errorf("%s is a new room: say in arch_test.go what it may import", from)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := folder(imported)
			if !ours {
				continue
			}
			there, _ := room(to)
			if there != home && !slices.Contains(rooms[home], to) {
				t.Errorf("%s imports %s: %s may import %s only. Declare a small interface where it is used, and let cmd put the two together",
					from, to, home, orNothing(rooms[home]))
			}
		}
	}
}

func orNothing(words []string) string {
	if len(words) == 0 {
		return "nothing of the house"
	}
	return strings.Join(words, ", ")
}

func TestEveryLibraryHasAnOwner(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, _ := folder(p.ImportPath)
		if within(from, "test", "bench") {
			continue
		}
		for _, imported := range p.Imports {
			if _, ours := folder(imported); ours || standard(imported) {
				continue
			}
			if within(from, "perron") {
				t.Errorf("perron imports %s: it may import the standard library only", imported)
				continue
			}
			library := ""
			for l := range owners {
				if (imported == l || strings.HasPrefix(imported, l+"/")) && len(l) > len(library) {
					library = l
				}
			}
			switch {
			case library == "":
				t.Errorf("%s imports %s, which has no owner: name one in arch_test.go, and say in docs/adr why the library is worth it", from, imported)
			case !within(from, owners[library]...):
				t.Errorf("%s imports %s, which belongs to %s: use the types of its owner", from, imported, orNothing(owners[library]))
			}
		}
	}
}

// The gateway runs on a small device: what only a server needs stays out.
func TestGatewayStaysSmall(t *testing.T) {
	for _, p := range list(t, "./cmd/perron-gateway") {
		for _, dep := range p.Deps {
			for _, unwanted := range []string{
				"github.com/mochi-mqtt", "github.com/influxdata",
				module + "/collector", module + "/store", module + "/api", module + "/web", module + "/occupancy", module + "/forecast",
			} {
				if dep == unwanted || strings.HasPrefix(dep, unwanted+"/") {
					t.Errorf("cmd/perron-gateway links %s", dep)
				}
			}
		}
	}
}

// What people run holds no test code: the package testing brings flags and
// weight.
func TestProgramsLinkNoTests(t *testing.T) {
	for _, p := range list(t, "./cmd/...") {
		if slices.Contains(p.Deps, "testing") {
			t.Errorf("%s links testing, by way of one of %v", p.ImportPath, p.Imports)
		}
	}
}

// impure are the packages through which the outside world comes in.
var impure = []string{"os", "net", "io/fs", "syscall", "database/sql", "log", "os/exec", "sync", "context", "testing"}

// The vocabulary, the counters, the present of a site, the estimators, the words
// and the simulation do no I/O, start no goroutine and never ask for the time.
// The words are read from a file system that they are handed.
func TestPureRooms(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, p := range list(t, "./perron/...", "./counter/...", "./present/...", "./yard/...", "./occupancy/...", "./forecast/...", "./words", "./simulate/...") {
		from, _ := folder(p.ImportPath)
		for _, imported := range p.Imports {
			if within(imported, impure...) && !(from == "words" && imported == "io/fs") {
				t.Errorf("%s imports %s: it is to do no I/O and share nothing between goroutines", from, imported)
			}
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s starts a goroutine", fset.Position(n.Pos()))
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: time.%s: take now as an argument", fset.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// A folder is named after what it holds.
func TestNoDrawerForOddsAndEnds(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, _ := folder(p.ImportPath)
		for part := range strings.SplitSeq(from, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "shared"}, part) {
				t.Errorf("%s: name the folder after what it holds", from)
			}
		}
	}
}
