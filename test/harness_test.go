package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// bin is the folder of the binaries that TestMain builds once.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "perrondrukte-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "./cmd/perrondrukte", "./cmd/perron-gateway")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the binaries: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// needTool finds a program that the test cannot do without. Its absence fails
// on CI and skips elsewhere.
func needTool(t *testing.T, name, install string) string {
	t.Helper()
	for _, p := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	missing(t, fmt.Sprintf("%s is not installed; install it with: %s", name, install))
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// A process is a binary under test. Its log is shown only when the test fails.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of Wait, valid once done is closed

	mu    sync.Mutex
	lines []logLine
	raw   bytes.Buffer
	more  chan struct{} // closed and replaced when a line arrives
}

type logLine map[string]any

func (l logLine) str(key string) string { s, _ := l[key].(string); return s }

// start runs a binary with JSON logs. It is killed when the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, done: make(chan struct{}), more: make(chan struct{})}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(bin, name)
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go p.read(r)
	go func() {
		p.err = p.cmd.Wait()
		w.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Logf("log of %s %s:\n%s", name, strings.Join(args, " "), tail(p.raw.Bytes(), 6000))
		}
	})
	return p
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return append([]byte("… "), b[len(b)-n:]...)
	}
	return b
}

func (p *process) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l logLine
		_ = json.Unmarshal(s.Bytes(), &l) // a line that is not JSON stays in raw
		p.mu.Lock()
		p.raw.Write(s.Bytes())
		p.raw.WriteByte('\n')
		p.lines = append(p.lines, l)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// text is what the process has printed.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// logged are the lines with a message, so far.
func (p *process) logged(msg string) (out []logLine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.str("msg") == msg {
			out = append(out, l)
		}
	}
	return out
}

// waitLog waits for a log line with the message, or any with "", and returns
// it.
func (p *process) waitLog(msg string, match func(logLine) bool) logLine {
	p.t.Helper()
	deadline := time.After(60 * time.Second)
	for i := 0; ; {
		p.mu.Lock()
		for ; i < len(p.lines); i++ {
			if l := p.lines[i]; (msg == "" || l.str("msg") == msg) && (match == nil || match(l)) {
				p.mu.Unlock()
				return l
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.done:
			p.t.Fatalf("%s ended (%v) before it logged %q", p.name, p.err, msg)
		case <-deadline:
			p.t.Fatalf("%s did not log %q within a minute", p.name, msg)
		}
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// stop asks the process to end and checks that it does so orderly.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s ended with %v after SIGTERM", p.name, p.err)
		}
	case <-time.After(20 * time.Second):
		p.t.Errorf("%s did not end within 20 s of SIGTERM", p.name)
		p.kill()
	}
}

// A server is a running `perrondrukte serve`.
type server struct {
	*process
	http, broker string // addresses
}

// startServer runs the server and waits until it listens. An empty broker
// address in the result means that an external broker is configured.
func startServer(t *testing.T, configFile string, embedded bool, extra ...string) *server {
	t.Helper()
	args := append([]string{"serve", "--config", configFile, "--log-format", "json"}, extra...)
	s := &server{process: start(t, "perrondrukte", args...)}
	if embedded {
		s.broker = s.waitLog("broker listens", nil).str(logs.Address)
	}
	s.http = s.waitLog("website listens", nil).str(logs.Address)
	return s
}

// get reads a path of the server into v when v is not nil, and returns the
// status and body.
func (s *server) get(path string, v any) (int, []byte) {
	s.t.Helper()
	return s.getAt(s.http, path, v)
}

// getAt is get at another of the server's addresses.
func (s *server) getAt(addr, path string, v any) (int, []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("get %s: %v", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatalf("get %s: %v", path, err)
	}
	if v != nil {
		if res.StatusCode != http.StatusOK {
			s.t.Fatalf("get %s: %s: %s", path, res.Status, body)
		}
		if err := json.Unmarshal(body, v); err != nil {
			s.t.Fatalf("get %s: %v: %s", path, err, tail(body, 500))
		}
	}
	return res.StatusCode, body
}

// runCommand runs a binary to its end and returns what it printed and its exit
// status.
func runCommand(t *testing.T, stdin, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatalf("run %s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// write puts a file into the test's folder and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort finds a port for a program that cannot be asked for ":0".
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually polls until ok says true.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
