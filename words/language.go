package words

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// A Language says things in one language. It is safe for concurrent use.
type Language struct {
	tag      string
	about    about
	dir, run Direction // of text, and of time in charts
	local    *i18n.Localizer
	numbered language.Tag // with the numbering system
	numbers  *message.Printer
	siblings *Languages
}

func newLanguage(f *file, bundle *i18n.Bundle) *Language {
	l := &Language{tag: f.tag.String(), about: f.About, local: i18n.NewLocalizer(bundle, f.tag.String()), numbered: f.tag}
	if n := f.About.Numbering; n != "" {
		// The numbering system was checked with the file.
		l.numbered, _ = f.tag.SetTypeForKey("nu", n)
	} else {
		l.numbered = withNumerals(f.tag)
	}
	l.numbers = message.NewPrinter(l.numbered)
	l.dir, l.run = f.About.directions(f.tag)
	return l
}

// numerals are the numbering systems of CLDR that are usual somewhere, but for
// the one of 123.
var numerals = []string{"adlm", "arab", "arabext", "beng", "cakm", "deva", "mymr", "olck", "tibt"}

// withNumerals names the usual numbering system of a language where that is not
// the one of 123. Which is usual differs between editions of CLDR, and a browser
// that follows another one would write other digits than the server.
func withNumerals(tag language.Tag) language.Tag {
	zero := func(tag language.Tag) string { return message.NewPrinter(tag).Sprint(number.Decimal(0)) }
	usual := zero(tag)
	if usual == "0" {
		return tag
	}
	for _, system := range numerals {
		if named, err := tag.SetTypeForKey("nu", system); err == nil && zero(named) == usual {
			return named
		}
	}
	return tag
}

// Lang is the language's tag as BCP 47 writes it, like "nl".
func (l *Language) Lang() string { return l.tag }

// Locale is the tag with what a browser has to know to write numbers as this
// package does.
func (l *Language) Locale() string { return l.numbered.String() }

// Name is what the language calls itself.
func (l *Language) Name() string { return l.about.Name }

// Dir is the direction of the text.
func (l *Language) Dir() Direction { return l.dir }

// Run is the direction of time in charts.
func (l *Language) Run() Direction { return l.run }

// T is the message id; kv are pairs of a placeholder's name and its value. A
// whole number is written as the language does. A message that no file has is
// its own id; tests look for those.
func (l *Language) T(id string, kv ...any) string {
	return l.localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: l.pairs(kv)})
}

// N is the message id in the form for count.
func (l *Language) N(id string, count int, kv ...any) string {
	return l.localize(&i18n.LocalizeConfig{MessageID: id, PluralCount: count, TemplateData: l.pairs(append(kv, "Count", count))})
}

func (l *Language) localize(c *i18n.LocalizeConfig) string {
	s, err := l.local.Localize(c)
	if err != nil {
		return c.MessageID
	}
	if l.dir == RTL {
		return isolateFigures(s, l.run)
	}
	return s
}

func (l *Language) pairs(kv []any) map[string]any {
	if len(kv) == 0 {
		return nil
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		value := kv[i+1]
		switch v := value.(type) {
		case int:
			value = l.Number(v)
		case string:
			value = isolateForeign(v, l.dir)
		}
		m[fmt.Sprint(kv[i])] = value
	}
	return m
}

// Number writes a whole number with the thousands set apart.
func (l *Language) Number(n int) string { return l.numbers.Sprint(number.Decimal(n)) }

// Decimal writes a number with one decimal.
func (l *Language) Decimal(v float64) string {
	return l.numbers.Sprint(number.Decimal(v, number.Scale(1)))
}

// digits writes a number as it stands in a time or a date: nothing sets the
// thousands apart, and zeros fill it up to the width.
func (l *Language) digits(n, width int) string {
	return l.numbers.Sprint(number.Decimal(n, number.NoSeparator(), number.MinIntegerDigits(width)))
}

// Capital makes the first letter of a sentence a capital, where the language
// has any.
func (l *Language) Capital(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
	if end < 0 {
		end = len(s)
	}
	return cases.Title(l.numbered, cases.NoLower).String(s[:end]) + s[end:]
}

// Local picks a text by staff or of the configuration in this language, else in
// the default one, else in any. It says which language it is, so that it can be
// marked as such; an empty lang is this one.
func (l *Language) Local(text map[string]string) (s, lang string) {
	return local(l, text, func(s string) bool { return s != "" })
}

// LocalList is what Local is, of a list of texts.
func (l *Language) LocalList(texts map[string][]string) (list []string, lang string) {
	return local(l, texts, func(list []string) bool { return len(list) > 0 })
}

// local picks one of those that say something.
func local[T any](l *Language, of map[string]T, says func(T) bool) (one T, lang string) {
	for _, tag := range append([]string{l.tag, l.siblings.Default().tag}, slices.Sorted(maps.Keys(of))...) {
		if one, ok := of[tag]; ok && says(one) {
			if tag == l.tag {
				tag = ""
			}
			return one, tag
		}
	}
	return one, ""
}

// Around is the text before and after the placeholder of a message, for a page
// that keeps the value in between up to date.
func (l *Language) Around(id, hole string) (before, after string) {
	const mark = "\x00"
	before, after, _ = strings.Cut(l.T(id, hole, mark), mark)
	return before, after
}
