//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/test/hil"
)

// lines are the names of the chip's lines. The last one has none, like many
// lines of real chips, and goes by its place.
var lines = []string{"GPIO17", "GPIO27", "GPIO22", ""}

// A yard is the chip and what is wired to it.
type yard struct {
	pulls []*os.File // by line: what pulls it, "pull-up" or "pull-down"
	edges int
	gw    *exec.Cmd
}

// newYard makes the chip, as Documentation/admin-guide/gpio/gpio-sim.rst says.
func newYard() (*yard, error) {
	device := "/sys/kernel/config/gpio-sim/yard"
	bank := device + "/gates"
	if err := os.MkdirAll(bank, 0o755); err != nil {
		return nil, err
	}
	settings := [][2]string{{bank + "/label", "perron-sim"}, {bank + "/num_lines", fmt.Sprint(len(lines))}}
	for i, name := range lines {
		if name == "" {
			continue
		}
		line := fmt.Sprintf("%s/line%d", bank, i)
		if err := os.Mkdir(line, 0o755); err != nil {
			return nil, err
		}
		settings = append(settings, [2]string{line + "/name", name})
	}
	settings = append(settings, [2]string{device + "/live", "1"})
	for _, s := range settings {
		if err := os.WriteFile(s[0], []byte(s[1]), 0); err != nil {
			return nil, err
		}
	}
	dev, err := os.ReadFile(device + "/dev_name")
	if err != nil {
		return nil, err
	}
	chip, err := os.ReadFile(bank + "/chip_name")
	if err != nil {
		return nil, err
	}
	y := &yard{}
	for i := range lines {
		path := filepath.Join("/sys/devices/platform", strings.TrimSpace(string(dev)), strings.TrimSpace(string(chip)), fmt.Sprintf("sim_gpio%d", i), "pull")
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		y.pulls = append(y.pulls, f)
	}
	return y, nil
}

// A moment is when a contact changed: between two readings of the clock, for
// this program may have been interrupted there.
type moment struct{ from, to time.Time }

// off is how far a time is outside the moment, negative when it is before.
func (m moment) off(t time.Time) time.Duration {
	switch {
	case t.Before(m.from):
		return t.Sub(m.from)
	case t.After(m.to):
		return t.Sub(m.to)
	}
	return 0
}

// pull sets the level of a line and returns when that was.
func (y *yard) pull(line int, high bool) moment {
	word := "pull-down"
	if high {
		word = "pull-up"
	}
	from := time.Now()
	if _, err := unix.Pwrite(int(y.pulls[line].Fd()), []byte(word), 0); err != nil {
		panic(fmt.Sprintf("pull line %d: %v", line, err))
	}
	y.edges++
	return moment{from, time.Now()}
}

// An expected event is one that the traffic must lead to.
type expected struct {
	sensor string
	kind   perron.Kind
	at     moment
}

// A testCase is a gateway's configuration and traffic for it.
type testCase struct {
	name string
	// config is the part of the gateway's file from the inputs on.
	config string
	// idle are the levels before the gateway starts.
	idle []bool
	// drive plays the traffic and returns what it must lead to, in order.
	drive func(y *yard) ([]expected, error)
	// threads is how many processors the gateway believes to have, so that what
	// would run at the same time on a larger device takes turns. 0 is 1.
	threads int
}

const preamble = `site: poort
gateway: gates
data_dir: data
broker: {url: "tcp://127.0.0.1:1883", password: secret}
`

// settle is how long the gateway gets for what is still on its way.
const settle = 500 * time.Millisecond

// try runs one case.
func (y *yard) try(c testCase) (res hil.Result) {
	res.Case = c.name
	dir := filepath.Join("/run", c.name)
	logFile := filepath.Join(dir, "log")
	begin := time.Now()
	defer func() {
		res.Took = time.Since(begin)
		if res.Error != "" || res.Differs != "" {
			text, err := os.ReadFile(logFile)
			if err != nil {
				text = []byte(err.Error())
			}
			res.Log = string(text[max(0, len(text)-4000):])
		}
	}()
	err := func() error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		file := filepath.Join(dir, "gateway.yaml")
		if err := os.WriteFile(file, []byte(preamble+c.config), 0o600); err != nil {
			return err
		}
		for i := range lines {
			y.pull(i, c.idle[i])
		}
		y.edges = 0
		if err := y.start(file, logFile, max(c.threads, 1)); err != nil {
			return err
		}
		want, err := c.drive(y)
		if err != nil {
			return err
		}
		res.Edges = y.edges
		sleep(time.Now().Add(settle))
		if err := y.stop(&res); err != nil {
			return err
		}
		return compare(dir, want, &res)
	}()
	if err != nil {
		res.Error = err.Error()
		if y.gw != nil {
			_ = y.gw.Process.Kill()
			_ = y.gw.Wait()
			y.gw = nil
		}
	}
	return res
}

