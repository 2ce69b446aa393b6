package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/certs"
)

const counterYAML = `
data_dir: data
broker: {embedded: {listen: "192.0.2.7:1883"}}
networks: [{id: lorawan, format: chirpstack, url: "tcp://127.0.0.1", topic: application/+/device/+/event/up}]
sites:
  - id: haven
    name: Haven
    bays: 6
    gates: [{id: main, sensors: [north-in, north-out, south-in]}]
    counters:
      - {id: esp-1, every: 30s, sensors: [{sensor: north-in, direction: in}, {sensor: north-out, direction: out}]}
      - {id: esp-2, every: 30s, sensors: [{sensor: south-in, direction: in}]}
      - {id: lora-1, network: lorawan, device: A84041B2C3D4E5F6, every: 1m, sensors: []}
`

func TestGatewayAddForESPHome(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server.yaml")
	text := strings.Replace(strings.Replace(counterYAML, "sensors: []", "sensors: [{sensor: gone, direction: in, path: n}]", 1), "south-in]", "south-in, gone]", 1)
	if err := os.WriteFile(server, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	add := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"gateway", "add", "--config", server, "haven"}, args...), strings.NewReader(""), &out, &out)
		return out.String(), err
	}
	out, err := add("esp-1")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Substitutions map[string]string
		MQTT          struct{ Password string } `yaml:"mqtt"`
	}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(out, "!include ", "")), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	want := map[string]string{
		"site": "haven", "device": "esp-1", "broker": "192.0.2.7", "port": "1883",
		"sensor_a": "north-in", "pin_a": "GPIO25", "sensor_b": "north-out", "pin_b": "GPIO26",
	}
	if d := cmp.Diff(want, got.Substitutions); d != "" || len(got.MQTT.Password) < 40 {
		t.Errorf("password of %d characters, substitutions (-want +got):\n%s", len(got.MQTT.Password), d)
	}
	// Everything that differs between devices is a substitution of the file that
	// it includes.
	base, err := os.ReadFile(filepath.Join("..", "..", "firmware-config", "esphome", "perron-counter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if !strings.Contains(string(base), "${"+name+"}") {
			t.Errorf("perron-counter.yaml does not use %s", name)
		}
	}
	if strings.Contains(out, "certificate_authority") {
		t.Errorf("it has to trust somebody at a broker without TLS:\n%s", out)
	}
	authority, err := certs.OpenAuthority(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("broker", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secured := strings.Replace(text, `listen: "192.0.2.7:1883"`, `tls: {cert_file: broker.crt, key_file: broker.key}, listen: "192.0.2.7:8883"`, 1)
	for name, content := range map[string][]byte{"broker.crt": pair.Certificate, "broker.key": pair.Key, "server.yaml": []byte(secured)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var trusting struct {
		MQTT struct {
			CA string `yaml:"certificate_authority"`
		} `yaml:"mqtt"`
	}
	if out, err = add("esp-1"); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(out, "warning: ") { // the certificate is not for that address
		_, out, _ = strings.Cut(out, "\n")
	}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(out, "!include ", "")), &trusting); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if d := cmp.Diff(strings.TrimSpace(string(pair.Certificate)), strings.TrimSpace(trusting.MQTT.CA)); d != "" {
		t.Errorf("what the device has to trust (-want +got):\n%s", d)
	}
	if out, err := add("esp-2"); err == nil {
		t.Errorf("for a device with one sensor: %s", out)
	}
	if out, err := add("esp-2", "--secret-only"); err != nil || len(strings.TrimSpace(out)) < 40 {
		t.Errorf("its password: %s, %v", out, err)
	}
	if out, err := add("lora-1"); err == nil || !strings.Contains(err.Error(), "network lorawan") {
		t.Errorf("for a device of a network: %s, %v", out, err)
	}
}

// The words in the configuration are those of package broker, and what is
// written by hand is what the network sends.
func TestDevicesOfTheConfiguration(t *testing.T) {
	var formats []string
	for _, f := range broker.UplinkFormats() {
		formats = append(formats, string(f))
	}
	if d := cmp.Diff(formats, config.UplinkFormat("").Choices()); d != "" {
		t.Errorf("formats (-broker +config):\n%s", d)
	}
	cfg, err := config.ParseServer([]byte(strings.Replace(strings.Replace(counterYAML, "sensors: []", "sensors: [{sensor: gone, direction: in, path: n.0}]", 1), "south-in]", "south-in, gone]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := devices(cfg)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if d := got[2]; d.ID != "a84041b2c3d4e5f6" || d.Bits != 32 || d.Delta || d.Counters[0].Path.String() != "n.0" || d.Network != "lorawan" {
		t.Errorf("%+v", d)
	}
}

// The broker of a network keeps messages under our name: it stays when a site is
// added, and is not that of another installation that is configured alike.
func TestNameAtANetwork(t *testing.T) {
	cfg, err := config.ParseServer([]byte(strings.Replace(strings.Replace(counterYAML, "sensors: []", "sensors: [{sensor: gone, direction: in, path: n}]", 1), "south-in]", "south-in, gone]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	topic := cfg.Networks[0].Topic
	name := func(dir string, sites int) string {
		t.Helper()
		c := *cfg
		c.DataDir = dir
		a := &app{cfg: &c}
		for range sites {
			a.sites = append(a.sites, cfg.PerronSites()...)
		}
		name, err := a.networkClient(&c.Networks[0])
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	here, there := t.TempDir(), t.TempDir()
	first := name(here, 1)
	if again := name(here, 2); again != first || !strings.HasPrefix(first, "perrondrukte.lorawan.0.") {
		t.Errorf("%q, and with another site %q", first, again)
	}
	cfg.Networks[0].Topic += "/elsewhere"
	if other := name(here, 1); other == first {
		t.Errorf("with another topic it is %q too", other)
	}
	cfg.Networks[0].Topic = topic
	if other := name(there, 1); other == first {
		t.Errorf("another installation is %q too", other)
	}
	if err := os.WriteFile(filepath.Join(here, markFile), []byte("../x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if mark, err := ownMark(filepath.Join(here, markFile)); err == nil {
		t.Errorf("a spoilt word is taken: %q", mark)
	}
}
