package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A debian is a folder with what every Debian system has, copied from the
// packages of the machine that runs the test. What dpkg does there, it does to
// nothing else.
type debian struct {
	t    *testing.T
	root string
}

var (
	comma      = regexp.MustCompile(`\s*,\s*`)
	dependency = regexp.MustCompile(`^[a-z0-9.+-]+`)
)

// newDebian makes a system of the essential packages, of more, and of what they
// depend on. It needs no network.
func newDebian(t *testing.T, more ...string) *debian {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can install packages; CI runs this test as root")
	}
	dpkg := needTool(t, "dpkg-query", "this test belongs on Debian or Ubuntu")
	type installed struct{ name, depends string }
	byName := map[string]installed{}
	todo := slices.Clone(more)
	for line := range strings.Lines(output(t, dpkg, "-W", "-f", `${Package}\t${binary:Package}\t${Essential}\t${Pre-Depends}, ${Depends}\t${Provides}\n`)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		p := installed{f[1], f[3]}
		byName[f[0]] = p
		for _, provided := range comma.Split(f[4], -1) {
			if name := dependency.FindString(provided); name != "" && byName[name].name == "" {
				byName[name] = p
			}
		}
		if f[2] == "yes" {
			todo = append(todo, f[0])
		}
	}
	var packages []string
	for len(todo) > 0 {
		p, ok := byName[todo[0]]
		todo = todo[1:]
		if !ok || slices.Contains(packages, p.name) {
			continue // an alternative that another package stands in for
		}
		packages = append(packages, p.name)
		for _, group := range comma.Split(p.depends, -1) {
			for choice := range strings.SplitSeq(group, "|") {
				todo = append(todo, dependency.FindString(strings.TrimSpace(choice)))
			}
		}
	}

	d := &debian{t, t.TempDir()}
	if err := os.Chmod(filepath.Dir(d.root), 0o755); err != nil { // for the users of the services
		t.Fatal(err)
	}
	if err := os.Chmod(d.root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if to, err := os.Readlink(link); err == nil {
			if err := os.Symlink(to, d.path(link)); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(d.path(filepath.Join("/", to)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	var files strings.Builder
	for line := range strings.Lines(output(t, dpkg, append([]string{"-L"}, packages...)...)) {
		path := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(path, "/") && path != "/." && !strings.HasPrefix(path, "/usr/share/") {
			fmt.Fprintln(&files, path[1:])
		}
	}
	tar := exec.Command("tar", "-C", "/", "--no-recursion", "--ignore-failed-read", "-cf", "-", "-T", "-")
	tar.Stdin = strings.NewReader(files.String())
	untar := exec.Command("tar", "-C", d.root, "--keep-directory-symlink", "-xf", "-")
	pipe, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	untar.Stdin = pipe
	var complaints bytes.Buffer
	untar.Stderr = &complaints
	if err := untar.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tar.Run(); err != nil { // files that the machine has removed are only warned of
		t.Fatalf("copy the system: %v", err)
	}
	if err := untar.Wait(); err != nil {
		t.Fatalf("copy the system: %v\n%s", err, &complaints)
	}
	d.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", 0o644)
	d.write("/etc/group", "root:x:0:\ndialout:x:20:\nnogroup:x:65534:\n", 0o644)
	d.write("/etc/shadow", "root:*:1:0:99999:7:::\n", 0o640)
	d.write("/etc/gshadow", "root:*::\ndialout:*::\nnogroup:*::\n", 0o640)
	d.write("/dev/null", "", 0o666)
	d.write("/var/lib/dpkg/status", output(t, dpkg, append([]string{"-s"}, packages...)...), 0o644)
	for _, dir := range []string{"/tmp", "/var/lib/dpkg/info", "/var/lib/dpkg/updates", "/var/log", "/run", "/etc/systemd/system"} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range packages {
		list, err := os.ReadFile("/var/lib/dpkg/info/" + p + ".list")
		if err != nil {
			t.Fatal(err)
		}
		d.write("/var/lib/dpkg/info/"+p+".list", string(list), 0o644)
	}
	return d
}

func (d *debian) path(inside string) string { return filepath.Join(d.root, inside) }

func (d *debian) write(inside, text string, mode os.FileMode) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(d.path(inside)), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.path(inside), []byte(text), mode); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Chmod(d.path(inside), mode); err != nil {
		d.t.Fatal(err)
	}
}

func (d *debian) read(inside string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.path(inside))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func (d *debian) has(inside string) bool {
	_, err := os.Lstat(d.path(inside))
	return err == nil
}

// dpkg runs dpkg on the folder, as an administrator would on a machine.
func (d *debian) dpkg(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("dpkg", append([]string{"--root=" + d.root, "--force-confold"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("dpkg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// run runs a program inside as a user and returns what it printed.
func (d *debian) run(user string, args ...string) (string, error) {
	cmd := exec.Command("chroot", d.as(user, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *debian) must(user string, args ...string) string {
	d.t.Helper()
	out, err := d.run(user, args...)
	if err != nil {
		d.t.Fatalf("%s as %s: %v\n%s", strings.Join(args, " "), user, err, out)
	}
	return out
}

// as are the arguments of chroot.
func (d *debian) as(user string, args ...string) []string {
	return append([]string{"--userspec=" + user, d.root}, args...)
}

// output runs a program of the machine to its end.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &stderr)
	}
	return string(out)
}
