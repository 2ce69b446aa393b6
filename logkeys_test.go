package perrondrukte_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// keysFrom says at which argument of a log call the keys begin.
var keysFrom = map[string]int{
	"With":  0,
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1,
	"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
	"Log": 3, "LogAttrs": 3,
}

// logCall says where the keys of a call begin, and how far apart they are; ok is
// false for what is no log call.
func logCall(call *ast.CallExpr) (from, step int, ok bool) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return 0, 0, false
	}
	if pkg, ok := f.X.(*ast.Ident); ok {
		switch pkg.Name {
		case "slog": // slog.String("site", …) and its like
			return 0, len(call.Args) + 1, len(call.Args) == 2
		case "http": // http.Error
			return 0, 0, false
		}
	}
	from, ok = keysFrom[f.Sel.Name]
	return from, 2, ok && len(call.Args) > from
}

// The keys of log lines are the constants of internal/logs, so that one thing
// has one name in both programs; and each of them is used.
func TestLogKeysAreOfOneSet(t *testing.T) {
	used := make(map[string]bool)
	keys := make(map[string]token.Position)
	for _, p := range list(t, "./...") {
		from, _ := folder(p.ImportPath)
		if within(from, "test", "bench", "tools") {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if from == "internal/logs" {
				if name == "keys.go" {
					ast.Inspect(file, func(n ast.Node) bool {
						if spec, ok := n.(*ast.ValueSpec); ok {
							keys[spec.Names[0].Name] = fset.Position(spec.Pos())
						}
						return true
					})
				}
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "logs" {
						used[n.Sel.Name] = true
					}
				case *ast.CallExpr:
					at, step, ok := logCall(n)
					if !ok {
						return true
					}
					if n.Ellipsis.IsValid() {
						t.Errorf("%s: a log call whose keys are in a slice: write them out", fset.Position(n.Pos()))
					}
					for ; at < len(n.Args); at += step {
						if lit, ok := n.Args[at].(*ast.BasicLit); ok && lit.Kind == token.STRING {
							t.Errorf("%s: the log key %s: want a constant of internal/logs", fset.Position(lit.Pos()), lit.Value)
						}
					}
				}
				return true
			})
		}
	}
	for name, at := range keys {
		if !used[name] {
			t.Errorf("%s: the log key %s is in no log line", at, name)
		}
	}
}
