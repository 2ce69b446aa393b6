package embedded

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
)

// TestRival lets a second device come with the name of one that is connected:
// it is refused, and both say so. When the first falls silent, as one does that
// lost its link, it is let in.
func TestRival(t *testing.T) {
	// Nobody answers within no time at all; the first part has all the time.
	for name, alive := range map[string]time.Duration{"alive": time.Minute, "silent": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *Config) { c.AliveWithin = alive })
			told := make(chan broker.Message, 100)
			if name == "alive" {
				r.up(r.client("poort/pi-1", told, nil, broker.AckTopic("poort", "pi-1")))
			} else {
				r.silent("poort/pi-1")
			}
			log := &lines{}
			second := r.client("poort/pi-1", nil, func(c *broker.ClientConfig) {
				c.Logger = slog.New(slog.NewTextHandler(log, nil))
			})
			if name == "silent" {
				r.up(second)
				return
			}
			r.refused("in_use", 2)
			if second.Connected() {
				t.Error("the second one is in")
			}
			if a, err := broker.DecodeAck(receive(t, told).Payload); err != nil || !a.Rival {
				t.Errorf("the first one is told %+v, %v", a, err)
			}
			within(t, "a line that says why", func() bool {
				return strings.Contains(log.String(), "another device is connected with it")
			})
		})
	}
}

// silent logs in by hand, and says and confirms nothing from then on.
func (r *rig) silent(user string) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	field := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	body := append(field("MQTT"), 4, 0xc2, 0, 60) // 3.1.1; user, password, clean session; keep-alive
	body = append(body, bytes.Join([][]byte{field(user), field(user), field(user + "?")}, nil)...)
	if _, err := conn.Write(append([]byte{0x10, byte(len(body))}, body...)); err != nil {
		r.t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := conn.Read(answer); err != nil || answer[0] != 0x20 || answer[3] != 0 {
		r.t.Fatalf("CONNACK % x, %v", answer, err)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
