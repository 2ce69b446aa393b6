//go:build linux

// Command guest is the first process of the virtual machine of the
// hardware-in-the-loop test: it makes the simulated GPIO chip, runs the gateway
// once for each case, plays the traffic on the contacts, and tells what the
// gateway made of it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/test/hil"
)

func main() {
	runtime.LockOSThread() // it keeps time for the contacts
	if err := run(); err != nil {
		tell(hil.Result{Case: "guest", Error: err.Error()})
	}
	fmt.Println(hil.End)
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("power off:", err)
	}
}

func run() error {
	if err := prepare(); err != nil {
		return err
	}
	y, err := newYard()
	if err != nil {
		return err
	}
	if _, err := os.Stat(uplinkConfig); err == nil {
		return y.uplink()
	}
	only, err := os.ReadFile("/only") // names of cases, or all
	if err != nil {
		return err
	}
	for _, c := range cases {
		if names := strings.Fields(string(only)); len(names) > 0 && !contains(names, c.name) {
			continue
		}
		tell(y.try(c))
	}
	if names := strings.Fields(string(only)); len(names) == 0 || contains(names, "readers") {
		tell(y.readers())
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if ok, err := filepath.Match(n, name); ok && err == nil {
			return true
		}
	}
	return false
}

func tell(r hil.Result) {
	line, err := json.Marshal(r)
	if err != nil {
		fmt.Println("marshal result:", err)
		return
	}
	fmt.Printf("%s%s\n", hil.Mark, line)
}

// prepare makes of the bare kernel a system with a GPIO simulator.
func prepare() error {
	mounts := []struct{ kind, at string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"tmpfs", "/run"},
	}
	for _, m := range mounts {
		if err := mount(m.kind, m.at); err != nil {
			return err
		}
	}
	for _, name := range []string{"configfs", "irq_sim", "gpio-sim"} {
		if err := insert("/" + name + ".ko"); err != nil {
			return err
		}
	}
	return mount("configfs", "/sys/kernel/config")
}

func mount(kind, at string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(kind, at, kind, 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", at, err)
	}
	return nil
}

func insert(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("insert module %s: %w", path, err)
	}
	return nil
}
