// Package influxtest runs a real InfluxDB server for tests: version 1.8 with
// Flux and authentication, whose write and query API is that of InfluxDB 2.
//
// The server is built from tools/influxd on first use, which takes a minute or
// two, and kept in the user's cache folder. Where that cannot be done the test
// is skipped, or fails when the environment has CI=true. PERRONDRUKTE_INFLUXD
// names a server that is already there.
package influxtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	admin    = "root"
	password = "loopback-only"
	user     = "perron" // may read and write its databases, and no more
	patience = 2 * time.Minute
)

// A Server is a process of its own, with its data in a temporary folder.
type Server struct {
	// URL and Token are what a client needs; buckets come from [Server.Bucket].
	URL, Token string

	tb       testing.TB
	binary   string
	dir      string
	httpAddr string // as bound, so that it comes back at the same place
	rpcAddr  string
	cmd      *exec.Cmd
	exited   chan struct{}
	log      *tail
	buckets  atomic.Int32
}

// Start runs a server until the test ends. It skips the test, or fails it on
// CI, when there is no server to run.
func Start(tb testing.TB) *Server {
	tb.Helper()
	return StartIn(tb, tb.TempDir())
}

// StartIn is Start with a folder for the data.
func StartIn(tb testing.TB, dir string) *Server {
	tb.Helper()
	s := &Server{
		Token: user + ":" + password, tb: tb, binary: binary(tb), dir: dir,
		httpAddr: "127.0.0.1:0", rpcAddr: "127.0.0.1:0",
	}
	tb.Cleanup(s.Kill)
	s.Restart()
	s.query(false, fmt.Sprintf("CREATE USER %s WITH PASSWORD '%s' WITH ALL PRIVILEGES", admin, password))
	s.query(true, fmt.Sprintf("CREATE USER %s WITH PASSWORD '%s'", user, password))
	return s
}

// Bucket makes a new empty bucket and returns its name.
func (s *Server) Bucket() string {
	s.tb.Helper()
	name := fmt.Sprintf("test%d", s.buckets.Add(1))
	s.query(true, "CREATE DATABASE "+name)
	s.query(true, fmt.Sprintf("GRANT ALL ON %s TO %s", name, user))
	return name
}

// Query runs InfluxQL as administrator and returns the answer.
func (s *Server) Query(q string) string {
	s.tb.Helper()
	return s.query(true, q)
}

// Kill ends the server at once, as a power cut does. It may be called again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.exited
	s.cmd = nil
	if s.tb.Failed() {
		s.tb.Logf("end of the log of influxd:\n%s", s.log)
	}
}

// Restart starts the server, after a Kill with the same data at the same
// address, and waits until it answers.
func (s *Server) Restart() {
	s.tb.Helper()
	config := filepath.Join(s.dir, "influxd.conf")
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.Command(s.binary, "run", "-config", config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.tb.Fatalf("start influxd: %v", err)
	}
	s.cmd, s.exited, s.log = cmd, make(chan struct{}), &tail{}
	addrs := make(chan string, 1)
	go func() {
		defer close(s.exited)
		s.log.read(stderr, addrs)
		_ = cmd.Wait() // killed, mostly
	}()
	select {
	case s.httpAddr = <-addrs:
	case <-s.exited:
		s.tb.Fatalf("influxd ended:\n%s", s.log)
	case <-time.After(patience):
		s.tb.Fatalf("influxd does not listen after %v:\n%s", patience, s.log)
	}
	s.URL = "http://" + s.httpAddr
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := ping(ctx, s.URL)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.tb.Fatalf("influxd does not answer: %v\n%s", err, s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/ping", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return errors.New(resp.Status)
	}
	return nil
}

func (s *Server) config() string {
	return fmt.Sprintf(`reporting-disabled = true
bind-address = %q
[meta]
  dir = %q
[data]
  dir = %q
  wal-dir = %q
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = %q
  auth-enabled = true
  flux-enabled = true
  log-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
`, s.rpcAddr, s.dir+"/meta", s.dir+"/data", s.dir+"/wal", s.httpAddr)
}

func (s *Server) query(asAdmin bool, q string) string {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/query", strings.NewReader(url.Values{"q": {q}}.Encode()))
	if err != nil {
		s.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if asAdmin {
		req.SetBasicAuth(admin, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || strings.Contains(string(body), `"error"`) {
		s.tb.Fatalf("%s: %s %s", q, resp.Status, body)
	}
	return string(body)
}

// tail keeps the last lines of a log and finds the address in it.
type tail struct {
	mu    sync.Mutex
	lines []string
}

var listening = regexp.MustCompile(`Listening on HTTP.*addr=([0-9.:]+)`)

func (l *tail) read(r io.Reader, addrs chan<- string) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if m := listening.FindStringSubmatch(sc.Text()); m != nil {
			select {
			case addrs <- m[1]:
			default: // told before
			}
		}
		l.mu.Lock()
		l.lines = append(l.lines[max(0, len(l.lines)-60):], sc.Text())
		l.mu.Unlock()
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

var build = sync.OnceValues(buildServer)

func binary(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv("PERRONDRUKTE_INFLUXD"); path != "" {
		return path
	}
	path, err := build()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("no InfluxDB server to test with: %v", err)
	}
	tb.Skipf("no InfluxDB server to test with: %v", err)
	return ""
}

// buildServer returns the path of the server, which it builds unless the cache
// has it.
func buildServer() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "tools", "influxd")
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "perrondrukte")
	name := fmt.Sprintf("influxd-%s-%s-%.6x", runtime.GOOS, runtime.GOARCH, sha256.Sum256(sum))
	path := filepath.Join(cache, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	// Several test processes may build at once; the last rename wins and all
	// files are the same.
	tmp, err := os.CreateTemp(cache, "influxd-building-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	if err := tmp.Close(); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", tmp.Name(), "github.com/influxdata/influxdb/cmd/influxd")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build influxd in %s: %w\n%s", dir, err, out)
	}
	if err := os.Chmod(tmp.Name(), 0o755); err != nil {
		return "", err
	}
	return path, os.Rename(tmp.Name(), path)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "influxd", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("tools/influxd is not above the working directory")
		}
		dir = parent
	}
}
