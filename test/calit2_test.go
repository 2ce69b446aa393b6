package test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/recordings"
	"github.com/perrondrukte/perrondrukte/perron"
)

// TestCalIt2 replays fifteen weeks of a real door counter, expanded to
// passages within each half hour, and looks at what the pages make of it. The
// recording is moved by whole weeks, so that it ends in the last few days and
// there is something to forecast.
func TestCalIt2(t *testing.T) {
	dir := t.TempDir()
	recording := filepath.Join(dir, "recording.csv")
	wantIn, wantOut := moveCalIt2(t, recordings.Path(t, "data", "calit2/inout_30min.csv"), recording)
	config := write(t, dir, "server.yaml", "data_dir: "+dir+"/data\nlisten: {http: \"127.0.0.1:0\", metrics: \"\"}\nbroker: {embedded: {listen: \"127.0.0.1:0\"}}\n"+`
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
		s.get(fmt.Sprintf("/api/v1/sites/calit2/counts?from=%s&to=%s&interval=1d",
			perron.DateOf(time.Now()).AddDays(-140), perron.DateOf(time.Now()).AddDays(1)), &answer)
		in, out = 0, 0
		for _, c := range answer.Counts {
			in, out = in+c.In, out+c.Out
		}
		return in >= wantIn && out >= wantOut
	})
	if in != wantIn || out != wantOut {
		t.Errorf("the API counts %d in and %d out, the recording %d and %d", in, out, wantIn, wantOut)
	}

	// The profile knows that lunch on a Wednesday is busier than supper.
	var profile struct {
		Cells []struct {
			Weekday  int     `json:"weekday"`
			Hour     int     `json:"hour"`
			Arrivals float64 `json:"arrivals"`
		} `json:"cells"`
	}
	s.get("/api/v1/sites/calit2/profile", &profile)
	at := map[int]float64{}
	for _, x := range profile.Cells {
		if x.Weekday == int(time.Wednesday) {
			at[x.Hour] = x.Arrivals
		}
	}
	if at[13] < 2*at[18] || at[18] <= 0 {
		t.Errorf("the profile of Wednesday has %.1f arrivals from 13:00 and %.1f from 18:00", at[13], at[18])
	}
	// And so does the forecast. The collector learns from late data within
	// minutes, and at every start.
	s.stop()
	s = startServer(t, config, true)
	eventually(t, time.Minute, "the forecast expects arrivals in the week ahead", func() bool {
		var f struct {
			Hours []struct {
				Open     bool            `json:"open"`
				Arrivals perron.Interval `json:"arrivals"`
			} `json:"hours"`
		}
		if code, body := s.get("/api/v1/sites/calit2/forecast", nil); code != http.StatusOK {
			t.Logf("forecast: %d %s", code, tail(body, 200))
			return false
		}
		s.get("/api/v1/sites/calit2/forecast", &f)
		busiest := 0.0
		for _, h := range f.Hours {
			if h.Open {
				busiest = max(busiest, h.Arrivals.Mid)
			}
		}
		return busiest > 15
	})
	screenshots(t, s, map[string]string{
		"calit2-planner": "/nl/planner?site=calit2",
		"calit2-perron":  "/nl/perron/calit2",
	})
}

// moveCalIt2 writes the recording with its times moved by whole weeks, so that
// it ends within the week before now, and returns its totals.
func moveCalIt2(t *testing.T, from, to string) (in, out int) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	last, err := time.Parse(time.DateTime, rows[len(rows)-1][0])
	if err != nil {
		t.Fatal(err)
	}
	weeks := int(time.Since(last.Add(24*time.Hour)) / (7 * 24 * time.Hour))
	var moved strings.Builder
	moved.WriteString("t,out,in\n")
	for _, r := range rows[1:] {
		at, err := time.Parse(time.DateTime, r[0])
		if err != nil {
			t.Fatal(err)
		}
		o, err1 := strconv.Atoi(r[1])
		i, err2 := strconv.Atoi(r[2])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		in, out = in+i, out+o
		fmt.Fprintf(&moved, "%s,%d,%d\n", at.AddDate(0, 0, 7*weeks).Format(time.DateTime), o, i)
	}
	if err := os.WriteFile(to, []byte(moved.String()), 0o600); err != nil {
		t.Fatal(err)
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
