package words

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// hole is a place in a message that a value goes into.
var hole = regexp.MustCompile(`\{\{\.[A-Z]\w*\}\}`)

// countHole is the one that a plural form may leave out: "a vehicle".
const countHole = "{{.Count}}"

// check says everything that a file lacks or has too much of.
func (f *file) check(reference *file) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(f.name+": "+format, args...))
	}
	if f.About.Name == "" {
		fault("%s.name is missing", aboutKey)
	}
	for key, d := range map[string]Direction{"direction": f.About.Direction, "charts": f.About.Charts} {
		if d != "" && d != LTR && d != RTL {
			fault("%s.%s is %q, not ltr or rtl", aboutKey, key, d)
		}
	}
	if n := f.About.Numbering; n != "" {
		if _, err := f.tag.SetTypeForKey("nu", n); err != nil {
			fault("%s.numbering is %q, which is not a numbering system of CLDR", aboutKey, n)
		}
	}
	categories, err := f.categories()
	if err != nil {
		return errors.Join(append(faults, fmt.Errorf("%s: %w", f.name, err))...)
	}
	for _, id := range slices.Sorted(maps.Keys(reference.messages)) {
		if _, ok := f.messages[id]; !ok {
			fault("the message %s is missing", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.messages)) {
		m := f.messages[id]
		want, ok := reference.messages[id]
		switch {
		case !ok:
			fault("the message %s is not one that %s has", id, reference.name)
			continue
		case m.plural != want.plural:
			fault("the message %s has plural forms here or in %s, but not in both", id, reference.name)
			continue
		}
		for _, form := range slices.Sorted(maps.Keys(m.forms)) {
			if m.plural && !slices.Contains(categories, form) {
				fault("the message %s has a plural form %q, which %s does not have", id, form, f.tag)
			}
			if complaint := holesOf(m.forms[form], want.forms["other"], form); complaint != "" {
				fault("the message %s%s %s", id, formName(m, form), complaint)
			}
		}
		if m.plural {
			for _, form := range categories {
				if _, ok := m.forms[form]; !ok {
					fault("the message %s lacks the plural form %q", id, form)
				}
			}
		}
	}
	return errors.Join(faults...)
}

func formName(m entry, form string) string {
	if !m.plural {
		return ""
	}
	return " (" + form + ")"
}

// holesOf says what is wrong with the placeholders of a text; empty when they
// are those of the reference.
func holesOf(text, reference, form string) string {
	if strings.TrimSpace(text) == "" {
		return "is empty"
	}
	if rest := hole.ReplaceAllString(text, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return fmt.Sprintf("has a placeholder that is not like {{.Name}}: %q", text)
	}
	got, want := holes(text), holes(reference)
	for _, h := range want {
		if !slices.Contains(got, h) && (h != countHole || form == "other") {
			return "lacks the placeholder " + h
		}
	}
	for _, h := range got {
		if !slices.Contains(want, h) {
			return fmt.Sprintf("has the placeholder %s, which the reference does not have", h)
		}
	}
	return ""
}

func holes(text string) []string {
	found := hole.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// categories are the plural forms that whole numbers have in the language, as
// the rules behind the messages choose them, and "other", which stands in for
// every number that is not whole.
func (f *file) categories() ([]string, error) {
	const probe = "probe"
	bundle := i18n.NewBundle(f.tag)
	if err := bundle.AddMessages(f.tag, &i18n.Message{
		ID: probe, Zero: "zero", One: "one", Two: "two", Few: "few", Many: "many", Other: "other",
	}); err != nil {
		return nil, fmt.Errorf("plural forms: %w", err)
	}
	local := i18n.NewLocalizer(bundle, f.tag.String())
	found := map[string]bool{"other": true}
	// The rules go by the last two digits and by powers of ten.
	numbers := []int{1_000, 10_000, 100_000, 1_000_000, 10_000_000}
	for n := range 201 {
		numbers = append(numbers, n)
	}
	for _, n := range numbers {
		form, err := local.Localize(&i18n.LocalizeConfig{MessageID: probe, PluralCount: n})
		if err != nil {
			return nil, fmt.Errorf("plural form of %d: %w", n, err)
		}
		found[form] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}
