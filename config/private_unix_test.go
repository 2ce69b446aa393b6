//go:build unix

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Files with secrets that others may read are refused, with what mends it.
func TestLoosePermissionsAreRefused(t *testing.T) {
	const text = `
site: poort
gateway: poort-1
broker: {url: "tcp://127.0.0.1:1883", %s}
source: {driver: simulate}
`
	for _, c := range []struct {
		name             string
		broker           string
		config, password os.FileMode
		want             string // of the error, with %s for the directory; empty when all is well
	}{
		{"inline, private", "password: geheim", 0o600, 0, ""},
		{"inline, read by everybody", "password: geheim", 0o644, 0, "%s/gateway.yaml holds a secret and has mode 0644: it is open to everybody; mend it with: chmod 06"},
		{"inline, written by its group", "password: geheim", 0o620, 0, "mode 0620: it is open to its group; mend it with: chmod 0600 %s/gateway.yaml"},
		{"key file, read by everybody", "certificate: a, key_file: password", 0o600, 0o644, "%s/password holds a secret and has mode 0644"},
		{"key inline, read by everybody", "certificate: a, key: geheim", 0o644, 0, "%s/gateway.yaml holds a secret"},
		{"no secret inline", "password_file: password", 0o644, 0o400, ""},
		{"file, read by everybody", "password_file: password", 0o644, 0o604, "%s/password holds a secret and has mode 0604: it is open to everybody; mend it with: chmod 0600 %s/password"},
		{"file that is not there yet", "password_file: absent", 0o644, 0o600, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string, mode os.FileMode) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, mode); err != nil { // umask or not
					t.Fatal(err)
				}
				return path
			}
			write("password", "geheim\n", c.password)
			_, err := LoadGateway(write("gateway.yaml", fmt.Sprintf(text, c.broker), c.config))
			want := strings.ReplaceAll(c.want, "%s", dir)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	// A service reads files of root by its group.
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("geheim"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := CheckPrivate(path); (err == nil) != (os.Getuid() == 0) {
		t.Errorf("as user %d a file of mode 0640 gives %v", os.Getuid(), err)
	}
}
