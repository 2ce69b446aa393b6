package web

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/bidi"
)

// A direction is the way in which text is read, or time runs in a chart.
type direction string

const (
	ltr direction = "ltr"
	rtl direction = "rtl"
)

// rtlScripts are the scripts in use today that are read from right to left,
// by their codes of ISO 15924.
var rtlScripts = []string{"Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"}

// textDirection is how a language is read, by the script that it is usually
// written in.
func textDirection(tag language.Tag) direction {
	script, _ := tag.Script()
	if slices.Contains(rtlScripts, script.String()) {
		return rtl
	}
	return ltr
}

// directions reads the two directions that a language's file may name: of its
// text ("direction"), else that of its script, and of time in its charts
// ("charts"), else from left to right, which is the custom of most languages
// that are read from right to left as well (docs/adr has why).
func directions(tag language.Tag, file map[string]any) (text, charts direction, err error) {
	text, charts = textDirection(tag), ltr
	for key, d := range map[string]*direction{"direction": &text, "charts": &charts} {
		switch v := file[key]; v {
		case nil:
		case string(ltr), string(rtl):
			*d = direction(v.(string))
		default:
			return "", "", fmt.Errorf("%s is %v, want ltr or rtl", key, v)
		}
	}
	return text, charts, nil
}

// Characters that order text on both sides of them, as the Unicode
// bidirectional algorithm (UAX 9) defines them.
const (
	leftToRightMark    = "\u200e"
	rightToLeftMark    = "\u200f"
	leftToRightIsolate = "\u2066"
	rightToLeftIsolate = "\u2067"
	firstStrongIsolate = "\u2068"
	popIsolate         = "\u2069"
)

var (
	// A figure is a number with the signs that belong to it, or a range.
	figure = regexp.MustCompile(`[\x{2066}\x{2067}]?(?:[<>≤≥±+−~] ?)?` + number + `\+?(?: ?[–−] ?` + number + `\+?)?`)
	dash   = regexp.MustCompile(` ?[–−] ?`)
	bare   = regexp.MustCompile(`^` + number + `$`)
)

const number = `\p{Nd}+(?:[.,:٫٬]\p{Nd}+)*`

// isolateFigures keeps the figures of a text that is read from right to left in
// order. Without it the signs and dashes around a number go with the text: "< 5"
// turns into "5 >", and "60+" into "+60". A range runs as time does in the
// charts, so that "8:30–17:00" and the axis below it are read alike. A bare
// number needs nothing.
func isolateFigures(s string, run direction) string {
	return figure.ReplaceAllStringFunc(s, func(f string) string {
		if bare.MatchString(f) || strings.HasPrefix(f, leftToRightIsolate) || strings.HasPrefix(f, rightToLeftIsolate) {
			return f
		}
		isolate, mark := leftToRightIsolate, leftToRightMark
		at := dash.FindStringIndex(f)
		if at == nil || at[0] == 0 { // a sign, not a range
			return isolate + f + popIsolate
		}
		if run == rtl {
			isolate, mark = rightToLeftIsolate, rightToLeftMark
		}
		// Digits of the Arabic scripts would take a dash along to the right.
		return isolate + f[:at[0]] + mark + f[at[0]:at[1]] + mark + f[at[1]:] + popIsolate
	})
}

// isolateForeign sets a text apart that begins in the other direction than the
// sentence that it is put into: a Dutch notice in Arabic, or the other way round.
// Without it its last full stop goes to its wrong end.
func isolateForeign(s string, dir direction) string {
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		var d direction
		switch p.Class() {
		case bidi.L:
			d = ltr
		case bidi.R, bidi.AL:
			d = rtl
		default:
			continue
		}
		if d == dir {
			return s
		}
		return firstStrongIsolate + s + popIsolate
	}
	return s
}
