package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/broker/embedded"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// The test binary is the program when this is set.
const asProgram = "PERRON_GATEWAY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recording writes n passages, 7 a second, and a gateway's configuration that
// replays them.
func recording(t *testing.T, n int, url string) (config string, want []perron.Event) {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("time;gate;way\n")
	begin := time.Date(2016, 10, 18, 8, 0, 0, 0, time.UTC)
	for i := range n {
		e := perron.Event{Time: begin.Add(time.Duration(i/7) * time.Second), Sensor: fmt.Sprintf("gate-%d", 1+i%3), Kind: perron.In}
		if i%2 == 1 {
			e.Kind = perron.Out
		}
		want = append(want, e)
		fmt.Fprintf(&b, "%s;%d;%s\n", e.Time.Format(time.DateTime), 1+i%3, e.Kind)
	}
	write(t, dir, "passages.csv", b.String())
	return write(t, dir, "gateway.yaml", `
site: poort
gateway: poort-1
data_dir: data
broker: {url: "`+url+`", password: secret}
source:
  driver: replay
  replay:
    file: passages.csv
    time: {column: time, layout: "2006-01-02 15:04:05", zone: UTC}
    sensor: {column: gate, map: {"1": gate-1, "2": gate-2, "3": gate-3}}
    kind: {column: way}
`), want
}

// A server is an embedded broker and a collector that keeps everything in
// memory: what a gateway needs of the other side.
type server struct {
	broker   *embedded.Broker
	mu       sync.Mutex
	epochs   map[string]uint64 // acknowledged, by epoch
	events   []perron.Event
	lost     uint64
	statuses []perron.GatewayStatus
}

func (s *server) Authenticate(l embedded.Login) (embedded.Principal, error) {
	switch {
	case l.Username == "collector":
		return embedded.Principal{Service: true}, nil
	case l.Username == "poort/poort-1" && l.Password == "secret":
		return embedded.Principal{Site: "poort", Gateway: "poort-1"}, nil
	}
	return embedded.Principal{}, errors.New("wrong password")
}

