package test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

const counterSite = `
networks:
  - {id: chirp, format: chirpstack, url: "tcp://127.0.0.1:%[1]s", topic: application/+/device/+/event/up}
  - {id: ttn, format: thethingsstack, url: "tcp://127.0.0.1:%[1]s", topic: "v3/#"}
sites:
  - id: yard
    name: Yard
    bays: 20
    stale_after: 25m
    counters:
      - id: esp-1
        every: 30s
        sensors: [{sensor: main-in, direction: in}, {sensor: main-out, direction: out}]
      - {id: lora-1, network: chirp, device: A84041B2C3D4E5F6, every: 10m, bits: 16, sensors: [{sensor: side-in, direction: in, path: counters.0.total}]}
      - {id: lora-2, network: ttn, device: side-out, every: 10m, mode: delta, sensors: [{sensor: side-out, direction: out, path: n}]}
    gates:
      - {id: main, name: Main, sensors: [main-in, main-out]}
      - {id: side, name: Side, sensors: [side-in, side-out]}
`

// A linked is a client of a broker for as long as the test wants.
type linked struct {
	*broker.Client
	stop func()
}

func link(t *testing.T, addr, id, password string) *linked {
	t.Helper()
	c, err := broker.NewClient(broker.ClientConfig{
		URL: "tcp://" + addr, ClientID: id, Username: id, Password: password, Logger: slog.New(slog.DiscardHandler),
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, PublishTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	l := &linked{c, sync.OnceFunc(func() { cancel(); <-done })}
	t.Cleanup(l.stop)
	eventually(t, 10*time.Second, id+" is connected", c.Connected)
	return l
}

// A yard of counters, of which every vehicle is known.
type counterYard struct {
	t       *testing.T
	r       *rand.Rand
	network *linked // publishes what the network servers would
	secret  string
	want    map[string]int // passages by sensor

	boot         int
	base, n      [2]uint64 // of the ESP, in and out
	frame        [2]uint32 // of the LoRaWAN counters
	total        uint64
	held         [][2]string // uplinks that are late: topic and payload
	began        time.Time
	sent, double int
}

// espSays publishes what the ESP shows; it may be that nobody is there.
func (y *counterYard) espSays(c *linked) {
	m := broker.Counters{Boot: fmt.Sprintf("boot-%d", y.boot), Up: time.Minute, At: time.Now().Truncate(time.Second), Counters: map[string]broker.Counter{
		"main-in":  {N: y.n[0], Base: y.base[0], Ago: -1},
		"main-out": {N: y.n[1], Base: y.base[1], Ago: -1},
	}}
	b, err := broker.EncodeCounters(m)
	if err != nil {
		y.t.Fatal(err)
	}
	_ = c.Publish(y.t.Context(), broker.Message{Topic: broker.CountersTopic("yard", "esp-1"), Payload: b, Retained: true}) // said again
}

func (y *counterYard) espCounts(c *linked) {
	for i, sensor := range []string{"main-in", "main-out"} {
		k := y.r.IntN(3)
		y.n[i] += uint64(k)
		y.want[sensor] += k
	}
	y.espSays(c)
	y.sent++
}

// espRestarts: what it showed is what it had kept.
func (y *counterYard) espRestarts() {
	y.boot++
	for i := range y.n {
		y.base[i] += y.n[i]
		y.n[i] = 0
	}
}

// uplinks lets both LoRaWAN counters send: some twice, some late, and of the
// totals some not at all.
func (y *counterYard) uplinks() {
	k := y.r.IntN(30)
	y.total += uint64(k)
	y.want["side-in"] += k
	at := func(frame uint32) string {
		return y.began.Add(time.Duration(frame) * 10 * time.Minute).UTC().Format(time.RFC3339Nano)
	}
	frame := ""
	if y.frame[0] > 0 { // left out when it is zero
		frame = fmt.Sprintf(`"fCnt":%d,`, y.frame[0])
	}
	y.send("application/17c8/device/a84041b2c3d4e5f6/event/up", fmt.Sprintf(
		`{"deduplicationId":"%d","time":%q,"deviceInfo":{"devEui":"a84041b2c3d4e5f6"},"devAddr":"00189440",%s"fPort":1,"object":{"counters":[{"total":%d.0}]},"rxInfo":[{}],"txInfo":{"frequency":868100000}}`,
		y.frame[0], at(y.frame[0]), frame, y.total%65536), true)
	y.frame[0]++

	d := y.r.IntN(20)
	y.want["side-out"] += d
	frame = ""
	if y.frame[1] > 0 {
		frame = fmt.Sprintf(`"f_cnt":%d,`, y.frame[1])
	}
	y.send("v3/milieustraten@ttn/devices/side-out/up", fmt.Sprintf(
		`{"end_device_ids":{"device_id":"side-out","dev_addr":"260B77AA"},"received_at":%q,"uplink_message":{"session_key_id":"AY8m","f_port":1,%s"decoded_payload":{"n":%d},"received_at":%[1]q}}`,
		at(y.frame[1]), frame, d), false)
	y.frame[1]++
}

func (y *counterYard) send(topic, payload string, mayLose bool) {
	first := y.frame[0] < 2 // after which counting begins
	switch y.r.IntN(8) {
	case 0:
		if mayLose && !first {
			return
		}
	case 1:
		if !first {
			y.held = append(y.held, [2]string{topic, payload})
			return
		}
	}
	y.publish(topic, payload)
	if y.r.IntN(4) == 0 {
		y.double++
		y.publish(topic, payload)
	}
	if len(y.held) > 0 && y.r.IntN(3) == 0 {
		y.flush()
	}
}

func (y *counterYard) flush() {
	for _, h := range y.held {
		y.publish(h[0], h[1])
	}
	y.held = nil
}

func (y *counterYard) publish(topic, payload string) {
	y.sent++
	if err := y.network.Publish(y.t.Context(), broker.Message{Topic: topic, Payload: []byte(payload)}); err != nil {
		y.t.Fatalf("the network's broker: %v", err)
	}
}

// TestCounters lets an ESP and two LoRaWAN counters count while the server is
// killed again and again, with messages doubled, late and lost. What is stored
// must be what passed, by sensor.
func TestCounters(t *testing.T) {
	mosquitto := needTool(t, "mosquitto", "apt-get install mosquitto")
	for _, kind := range []string{"SQLite", "InfluxDB"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			port := freePort(t)
			start(t, mosquitto, "-c", write(t, dir, "mosquitto.conf", "listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"))
			in := ""
			if kind == "InfluxDB" {
				influx := influxtest.Start(t)
				in = fmt.Sprintf("store: {influx: {url: %q, token: %q, org: %q, bucket: %q}}\n", influx.URL, influx.Token, "-", influx.Bucket())
			}
			config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+
				in+fmt.Sprintf(counterSite, port))
			const seed = 20260530
			y := &counterYard{
				t: t, r: rand.New(rand.NewPCG(seed, 1)), network: link(t, "127.0.0.1:"+port, "ns", ""), secret: addGateway(t, config, "yard", "esp-1"),
				want: map[string]int{"main-in": 0, "main-out": 0, "side-in": 0, "side-out": 0}, base: [2]uint64{1000, 990}, total: 65_000, began: time.Now().Add(-48 * time.Hour),
			}
			up := func() (*server, *linked) {
				s := startServer(t, config, true)
				for _, network := range []string{"chirp", "ttn"} { // it has its sessions
					s.waitLog("connected to the broker", func(l logLine) bool { return l.str("network") == network })
				}
				return s, link(t, s.broker, "yard/esp-1", y.secret)
			}
			stored := func(s *server) map[string]int {
				got := map[string]int{"main-in": 0, "main-out": 0, "side-in": 0, "side-out": 0}
				for _, gate := range []string{"main", "side"} {
					var answer struct {
						Counts []struct{ In, Out int } `json:"counts"`
					}
					s.get(fmt.Sprintf("/api/v1/sites/yard/counts?from=%s&to=%s&interval=1d&gate=%s", y.began.AddDate(0, 0, -2).UTC().Format(time.RFC3339),
						time.Now().AddDate(0, 0, 2).UTC().Format(time.RFC3339), gate), &answer)
					for _, c := range answer.Counts {
						got[gate+"-in"] += c.In
						got[gate+"-out"] += c.Out
					}
				}
				return got
			}
			reach := func(s *server) {
				t.Helper()
				var got map[string]int
				deadline := time.Now().Add(60 * time.Second)
				for got = stored(s); fmt.Sprint(got) != fmt.Sprint(y.want) && time.Now().Before(deadline); got = stored(s) {
					time.Sleep(50 * time.Millisecond)
				}
				if fmt.Sprint(got) != fmt.Sprint(y.want) {
					t.Fatalf("stored %v, want %v", got, y.want)
				}
			}

			s, esp := up()
			y.espSays(esp)
			y.uplinks()
			y.want["side-in"] = 0 // counted before we knew it
			y.uplinks()
			y.espCounts(esp)
			reach(s)

			kills := 6
			if kind == "InfluxDB" {
				kills = 3
			}
			for range kills {
				for range 5 + y.r.IntN(20) {
					y.espCounts(esp)
					y.uplinks()
				}
				s.kill() // in the middle of all that
				esp.stop()
				y.uplinks() // and life goes on
				y.n[0], y.want["main-in"] = y.n[0]+2, y.want["main-in"]+2
				if y.r.IntN(2) == 0 {
					y.espRestarts()
				}
				s, esp = up()
			}
			y.espCounts(esp)
			y.flush()
			// So that the totals are all told; the last may have been lost.
			y.r = rand.New(rand.NewPCG(1, 1))
			for y.frame[0]%7 != 0 {
				y.uplinks()
			}
			y.flush()
			y.last()
			reach(s)
			time.Sleep(time.Second) // what would be doubled gets the time to arrive
			reach(s)
			t.Logf("%s: %d kills, %d messages, %d of them again on purpose, passages %v", kind, kills, y.sent, y.double, y.want)
			s.stop()
			if kind == "SQLite" {
				y.each(filepath.Join(dir, "data", "perrondrukte.db"))
			}
		})
	}
}

