package test

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/internal/recordings"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
)

// The recording: 128,823 single vehicles at three toll gates, unsorted, with
// thousands of equal stamps. Every one of them must be in the API's counts,
// whatever happened on the way.

// A cell is one gate, direction and civil day.
type cell struct{ gate, kind, day string }

// tollgateTruth counts the file itself.
func tollgateTruth(t *testing.T, path string) map[cell]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	truth := map[cell]int{}
	for _, r := range rows[1:] {
		kind := map[string]string{"0": "in", "1": "out"}[r[2]]
		truth[cell{"gate-" + r[1], kind, r[0][:10]}]++
	}
	return truth
}

// tollgateCounts asks the API for the same.
func tollgateCounts(t *testing.T, s *server) (counts map[cell]int, total int) {
	t.Helper()
	counts = map[cell]int{}
	for _, gate := range []string{"gate-1", "gate-2", "gate-3"} {
		var answer struct {
			Counts []struct {
				Start   time.Time `json:"start"`
				In, Out int
			} `json:"counts"`
		}
		s.get("/api/v1/sites/tollgate/counts?from=2016-10-17T22:00:00Z&to=2016-10-25T22:00:00Z&interval=1d&gate="+gate, &answer)
		zone, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range answer.Counts {
			day := c.Start.In(zone).Format(time.DateOnly)
			if c.In > 0 {
				counts[cell{gate, "in", day}] = c.In
			}
			if c.Out > 0 {
				counts[cell{gate, "out", day}] = c.Out
			}
			total += c.In + c.Out
		}
	}
	return counts, total
}

const tollgateSite = `
stale_after: 5m
sites:
  - id: tollgate
    name: Tollgate
    address: Recorded in 2016
    bays: 200
    lanes: 3
    dwell: 14m
    gateways: [gate-1, gate-2, gate-3]
    gates:
      - {id: gate-1, name: Gate 1, sensors: [gate-1-in, gate-1-out]}
      - {id: gate-2, name: Gate 2, sensors: [gate-2-in, gate-2-out]}
      - {id: gate-3, name: Gate 3, sensors: [gate-3-in, gate-3-out]}
    hours:
      weekly:
        monday: ["00:00-24:00"]
        tuesday: ["00:00-24:00"]
        wednesday: ["00:00-24:00"]
        thursday: ["00:00-24:00"]
        friday: ["00:00-24:00"]
        saturday: ["00:00-24:00"]
        sunday: ["00:00-24:00"]
`

// tollgateGateway writes the configuration of the gateway at one toll gate.
// Speed is that of the replay; 0 is as fast as possible.
func tollgateGateway(t *testing.T, dir, recording, broker, password string, n int, speed float64) string {
	t.Helper()
	return write(t, dir, fmt.Sprintf("gateway-%d.yaml", n), fmt.Sprintf(`
site: tollgate
gateway: gate-%[1]d
data_dir: %[2]s
broker: {url: "tcp://%[3]s", password: %[4]q}
source:
  driver: replay
  replay:
    file: %[5]s
    speed: %[6]g
    shift: keep
    time: {column: time, layout: "2006-01-02 15:04:05", zone: Europe/Amsterdam}
    key:
      columns: [tollgate_id, direction]
      map:
        "%[1]d/0": {sensor: gate-%[1]d-in, kind: in}
        "%[1]d/1": {sensor: gate-%[1]d-out, kind: out}
`, n, filepath.Join(dir, fmt.Sprintf("gateway-%d", n)), broker, password, recording, speed))
}

// addGateway issues a credential and returns the password.
func addGateway(t *testing.T, config, site, name string) string {
	t.Helper()
	out, code := runCommand(t, "", "perrondrukte", "gateway", "add", "--config", config, "--secret-only", site, name)
	if code != 0 {
		t.Fatalf("gateway add %s %s: %s", site, name, out)
	}
	return strings.TrimSpace(out)
}

