// Package recordings finds, for tests, the public recordings that are kept
// beside the repository and are not part of it: see docs/architecture.md.
package recordings

import (
	"os"
	"path/filepath"
	"testing"
)

// Path is that of a file or folder below ../shared, by the parts of its name. A
// test without its recording is skipped, and fails on CI.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	path, err := find(parts...)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("the recording is absent: %v", err)
	default:
		t.Skipf("the recording is absent: %v", err)
	}
	return path
}

func find(parts ...string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err = os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", err
		}
		dir, err = parent, nil
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(append([]string{dir, "..", "shared"}, parts...)...)
	_, err = os.Stat(path)
	return path, err
}
