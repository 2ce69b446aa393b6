package test

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestCalIt2 replays fifteen weeks of a real door counter, expanded to
// passages within each half hour, and looks at what the pages make of it.
func TestCalIt2(t *testing.T) {
	recording := recordings(t, "calit2/inout_30min.csv")
	wantIn, wantOut := calit2Totals(t, recording)
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+`
sites:
  - id: calit2
    name: CalIt2
    address: Main door
    bays: 60
    lanes: 2
    dwell: 60m
    gateways: [door]
    gates: [{id: door, name: Main door, sensors: [door-in, door-out]}]
    hours:
      weekly: {monday: ["07:00-21:00"], tuesday: ["07:00-21:00"], wednesday: ["07:00-21:00"], thursday: ["07:00-21:00"], friday: ["07:00-21:00"], saturday: ["09:00-17:00"]}
`)
	secret := addGateway(t, config, "calit2", "door")
	s := startServer(t, config, true)
	start(t, "perron-gateway", "run", "--log-format", "json", "--config", write(t, dir, "gateway.yaml", fmt.Sprintf(`
site: calit2
gateway: door
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay:
    file: %s
    speed: 0
    shift: keep
    time: {column: t, layout: "2006-01-02 15:04:05", zone: Europe/Amsterdam}
    counts:
      over: 30m
      in: {column: in, sensor: door-in}
      out: {column: out, sensor: door-out}
`, filepath.Join(dir, "gateway"), s.broker, secret, recording)))

	var in, out int
	eventually(t, 2*time.Minute, fmt.Sprintf("%d in and %d out through the API", wantIn, wantOut), func() bool {
		var answer struct {
			Counts []struct{ In, Out int } `json:"counts"`
		}
		s.get("/api/v1/sites/calit2/counts?from=2005-07-18&to=2005-11-07&interval=1w", &answer)
		in, out = 0, 0
		for _, c := range answer.Counts {
			in, out = in+c.In, out+c.Out
		}
		return in >= wantIn && out >= wantOut
	})
	if in != wantIn || out != wantOut {
		t.Errorf("the API counts %d in and %d out, the recording %d and %d", in, out, wantIn, wantOut)
	}
	for _, page := range []string{"/", "/perron/calit2", "/planner?site=calit2&from=2005-07-25&to=2005-11-05"} {
		if code, body := s.get(page, nil); code != 200 {
			t.Errorf("%s: %d: %s", page, code, tail(body, 300))
		}
	}
	screenshots(t, s, map[string]string{
		"calit2-planner": "/nl/planner?site=calit2&from=2005-07-25&to=2005-11-05",
		"calit2-perron":  "/nl/perron/calit2",
	})
}

func calit2Totals(t *testing.T, path string) (in, out int) {
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
	for _, r := range rows[1:] {
		o, err1 := strconv.Atoi(r[1])
		i, err2 := strconv.Atoi(r[2])
		if err1 != nil || err2 != nil {
			t.Fatalf("odd row %v", r)
		}
		in, out = in+i, out+o
	}
	return in, out
}

// screenshots takes pictures of pages in a headless browser, at the width of
// a phone and of a desktop. They land in test/artifacts to be looked at.
func screenshots(t *testing.T, s *server, pages map[string]string) {
	t.Helper()
	node, chromium := needBrowser(t)
	out, err := filepath.Abs("artifacts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, path := range pages {
		for _, width := range []string{"360", "1280"} {
			file := filepath.Join(out, name+"-"+width+".png")
			cmd := exec.Command(node, "browser/screenshot.mjs", chromium, "http://"+s.http+path, width, file)
			if log, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("screenshot of %s: %v\n%s", path, err, log)
			}
		}
	}
}

func needBrowser(t *testing.T) (node, chromium string) {
	t.Helper()
	node = needTool(t, "node", "apt-get install nodejs npm")
	chromium = needTool(t, "chromium", "apt-get install chromium")
	if _, err := os.Stat("../web/node_modules/playwright-core"); err != nil {
		missing(t, "playwright-core is not installed; run: npm ci --prefix web")
	}
	return node, chromium
}