// checkTollgate waits for the whole recording and compares every cell.
func checkTollgate(t *testing.T, s *server, truth map[cell]int) {
	t.Helper()
	want := 0
	for _, n := range truth {
		want += n
	}
	var got map[cell]int
	var last int
	lastChange := time.Now()
	for {
		var total int
		got, total = tollgateCounts(t, s)
		if total != last {
			last, lastChange = total, time.Now()
		}
		if total >= want || time.Since(lastChange) > 60*time.Second {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if last == want {
		// Whatever would be doubled gets the time to arrive.
		time.Sleep(2 * time.Second)
		got, last = tollgateCounts(t, s)
	}
	t.Logf("counted %d passages of %d in %d cells", last, want, len(truth))
	if d := cmp.Diff(truth, got, cmp.AllowUnexported(cell{})); d != "" {
		t.Errorf("counts differ from the recording (-file +API):\n%s", d)
	}
}

func TestTollgate(t *testing.T) {
	recording := recordings.Path(t, "data", "tollgate/passages.csv")
	truth := tollgateTruth(t, recording)

	t.Run("as it is", func(t *testing.T) {
		dir := t.TempDir()
		config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+tollgateSite)
		secrets := addGateways(t, config)
		s := startServer(t, config, true)
		began := time.Now()
		for n, secret := range secrets {
			start(t, "perron-gateway", "run", "--config", tollgateGateway(t, dir, recording, s.broker, secret, n+1, 0), "--log-format", "json")
		}
		checkTollgate(t, s, truth)
		t.Logf("after %s", time.Since(began).Round(time.Millisecond))
		s.stop()
	})

	t.Run("kill -9 of server and gateway in mid-flight", func(t *testing.T) {
		dir := t.TempDir()
		httpPort, brokerPort := freePort(t), freePort(t)
		config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:"+httpPort+"\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:"+brokerPort+"\"}}\n"+tollgateSite)
		secrets := addGateways(t, config)
		s := startServer(t, config, true)
		var gateways [3]*process
		var configs [3]string
		for n, secret := range secrets {
			// The week passes in some eight seconds, longer than the kills
			// take, however fast the machine. The third gate comes as fast
			// as possible, so that a backlog is hit as well.
			speed := 75_000.0
			if n == 2 {
				speed = 0
			}
			configs[n] = tollgateGateway(t, dir, recording, s.broker, secret, n+1, speed)
			gateways[n] = start(t, "perron-gateway", "run", "--config", configs[n], "--log-format", "json")
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		killedMidway := 0
		for round := range 6 {
			time.Sleep(time.Duration(200+random.IntN(900)) * time.Millisecond)
			_, total := tollgateCounts(t, s)
			t.Logf("round %d: %d passages stored", round, total)
			if total > 0 && total < 128823 {
				killedMidway++
			}
			victim := random.IntN(3)
			if round%2 == 0 {
				s.kill()
				s = startServer(t, config, true)
			} else {
				gateways[victim].kill()
				gateways[victim] = start(t, "perron-gateway", "run", "--config", configs[victim], "--log-format", "json")
			}
		}
		if killedMidway < 2 {
			t.Errorf("only %d kills hit the replay in mid-flight: the test proves too little", killedMidway)
		}
		checkTollgate(t, s, truth)
	})

	t.Run("Mosquitto as broker", func(t *testing.T) {
		mosquitto := needTool(t, "mosquitto", "apt-get install mosquitto")
		dir := t.TempDir()
		port := freePort(t)
		start(t, mosquitto, "-c", write(t, dir, "mosquitto.conf", "listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"))
		config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {url: \"tcp://127.0.0.1:"+port+"\"}\n"+tollgateSite)
		s := startServer(t, config, false)
		for n := range 3 {
			start(t, "perron-gateway", "run", "--config", tollgateGateway(t, dir, recording, "127.0.0.1:"+port, "", n+1, 0), "--log-format", "json")
		}
		checkTollgate(t, s, truth)
	})

	t.Run("InfluxDB as store", func(t *testing.T) {
		influx := influxtest.Start(t)
		dir := t.TempDir()
		config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+
			fmt.Sprintf("store: {influx: {url: %q, token: %q, org: %q, bucket: %q}}\n", influx.URL, influx.Token, "-", influx.Bucket())+tollgateSite)
		secrets := addGateways(t, config)
		s := startServer(t, config, true)
		began := time.Now()
		for n, secret := range secrets {
			start(t, "perron-gateway", "run", "--config", tollgateGateway(t, dir, recording, s.broker, secret, n+1, 0), "--log-format", "json")
		}
		checkTollgate(t, s, truth)
		t.Logf("after %s", time.Since(began).Round(time.Millisecond))
	})
}

func addGateways(t *testing.T, config string) [3]string {
	t.Helper()
	var secrets [3]string
	for n := range secrets {
		secrets[n] = addGateway(t, config, "tollgate", fmt.Sprintf("gate-%d", n+1))
	}
	return secrets
}
