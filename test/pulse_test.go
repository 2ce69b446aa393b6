package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// TestBrowserSeesPulse opens the resident's page and takes, for every passage,
// the time from the edge at the gateway to the changed text on the page. It
// asserts that every passage shows up in time for a person; the distribution
// is logged.
func TestBrowserSeesPulse(t *testing.T) {
	node, chromium := needBrowser(t)
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", serverYAML(dir))
	secret := addGateway(t, config, "yard", "yard-1")
	s := startServer(t, config, true)

	const pulses = 40
	const gap = 300 * time.Millisecond
	var rows strings.Builder
	rows.WriteString("t\n")
	for i := range pulses {
		// Gaps that are no multiple of any timer of ours.
		fmt.Fprintln(&rows, time.Unix(0, 0).UTC().Add(time.Duration(i)*(gap+7*time.Millisecond)).Format("2006-01-02T15:04:05.000"))
	}

	browser := exec.Command(node, "browser/pulse.mjs", chromium, "http://"+s.http+"/nl/perron/yard", fmt.Sprint(pulses))
	stdout, err := browser.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	browser.Stderr = &stderr
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if first, err := lines.ReadString('\n'); err != nil || first != "ready\n" {
		t.Fatalf("the browser says %q: %v\n%s", first, err, stderr.String())
	}
	start(t, "perron-gateway", "run", "--log-format", "json", "--config", write(t, dir, "gateway.yaml", fmt.Sprintf(`
site: yard
gateway: yard-1
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay:
    file: %s
    speed: 1
    shift: now
    time: {column: t, layout: "2006-01-02T15:04:05.000", zone: UTC}
    sensor: {value: main-in}
    kind: {value: in}
`, filepath.Join(dir, "gateway"), s.broker, secret, write(t, dir, "pulses.csv", rows.String()))))

	report, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := browser.Wait(); err != nil {
		t.Fatalf("browser: %v\n%s", err, stderr.String())
	}
	// When the page first said at least n visits, in milliseconds since 1970.
	var seen []struct {
		At     float64 `json:"at"`
		Visits int     `json:"visits"`
	}
	if err := json.Unmarshal(report, &seen); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	s.stop()

	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "data", "perrondrukte.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var edges []time.Time
	for r, err := range db.Events(t.Context(), "yard", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		edges = append(edges, r.Time)
	}
	if len(edges) != pulses {
		t.Fatalf("%d passages are stored, want %d", len(edges), pulses)
	}
	var took []time.Duration
	for n, edge := range edges {
		i := slices.IndexFunc(seen, func(x struct {
			At     float64 `json:"at"`
			Visits int     `json:"visits"`
		},
		) bool {
			return x.Visits >= n+1
		})
		if i < 0 {
			t.Fatalf("the page never showed visit %d; it showed %v", n+1, seen)
		}
		took = append(took, time.UnixMicro(int64(seen[i].At*1000)).Sub(edge))
	}
	slices.Sort(took)
	t.Logf("edge to changed text over %d passages: min %s, p50 %s, p90 %s, max %s", pulses,
		took[0].Round(time.Millisecond), took[pulses/2].Round(time.Millisecond), took[pulses*9/10].Round(time.Millisecond), took[pulses-1].Round(time.Millisecond))
	if took[pulses/2] > 5*time.Second {
		t.Errorf("half of the passages took longer than %s to show: that is not live", took[pulses/2])
	}
}