// last sends the total once more, for certain.
func (y *counterYard) last() {
	y.publish("application/17c8/device/a84041b2c3d4e5f6/event/up", fmt.Sprintf(
		`{"time":%q,"deviceInfo":{"devEui":"a84041b2c3d4e5f6"},"devAddr":"00189440","fCnt":%d,"object":{"counters":[{"total":%d}]},"txInfo":{}}`,
		y.began.Add(time.Duration(y.frame[0])*10*time.Minute).UTC().Format(time.RFC3339Nano), y.frame[0], y.total%65536))
}

// each looks at every passage: no number twice, no time that cannot be.
func (y *counterYard) each(path string) {
	t := y.t
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	counts := make(map[string]int)
	for r, err := range db.Events(t.Context(), "yard", time.Time{}, time.Now().AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Sensor]++
		if r.Time.After(time.Now()) || r.Time.Before(y.began.Add(-10*time.Minute)) {
			t.Errorf("a vehicle at %v", r.Time)
		}
	}
	losses, err := db.Losses(t.Context(), "yard", time.Time{}, time.Now().AddDate(1, 0, 0))
	if err != nil || len(losses) > 0 {
		t.Errorf("losses %v, %v", losses, err)
	}
	for _, gateway := range []string{"esp-1", "lora-1", "lora-2"} {
		if _, err := db.Reading(t.Context(), "yard", gateway); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(counts) != fmt.Sprint(y.want) {
		t.Errorf("events %v, want %v", counts, y.want)
	}
}
