package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	shim()
	os.Exit(m.Run())
}

// TestFaults is a short round of `make faults`: every kind of fault once, to
// the built binaries, and then the store holds the recordings exactly.
func TestFaults(t *testing.T) {
	o := options{n: len(short), parallel: len(short), dir: t.TempDir(), calm: 3 * time.Minute}
	o.seed = uint64(time.Now().UnixMilli())
	o.plan = func(i int) *plan { return shortPlan(o.seed, i) }
	var err error
	if o.mosquitto, err = findMosquitto(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	o.bin = filepath.Join(o.dir, "bin")
	if err := build(t.Context(), o.bin); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	began := time.Now()
	total, failed := runAll(t.Context(), o, &out)
	total.print(&out, time.Since(began))
	t.Logf("seed %d\n%s", o.seed, out.String())
	if len(failed) > 0 {
		t.Errorf("seed %d: %d sequences failed", o.seed, len(failed))
	}
	if total.sequences != len(short) || total.lost+total.doubled > 0 {
		t.Errorf("%d sequences, %d passages lost, %d doubled", total.sequences, total.lost, total.doubled)
	}
	for _, f := range faults {
		if total.faults[f.fault] > 0 {
			continue
		}
		switch f.fault {
		case stopLong: // takes minutes
		case killAtPublish, killAtPuback, killAtAck, killAtStored:
			t.Logf("not met: %s", f.fault) // by chance
		case powerGateway, powerServer:
			if err := canTrace(); err != nil {
				t.Logf("left out: %s: %v", f.fault, err)
				continue
			}
			t.Errorf("not done: %s", f.fault)
		case fullGateway, fullServer:
			if os.Getuid() == 0 {
				t.Errorf("not done: %s", f.fault)
				continue
			}
			t.Logf("left out, for want of the rights to mount a small disk: %s", f.fault)
		default:
			t.Errorf("not done: %s", f.fault)
		}
	}
}

// TestShortHasAll names each fault in the short round.
func TestShortHasAll(t *testing.T) {
	for _, f := range faults {
		found := f.fault == stopLong
		for _, s := range short {
			if slices.Contains(s.faults, f.fault) {
				found = true
				if !f.fits(s.shape) {
					t.Errorf("%s cannot be done to %s", f.fault, s.shape)
				}
			}
		}
		if !found {
			t.Errorf("no %s", f.fault)
		}
	}
}

// TestPowerCut writes with a program that syncs and with one that does not.
// What was synced is always there; of the rest anything may be, a torn page
// too.
func TestPowerCut(t *testing.T) {
	if err := canTrace(); err != nil {
		t.Skip(err)
	}
	dd, err := exec.LookPath("dd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	d := newDisk(dir, "file")
	run := func(letter string, args ...string) {
		t.Helper()
		in := filepath.Join(dir, "in")
		if err := os.WriteFile(in, []byte(strings.Repeat(letter, 3*page)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(dd, append([]string{"if=" + in, "of=" + path, "bs=4096", "status=none"}, args...)...)
		begin, err := traced(cmd, d.synced)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for seed := range uint64(100) {
		run("a", "conv=fsync")
		if seed%2 == 0 {
			run("b", "conv=fsync", "seek=1")
		} else {
			run("b", "conv=notrunc", "seek=1") // nothing is synced
		}
		if _, _, err := d.fail(rand.New(rand.NewPCG(seed, 0))); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(left)
		if !strings.HasPrefix(text, strings.Repeat("a", page)) || len(text) > 4*page {
			t.Fatalf("seed %d: what was synced is gone", seed)
		}
		if seed%2 == 0 {
			if text[page:] != strings.Repeat("b", 3*page) {
				t.Fatalf("seed %d: what was synced is gone", seed)
			}
			continue
		}
		switch rest := text[page:]; {
		case len(rest) == 2*page && !strings.Contains(rest, "b"):
			seen["nothing"] = true
		case rest == strings.Repeat("b", 3*page):
			seen["all"] = true
		default:
			if i := strings.IndexByte(rest, 'b'); i >= 0 && i%sector != 0 {
				t.Fatalf("seed %d: a sector is torn", seed)
			}
			seen["a part"] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("only %v is left by power cuts", seen)
	}
}