// readers runs the gateway's own test of how many edges each of its readers
// misses. Events are the edges that were missed, by reader and rate.
func (y *yard) readers() hil.Result {
	res := hil.Result{Case: "readers"}
	const report = "/run/readers.json"
	cmd := exec.Command("/gpio.test", "-test.v", "-test.run", "^TestReadersOnChip$")
	cmd.Dir = "/run"
	cmd.Env = append(os.Environ(), "PERRON_HIL_REPORT="+report, "PERRON_HIL_PULL="+y.pulls[gpio17].Name())
	y.pull(gpio17, high)
	out, err := cmd.CombinedOutput()
	res.Log = string(out)
	if err != nil {
		res.Error = err.Error()
		return res
	}
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &res.Events)
	}
	if err != nil {
		res.Error = err.Error()
	}
	return res
}

// start runs the gateway until it says that it reads all of its inputs.
func (y *yard) start(file, logFile string, threads int) error {
	w, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer w.Close()
	y.gw = exec.Command("/perron-gateway", "run", "--config", file)
	y.gw.Stdout, y.gw.Stderr = w, w
	y.gw.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", threads))
	if err := y.gw.Start(); err != nil {
		y.gw = nil
		return err
	}
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	inputs := strings.Count(string(config), "pin: ")
	for end := time.Now().Add(time.Minute); time.Now().Before(end); sleep(time.Now().Add(time.Millisecond)) {
		text, err := os.ReadFile(logFile)
		if err != nil {
			return err
		}
		if strings.Count(string(text), "read from the kernel's line events") == inputs {
			return nil
		}
	}
	return fmt.Errorf("the gateway does not read its %d inputs", inputs)
}

func (y *yard) stop(res *hil.Result) error {
	if err := y.gw.Process.Signal(unix.SIGTERM); err != nil {
		return err
	}
	err := y.gw.Wait()
	state := y.gw.ProcessState
	y.gw = nil
	if err != nil {
		return fmt.Errorf("the gateway's end: %w", err)
	}
	res.CPU = state.UserTime() + state.SystemTime()
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		res.Memory = u.Maxrss
	}
	return nil
}

func openBox(dir string) (*outbox.Outbox, error) {
	return outbox.Open(context.Background(), filepath.Join(dir, "data", gateway.OutboxFile), outbox.Options{Logger: slog.New(slog.DiscardHandler)})
}

// compare reads the outbox and holds it against what should be there.
func compare(dir string, want []expected, res *hil.Result) error {
	box, err := openBox(dir)
	if err != nil {
		return err
	}
	defer box.Close()
	state := box.State()
	res.Lost = state.LostEdges
	batch, err := box.Read(context.Background(), 1, 1_000_000)
	if err != nil {
		return err
	}
	if n := uint64(len(batch.Events)); n != state.Next-1 {
		return fmt.Errorf("the outbox gives %d events and has counted %d", n, state.Next-1)
	}
	res.Events = make(map[string]int)
	for _, e := range batch.Events {
		res.Events[e.Sensor+" "+string(e.Kind)]++
	}
	for i := range max(len(batch.Events), len(want)) {
		got, expect := "nothing", "nothing"
		if i < len(batch.Events) {
			got = batch.Events[i].Sensor + " " + string(batch.Events[i].Kind)
		}
		if i < len(want) {
			expect = want[i].sensor + " " + string(want[i].kind)
		}
		if got != expect {
			res.Differs = fmt.Sprintf("event %d of %d: got %s, want %s", i+1, len(want), got, expect)
			break
		}
		if want[i].at.from.IsZero() {
			continue
		}
		off := want[i].at.off(batch.Events[i].Time)
		res.Earliest, res.Latest = min(res.Earliest, off), max(res.Latest, off)
	}
	return nil
}

// sleep until an instant, as exactly as the kernel can.
func sleep(until time.Time) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	at := unix.NsecToTimespec(now.Nano() + int64(time.Until(until)))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR { //nolint:revive // it is waited for again
	}
}