func newServer(t *testing.T) *server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &server{epochs: make(map[string]uint64)}
	var err error
	if s.broker, err = embedded.New(embedded.Config{Listen: "127.0.0.1:0", Credentials: s, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if err := s.broker.Listen(); err != nil {
		t.Fatal(err)
	}
	link, err := broker.NewClient(broker.ClientConfig{URL: "tcp://" + s.broker.Addr(), ClientID: "collector", Username: "collector", Password: "x", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	batches := make(chan broker.Message, 64)
	link.Subscribe(broker.EventsFilter, func(m broker.Message) {
		select {
		case batches <- m:
		default: // the gateway sends again
		}
	})
	link.Subscribe(broker.StatusFilter, func(m broker.Message) {
		st, err := broker.DecodeStatus(m.Payload)
		if err != nil {
			t.Errorf("status: %v", err)
		}
		s.mu.Lock()
		s.statuses = append(s.statuses, st)
		s.mu.Unlock()
	})
	up := make(chan struct{}, 1)
	link.OnUp(func() { up <- struct{}{} })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{s.broker.Run, link.Run, func(ctx context.Context) error { return s.collect(ctx, link, batches) }} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("server: %v", err)
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	<-up
	return s
}

func (s *server) collect(ctx context.Context, link *broker.Client, batches chan broker.Message) error {
	for {
		var m broker.Message
		select {
		case m = <-batches:
		case <-ctx.Done():
			return nil
		}
		b, err := broker.DecodeEvents(m.Payload)
		if err != nil {
			return err
		}
		s.mu.Lock()
		next := s.epochs[b.Epoch] + 1
		if b.Floor > next {
			s.lost += b.Floor - next
			next = b.Floor
		}
		if b.First <= next {
			skip := min(next-b.First, uint64(len(b.Events)))
			s.events = append(s.events, b.Events[skip:]...)
			s.epochs[b.Epoch] = max(next-1, b.First+uint64(len(b.Events))-1)
		}
		ack := broker.Ack{Epoch: b.Epoch, Acked: s.epochs[b.Epoch]}
		s.mu.Unlock()
		payload, err := ack.Encode()
		if err != nil {
			return err
		}
		if err := link.Publish(ctx, broker.Message{Topic: broker.AckTopic("poort", "poort-1"), Payload: payload}); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// The program is killed again and again while it replays and sends; in the end
// the collector has every passage, once.
func TestKilledInMidFlight(t *testing.T) {
	s := newServer(t)
	const total = 100_000
	config, want := recording(t, total, "tcp://"+s.broker.Addr())
	for kill, at := 0, 0; kill < 6; kill++ {
		cmd := program(t, "run", "--config", config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		at = s.count() + 1000 + rand.IntN(total/10)
		gatewaytest.Until(t, "enough is sent", func() bool { return s.count() >= min(at, total) })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the program ended by itself")
		}
		t.Logf("killed with %d events at the collector", s.count())
	}
	cmd := program(t, "run", "--once", "--config", config)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("last run: %v\n%s", err, stderr.Bytes())
	}
	if !strings.Contains(stderr.String(), "everything is stored by the server") {
		t.Errorf("the last run does not say that all is stored:\n%s", stderr.Bytes())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 || len(s.epochs) != 1 {
		t.Errorf("%d lost, epochs %v", s.lost, s.epochs)
	}
	if d := cmp.Diff(want, s.events); d != "" {
		t.Errorf("%d events of %d (-want +got)\n%.2000s", len(s.events), total, d)
	}
	last := s.statuses[len(s.statuses)-1]
	if last.Online || last.Waiting != 0 || len(last.Sensors) != 3 || last.Sensors[0].Health != perron.SensorFinished {
		t.Errorf("last status: %+v", last)
	}
	will := false
	for _, st := range s.statuses {
		will = will || !st.Online && st.At.IsZero()
	}
	if !will {
		t.Error("no last will was seen of a program that was killed")
	}
}

// A device without a battery: what passes while its clock says 1970, and hours
// too much, arrives with its right time once the clock is synchronised.
func TestWrongClock(t *testing.T) {
	s := newServer(t)
	const total = 3000
	config, want := recording(t, total, "tcp://"+s.broker.Addr())
	dir := filepath.Dir(config)
	clock := write(t, dir, "clock.json", `{"offset": "-400000h", "synced": false, "boot": "first"}`)
	cmd := program(t, "run", "--once", "--config", config, "--test-clock", clock)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waiting := func() (n uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.statuses) > 0 {
			n = s.statuses[len(s.statuses)-1].Waiting
		}
		return n
	}
	gatewaytest.Until(t, "everything waits for the clock", func() bool { return waiting() >= total })
	if n := s.count(); n != 0 {
		t.Errorf("%d passages were sent before the clock was synchronised", n)
	}
	write(t, dir, "clock.json", `{"offset": "0s", "synced": true, "boot": "first"}`)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := cmp.Diff(want, s.events); d != "" || s.lost > 0 {
		t.Errorf("%d lost (-want +got)\n%.2000s\n%s", s.lost, d, stderr.Bytes())
	}
}

func TestTellsSystemd(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Nobody listens at the broker's port: a gateway is ready without.
	config, _ := recording(t, 10, "tcp://127.0.0.1:1")
	cmd := program(t, "run", "--config", config)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=100000")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	buf := make([]byte, 100)
	for len(got) < 4 {
		if len(got) == 3 {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
		if end, limited := t.Deadline(); limited {
			if err := conn.SetReadDeadline(end.Add(-5 * time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		if s := string(buf[:n]); len(got) < 3 || s != "WATCHDOG=1" {
			got = append(got, s)
		}
	}
	if d := cmp.Diff([]string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"}, got); d != "" {
		t.Error(d)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v\n%s", err, stderr.Bytes())
	}
}

func TestCheckConfig(t *testing.T) {
	good, _ := recording(t, 10, "tcp://127.0.0.1:1883")
	dir := filepath.Dir(good)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	csv, err := os.ReadFile(filepath.Join(dir, "passages.csv"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "broken.csv", string(csv)+"yesterday;1;in\n")
	for _, c := range []struct {
		name, text string
		want       []string // none for a sound file
	}{
		{"good", string(text), nil},
		{"two faults", strings.NewReplacer("site: poort", "site: Poort", "gateway: poort-1", "gatway: poort-1").Replace(string(text)), []string{"site", "Poort", "gatway", "faults in"}},
		{"broken recording", strings.Replace(string(text), "passages.csv", "broken.csv", 1), []string{"line 12", "yesterday"}},
		{"no such column", strings.Replace(string(text), "column: gate", "column: sensor", 1), []string{"has no column sensor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), []string{"check-config", write(t, dir, "this.yaml", c.text)}, &stdout, &stderr)
			said := stdout.String() + stderr.String() + fmt.Sprint(err)
			if (err == nil) != (c.want == nil) {
				t.Fatal(said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q is missing in\n%s", w, said)
				}
			}
		})
	}
	cmd := program(t, "check-config", filepath.Join(dir, "absent.yaml"))
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("absent file: %v", err)
	}
}

// No password is printed by anything that is told of it, however much it logs.
func TestSecretsAreNotPrinted(t *testing.T) {
	s := newServer(t)
	const secret = "wachtwoord-4711"
	config, _ := recording(t, 10, "tcp://"+s.broker.Addr())
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(config)
	inline := write(t, dir, "inline.yaml", strings.Replace(string(text), "password: secret", "password: "+secret, 1))
	write(t, dir, "password", secret+"\n")
	file := write(t, dir, "file.yaml", strings.Replace(string(text), "password: secret", "password_file: password", 1))
	broken := write(t, dir, "broken.yaml", strings.Replace(string(text), "password: secret", "password: "+secret+", pasword: "+secret, 1))
	for _, args := range [][]string{
		{"check-config", inline},
		{"check-config", file},
		{"check-config", broken},
		{"run", "--config", inline, "--log-level", "debug"},
		{"run", "--config", file, "--log-level", "debug", "--log-format", "json"},
	} {
		cmd := program(t, args...)
		var out lockedBuffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if args[0] == "run" { // its password is refused
			gatewaytest.Until(t, "the password is refused", func() bool { return strings.Contains(out.String(), "no connection to the broker") })
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait() // how it ends is not the question
		if said := out.String(); said == "" || strings.Contains(said, secret) {
			t.Errorf("%v says:\n%s", args, said)
		}
	}
}

// lockedBuffer is written to by one and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestWatch(t *testing.T) {
	config, want := recording(t, 500, "tcp://127.0.0.1:1")
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := &counter{Buffer: &stdout, lines: len(want), full: cancel}
	if err := run(ctx, []string{"watch", "--config", config}, seen, &stderr); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != len(want) || lines[8] != "2016-10-18 10:00:01.000 gate-3           in" {
		t.Errorf("%d lines, the ninth is %q", len(lines), lines[8])
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(config), "data")); !errors.Is(err, os.ErrNotExist) {
		t.Error("watching left something on disk")
	}

	gpio := write(t, t.TempDir(), "gpio.yaml", `
site: poort
gateway: poort-1
broker: {url: "tcp://127.0.0.1:1883"}
source: {driver: gpio}
inputs: [{id: a, pin: NOSUCHPIN}]
sensors: [{id: main-in, type: pulse, input: a, direction: in}]
`)
	if err := run(t.Context(), []string{"watch", "--config", gpio}, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), "gpio") {
		t.Errorf("a pin that is not there: %v", err)
	}
}

// counter calls full when it has seen a number of lines.
type counter struct {
	*bytes.Buffer
	lines int
	full  func()
}

func (c *counter) Write(b []byte) (int, error) {
	if c.lines -= bytes.Count(b, []byte("\n")); c.lines == 0 {
		c.full()
	}
	return c.Buffer.Write(b)
}

// While the service runs it shows itself to who watches, and goes on when they
// leave.
func TestWatchBesideTheService(t *testing.T) {
	const total = 40
	config, _ := recording(t, total, "tcp://127.0.0.1:1") // nobody listens there
	cmd := program(t, "run", "--config", config)
	var log lockedBuffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	}()
	socket := filepath.Join(filepath.Dir(config), "data", socketFile)
	stop := errors.New("seen enough")
	var v gateway.View
	for err := errNoService; errors.Is(err, errNoService); time.Sleep(5 * time.Millisecond) {
		err = lookAt(t.Context(), socket, func(now gateway.View) error {
			if v = now; v.Ended && v.Status.Waiting == total {
				return stop
			}
			return nil
		})
		if err != nil && err != stop && !errors.Is(err, errNoService) {
			t.Fatal(err)
		}
	}
	if !v.Service || v.Connected || v.Judged != total || len(v.Verdicts) != total || len(v.Sensors) != 3 || v.Sensors[0].In+v.Sensors[0].Out == 0 || v.FileBytes == 0 {
		t.Errorf("seen: %+v", v)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &screenUntil{want: "LINK DOWN", found: cancel}
	if err := watchService(ctx, mustLoad(t, config), &screen{w: out}); err != nil {
		t.Error(err)
	}
}

// screenUntil calls found when it is written a text.
type screenUntil struct {
	want  string
	found func()
}

func (s *screenUntil) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.want)) {
		s.found()
	}
	return len(b), nil
}

func mustLoad(t *testing.T, path string) *config.Gateway {
	t.Helper()
	g, err := config.LoadGateway(path)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The screen fits, whatever is on it.
func TestScreen(t *testing.T) {
	now := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	for _, n := range []int{0, 1, 3, 12, 40} {
		v := view{View: gateway.View{
			Title: "poort/poort-1, driver gpio", Now: now, Service: n%2 == 1, Status: perron.GatewayStatus{Waiting: 12345678, Dropped: 99999},
			Note: strings.Repeat("a long line with a \x1b[2J control character\n", 5), Lost: 7,
		}}
		for i := range n {
			v.Inputs = append(v.Inputs, pulse.Level{Input: fmt.Sprint("input-", i), Known: i%3 > 0, Active: i%2 == 0, Since: now.Add(-90 * time.Second), Edges: 1 << 40, Fault: i == 7, Width: 250 * time.Millisecond})
			v.Sensors = append(v.Sensors, gateway.SeenSensor{In: 12, SensorStatus: perron.SensorStatus{Sensor: fmt.Sprint("sensor-", i), Health: perron.SensorChatter, Last: now, Active: i%2 == 0}})
			for j := range 9 {
				v.Verdicts = append(v.Verdicts, pulse.Judged{At: now, Sensor: fmt.Sprint("sensor-", i), Verdict: pulse.TurnedBack})
				v.Edges = append(v.Edges, gateway.SeenEdge{At: now, Input: fmt.Sprint("input-", i), Active: j%2 == 0, Width: 48 * time.Hour})
			}
		}
		lines := render(v)
		if len(lines) != rows {
			t.Errorf("with %d inputs %d lines", n, len(lines))
		}
		for _, l := range lines {
			visible := strings.NewReplacer(bold, "", reverse, "", plainly, "").Replace(l)
			if w := utf8.RuneCountInString(visible); w > columns || strings.ContainsRune(visible, 0x1b) {
				t.Errorf("with %d inputs a line of %d: %q", n, w, l)
			}
		}
		if got := strings.Contains(strings.Join(lines, ""), "EDGES  "); got != (n > 0) {
			t.Errorf("with %d inputs edges are shown: %t", n, got)
		}
		v.Inputs, v.Edges, v.Verdicts = nil, nil, nil // devices that count by themselves
		all := strings.Join(render(v), "\n")
		if lines := strings.Count(all, "\n") + 1; lines != rows || strings.Contains(all, "EDGES  ") || strings.Count(all, "sensor-") < min(n, 18) {
			t.Errorf("%d counters on %d lines:\n%s", n, lines, all)
		}
		if n == 3 {
			t.Log("\n" + strings.Join(lines, "\n"))
		}
	}
}
