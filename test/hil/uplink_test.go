package hil

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

const uplinkServer = `
data_dir: %s
listen: {http: "127.0.0.1:0", metrics: "127.0.0.1:0"}
broker: {embedded: {listen: "127.0.0.1:0"}}
sites:
  - id: yard
    name: Yard
    bays: 20
    gateways: [gates]
    gates: [{id: main, name: Main, sensors: [lane, exit]}]
    hours:
      weekly: {monday: ["00:00-24:00"], tuesday: ["00:00-24:00"], wednesday: ["00:00-24:00"], thursday: ["00:00-24:00"], friday: ["00:00-24:00"], saturday: ["00:00-24:00"], sunday: ["00:00-24:00"]}
`

// To the guest the host is 10.0.2.2.
const uplinkGateway = `
site: yard
gateway: gates
data_dir: data
broker: {url: "tcp://10.0.2.2:%s", password: %q}
clock: {wait: 0s} # the guest has no time server
inputs:
  - {id: outer, pin: GPIO17, debounce: 0s}
  - {id: inner, pin: GPIO27, debounce: 0s}
  - {id: out, pin: GPIO22, debounce: 0s}
sensors:
  - {id: lane, type: pair, inputs: [outer, inner], direction: in, max_gap: 3s}
  - {id: exit, type: pulse, input: out, direction: out, min_headway: 1us}
`

// A contact closes in the virtual machine, and the server on this machine has
// stored it: every passage once, with its time, though the network was away for
// a third of them.
func TestFromContactToStore(t *testing.T) {
	parts(t)
	t.Parallel()
	dir := t.TempDir()
	program := build(t, "./cmd/perrondrukte")
	config := filepath.Join(dir, "server.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, uplinkServer, filepath.Join(dir, "data")), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := exec.Command(program, "gateway", "add", "--config", config, "--secret-only", "yard", "gates").Output()
	if err != nil {
		t.Fatalf("gateway add: %v", err)
	}
	s := serve(t, program, config)
	_, port, _ := strings.Cut(s.broker, ":")
	gateway := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(gateway, fmt.Appendf(nil, uplinkGateway, port, strings.TrimSpace(string(secret))), 0o600); err != nil {
		t.Fatal(err)
	}

	// Its instructions are the guest's clock, so that it is not interrupted
	// between a contact and the reading of the clock; but while it sleeps the
	// wall's clock counts, for the sake of those that it talks with.
	results := boot(t, []string{"-icount", "shift=1", "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="},
		map[string]string{"uplink.yaml": gateway},
		func(r Result, console io.Writer) {
			if r.Case != "uplink" {
				return
			}
			word := Arrived
			// Not forever, so that the guest gets to say what its gateway's log is.
			since, stored := time.Now(), -1
			for stored < len(r.Passed) {
				if n := s.passages(t); n > stored {
					since, stored = time.Now(), n
				} else if time.Since(since) > 3*time.Minute {
					word = fmt.Sprintf("nothing comes any more after %d", n)
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			fmt.Fprintln(console, word)
		})
	s.stop(t)

	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "data", "perrondrukte.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := make(map[string][]time.Time)
	for r, err := range db.Events(t.Context(), "yard", time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		key := r.Sensor + " " + string(r.Kind)
		got[key] = append(got[key], r.Time)
	}
	want := make(map[string]int)
	for _, p := range results["uplink"].Passed {
		key := p.Sensor + " " + string(p.Kind)
		i := want[key]
		want[key]++
		if i >= len(got[key]) {
			continue // the numbers tell
		}
		if at := got[key][i]; at.Before(p.From.Add(-time.Millisecond)) || at.After(p.To.Add(time.Millisecond)) {
			t.Errorf("%s %d is stored at %s, and was between %s and %s", key, i, at, p.From, p.To)
		}
	}
	if d := cmp.Diff(map[string]int{"lane in": 30, "lane out": 15, "exit out": 60}, want); d != "" {
		t.Errorf("the guest's traffic (-want +got)\n%s", d)
	}
	stored := make(map[string]int)
	for key, all := range got {
		stored[key] = len(all)
	}
	if d := cmp.Diff(want, stored); d != "" {
		t.Errorf("passages (-played +stored)\n%s", d)
	}
	end := results["uplink-end"]
	if n := len(results["uplink"].Passed); end.Events[Counted] != n || end.Lost > 0 {
		t.Errorf("the outbox had %v of %d passages, and %d lost edges", end.Events, n, end.Lost)
	}
	t.Logf("%d edges of contacts, %d passages stored; the gateway's memory: %d kB", results["uplink"].Edges, len(results["uplink"].Passed), end.Memory)
}

// A server is a running perrondrukte serve.
type server struct {
	cmd          *exec.Cmd
	http, broker string // addresses
	ended        chan error

	mu  sync.Mutex
	log strings.Builder
}

// serve runs the server until the test ends, and waits until it listens.
func serve(t *testing.T, program, config string) *server {
	t.Helper()
	s := &server{ended: make(chan error, 1)}
	s.cmd = exec.Command(program, "serve", "--config", config, "--log-format", "json")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w := io.Pipe()
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := s.cmd.Wait()
		w.Close()
		s.ended <- err
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended already
		if t.Failed() {
			s.mu.Lock()
			defer s.mu.Unlock()
			text := s.log.String()
			t.Logf("log of the server:\n%s", text[max(0, len(text)-6000):])
		}
	})
	addresses := map[string]*string{"broker listens": &s.broker, "website listens": &s.http}
	listening := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			var l struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &l) != nil || addresses[l.Msg] == nil {
				continue
			}
			*addresses[l.Msg] = l.Address
			if delete(addresses, l.Msg); len(addresses) == 0 {
				close(listening)
			}
		}
	}()
	select {
	case <-listening:
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("the server ends with %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the server does not listen within a minute")
	}
	return s
}

// passages is how many are stored.
func (s *server) passages(t *testing.T) (n int) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Hour)
	res, err := http.Get(fmt.Sprintf("http://%s/api/v1/sites/yard/counts?from=%s&to=%s&interval=1h",
		s.http, now.Add(-24*time.Hour).Format(time.RFC3339), now.Add(24*time.Hour).Format(time.RFC3339)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Counts []perron.Count `json:"counts"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("counts: %s, %v", res.Status, err)
	}
	for _, c := range answer.Counts {
		n += c.In + c.Out
	}
	return n
}

// stop ends the server in an orderly way.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("the server ends with %v", err)
	}
}
