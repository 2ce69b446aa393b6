package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const said = `{"Action":"start","Package":"github.com/perrondrukte/perrondrukte/store"}
{"Action":"run","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestA"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestA","Output":"    a_test.go:7: nobody asks for this\n"}
{"Action":"pass","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestA","Elapsed":0.01}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestB","Output":"    b_test.go:9: no chromium: apt-get install chromium\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"github.com/perrondrukte/perrondrukte/store","Elapsed":12.5}
go: downloading a module
{"Action":"build-output","ImportPath":"x","Output":"x.go:1: no such thing\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/api","Test":"TestC","Output":"    c_test.go:3: 1, want 2\n"}
{"Action":"fail","Package":"github.com/perrondrukte/perrondrukte/api","Test":"TestC","Elapsed":0.2}
{"Action":"fail","Package":"github.com/perrondrukte/perrondrukte/api","Elapsed":0.3}
`

func TestTests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.json")
	t.Setenv(notes, path)
	var out strings.Builder
	if err := run([]string{"tests"}, strings.NewReader(said), &out); err != nil {
		t.Fatal(err)
	}
	want := `ok      12.5 s  store
go: downloading a module
x.go:1: no such thing
    c_test.go:3: 1, want 2
FAIL     0.3 s  api
2 tests of 1 packages, 1 skipped
  over 10 s: store, 12.5 s
  skipped: store TestB: no chromium: apt-get install chromium
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
	// Two runs, as in two steps.
	if err := run([]string{"tests"}, strings.NewReader(said), &out); err != nil {
		t.Fatal(err)
	}
	all, err := readNotes(path)
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	all.total(&out, 332*time.Second, []string{"lint 40 s", "unit 4 min 52 s"})
	want = `
all passed in 5 min 32 s: lint 40 s, unit 4 min 52 s
4 tests, 2 skipped
  store TestB: no chromium: apt-get install chromium
  store TestB: no chromium: apt-get install chromium
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

// A program that was ended from within says why in the test that ran, and that
// test has no end. What tests of other packages say at that time is theirs.
func TestTests_endedFromWithin(t *testing.T) {
	const ended = `{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestB","Output":"panic: test timed out after 15m0s\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Test":"TestA","Output":"=== PAUSE TestA\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/api","Test":"TestC","Output":"    c_test.go:3: still at it\n"}
{"Action":"output","Package":"github.com/perrondrukte/perrondrukte/store","Output":"FAIL\tstore\t900.1s\n"}
{"Action":"fail","Package":"github.com/perrondrukte/perrondrukte/store","Elapsed":900.1}
{"Action":"pass","Package":"github.com/perrondrukte/perrondrukte/api","Test":"TestC","Elapsed":0.2}
{"Action":"pass","Package":"github.com/perrondrukte/perrondrukte/api","Elapsed":0.3}
`
	var out strings.Builder
	if err := tests(strings.NewReader(ended), &out); err != nil {
		t.Fatal(err)
	}
	want := "=== PAUSE TestA\npanic: test timed out after 15m0s\nFAIL\tstore\t900.1s\nFAIL   900.1 s  store\nok       0.3 s  api\n"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

func TestSteps(t *testing.T) {
	program := filepath.Join(t.TempDir(), "make")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntest \"$2\" != broken\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{"steps", program, "lint", "unit"}, nil, &out); err != nil || !strings.Contains(out.String(), ": lint 0 s, unit 0 s\n0 tests") {
		t.Errorf("%v, %s", err, &out)
	}
	out.Reset()
	if err := run([]string{"steps", program, "lint", "broken", "unit"}, nil, &out); err == nil || !strings.Contains(err.Error(), "make broken, after") || out.Len() > 0 {
		t.Errorf("%v, %s", err, &out)
	}
}
