package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A password that will not do is refused before anything is made: the command
// may be run by another user than the service, whose the files would not be.
func TestUserAdd(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server.yaml")
	text, err := os.ReadFile("../../config/almere.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("data_dir: /var/lib/perrondrukte"), []byte("data_dir: data"), 1)
	if err := os.WriteFile(server, text, 0o600); err != nil {
		t.Fatal(err)
	}
	user := func(password string, args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"user", args[0], "--config", server}, args[1:]...), strings.NewReader(password), &out, &out)
		return out.String(), err
	}
	if out, err := user("short\n", "add", "anna"); err == nil || !strings.Contains(err.Error(), "has 5 characters, at least 10") {
		t.Errorf("a short password: printed %q, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data folder, for a password that was refused: %v", err)
	}
	if out, err := user("recycle it all\n", "add", "anna"); err != nil || out != "anna may log in as staff.\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	if out, err := user("recycle it all\n", "add", "anna", "--role", "admin"); err == nil || !strings.Contains(err.Error(), `add user "anna": is there already as staff`) {
		t.Errorf("another role: printed %q, %v", out, err)
	}
	if out, err := user("", "list"); err != nil || out != "anna                 staff\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	if out, err := user("", "remove", "anna"); err != nil || out != "anna may no longer log in.\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	if out, err := user("", "remove", "anna"); err == nil || !strings.Contains(err.Error(), `remove user "anna"`) {
		t.Errorf("removed twice: printed %q, %v", out, err)
	}
}
