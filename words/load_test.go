package words

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/words/wordstest"
)

// folder has the compiled-in language files and the given ones.
func folder(t *testing.T, files map[string]map[string]any) fs.FS {
	t.Helper()
	return wordstest.Folder(t, os.DirFS("locales"), files)
}

func TestLoad(t *testing.T) {
	tags := built(t).Tags()
	if len(tags) < 2 || tags[0] != "nl" || built(t).Default().Lang() != "nl" || !slices.IsSorted(tags[1:]) {
		t.Errorf("languages %q: the default comes first, then they go by tag", tags)
	}
	for accept, want := range map[string]string{"": "nl", "en-GB,en;q=0.9": "en", "ja,ko;q=0.5": "nl", "nl;q=0.3,en;q=0.8": "en", "xx-!": "nl"} {
		if got := built(t).Match(accept).Lang(); got != want {
			t.Errorf("%q is answered in %s, want %s", accept, got, want)
		}
	}
}

// Whatever is wrong with a language file is said with the name of the message.
func TestFilesThatAreNotComplete(t *testing.T) {
	block := func(tree map[string]any, name string) map[string]any {
		b, ok := tree[name].(map[string]any)
		if !ok {
			t.Fatalf("no block %s", name)
		}
		return b
	}
	for name, c := range map[string]struct {
		tag    string
		change func(tree map[string]any)
		want   []string
	}{
		"a missing message":      {"pl", func(tree map[string]any) { delete(block(tree, "trend"), "rising") }, []string{"pl.json: the message trend.rising is missing"}},
		"three missing blocks":   {"de", func(tree map[string]any) { delete(tree, "belief"); delete(tree, "waits"); delete(tree, "error") }, []string{"belief.heading is missing", "waits.how is missing", "error.notfound is missing"}},
		"a surplus message":      {"pl", func(tree map[string]any) { block(tree, "trend")["sideways"] = "→" }, []string{"the message trend.sideways is not one that nl.json has"}},
		"a missing plural form":  {"pl", func(tree map[string]any) { delete(block(block(tree, "visits"), "today"), "few") }, []string{`the message visits.today lacks the plural form "few"`}},
		"a plural form too many": {"pl", func(tree map[string]any) { block(block(tree, "visits"), "today")["two"] = "{{.Count}}" }, []string{`the message visits.today has a plural form "two", which pl does not have`}},
		"no plural forms":        {"pl", func(tree map[string]any) { block(tree, "visits")["today"] = "{{.Count}}" }, []string{"the message visits.today has plural forms here or in nl.json, but not in both"}},
		"another placeholder":    {"pl", func(tree map[string]any) { block(tree, "hours")["until"] = "do {{.Hour}}" }, []string{"the message hours.until lacks the placeholder {{.Time}}"}},
		"a placeholder too many": {"pl", func(tree map[string]any) { block(tree, "hours")["until"] = "do {{.Time}} {{.Day}}" }, []string{"the message hours.until has the placeholder {{.Day}}, which the reference does not have"}},
		"a broken placeholder":   {"pl", func(tree map[string]any) { block(tree, "hours")["until"] = "do {{.Time}" }, []string{"the message hours.until has a placeholder that is not like {{.Name}}"}},
		"a placeholder in a form": {
			"pl", func(tree map[string]any) { block(block(tree, "doubt"), "backlog")["few"] = "{{.Gateway}}" },
			[]string{"the message doubt.backlog (few) lacks the placeholder {{.Site}}"},
		},
		"an empty message":     {"pl", func(tree map[string]any) { block(tree, "trend")["rising"] = " " }, []string{"the message trend.rising is empty"}},
		"no direction":         {"pl", func(tree map[string]any) { block(tree, "language")["direction"] = "up" }, []string{`language.direction is "up", not ltr or rtl`}},
		"no name":              {"pl", func(tree map[string]any) { delete(block(tree, "language"), "name") }, []string{"language.name is missing"}},
		"an unknown property":  {"pl", func(tree map[string]any) { block(tree, "language")["naam"] = "x" }, []string{"pl.json: language:", `"naam"`}},
		"two defaults":         {"pl", func(tree map[string]any) { block(tree, "language")["default"] = true }, []string{"nl.json and pl.json are both the default language"}},
		"a tag that is none":   {"polish", func(map[string]any) {}, []string{`"polish" is not a language tag`}},
		"no rules for plurals": {"tlh", func(map[string]any) {}, []string{"tlh.json: plural forms:"}},
	} {
		tree := wordstest.MadeUp(t, os.DirFS("locales"), "nl", "Made-up", "ltr", "few", "many")
		if c.tag == "de" {
			tree = wordstest.MadeUp(t, os.DirFS("locales"), "nl", "Made-up", "ltr")
		}
		c.change(tree)
		_, err := Load(folder(t, map[string]map[string]any{c.tag: tree}))
		if err == nil {
			t.Errorf("%s: the file is taken", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not say %q:\n%s", name, want, err)
			}
		}
	}
	if _, err := Load(os.DirFS(t.TempDir())); err == nil {
		t.Error("no language at all is taken")
	}
}

// A language is a file: with it comes everything, in its own numerals and plural
// forms.
func TestALanguageIsAFile(t *testing.T) {
	l, err := Load(folder(t, map[string]map[string]any{
		"ar": wordstest.MadeUp(t, os.DirFS("locales"), "nl", "العربية", "rtl", "zero", "two", "few", "many"),
		"pl": wordstest.MadeUp(t, os.DirFS("locales"), "nl", "Polski", "ltr", "few", "many"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	ar, _ := l.Get("ar")
	pl, _ := l.Get("pl")
	if ar.Dir() != "rtl" || pl.Dir() != "ltr" || ar.Name() != "العربية" {
		t.Errorf("directions %s and %s, name %q", ar.Dir(), pl.Dir(), ar.Name())
	}
	if got := ar.Number(1234) + " " + pl.Number(12345); got != "١٬٢٣٤ 12\u00a0345" {
		t.Errorf("numbers %q", got)
	}
	// A browser whose CLDR has another usual system is told which one this is.
	if ar.Locale() != "ar-u-nu-arab" || pl.Locale() != "pl" {
		t.Errorf("locales %s and %s", ar.Locale(), pl.Locale())
	}
	if got := ar.TimeOfDay(8*60 + 5); got != wordstest.Mark("٨:٠٥") {
		t.Errorf("time %q", got)
	}
	// A made-up language marks its texts and says the plural form.
	forms := map[int]string{0: "zero", 1: "one", 2: "two", 3: "few", 11: "many", 100: "other"}
	for _, n := range slices.Sorted(maps.Keys(forms)) {
		if got := ar.N("staff.nextvalue", n); !strings.Contains(got, forms[n]) {
			t.Errorf("%d is %q, want the form %s", n, got, forms[n])
		}
	}
	if l.Match("ar-EG, en;q=0.5") != ar {
		t.Error("a browser in Arabic is not answered in it")
	}
}
