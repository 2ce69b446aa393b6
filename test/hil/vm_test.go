package hil

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// parts is the folder that setup.sh fills.
func parts(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		missing(t, err.Error())
	}
	dir := filepath.Join(cache, "perrondrukte", "hil")
	if _, err := exec.LookPath(qemu); err != nil {
		missing(t, qemu+" is not installed")
	}
	for _, name := range append([]string{"vmlinuz", "complete"}, modules...) {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing(t, err.Error())
		}
	}
	return dir
}

// modules of the guest's kernel, in the order in which they can be loaded.
var modules = []string{
	"configfs.ko", "irq_sim.ko", "gpio-sim.ko",
	"virtio_ring.ko", "virtio.ko", "virtio_pci_legacy_dev.ko", "virtio_pci_modern_dev.ko", "virtio_pci.ko",
	"failover.ko", "net_failover.ko", "virtio_net.ko",
}

// missing skips the test where people work, and fails it where all has to be
// there.
func missing(t *testing.T, what string) {
	t.Helper()
	what = "no virtual machine: " + what + "; get what it needs with: test/hil/setup.sh"
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

const qemu = "qemu-system-x86_64"

// build makes a program as releases are made, for this machine's kernel and the
// guest's, and returns its path.
func build(t *testing.T, what string, how ...string) string {
	t.Helper()
	if how == nil {
		how = []string{"build"}
	}
	to := filepath.Join(t.TempDir(), filepath.Base(what))
	cmd := exec.Command("go", append(how, "-trimpath", "-ldflags=-s -w", "-o", to, what)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", what, err, out)
	}
	return to
}

// boot runs a virtual machine to its end and returns what it said, by case. The
// files are put into its root folder, beside the guest program, the gateway and
// the modules. Heard, when there is one, is called with each result as it comes
// in; what it writes to the console is a line for the guest.
func boot(t *testing.T, hardware []string, files map[string]string, heard func(r Result, console io.Writer)) map[string]Result {
	t.Helper()
	dir := parts(t)
	files["init"] = build(t, "./test/hil/guest")
	files["perron-gateway"] = build(t, "./cmd/perron-gateway")
	for _, name := range modules {
		files[name] = filepath.Join(dir, name)
	}
	image, err := initramfs(files)
	if err != nil {
		t.Fatal(err)
	}
	initrd := filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(initrd, image, 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 18*time.Minute)
	defer cancel()
	// One processor, so that there is one order of what happens.
	cmd := exec.CommandContext(ctx, qemu, append([]string{
		"-M", "q35", "-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", "256",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1",
	}, hardware...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	results := make(map[string]Result)
	ended := false
	lines := bufio.NewScanner(io.TeeReader(screen, &said))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, line, ok := strings.Cut(lines.Text(), Mark)
		if !ok {
			ended = ended || strings.Contains(lines.Text(), End)
			continue
		}
		var r Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("console: %v: %s", err, line)
			continue
		}
		results[r.Case] = r
		if testing.Verbose() {
			t.Logf("%6.1f s %s", time.Since(begin).Seconds(), line)
		}
		if heard != nil {
			heard(r, keyboard)
		}
	}
	err = cmd.Wait()
	if g, failed := results["guest"]; failed || err != nil || !ended {
		t.Fatalf("the virtual machine: %v, end seen: %v, %s\n%s%s", err, ended, g.Error, &stderr, &said)
	}
	t.Logf("the virtual machine ran for %.1f s", time.Since(begin).Seconds())
	return results
}
