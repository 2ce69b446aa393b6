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

	"github.com/google/go-cmp/cmp"
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
	"virtio.ko", "virtio_ring.ko", "virtio_pci_legacy_dev.ko", "virtio_pci_modern_dev.ko", "virtio_pci.ko",
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

// build makes a program for the guest as releases are made.
func build(t *testing.T, to, what string, how ...string) string {
	t.Helper()
	if how == nil {
		how = []string{"build"}
	}
	cmd := exec.Command("go", append(how, "-trimpath", "-ldflags=-s -w", "-o", to, what)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", what, err, out)
	}
	return to
}

// boot runs the virtual machine to its end and returns what it said, by case.
func boot(t *testing.T, only string) map[string]Result {
	t.Helper()
	dir, work := parts(t), t.TempDir()
	list := filepath.Join(work, "only")
	if err := os.WriteFile(list, []byte(only), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := initramfs(map[string]string{
		"init":           build(t, filepath.Join(work, "guest"), "./test/hil/guest"),
		"perron-gateway": build(t, filepath.Join(work, "perron-gateway"), "./cmd/perron-gateway"),
		"gpio.test":      build(t, filepath.Join(work, "gpio.test"), "./gateway/gpio", "test", "-c"),
		"configfs.ko":    filepath.Join(dir, "configfs.ko"),
		"irq_sim.ko":     filepath.Join(dir, "irq_sim.ko"),
		"gpio-sim.ko":    filepath.Join(dir, "gpio-sim.ko"),
		"only":           list,
	})
	if err != nil {
		t.Fatal(err)
	}
	initrd := filepath.Join(work, "initramfs")
	if err := os.WriteFile(initrd, image, 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	// One processor, whose instructions are the clock: two pulses are a
	// millisecond apart for the guest, however busy this machine is.
	cmd := exec.CommandContext(ctx, qemu,
		"-M", "q35", "-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-icount", "shift=1,sleep=off", "-m", "256",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	console, err := cmd.StdoutPipe()
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
	lines := bufio.NewScanner(io.TeeReader(console, &said))
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
	}
	err = cmd.Wait()
	if g, failed := results["guest"]; failed || err != nil || !ended {
		t.Fatalf("the virtual machine: %v, end seen: %v, %s\n%s%s", err, ended, g.Error, &stderr, &said)
	}
	t.Logf("the virtual machine ran for %.1f s", time.Since(begin).Seconds())
	return results
}

// Every edge is counted, once, with its time: at every rate that a contact can
// have and some that it cannot.
func TestGatewayOnKernelGPIO(t *testing.T) {
	const (
		stamp = time.Millisecond // of the kernel, at the edge
		// The kernel debounces in ticks of 4 ms, and stamps afterwards.
		tick = 8 * time.Millisecond
	)
	single := func(edges int) map[string]int {
		return map[string]int{"gate in": edges / 2, "loop on": edges / 2, "loop off": edges/2 + 1}
	}
	tests := []struct {
		name   string
		edges  int
		events map[string]int
		lost   uint64
		within time.Duration
	}{
		{"1-hz-5-ms", 20, single(20), 0, stamp},
		{"1-hz-50-ms", 20, single(20), 0, tick},
		{"10-hz-5-ms", 200, single(200), 0, stamp},
		{"10-hz-50-ms", 200, single(200), 0, tick},
		{"100-hz-5-ms", 1000, single(1000), 0, stamp},
		{"900-hz", 4000, single(4000), 0, stamp},
		{"bounce", 440, single(40), 0, tick},
		{"glitch", 40, single(0), 0, 0},
		{"pair", 200, map[string]int{"lane in": 20, "lane out": 20}, 0, tick},
		{"pair-flat-out", 1000, map[string]int{"lane in": 167, "lane out": 83}, 0, stamp},
		{"pair-stopped", 1000, map[string]int{"lane in": 167, "lane out": 83}, 0, stamp},
		{"flat-out", 1000, single(1000), 0, stamp},
		{"stopped", 400, single(400), 0, stamp},
		{"overflow", 3000, single(1024), 3000 - 1024, stamp},
		{"overflow-odd", 3001, map[string]int{"gate in": 512, "loop on": 513, "loop off": 513}, 3001 - 1024, stamp},
		{"overflow-vehicle", 3000, map[string]int{"gate in": 513, "loop on": 513, "loop off": 514}, 2999 - 1024, stamp},
		{"closed-at-start", 3, map[string]int{"gate in": 1, "loop on": 2, "loop off": 2}, 0, stamp},
		{"pin-in-use", 2, single(2), 0, stamp},
		{"stopped-in-lane", 80, map[string]int{"lane in": 20}, 0, tick},
	}
	only := os.Getenv("PERRON_HIL_CASES") // like "pair* 900-hz", while looking for a fault
	results := boot(t, only)
	for _, tt := range tests {
		r, ok := results[tt.name]
		if !ok && only != "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			if !ok {
				t.Fatal("the guest says nothing about it")
			}
			if r.Error != "" {
				t.Errorf("error: %s", r.Error)
			}
			if r.Differs != "" {
				t.Errorf("%s", r.Differs)
			}
			for kind, n := range tt.events {
				if n == 0 {
					delete(tt.events, kind)
				}
			}
			if d := cmp.Diff(tt.events, r.Events); d != "" {
				t.Errorf("events (-want +got)\n%s", d)
			}
			if r.Edges != tt.edges || r.Lost != tt.lost {
				t.Errorf("%d edges of which %d lost, want %d and %d", r.Edges, r.Lost, tt.edges, tt.lost)
			}
			if r.Earliest < -tt.within || r.Latest > tt.within {
				t.Errorf("times are off by %v to %v, want within %v", r.Earliest, r.Latest, tt.within)
			}
			if t.Failed() {
				t.Logf("log of the gateway:\n%s", r.Log)
			}
		})
	}
	t.Run("fallback", func(t *testing.T) {
		r, ok := results["fallback"]
		switch {
		case !ok && only != "":
			t.Skip("not asked for")
		case !ok || r.Error != "":
			t.Fatalf("%s\n%s", r.Error, r.Log)
		}
		t.Logf("edges missed without the kernel's line events, by rate: %v", r.Events)
	})
}
