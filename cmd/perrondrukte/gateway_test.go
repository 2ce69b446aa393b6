package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/config"
)

// The finished configuration holds a password: it is written for its owner
// alone, and where it cannot be written no password is issued.
func TestGatewayAdd_toAFile(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server.yaml")
	text, err := os.ReadFile("../../config/almere.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "data_dir:") {
			line = "data_dir: data\n"
		}
		lines = append(lines, line)
	}
	if err := os.WriteFile(server, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	add := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"gateway", "add", "--config", server, "poort", "poort-1"}, args...), strings.NewReader(""), &out, &out)
		return out.String(), err
	}
	file := filepath.Join(dir, "poort-1.yaml")
	if err := os.WriteFile(file, []byte("# an older one, open to all\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A device would look for the broker of the example on itself.
	if out, err := add("--output", file); err != nil || !strings.HasPrefix(out, "warning: 127.0.0.1 is the device itself") || strings.Count(out, "\n") != 1 {
		t.Fatalf("printed %q, %v", out, err)
	}
	if out, err := add("--output", file, "--broker", "127.0.0.1:1883"); err != nil || out != "" {
		t.Fatalf("with the address that was asked for: printed %q, %v", out, err)
	}
	if out, err := add("--output", file, "--broker", "perrons.example"); err == nil || !strings.Contains(err.Error(), "--broker perrons.example: want the port as well, like perrons.example:8883") {
		t.Errorf("an address without a port: printed %q, %v", out, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	g, err := config.LoadGateway(file)
	if err != nil {
		t.Fatalf("the written configuration: %v", err)
	}
	accounts, err := openAccounts(t.Context(), &config.Server{DataDir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer accounts.Close()
	want, err := accounts.Credentials(t.Context(), "poort", "poort-1")
	if err != nil {
		t.Fatal(err)
	}
	password, err := g.Broker.ReadPassword()
	if err != nil || password == "" {
		t.Errorf("password %q, %v", password, err)
	}
	if _, err := add("--output", filepath.Join(dir, "absent", "poort-1.yaml")); err == nil {
		t.Error("written into a folder that is not there")
	}
	if now, err := accounts.Credentials(t.Context(), "poort", "poort-1"); err != nil || len(now) != 1 || !bytes.Equal(now[0].Hash, want[0].Hash) {
		t.Errorf("the password that was in use is replaced by one that nobody has (%v)", err)
	}
	var out bytes.Buffer
	err = run(t.Context(), []string{"gateway", "revoke", "--config", server, "poort", "poort-2"}, strings.NewReader(""), &out, &out)
	if err == nil || !strings.Contains(err.Error(), "poort/poort-2 has no credential") {
		t.Errorf("revoking what was never issued: %v", err)
	}
	// Nor where what a device has to trust cannot be read; what is in the file stays.
	secured := strings.Replace(strings.Join(lines, ""), "listen: ", "tls: {cert_file: absent.crt, key_file: absent.key}\n    listen: ", 1)
	if err := os.WriteFile(server, []byte(secured), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := add("--output", file); err == nil || !strings.Contains(err.Error(), "absent.crt") {
		t.Errorf("without the broker's certificate: %v", err)
	}
	if now, err := accounts.Credentials(t.Context(), "poort", "poort-1"); err != nil || len(now) != 1 || !bytes.Equal(now[0].Hash, want[0].Hash) {
		t.Errorf("the password that was in use is replaced by one that nobody has (%v)", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file is changed: %q, %v", after, err)
	}
}
