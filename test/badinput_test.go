package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const oneSite = `
sites:
  - id: yard
    name: Yard
    bays: 20
    gateways: [yard-1]
    gates: [{id: main, name: Main, sensors: [main-in, main-out]}]
    hours:
      weekly: {monday: ["00:00-24:00"], tuesday: ["00:00-24:00"], wednesday: ["00:00-24:00"], thursday: ["00:00-24:00"], friday: ["00:00-24:00"], saturday: ["00:00-24:00"], sunday: ["00:00-24:00"]}
`

func serverYAML(dir string) string {
	return "data_dir: " + dir + "/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"127.0.0.1:0\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n" + oneSite
}

// A peer is a gateway of the test's own making, so that it can misbehave.
type peer struct {
	t      *testing.T
	client *broker.Client
	acks   chan broker.Ack
}

func newPeer(t *testing.T, addr, site, name, secret string) *peer {
	t.Helper()
	id := site + "/" + name
	client, err := broker.NewClient(broker.ClientConfig{
		URL: "tcp://" + addr, ClientID: id, Username: id, Password: secret,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, client, make(chan broker.Ack, 100)}
	client.Subscribe(broker.AckTopic(site, name), func(m broker.Message) {
		if a, err := broker.DecodeAck(m.Payload); err == nil {
			p.acks <- a
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, 10*time.Second, "the peer is connected", client.Connected)
	return p
}

func (p *peer) publish(topic string, payload []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return p.client.Publish(ctx, broker.Message{Topic: topic, Payload: payload})
}

func (p *peer) send(topic string, e broker.Events) {
	p.t.Helper()
	payload, err := e.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.publish(topic, payload); err != nil {
		p.t.Fatal(err)
	}
}

// waitAck waits until everything up to seq is acknowledged.
func (p *peer) waitAck(seq uint64) {
	p.t.Helper()
	limit := time.After(15 * time.Second)
	for {
		select {
		case a := <-p.acks:
			if a.Acked >= seq {
				return
			}
		case <-limit:
			p.t.Fatalf("no ack of %d within 15 s", seq)
		}
	}
}

func passages(at time.Time, n int) []perron.Event {
	events := make([]perron.Event, n)
	for i := range events {
		events[i] = perron.Event{Time: at, Sensor: "main-in", Kind: perron.In}
	}
	return events
}

// countIn asks the API how many vehicles entered the yard in two days around
// now.
func countIn(s *server) int {
	s.t.Helper()
	var answer struct {
		Counts []struct{ In int } `json:"counts"`
	}
	now := time.Now().UTC().Truncate(time.Hour)
	s.get(fmt.Sprintf("/api/v1/sites/yard/counts?from=%s&to=%s&interval=1h",
		now.Add(-24*time.Hour).Format(time.RFC3339), now.Add(24*time.Hour).Format(time.RFC3339)), &answer)
	n := 0
	for _, c := range answer.Counts {
		n += c.In
	}
	return n
}

func TestBadMessages(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", strings.Replace(serverYAML(dir), "[yard-1]", "[yard-1, yard-2]", 1))
	secret := addGateway(t, config, "yard", "yard-1")
	s := startServer(t, config, true)
	p := newPeer(t, s.broker, "yard", "yard-1", secret)
	topic := broker.EventsTopic("yard", "yard-1")
	now := time.Now().UTC()

	p.send(topic, broker.Events{Epoch: "e1", Floor: 1, First: 1, Events: passages(now, 3)})
	p.waitAck(3)

	t.Run("malformed messages do not stop the flow", func(t *testing.T) {
		for _, payload := range []string{"", "{", `{"v":99}`, `[1,2]`, `{"v":1,"epoch":"e1","floor":1,"first":4,"events":[{"t":"yesterday","s":"main-in","k":"in"}]}`} {
			if err := p.publish(topic, []byte(payload)); err != nil {
				t.Fatal(err)
			}
		}
		p.send(topic, broker.Events{Epoch: "e1", Floor: 4, First: 4, Events: passages(now, 2)})
		p.waitAck(5)
		if n := countIn(s); n != 5 {
			t.Errorf("counted %d, want 5", n)
		}
		if n := metric(s, `perrondrukte_collector_[a-z_]*malformed[a-z_]*(?:\{.*\})?`); n != 5 {
			t.Errorf("the metric counts %v malformed messages, want 5", n)
		}
	})

	t.Run("impossible times are set aside, acknowledged and shown", func(t *testing.T) {
		events := passages(now, 4)
		events[1].Time = now.Add(10 * time.Minute)
		events[2].Time = time.Date(1970, 1, 1, 0, 2, 0, 0, time.UTC)
		p.send(topic, broker.Events{Epoch: "e1", Floor: 6, First: 6, Events: events})
		p.waitAck(9)
		if n := countIn(s); n != 7 {
			t.Errorf("counted %d, want 7: two of four are set aside", n)
		}
		if n := metric(s, `perrondrukte_collector_events_total\{.*verdict="set_aside".*\}`); n != 2 {
			t.Errorf("the metric counts %v set aside, want 2", n)
		}
	})

	t.Run("another site's topic is refused", func(t *testing.T) {
		payload, err := broker.Events{Epoch: "e9", Floor: 1, First: 1, Events: passages(now, 1)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		// The broker drops it without a word or ends the connection; both will do.
		_ = p.publish(broker.EventsTopic("other", "yard-1"), payload)
		_ = p.publish(broker.EventsTopic("yard", "yard-2"), payload)
		time.Sleep(500 * time.Millisecond)
		if n := countIn(s); n != 7 {
			t.Errorf("counted %d, want 7", n)
		}
	})

	t.Run("an oversized message ends only its own connection", func(t *testing.T) {
		// Our own client would refuse to send it, so this one speaks for itself.
		conn, err := net.Dial("tcp", s.broker)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		other := addGateway(t, config, "yard", "yard-2")
		connect := append([]byte("\x00\x04MQTT\x04\xc2\x00\x3c"), mqttString("yard/yard-2")...)
		connect = append(append(connect, mqttString("yard/yard-2")...), mqttString(other)...)
		if _, err := conn.Write(append([]byte{0x10, byte(len(connect))}, connect...)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 0x20 || answer[3] != 0 {
			t.Fatalf("CONNACK % x, %v", answer, err)
		}
		// A QoS 1 PUBLISH of 10 MiB.
		publish := append([]byte{0x32, 0x80, 0x80, 0x80, 0x05}, mqttString(broker.EventsTopic("yard", "yard-2"))...)
		if _, err := conn.Write(publish); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for block := make([]byte, 64<<10); sent < 10<<20; sent += len(block) {
			if _, err := conn.Write(block); err != nil {
				break // hung up on, as it should be
			}
		}
		if _, err := conn.Read(answer); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %d bytes the broker still listens (%v)", sent, err)
		}
		p.send(topic, broker.Events{Epoch: "e1", Floor: 10, First: 10, Events: passages(now, 1)})
		p.waitAck(10)
		if n := countIn(s); n != 8 {
			t.Errorf("counted %d, want 8", n)
		}
	})
}

// mqttString is text as MQTT writes it, for texts shorter than 256 bytes.
func mqttString(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }

// metric adds up the series whose name and labels match the pattern.
func metric(s *server, pattern string) float64 {
	s.t.Helper()
	_, body := s.getAt(s.waitLog("metrics listen", nil).str(logs.Address), "/metrics", nil)
	sum := 0.0
	for _, m := range regexp.MustCompile(`(?m)^`+pattern+` ([0-9.e+]+)$`).FindAllSubmatch(body, -1) {
		v, err := strconv.ParseFloat(string(m[len(m)-1]), 64)
		if err != nil {
			s.t.Fatal(err)
		}
		sum += v
	}
	return sum
}

func TestUnknownSite(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, write(t, dir, "server.yaml", serverYAML(dir)), true)
	res, err := http.Get("http://" + s.http + "/api/v1/sites/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %s with %s, want 404 with application/problem+json", res.Status, res.Header.Get("Content-Type"))
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", serverYAML(dir))
	out, code := runCommand(t, "", "perrondrukte", "serve", "--config", config, "--http", l.Addr().String())
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := lines[len(lines)-1]
	if code != 1 || !strings.Contains(last, l.Addr().String()) || !strings.Contains(last, "already in use") {
		t.Errorf("exit %d with %q, want 1 and a sentence that names the address", code, out)
	}
}

func TestCheckConfig_namesEveryFault(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, dir, "server.yaml", "data_dir: x\nstale_after: soon\nsites:\n  - {id: Poort, name: Poort, bays: -1, gateways: [poort-1], gates: [{id: in, sensors: [a]}]}\n")
	out, code := runCommand(t, "", "perrondrukte", "check-config", bad)
	for _, want := range []string{"stale_after", "soon", "sites[0].id", "Poort", "sites[0].bays", "-1"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not mention %q", want)
		}
	}
	if code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestReplay_brokenLine(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", serverYAML(dir))
	secret := addGateway(t, config, "yard", "yard-1")
	s := startServer(t, config, true)
	now := time.Now().UTC().Add(-time.Hour)
	var rows strings.Builder
	rows.WriteString("t,kind\n")
	for i := range 10 {
		fmt.Fprintf(&rows, "%s,in\n", now.Add(time.Duration(i)*time.Second).Format(time.DateTime))
		if i == 4 {
			rows.WriteString("not a time,in\n") // line 7
		}
	}
	csv := write(t, dir, "rows.csv", rows.String())
	gateway := func(onError string) string {
		return write(t, dir, onError+".yaml", fmt.Sprintf(`
site: yard
gateway: yard-1
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay: {file: %s, on_error: %s, time: {column: t, zone: UTC}, sensor: {value: main-in}, kind: {column: kind}}
`, filepath.Join(dir, onError), s.broker, secret, csv, onError))
	}

	out, code := runCommand(t, "", "perron-gateway", "run", "--config", gateway("refuse"))
	if code != 1 || !strings.Contains(out, "line 7") || !strings.Contains(out, "not a time") {
		t.Errorf("exit %d with %q, want 1 with the line and the reason", code, out)
	}
	if n := countIn(s); n != 0 {
		t.Errorf("counted %d of a file that was refused", n)
	}
	g := start(t, "perron-gateway", "run", "--config", gateway("skip"), "--log-format", "json")
	eventually(t, 20*time.Second, "ten passages are counted", func() bool { return countIn(s) == 10 })
	g.stop()
	if log := g.raw.String(); !strings.Contains(log, "7") || !strings.Contains(log, "not a time") {
		t.Error("the log does not name the line that was skipped")
	}
}

// TestFullDisk gives the store a file system of its own that is too small.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=6m"); err != nil {
		missing(t, "cannot mount a small file system, which needs root: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	config := write(t, dir, "server.yaml", serverYAML(dir))
	secret := addGateway(t, config, "yard", "yard-1")
	s := startServer(t, config, true)
	p := newPeer(t, s.broker, "yard", "yard-1", secret)
	topic := broker.EventsTopic("yard", "yard-1")
	at := time.Now().UTC().Add(-time.Minute)

	ballast := filepath.Join(data, "ballast")
	fill(t, ballast)
	const batch = 500
	p.send(topic, broker.Events{Epoch: "e1", Floor: 1, First: 1, Events: passages(at, batch)})
	select {
	case a := <-p.acks:
		// What is acknowledged must be stored, full disk or not.
		if n := countIn(s); uint64(n) < a.Acked {
			t.Fatalf("acknowledged %d, stored %d", a.Acked, n)
		}
		if a.Acked > 0 {
			t.Fatalf("acknowledged %d although the disk is full", a.Acked)
		}
	case <-time.After(5 * time.Second):
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// The gateway sends again what was not acknowledged.
	p.send(topic, broker.Events{Epoch: "e1", Floor: 1, First: 1, Events: passages(at, batch)})
	p.waitAck(batch)
	if n := countIn(s); n != batch {
		t.Errorf("counted %d, want %d", n, batch)
	}
}

// fill writes a file until the file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return // full, which is the point
		}
	}
}
