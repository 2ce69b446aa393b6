package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// An event is a line of go test -json, see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// A summary is what there is to say of one or more runs of go test.
type summary struct {
	Tests    int // that ran, subtests among them
	Packages []timed
	Skipped  []skipped
}

type timed struct {
	Name    string
	Seconds float64
}

type skipped struct{ Name, Why string }

func (s *summary) add(o *summary) {
	s.Tests += o.Tests
	s.Packages = append(s.Packages, o.Packages...)
	s.Skipped = append(s.Skipped, o.Skipped...)
}

// read shows packages as they end, and the output of what fails.
func read(in io.Reader, out io.Writer) (*summary, error) {
	s := new(summary)
	said := make(map[[2]string]*strings.Builder) // by package and test
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	for lines.Scan() {
		line := lines.Bytes()
		var e event
		if len(line) == 0 || line[0] != '{' {
			fmt.Fprintf(out, "%s\n", line) // go itself
			continue
		}
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(&e); err != nil {
			return nil, fmt.Errorf("read %.100q: %w", line, err)
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "output":
			if said[key] == nil {
				said[key] = new(strings.Builder)
			}
			said[key].WriteString(e.Output)
		case "pass", "fail", "skip":
			text := ""
			if b := said[key]; b != nil {
				text = b.String()
			}
			delete(said, key)
			if e.Test == "" {
				text = unended(said, e.Package) + text
			}
			s.ended(e, text, out)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what go test says: %w", err)
	}
	return s, nil
}

// unended is what the tests of a package said that have no end of their own, and
// forgets it: a program that was ended by a time limit, a fatal error or os.Exit
// says why in the test that ran.
func unended(said map[[2]string]*strings.Builder, pkg string) string {
	var tests []string
	for key := range said {
		if key[0] == pkg {
			tests = append(tests, key[1])
		}
	}
	slices.Sort(tests)
	var text strings.Builder
	for _, test := range tests {
		key := [2]string{pkg, test}
		text.WriteString(said[key].String())
		delete(said, key)
	}
	return text.String()
}

// module is left out of the names of packages.
const module = "github.com/perrondrukte/perrondrukte/"

func (s *summary) ended(e event, text string, out io.Writer) {
	name := strings.TrimPrefix(e.Package, module)
	if e.Action == "fail" {
		fmt.Fprint(out, text)
	}
	switch {
	case e.Test != "" && e.Action == "skip":
		s.Skipped = append(s.Skipped, skipped{name + " " + e.Test, reason(text)})
	case e.Test != "":
		s.Tests++
	case e.Action == "pass":
		fmt.Fprintf(out, "ok    %6.1f s  %s\n", e.Elapsed, name)
		s.Packages = append(s.Packages, timed{name, e.Elapsed})
	case e.Action == "fail":
		fmt.Fprintf(out, "FAIL  %6.1f s  %s\n", e.Elapsed, name)
	}
}

// reason is what a test said when it was skipped: the last line of its output
// that is not of go test itself, without the place in the source.
func reason(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "=== ") {
			continue
		}
		if place, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			return rest
		}
		return line
	}
	return "it does not say why"
}

// slow is how long the tests of a package may take on a machine that is quiet.
const slow = 10.0

// write says what one run took and left out.
func (s *summary) write(out io.Writer) {
	fmt.Fprintf(out, "%d tests of %d packages, %d skipped\n", s.Tests, len(s.Packages), len(s.Skipped))
	for _, p := range s.slowest() {
		fmt.Fprintf(out, "  over %.0f s: %s, %.1f s\n", slow, p.Name, p.Seconds)
	}
	for _, k := range s.Skipped {
		fmt.Fprintf(out, "  skipped: %s: %s\n", k.Name, k.Why)
	}
}

// slowest are the packages that take long, the slowest first.
func (s *summary) slowest() []timed {
	out := slices.DeleteFunc(slices.Clone(s.Packages), func(t timed) bool { return t.Seconds <= slow })
	slices.SortFunc(out, func(a, b timed) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return out
}

// total says what all steps took and left out.
func (s *summary) total(out io.Writer, whole time.Duration, steps []string) {
	fmt.Fprintf(out, "\nall passed in %s: %s\n%d tests, %d skipped\n", say(whole), strings.Join(steps, ", "), s.Tests, len(s.Skipped))
	for _, k := range s.Skipped {
		fmt.Fprintf(out, "  %s: %s\n", k.Name, k.Why)
	}
}
