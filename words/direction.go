package words

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/bidi"
)

// A Direction is the way in which text is read, or time runs in a chart.
type Direction string

const (
	LTR Direction = "ltr"
	RTL Direction = "rtl"
)

// rtlScripts are the scripts in use today that are read from right to left,
// by their codes of ISO 15924.
var rtlScripts = []string{"Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"}

// textDirection is how a language is read, by the script that it is usually
// written in.
func textDirection(tag language.Tag) Direction {
	script, _ := tag.Script()
	if slices.Contains(rtlScripts, script.String()) {
		return RTL
	}
	return LTR
}

// directions are the two that a language's file may name: of its text, else that
// of its script, and of time in its charts, else from left to right, which is
// the custom of most languages that are read from right to left as well
// (docs/adr has why).
func (a about) directions(tag language.Tag) (text, charts Direction) {
	text, charts = textDirection(tag), LTR
	if a.Direction != "" {
		text = a.Direction
	}
	if a.Charts != "" {
		charts = a.Charts
	}
	return text, charts
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
	figure = regexp.MustCompile(`[\x{2066}\x{2067}]?(?:[<>≤≥±+−~] ?)?` + numeral + `\+?(?: ?[–−] ?` + numeral + `\+?)?`)
	dash   = regexp.MustCompile(` ?[–−] ?`)
	bare   = regexp.MustCompile(`^` + numeral + `$`)
)

const numeral = `\p{Nd}+(?:[.,:٫٬]\p{Nd}+)*`

// isolateFigures keeps the figures of a text that is read from right to left in
// order. Without it the signs and dashes around a number go with the text: "< 5"
// turns into "5 >", and "60+" into "+60". A range runs as time does in the
// charts, so that "8:30–17:00" and the axis below it are read alike. A bare
// number needs nothing.
func isolateFigures(s string, run Direction) string {
	return figure.ReplaceAllStringFunc(s, func(f string) string {
		if bare.MatchString(f) || strings.HasPrefix(f, leftToRightIsolate) || strings.HasPrefix(f, rightToLeftIsolate) {
			return f
		}
		isolate, mark := leftToRightIsolate, leftToRightMark
		at := dash.FindStringIndex(f)
		if at == nil || at[0] == 0 { // a sign, not a range
			return isolate + f + popIsolate
		}
		if run == RTL {
			isolate, mark = rightToLeftIsolate, rightToLeftMark
		}
		// Digits of the Arabic scripts would take a dash along to the right.
		return isolate + f[:at[0]] + mark + f[at[0]:at[1]] + mark + f[at[1]:] + popIsolate
	})
}

// isolateForeign sets a text apart that begins in the other direction than the
// sentence that it is put into: a Dutch notice in Arabic, or the other way round.
// Without it its last full stop goes to its wrong end.
func isolateForeign(s string, dir Direction) string {
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		var d Direction
		switch p.Class() {
		case bidi.L:
			d = LTR
		case bidi.R, bidi.AL:
			d = RTL
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
