// Command report says what tests took and what they left out. Make runs it:
//
//	go test -json ./... | report tests     show tests as they end
//	report steps MAKE STEP...              run steps of make, then say how long all of them took
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// notes is where the tests of a step note what the steps together are to say.
const notes = "PERRONDRUKTE_TEST_NOTES"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "report: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "tests":
		return tests(in, out)
	case len(args) > 2 && args[0] == "steps":
		return steps(args[1], args[2:], out)
	}
	return errors.New("want tests, or steps with a make and the names of steps")
}

// tests shows the tests of one run of go test, and notes them.
func tests(in io.Reader, out io.Writer) error {
	s, err := read(in, out)
	if err != nil {
		return err
	}
	s.write(out)
	path := os.Getenv(notes)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("note the tests: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(s), f.Close())
}

// steps runs each step with make, one after the other, until one fails.
func steps(program string, names []string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "perrondrukte-report-")
	if err != nil {
		return fmt.Errorf("make a folder for the notes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "notes.json")
	began := time.Now()
	var took []string
	for _, name := range names {
		start := time.Now()
		cmd := exec.Command(program, "--no-print-directory", name)
		cmd.Env = append(os.Environ(), notes+"="+path)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("make %s, after %s: %w", name, say(time.Since(start)), err)
		}
		took = append(took, name+" "+say(time.Since(start)))
	}
	all, err := readNotes(path)
	if err != nil {
		return err
	}
	all.total(out, time.Since(began), took)
	return nil
}

func readNotes(path string) (*summary, error) {
	all := new(summary)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil // none of the steps has tests
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes: %w", err)
	}
	defer f.Close() // was only read
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var s summary
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the notes: %w", err)
		}
		all.add(&s)
	}
}

// say writes a time as people say it.
func say(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}
