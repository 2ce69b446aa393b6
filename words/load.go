package words

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var locales embed.FS

// Languages are those that there are words for.
type Languages struct {
	all     []*Language // the default first, then by tag
	matcher language.Matcher
}

// Built is the languages that are compiled in.
func Built() (*Languages, error) {
	files, err := fs.Sub(locales, "locales")
	if err != nil {
		return nil, fmt.Errorf("open the language files: %w", err)
	}
	return Load(files)
}

// Load reads the languages from the files named after their tags, like nl.json,
// in the root of the file system. Exactly one of them is the default: it is the
// reference for the others. The error names everything that is wrong.
func Load(files fs.FS) (*Languages, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, fmt.Errorf("list the language files: %w", err)
	}
	var read []*file
	var faults []error
	for _, name := range names {
		f, err := readFile(files, name)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
			continue
		}
		read = append(read, f)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	reference, err := referenceOf(read)
	if err != nil {
		return nil, err
	}
	l := new(Languages)
	tags := make([]language.Tag, 0, len(read))
	for _, f := range slices.SortedFunc(slices.Values(read), func(a, b *file) int {
		if (a == reference) != (b == reference) {
			if a == reference {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	}) {
		one, err := f.language(reference)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l.all, tags = append(l.all, one), append(tags, f.tag)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for _, one := range l.all {
		one.siblings = l
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

func referenceOf(files []*file) (*file, error) {
	var reference *file
	for _, f := range files {
		if !f.About.Default {
			continue
		}
		if reference != nil {
			return nil, fmt.Errorf("%s and %s are both the default language", reference.name, f.name)
		}
		reference = f
	}
	if reference == nil {
		return nil, fmt.Errorf("none of %d language files is the default: one of them has to say so", len(files))
	}
	return reference, nil
}

// All are the languages, the default first, then by tag. The slice must not be
// changed.
func (l *Languages) All() []*Language { return l.all }

// Default is the language of whoever asks for none that there is.
func (l *Languages) Default() *Language { return l.all[0] }

// Tags are the tags of All.
func (l *Languages) Tags() []string {
	tags := make([]string, 0, len(l.all))
	for _, one := range l.all {
		tags = append(tags, one.tag)
	}
	return tags
}

// Get is the language of a tag.
func (l *Languages) Get(tag string) (*Language, bool) {
	for _, one := range l.all {
		if one.tag == tag {
			return one, true
		}
	}
	return nil, false
}

// Match is the language that an Accept-Language header prefers.
func (l *Languages) Match(accept string) *Language {
	_, i := language.MatchStrings(l.matcher, accept)
	return l.all[i]
}

// A file is a language file as it was read.
type file struct {
	name     string
	tag      language.Tag
	About    about
	messages map[string]entry
}

// about is what a file says of its language.
type about struct {
	// Name is what the language calls itself.
	Name string `json:"name"`
	// Direction is that of the text; empty for that of the language's script.
	Direction Direction `json:"direction"`
	// Charts is the direction of time in charts; empty for from left to right.
	Charts Direction `json:"charts"`
	// Numbering is a numbering system of CLDR like "latn"; empty for the usual
	// one of the language.
	Numbering string `json:"numbering"`
	Default   bool   `json:"default"`
}

// An entry is a text by plural form; one without plural forms has "other" only.
type entry struct {
	forms  map[string]string
	plural bool
}

// aboutKey is the one block of a file that is no message.
const aboutKey = "language"

func readFile(files fs.FS, name string) (*file, error) {
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	tag := strings.TrimSuffix(name, path.Ext(name))
	f := &file{name: name, messages: make(map[string]entry)}
	if f.tag, err = language.Parse(tag); err != nil || f.tag.String() != tag {
		return nil, fmt.Errorf("%q is not a language tag as BCP 47 writes it", tag)
	}
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(tree[aboutKey])))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f.About); err != nil {
		return nil, fmt.Errorf("%s: %w", aboutKey, err)
	}
	delete(tree, aboutKey)
	return f, f.read("", tree)
}

// read flattens the messages: "wait" and "over" within it become "wait.over".
func (f *file) read(prefix string, tree map[string]json.RawMessage) error {
	for key, raw := range tree {
		id := prefix + key
		var text string
		if json.Unmarshal(raw, &text) == nil {
			f.messages[id] = entry{forms: map[string]string{"other": text}}
			continue
		}
		var branch map[string]json.RawMessage
		if err := json.Unmarshal(raw, &branch); err != nil {
			return fmt.Errorf("%s is neither a text nor a block of texts", id)
		}
		if branch["other"] == nil {
			if err := f.read(id+".", branch); err != nil {
				return err
			}
			continue
		}
		forms := make(map[string]string)
		if err := json.Unmarshal(raw, &forms); err != nil {
			return fmt.Errorf("%s: a plural form is a text", id)
		}
		f.messages[id] = entry{forms: forms, plural: true}
	}
	return nil
}

// language checks a file against the reference and makes it ready for use.
func (f *file) language(reference *file) (*Language, error) {
	if err := f.check(reference); err != nil {
		return nil, err
	}
	bundle := i18n.NewBundle(f.tag)
	for id, m := range f.messages {
		if err := bundle.AddMessages(f.tag, m.i18n(id)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return newLanguage(f, bundle), nil
}

func (m entry) i18n(id string) *i18n.Message {
	return &i18n.Message{
		ID: id, Zero: m.forms["zero"], One: m.forms["one"], Two: m.forms["two"],
		Few: m.forms["few"], Many: m.forms["many"], Other: m.forms["other"],
	}
}
