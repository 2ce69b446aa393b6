package test

import (
	"context"
	"debug/elf"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// buildPackages builds both packages and returns the path of one of them by
// name and architecture.
func buildPackages(t *testing.T, version string, arches ...string) func(name, arch string) string {
	t.Helper()
	needTool(t, "dpkg-deb", "apt-get install dpkg")
	dir := t.TempDir()
	cmd := exec.Command("../packaging/deb/build.sh", append([]string{dir, version}, arches...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the packages: %v\n%s", err, out)
	}
	return func(name, arch string) string {
		return filepath.Join(dir, fmt.Sprintf("%s_%s_%s.deb", name, version, arch))
	}
}

// What is in the packages, of every architecture.
func TestPackages_content(t *testing.T) {
	deb := buildPackages(t, "1.0.0", "amd64", "arm64", "armhf")
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "armhf": elf.EM_ARM}
	for _, name := range []string{"perron-gateway", "perrondrukte"} {
		for arch, machine := range machines {
			file := deb(name, arch)
			if got := output(t, "dpkg-deb", "--field", file, "Package", "Version", "Architecture"); got != fmt.Sprintf("Package: %s\nVersion: 1.0.0\nArchitecture: %s\n", name, arch) {
				t.Errorf("%s: %s", filepath.Base(file), got)
			}
			for line := range strings.Lines(output(t, "dpkg-deb", "--contents", file)) {
				f := strings.Fields(line)
				mode, owner, path := f[0], f[1], f[len(f)-1]
				switch {
				case owner != "root/root":
					t.Errorf("%s belongs to %s", path, owner)
				case strings.HasPrefix(mode, "d") && mode != "drwxr-xr-x", path == "./usr/bin/"+name && mode != "-rwxr-xr-x",
					!strings.HasPrefix(mode, "d") && path != "./usr/bin/"+name && mode != "-rw-r--r--":
					t.Errorf("%s is %s", path, mode)
				}
			}
			dir := t.TempDir()
			output(t, "dpkg-deb", "--extract", file, dir)
			program, err := elf.Open(filepath.Join(dir, "usr/bin", name))
			if err != nil {
				t.Fatal(err)
			}
			if program.Machine != machine {
				t.Errorf("%s of %s is for %v", name, arch, program.Machine)
			}
			for _, part := range program.Progs {
				if part.Type == elf.PT_INTERP {
					t.Errorf("%s of %s is not static", name, arch)
				}
			}
			if err := program.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// systemd finds no fault in the units, and they are hardened as docs/operations.md
// says.
func TestUnits(t *testing.T) {
	analyze := needTool(t, "systemd-analyze", "apt-get install systemd")
	docs, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"../firmware-config/systemd/perron-gateway.service", "../packaging/server/perrondrukte.service"} {
		name := strings.TrimSuffix(filepath.Base(unit), ".service")
		out, err := exec.Command(analyze, "security", "--offline=true", unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s: no level in\n%s", unit, out)
		}
		level, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		// A later systemd looks at more, so a little above what was written down
		// is no fault.
		said := regexp.MustCompile("`" + name + "\\.service` \\| ([0-9.]+)").FindSubmatch(docs)
		if said == nil {
			t.Fatalf("docs/operations.md does not say how exposed %s is", name)
		}
		if limit, err := strconv.ParseFloat(string(said[1]), 64); err != nil || level > limit+0.3 {
			t.Errorf("%s: exposure %.1f, docs/operations.md says %s (%v)", name, level, said[1], err)
		}
	}
}

const (
	packagedServer = `data_dir: /var/lib/perrondrukte
listen: {http: "127.0.0.1:0", metrics: ""}
broker: {embedded: {listen: "127.0.0.1:%s"}}
` + oneSite
	packagedGateway = `site: yard
gateway: yard-1
broker: {url: "tcp://127.0.0.1:%s", password_file: password}
source:
  driver: replay
  replay:
    file: /etc/perron-gateway/passages.csv
    speed: 0
    time: {column: time, layout: "2006-01-02T15:04:05Z07:00", zone: UTC}
    sensor: {value: main-in}
    kind: {value: in}
`
)

// A device and a server from installation to purge: what is not sent yet, the
// credentials and the configuration outlive an upgrade and a removal, and
// nothing outlives a purge.
func TestPackages_life(t *testing.T) {
	d := newDebian(t, "passwd", "systemd")
	arch := strings.TrimSpace(output(t, "dpkg", "--print-architecture"))
	before, after := buildPackages(t, "1.0.0", arch), buildPackages(t, "1.1.0", arch)
	both := func(deb func(name, arch string) string) []string {
		return []string{"--install", deb("perron-gateway", arch), deb("perrondrukte", arch)}
	}

	said := d.dpkg(both(before)...)
	for _, s := range []string{"put its configuration at /etc/perron-gateway/gateway.yaml", "put its configuration at /etc/perrondrukte/server.yaml"} {
		if !strings.Contains(said, s) {
			t.Errorf("the installation does not say %q:\n%s", s, said)
		}
	}
	for file, want := range map[string]string{
		"/etc/passwd": `(?m)^perron-gateway:x:\d+:\d+::/var/lib/perron-gateway:/usr/sbin/nologin$`,
		"/etc/group":  `(?m)^gpio:x:\d+:perron-gateway$`,
	} {
		if !regexp.MustCompile(want).MatchString(d.read(file)) {
			t.Errorf("%s lacks %s:\n%s", file, want, d.read(file))
		}
	}
	for path, want := range map[string]string{
		"/var/lib/perron-gateway": "750 perron-gateway perron-gateway", "/var/lib/perrondrukte": "750 perrondrukte perrondrukte",
		"/etc/perron-gateway": "750 root perron-gateway", "/etc/perrondrukte": "750 root perrondrukte",
	} {
		if got := strings.TrimSpace(d.must("root", "stat", "-c", "%a %U %G", path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for _, name := range []string{"perron-gateway", "perrondrukte"} {
		if !d.has("/etc/systemd/system/multi-user.target.wants/" + name + ".service") {
			t.Errorf("%s is not enabled", name)
		}
		if got := strings.TrimSpace(d.must(name, name, "version")); got != name+" 1.0.0" {
			t.Errorf("version: %s", got)
		}
	}
	for _, example := range []string{"poort-1", "buiten-1", "haven-1"} {
		d.must("perron-gateway", "perron-gateway", "check-config", "/usr/share/doc/perron-gateway/examples/"+example+".yaml")
	}
	d.must("perrondrukte", "perrondrukte", "check-config", "/usr/share/doc/perrondrukte/examples/server.yaml")
	analyze := needTool(t, "systemd-analyze", "apt-get install systemd")
	if out, err := exec.Command(analyze, "verify", "--root="+d.root, "perron-gateway.service", "perrondrukte.service").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}

	// The administrator's work, as docs/operations.md tells it.
	const events = 50
	port := freePort(t)
	d.write("/etc/perrondrukte/server.yaml", fmt.Sprintf(packagedServer, port), 0o640)
	d.write("/etc/perron-gateway/gateway.yaml", fmt.Sprintf(packagedGateway, port), 0o640)
	var csv strings.Builder
	csv.WriteString("time\n")
	began := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	for i := range events {
		fmt.Fprintln(&csv, began.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
	}
	d.write("/etc/perron-gateway/passages.csv", csv.String(), 0o640)
	d.must("root", "chgrp", "perrondrukte", "/etc/perrondrukte/server.yaml")
	password := d.must("perrondrukte:perrondrukte", "perrondrukte", "gateway", "add", "--config", "/etc/perrondrukte/server.yaml", "yard", "yard-1", "--secret-only")
	d.write("/etc/perron-gateway/password", password, 0o640)
	d.must("root", "chgrp", "-R", "perron-gateway", "/etc/perron-gateway")
	const limits = "/etc/systemd/journald.conf.d/50-perron-gateway.conf"
	d.write(limits, d.read(limits)+"Storage=volatile\n", 0o644)

	// The device counts without a server.
	chroot := needTool(t, "chroot", "apt-get install coreutils")
	device := func(extra ...string) *process {
		return start(t, chroot, d.as("perron-gateway:perron-gateway", append([]string{"perron-gateway", "run", "--config", "/etc/perron-gateway/gateway.yaml", "--log-format", "json"}, extra...)...)...)
	}
	counted := func() (outbox.State, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		box, err := outbox.Open(ctx, d.path("/var/lib/perron-gateway/outbox.db"), outbox.Options{})
		if err != nil {
			return outbox.State{}, err
		}
		return box.State(), box.Close()
	}
	g := device()
	g.waitLog("the source has come to its end; what it gave is being sent", nil)
	g.stop()
	kept, err := counted()
	if err != nil || kept.Waiting != events {
		t.Fatalf("%d of %d events are in the outbox (%v)", kept.Waiting, events, err)
	}

	d.dpkg(both(after)...)
	if now, err := counted(); err != nil || now.Waiting != events || now.Epoch != kept.Epoch {
		t.Errorf("after the upgrade %d events of epoch %s in the outbox, before %d of %s (%v)", now.Waiting, now.Epoch, kept.Waiting, kept.Epoch, err)
	}
	d.must("root", "chown", "-R", "perron-gateway:perron-gateway", "/var/lib/perron-gateway") // this test has looked into it
	for _, name := range []string{"perron-gateway", "perrondrukte"} {
		if got := strings.TrimSpace(d.must(name, name, "version")); got != name+" 1.1.0" {
			t.Errorf("after the upgrade: %s", got)
		}
	}
	if !strings.HasSuffix(d.read(limits), "Storage=volatile\n") || d.read("/etc/perron-gateway/password") != password {
		t.Error("the upgrade has changed the configuration")
	}

	// The new programs go on where the old ones stopped, as services do.
	told := notifySocket(t, d.path("/run/notify"))
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("WATCHDOG_USEC", "1000000")
	s := &server{process: start(t, chroot, d.as("perrondrukte:perrondrukte", "perrondrukte", "serve", "--config", "/etc/perrondrukte/server.yaml", "--log-format", "json")...)}
	s.http = s.waitLog("website listens", nil).str(logs.Address)
	told("READY=1")
	told("WATCHDOG=1")
	t.Setenv("NOTIFY_SOCKET", "")
	g = device("--once")
	select {
	case <-g.done:
		if g.err != nil {
			t.Fatalf("the device: %v", g.err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the device does not get rid of its events")
	}
	if n := countIn(s); n != events {
		t.Errorf("the server has %d passages, want %d", n, events)
	}
	s.stop()

	d.dpkg("--remove", "perron-gateway", "perrondrukte")
	for path, want := range map[string]bool{
		"/usr/bin/perron-gateway": false, "/usr/bin/perrondrukte": false, "/usr/lib/systemd/system/perron-gateway.service": false,
		"/var/lib/perron-gateway/outbox.db": true, "/etc/perron-gateway/password": true, limits: true,
		"/var/lib/perrondrukte/perrondrukte.db": true, "/var/lib/perrondrukte/accounts.db": true, "/etc/perrondrukte/server.yaml": true,
	} {
		if d.has(path) != want {
			t.Errorf("after the removal %s is there: %v", path, !want)
		}
	}
	d.dpkg("--purge", "perron-gateway", "perrondrukte")
	for _, path := range []string{"/var/lib/perron-gateway", "/etc/perron-gateway", limits, "/var/lib/perrondrukte", "/etc/perrondrukte", "/etc/systemd/system/perron-gateway.service"} {
		if d.has(path) {
			t.Errorf("after the purge %s is there", path)
		}
	}
}

// notifySocket stands in for systemd. What it returns waits until a program has
// said something.
func notifySocket(t *testing.T, path string) func(want string) {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	return func(want string) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("the service does not say %s: %v", want, err)
			}
			if string(buf[:n]) == want {
				return
			}
		}
	}
}
