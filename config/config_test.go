package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perrondrukte/perrondrukte/perron"
)

var update = flag.Bool("update", false, "write the faults that were found into the corpus; read the difference before committing it")

// The corpus: *.good.yaml loads, *.bad.yaml gives exactly the faults that its
// leading "# want: " comments name.
func TestCorpus(t *testing.T) {
	parsers := map[string]func([]byte) error{
		"server":  func(b []byte) error { _, err := ParseServer(b); return err },
		"gateway": func(b []byte) error { _, err := ParseGateway(b); return err },
	}
	for kind, parse := range parsers {
		files, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("corpus of %s files: %d files, %v", kind, len(files), err)
		}
		for _, file := range files {
			t.Run(kind+"/"+filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for line := range strings.Lines(string(text)) {
					if w, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# want: "); ok {
						want = append(want, w)
					}
				}
				if bad := strings.HasSuffix(file, ".bad.yaml"); bad != (len(want) > 0) {
					t.Fatalf("%d lines of # want: in a file of this name", len(want))
				}
				got := faultLines(parse(text))
				if *update && strings.HasSuffix(file, ".bad.yaml") {
					writeWant(t, file, text, parse)
					return
				}
				if strings.Contains(strings.Join(got, " "), "geheim") {
					t.Error("a secret of the file is in a message")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("faults (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func faultLines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func writeWant(t *testing.T, file string, text []byte, parse func([]byte) error) {
	t.Helper()
	var body strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "# want: ") {
			body.WriteString(line)
		}
	}
	// The comments move the lines that they speak of: count them first.
	n := len(faultLines(parse([]byte(body.String()))))
	got := faultLines(parse([]byte(strings.Repeat("#\n", n) + body.String())))
	out := "# want: " + strings.Join(got, "\n# want: ") + "\n" + body.String()
	if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAlmere(t *testing.T) {
	s := Almere()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range s.PerronSites() {
		ids = append(ids, p.ID)
		if gate, ok := p.GateOf("main-in"); !ok || gate != "in" {
			t.Errorf("%s: gate of main-in is %q, %v", p.ID, gate, ok)
		}
		if len(p.QueueLoops) != 3 || p.QueueLoops[2].Distance != 12 {
			t.Errorf("%s: queue loops %v", p.ID, p.QueueLoops)
		}
		if !p.HasGateway(p.ID + "-1") {
			t.Errorf("%s: gateways %v", p.ID, p.Gateways)
		}
	}
	if diff := cmp.Diff([]string{"poort", "buiten", "haven"}, ids); diff != "" {
		t.Error(diff)
	}
	s.Sites[0].Bays = 0
	if Almere().Sites[0].Bays == 0 {
		t.Error("two calls share a value")
	}
	var e *Error
	if err := s.Validate(); !errors.As(err, &e) || e.Faults[0].Path != "sites[0].bays" {
		t.Errorf("a site without bays: %v", err)
	}
}

// A configuration is logged and dumped while debugging; passwords and tokens
// must not come along.
func TestSecretsStayHidden(t *testing.T) {
	s, err := ParseServer([]byte(`
data_dir: d
broker: {url: "tcp://mqtt.example", password: geheim-1}
store: {influx: {url: "http://influx.example", bucket: b, token: geheim-2}}
sites: [{id: a, name: A, bays: 1, gateways: [g], gates: [{id: in, sensors: [s]}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprint(s.Broker), fmt.Sprintf("%+v", s.Broker), fmt.Sprintf("%#v", s.Broker), fmt.Sprintf("%x", s.Broker.Password),
		fmt.Sprintf("%+v", *s.Store.Influx), string(asJSON), string(asYAML),
	} {
		if strings.Contains(out, "geheim") || strings.Contains(out, fmt.Sprintf("%x", "geheim")) {
			t.Errorf("a secret is in %s", out)
		}
	}
	if p, err := s.Broker.ReadPassword(); p != "geheim-1" || err != nil {
		t.Errorf("password %q, %v", p, err)
	}
	if p, err := s.Store.Influx.ReadToken(); p != "geheim-2" || err != nil {
		t.Errorf("token %q, %v", p, err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("password", "geheim\nonly the first line\n")
	g, err := LoadGateway(write("gateway.yaml", `
site: a
gateway: g
data_dir: outbox
broker: {url: "tcp://127.0.0.1:1883", password_file: password}
source: {driver: simulate}
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "outbox"); g.DataDir != want {
		t.Errorf("data_dir %s: want %s", g.DataDir, want)
	}
	if p, err := g.Broker.ReadPassword(); p != "geheim" || err != nil {
		t.Errorf("password %q, %v", p, err)
	}
	write("password", "\n")
	if p, err := g.Broker.ReadPassword(); err == nil {
		t.Errorf("an empty password file gives %q", p)
	}
	if g.Username() != "a/g" || g.Source.Simulate.VisitsPerDay != 600 {
		t.Errorf("%s %+v", g.Username(), g.Source.Simulate)
	}

	path := write("server.yaml", "data_dir: d\nsite: []\n")
	_, err = LoadServer(path)
	if want := path + ":2: unknown key \"site\": did you mean \"sites\"?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := LoadServer(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

// What the flow gets of a site.
func TestSitePerron(t *testing.T) {
	s, err := LoadServer(filepath.Join("testdata", "server", "full.good.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h := func(hour, minute int) perron.TimeOfDay { return perron.TimeOfDay(60*hour + minute) }
	want := &perron.Site{
		ID: "noord", Name: "Noord", Address: "Weg 1", Latitude: 52.1, Longitude: 5.1,
		Bays: 12, Lanes: 2, TypicalDwell: 9, RoadSpace: 8,
		Gateways: []string{"noord-1", "noord-2"},
		Gates: []perron.Gate{
			{ID: "in", Name: "Ingang", Sensors: []string{"in-1", "in-2"}},
			{ID: "out", Name: "Uitgang", Sensors: []string{"out-1"}},
		},
		QueueLoops: []perron.QueueLoop{{Sensor: "q-3", Distance: 3}, {Sensor: "q-9", Distance: 9}},
		Hours: perron.Hours{
			Weekly: [7][]perron.Span{
				time.Monday:   {{Open: h(8, 30), Close: h(12, 0)}, {Open: h(12, 30), Close: h(17, 0)}},
				time.Saturday: {{Open: 0, Close: h(24, 0)}},
			},
			Holidays: map[perron.Holiday][]perron.Span{
				perron.KingsDay: {{Open: h(10, 0), Close: h(16, 0)}}, perron.GoodFriday: {},
			},
			Exceptions: map[perron.Date]perron.Exception{
				{Year: 2026, Month: 12, Day: 24}: {
					Spans:  []perron.Span{{Open: h(8, 30), Close: h(15, 0)}},
					Reason: map[string]string{"nl": "Kerstavond", "en": "Christmas Eve"},
				},
				{Year: 2026, Month: 7, Day: 1}: {},
			},
		},
		Materials: map[string][]string{"nl": {"hout", "puin"}, "zh-Hant": {"木"}},
	}
	if diff := cmp.Diff(want, s.PerronSites()[0], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("site (-want +got):\n%s", diff)
	}
	proxies := fmt.Sprint(s.Proxies())
	if want := "[127.0.0.1/32 ::1/128 10.0.0.0/8 fd00::/8]"; proxies != want {
		t.Errorf("proxies %s, want %s", proxies, want)
	}
	if s.HasRole(RoleBroker) || s.SQLitePath() != "" || s.AccountsPath() != "/srv/perrons/accounts.db" {
		t.Errorf("roles %v, database %q, accounts %q", s.Roles, s.SQLitePath(), s.AccountsPath())
	}
}

func TestServerLookups(t *testing.T) {
	s := Almere()
	if p := s.Site("haven"); p == nil || p.Name != "Haven" {
		t.Errorf("site haven: %+v", p)
	}
	if p := s.Site("absent"); p != nil {
		t.Errorf("site absent: %+v", p)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for listen, want := range map[string]string{
		"127.0.0.1:1883": "tcp://127.0.0.1:1883", "[::1]:1883": "tcp://[::1]:1883",
		":1883": "tcp://" + host + ":1883", "0.0.0.0:1883": "tcp://" + host + ":1883",
	} {
		s.Broker.Embedded.Listen = listen
		if got := s.BrokerURL(); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
	s.Broker.Embedded.Listen = ":8883"
	s.Broker.Embedded.TLS = &TLS{CertFile: "c", KeyFile: "k"}
	if got, want := s.BrokerURL(), "ssl://"+host+":8883"; got != want {
		t.Errorf("with TLS: %s, want %s", got, want)
	}
	s.Broker = ServerBroker{URL: "ssl://mqtt.example:8883"}
	if got := s.BrokerURL(); got != "ssl://mqtt.example:8883" {
		t.Errorf("a broker elsewhere: %s", got)
	}
}

func TestDefaults(t *testing.T) {
	s, err := ParseServer([]byte("data_dir: d\nsites: [{id: a, name: A, bays: 1, gateways: [g], gates: [{id: in, sensors: [s]}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{s.Listen.HTTP, s.Broker.Embedded.Listen, s.StaleAfter.String(), s.SQLitePath(), fmt.Sprint(s.Roles), s.Sites[0].Dwell.String(), fmt.Sprint(s.Sites[0].Lanes)}
	want := []string{"127.0.0.1:8080", "127.0.0.1:1883", "5m", filepath.Join("d", "perrondrukte.db"), "[broker collector api]", "14m", "1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTextForms(t *testing.T) {
	for text, want := range map[string]string{"90s": "1m30s", "120m": "2h", "2h30m": "2h30m", "250ms": "250ms", "0s": "0s", "20m": "20m"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("duration %s: %s, %v, want %s", text, d, err, want)
		}
	}
	for text, want := range map[string]Size{"256MiB": 256 << 20, "1 GiB": 1 << 30, "500MB": 500e6, "12B": 12, "0B": 0} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("size %s: %d, %v, want %d", text, s, err, want)
		}
		var back Size
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("size %s is written %s and reads back %d, %v", text, s, back, err)
		}
	}
	for _, text := range []string{"", "12", "-1MiB", "9999999TiB", "MiB", "1.5GiB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q is accepted as %d", text, s)
		}
	}
}
