package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A process is one of the binaries, with JSON logs.
type process struct {
	cmd  *exec.Cmd
	name string

	mu    sync.Mutex
	lines []map[string]any
	last  string
}

func (b *bench) start(name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(filepath.Join(b.bin, name), append(args, "--log-format", "json")...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			var l map[string]any
			_ = json.Unmarshal(s.Bytes(), &l) // other lines are kept as text
			p.mu.Lock()
			p.lines, p.last = append(p.lines, l), s.Text()
			p.mu.Unlock()
		}
	}()
	return p, nil
}

// stop ends the process and waits for it. It may be called again.
func (p *process) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait() // how it ends does not matter here
}

// logged waits for a log line and returns one of its values.
func (p *process) logged(ctx context.Context, msg, key string) (string, error) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		for _, l := range p.lines {
			if l["msg"] == msg {
				s, _ := l[key].(string)
				p.mu.Unlock()
				return s, nil
			}
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return "", fmt.Errorf("%s did not log %q; its last line: %s", p.name, msg, p.last)
}

// rss is the resident memory in MB (10⁶ bytes).
func (p *process) rss() (float64, error) { return p.memory("VmRSS:") }

func (p *process) memory(what string) (float64, error) {
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, l := range strings.Split(string(f), "\n") {
		if v, ok := strings.CutPrefix(l, what); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 64)
			return kb * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("no %s for %s", what, p.name)
}

// A server is perrondrukte serve on free ports.
type server struct {
	*process
	http, broker string
	config       string
}

const week = `{monday: ["00:00-24:00"], tuesday: ["00:00-24:00"], wednesday: ["00:00-24:00"], thursday: ["00:00-24:00"], friday: ["00:00-24:00"], saturday: ["00:00-24:00"], sunday: ["00:00-24:00"]}`

// startServer runs a server with one site and its gateways, g-1 and so on. The
// state of a site is known only while all of its gateways are heard.
func (b *bench) startServer(ctx context.Context, name, store, broker string, gateways int) (*server, error) {
	s := &server{config: filepath.Join(b.dir, name+".yaml")}
	names := make([]string, gateways)
	for i := range names {
		names[i] = fmt.Sprintf("g-%d", i+1)
	}
	text := fmt.Sprintf(`data_dir: %s
listen: {http: "127.0.0.1:0", metrics: ""}
broker: {embedded: {listen: %q}}
%s
sites:
  - id: yard
    name: Yard
    bays: 30
    gateways: [%s]
    gates: [{id: main, name: Main, sensors: [main-in, main-out]}]
    hours: {weekly: %s}
`, filepath.Join(b.dir, name), broker, store, strings.Join(names, ", "), week)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var err error
	if s.process, err = b.start("perrondrukte", "serve", "--config", s.config); err != nil {
		return nil, err
	}
	if s.broker, err = s.logged(ctx, "broker listens", logs.Address); err != nil {
		return nil, err
	}
	s.http, err = s.logged(ctx, "website listens", logs.Address)
	return s, err
}

// gatewayConfig writes the configuration of gateway g-n, which replays a file.
func (b *bench) gatewayConfig(s *server, name string, n int, csv string, speed float64, shift string) (string, error) {
	secret, err := exec.Command(filepath.Join(b.bin, "perrondrukte"), "gateway", "add", "--config", s.config, "--secret-only", "yard", fmt.Sprintf("g-%d", n)).Output()
	if err != nil {
		return "", fmt.Errorf("gateway add: %w", err)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("%s-g-%d.yaml", name, n))
	return path, os.WriteFile(path, []byte(fmt.Sprintf(`site: yard
gateway: g-%d
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay: {file: %s, speed: %g, shift: %s, time: {column: t, layout: "2006-01-02T15:04:05.000Z07:00", zone: UTC}, sensor: {value: main-in}, kind: {value: in}}
`, n, strings.TrimSuffix(path, ".yaml"), s.broker, strings.TrimSpace(string(secret)), csv, speed, shift)), 0o600)
}

// csv writes n passages, each a gap after the one before.
func (b *bench) csv(name string, n int, from time.Time, gap time.Duration) (string, error) {
	path := filepath.Join(b.dir, name+".csv")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "t")
	for i := range n {
		fmt.Fprintln(w, from.Add(time.Duration(i)*gap).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return path, f.Close()
}

// stored asks the API how many passages the yard has in all.
func (s *server) stored(from, to time.Time) (int, error) {
	res, err := http.Get(fmt.Sprintf("http://%s/api/v1/sites/yard/counts?from=%s&to=%s&interval=1d", s.http, from.Format(time.RFC3339), to.Format(time.RFC3339)))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct {
		Counts []struct{ In int } `json:"counts"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("counts: %s: %w", res.Status, err)
	}
	n := 0
	for _, c := range answer.Counts {
		n += c.In
	}
	return n, nil
}
