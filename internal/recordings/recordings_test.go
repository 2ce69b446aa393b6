package recordings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "repository", "one", "two")
	for _, dir := range []string{deep, filepath.Join(root, "shared", "data")} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"repository/go.mod", "shared/data/a.csv"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(deep)
	path, err := find("data", "a.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if path, err := find("data", "b.csv"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", path, err)
	}
	t.Chdir(root) // below no go.mod, unless the temporary folder is
	if path, err := find("data", "a.csv"); err == nil && filepath.Dir(filepath.Dir(path)) == filepath.Join(root, "shared") {
		t.Errorf("found %s without a repository", path)
	}
}
