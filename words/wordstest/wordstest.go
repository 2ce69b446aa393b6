// Package wordstest makes up languages for tests.
package wordstest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every text of a made-up language stands between these, so that a test finds
// what on a page is in another language.
const (
	begin = "⟦"
	end   = "⟧"
)

// Mark is a text as a made-up language has it.
func Mark(text string) string { return begin + text + end }

// MadeUp is a language file with the messages of another one, marked, and with
// more plural forms, which say their names.
func MadeUp(t testing.TB, files fs.FS, of, name, direction string, forms ...string) map[string]any {
	t.Helper()
	tree, _ := made(messages(t, files, of), forms).(map[string]any)
	tree["language"] = map[string]any{"name": name, "direction": direction}
	return tree
}

// messages are those of a language file, as a tree.
func messages(t testing.TB, files fs.FS, of string) map[string]any {
	t.Helper()
	raw, err := fs.ReadFile(files, of+".json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	delete(tree, "language")
	return tree
}

func made(v any, forms []string) any {
	tree, ok := v.(map[string]any)
	if !ok {
		return Mark(fmt.Sprint(v))
	}
	other, plural := tree["other"].(string)
	out := make(map[string]any)
	for k, child := range tree {
		if plural {
			out[k] = Mark(fmt.Sprint(child) + " " + k)
		} else {
			out[k] = made(child, forms)
		}
	}
	if plural {
		for _, form := range forms {
			out[form] = Mark(other + " " + form)
		}
	}
	return out
}

// Unmarked is a text without what a made-up language says in it: what is left
// comes from elsewhere.
func Unmarked(text string) string {
	var out strings.Builder
	depth := 0
	for _, r := range text {
		switch string(r) {
		case begin:
			depth++
		case end:
			depth--
		default:
			if depth == 0 {
				out.WriteRune(r)
			}
		}
	}
	return out.String()
}

var (
	placeholder = regexp.MustCompile(`\{\{[^}]*\}\}|[^{]+|\{`)
	letters     = []rune("ابپتثجحخدذرزسشصضطعغفقکلمنوه")
)

// Mirrored is a language file with the messages of another one in letters of
// the Arabic script, letter by letter: a language that nobody speaks, as long as
// the other and read from right to left, with every plural form of Arabic. charts
// is the direction of time in its charts.
func Mirrored(t testing.TB, files fs.FS, of, charts string) map[string]any {
	t.Helper()
	tree := messages(t, files, of)
	mirror(tree)
	tree["language"] = map[string]any{"name": "ابپ", "charts": charts, "numbering": "latn"}
	return tree
}

func mirror(tree map[string]any) {
	for key, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			if other, ok := v["other"]; ok {
				for _, form := range []string{"zero", "one", "two", "few", "many"} {
					v[form] = other
				}
			}
			mirror(v)
		case string:
			tree[key] = placeholder.ReplaceAllStringFunc(v, func(part string) string {
				if strings.HasPrefix(part, "{{") {
					return part
				}
				return strings.Map(func(r rune) rune {
					switch {
					case r >= 'a' && r <= 'z':
						return letters[r-'a']
					case r >= 'A' && r <= 'Z':
						return letters[r-'A']
					}
					return r
				}, part)
			})
		}
	}
}

// Folder writes the files of one file system and language files beside them to
// a folder of their own.
func Folder(t testing.TB, files fs.FS, more map[string]map[string]any) fs.FS {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	for tag, tree := range more {
		raw, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, tag+".json"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return os.DirFS(dir)
}
