package test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/modbus/modbustest"
)

// startModbusDevice runs the device as a process of its own.
func startModbusDevice(t *testing.T, args ...string) *modbustest.Remote {
	t.Helper()
	path := filepath.Join(t.TempDir(), "modbusdevice")
	if out, err := exec.Command("go", "build", "-o", path, "./modbusdevice").CombinedOutput(); err != nil {
		t.Fatalf("build the device: %v\n%s", err, out)
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = t.Output()
	d, err := modbustest.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	return d
}

// modbusCounts asks the API what has passed, by gate and direction.
func modbusCounts(s *server) map[string]int {
	counts := map[string]int{}
	for _, gate := range []string{"main", "side"} {
		var answer struct{ Counts []struct{ In, Out int } }
		now := time.Now().UTC()
		s.get(fmt.Sprintf("/api/v1/sites/poort/counts?from=%s&to=%s&interval=1h&gate=%s",
			now.Add(-24*time.Hour).Truncate(time.Hour).Format(time.RFC3339), now.Add(2*time.Hour).Truncate(time.Hour).Format(time.RFC3339), gate), &answer)
		for _, c := range answer.Counts {
			counts[gate+" in"] += c.In
			counts[gate+" out"] += c.Out
		}
	}
	return counts
}

const modbusSite = `
sites:
  - id: poort
    name: Poort
    address: Somewhere
    bays: 24
    lanes: 1
    dwell: 14m
    gateways: [gate-1]
    gates:
      - {id: main, name: Main, sensors: [main-in, main-out]}
      - {id: side, name: Side, sensors: [side]}
    hours:
      weekly: {monday: ["00:00-24:00"], tuesday: ["00:00-24:00"], wednesday: ["00:00-24:00"], thursday: ["00:00-24:00"], friday: ["00:00-24:00"], saturday: ["00:00-24:00"], sunday: ["00:00-24:00"]}
`

// Counters on a serial line and in the network count on whatever happens to the
// gateway, which is killed again and again, and to the line. In the end every
// one of what they counted is in the store, once.
func TestModbus(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the serial line is a pseudo terminal of Linux")
	}
	device := startModbusDevice(t, "-line")
	do := func(format string, args ...any) {
		t.Helper()
		if err := device.Do(format, args...); err != nil {
			t.Fatal(err)
		}
	}
	// They stand so high that they cannot have begun at zero meanwhile.
	registers := map[string]string{
		"main in":  "1 holding 52 32 low",
		"main out": "2 holding 0 16 high",
		"side in":  "3 input 7 32 high",
		"side out": "3 input 9 16 high",
	}
	do("set %s 131060", registers["main in"])
	do("set %s 60000", registers["main out"])
	do("set %s 4294900000", registers["side in"])
	do("set %s 59000", registers["side out"])

	dir := t.TempDir()
	config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+modbusSite)
	secret := addGateway(t, config, "poort", "gate-1")
	s := startServer(t, config, true)
	gatewayConfig := write(t, dir, "gateway.yaml", fmt.Sprintf(`
site: poort
gateway: gate-1
data_dir: %s/gateway
broker: {url: "tcp://%s", password: %q}
clock: {wait: 0s} # that of the machine need not be synchronised
source:
  driver: modbus
  modbus:
    buses:
      - url: rtu://%s
        speed: 115200
        parity: none
        timeout: 200ms
        every: 200ms
        silent_after: 1s
        counters:
          - {sensor: main-in, direction: in, unit: 1, address: 52, bits: 32, first: low, min_headway: 10ms}
          - {sensor: main-out, direction: out, unit: 2, address: 0, min_headway: 10ms}
      - url: tcp://%s
        timeout: 10s # so that a slow machine is not taken for a device without power
        every: 200ms
        counters:
          - {sensor: side, direction: in, unit: 3, register: input, address: 7, bits: 32, first: high, min_headway: 10ms}
          - {sensor: side, direction: out, unit: 3, register: input, address: 9, min_headway: 10ms}
`, dir, s.broker, secret, device.Line, device.Addr))
	run := func() *process {
		return start(t, "perron-gateway", "run", "--config", gatewayConfig, "--log-format", "json")
	}
	gateway := run()
	first := map[string]bool{}
	gateway.waitLog("the counter is counted from here on", func(l logLine) bool {
		first[fmt.Sprint(l["sensor"], l["unit"], l["value"])] = true
		return len(first) == len(registers)
	})

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	truth := map[string]int{"main in": 0, "main out": 0, "side in": 0, "side out": 0}
	pass := func(times int) {
		for range times {
			for _, name := range []string{"main in", "main out", "side in", "side out"} {
				if n := random.IntN(3); n > 0 {
					do("add %s %d", registers[name], n)
					truth[name] += n
				}
			}
			time.Sleep(time.Duration(20+random.IntN(20)) * time.Millisecond) // the headway of two
		}
	}
	for round := range 6 {
		pass(10 + random.IntN(10))
		switch random.IntN(3) {
		case 0: // a device on the line is off, the gateway is not
			do("mute 2 yes")
			pass(15)
			do("mute 2 no")
		case 1: // answers are late
			do("delay 1 250ms")
			pass(15)
			do("delay 1 0s")
		}
		gateway.kill()
		if round%2 == 0 {
			pass(20) // nobody asks
		}
		gateway = run()
	}
	pass(20)
	exactly := func(what string) {
		t.Helper()
		eventually(t, 60*time.Second, what, func() bool {
			got := modbusCounts(s)
			for name, n := range got {
				if n > truth[name] {
					t.Fatalf("%s: %s has %d, %d passed", what, name, n, truth[name])
				}
			}
			return maps.Equal(got, truth)
		})
	}
	exactly("what passed")
	t.Logf("passed and counted: %v", truth)

	// One counter goes round while it is watched.
	do("set %s 65535", registers["side out"])
	gateway.waitLog("the counter is higher than can have passed; that is not counted", nil)
	do("add %s 2", registers["side out"])
	truth["side out"] += 2
	gateway.waitLog("the counter went round", nil)
	exactly("after going round")

	// The device in the network loses its power, and with it its count.
	do("set %s 0", registers["side in"])
	gateway.waitLog("the counter began at zero again; vehicles may be missing", nil)
	do("add %s 2", registers["side in"])
	truth["side in"] += 2
	exactly("after the device began at zero")
	gateway.stop()
	s.stop()
}
