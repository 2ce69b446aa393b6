package config

import (
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing that is wrong in a configuration.
type Fault struct {
	// Line counts from 1; 0 when the configuration did not come from a text.
	Line int
	// Path is the field, like sites[0].bays; empty when the text as a whole is
	// wrong.
	Path string
	// Message says what it is and what would be right.
	Message string
}

func (f Fault) Error() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

// An Error is everything that is wrong in one configuration.
type Error struct {
	// File is empty when the text did not come from a file.
	File   string
	Faults []Fault
}

// Error is a line a fault, as compilers write them.
func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteByte('\n')
		}
		switch {
		case e.File != "" && f.Line > 0:
			fmt.Fprintf(&b, "%s:%d: ", e.File, f.Line)
		case e.File != "":
			fmt.Fprintf(&b, "%s: ", e.File)
		case f.Line > 0:
			fmt.Fprintf(&b, "line %d: ", f.Line)
		}
		b.WriteString(f.Error())
	}
	return b.String()
}

// Unwrap gives every fault to errors.As and errors.Is.
func (e *Error) Unwrap() []error {
	out := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		out[i] = f
	}
	return out
}

// asError is nil without faults, else an *Error with the faults in the order
// of their lines, repetitions left out.
func asError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.Line - b.Line })
	return &Error{Faults: slices.Compact(faults)}
}

// nearest is the word most like s, or "" when none is close: at most a third
// of the letters may differ.
func nearest(s string, words []string) string {
	best, found := min(max(1, len(s)/3)+1, len(s)), ""
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w)); d < best {
			best, found = d, w
		}
	}
	return found
}

// distance counts the bytes to change, add, leave out or swap with their
// neighbour to make b of a (optimal string alignment). Keys are ASCII.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
