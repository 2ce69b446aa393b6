package hil

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every edge is counted, once, with its time: at every rate that a contact can
// have and some that it cannot.
func TestGatewayOnKernelGPIO(t *testing.T) {
	const (
		stamp = time.Millisecond // of the kernel, at the edge
		// The kernel debounces in ticks of 4 ms, and stamps afterwards.
		tick = 8 * time.Millisecond
	)
	single := func(edges int) map[string]int {
		return map[string]int{"gate in": edges / 2, "loop on": edges / 2, "loop off": edges/2 + 1}
	}
	tests := []struct {
		name   string
		edges  int
		events map[string]int
		lost   uint64
		within time.Duration
	}{
		{"1-hz-5-ms", 20, single(20), 0, stamp},
		{"1-hz-50-ms", 20, single(20), 0, tick},
		{"10-hz-5-ms", 200, single(200), 0, stamp},
		{"10-hz-50-ms", 200, single(200), 0, tick},
		{"100-hz-5-ms", 1000, single(1000), 0, stamp},
		{"900-hz", 4000, single(4000), 0, stamp},
		{"bounce", 440, single(40), 0, tick},
		{"glitch", 40, single(0), 0, 0},
		{"pair", 200, map[string]int{"lane in": 20, "lane out": 20}, 0, tick},
		{"pair-flat-out", 1000, map[string]int{"lane in": 167, "lane out": 83}, 0, stamp},
		{"pair-stopped", 1000, map[string]int{"lane in": 167, "lane out": 83}, 0, stamp},
		{"flat-out", 1000, single(1000), 0, stamp},
		{"stopped", 400, single(400), 0, stamp},
		{"overflow", 3000, single(1024), 3000 - 1024, stamp},
		{"overflow-odd", 3001, map[string]int{"gate in": 512, "loop on": 513, "loop off": 513}, 3001 - 1024, stamp},
		{"overflow-vehicle", 3000, map[string]int{"gate in": 513, "loop on": 513, "loop off": 514}, 2999 - 1024, stamp},
		{"closed-at-start", 3, map[string]int{"gate in": 1, "loop on": 2, "loop off": 2}, 0, stamp},
		{"pin-in-use", 2, single(2), 0, stamp},
		{"stopped-in-lane", 80, map[string]int{"lane in": 20}, 0, tick},
	}
	only := os.Getenv("PERRON_HIL_CASES") // like "pair* 900-hz", while looking for a fault
	t.Parallel()
	list := filepath.Join(t.TempDir(), "only")
	if err := os.WriteFile(list, []byte(only), 0o600); err != nil {
		t.Fatal(err)
	}
	// The guest's instructions are its clock: two pulses are a millisecond apart
	// for it, however busy this machine is. While it sleeps its time jumps.
	results := boot(t, []string{"-icount", "shift=1,sleep=off"}, map[string]string{
		"gpio.test": build(t, "./gateway/gpio", "test", "-c"),
		"only":      list,
	}, nil)
	for _, tt := range tests {
		r, ok := results[tt.name]
		if !ok && only != "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			if !ok {
				t.Fatal("the guest says nothing about it")
			}
			if r.Error != "" {
				t.Errorf("error: %s", r.Error)
			}
			if r.Differs != "" {
				t.Errorf("%s", r.Differs)
			}
			for kind, n := range tt.events {
				if n == 0 {
					delete(tt.events, kind)
				}
			}
			if d := cmp.Diff(tt.events, r.Events); d != "" {
				t.Errorf("events (-want +got)\n%s", d)
			}
			if r.Edges != tt.edges || r.Lost != tt.lost {
				t.Errorf("%d edges of which %d lost, want %d and %d", r.Edges, r.Lost, tt.edges, tt.lost)
			}
			if r.Earliest < -tt.within || r.Latest > tt.within {
				t.Errorf("times are off by %v to %v, want within %v", r.Earliest, r.Latest, tt.within)
			}
			if t.Failed() {
				t.Logf("log of the gateway:\n%s", r.Log)
			}
		})
	}
	t.Run("readers", func(t *testing.T) {
		r, ok := results["readers"]
		switch {
		case !ok && only != "":
			t.Skip("not asked for")
		case !ok || r.Error != "":
			t.Fatalf("%s\n%s", r.Error, r.Log)
		}
		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "edges lost\tof\tgateway\tits fallback\tperiph\t")
		for _, rate := range []struct {
			name  string
			edges int
		}{{"1 Hz", 10}, {"10 Hz", 100}, {"100 Hz", 400}, {"900 Hz", 1800}, {"flat out", 1000}} {
			fmt.Fprintf(w, "%s\t%d", rate.name, rate.edges)
			for _, reader := range []string{"line events", "fallback", "periph"} {
				n, ok := r.Events[reader+" "+rate.name]
				if !ok {
					t.Errorf("there is no figure for %s at %s", reader, rate.name)
				}
				fmt.Fprintf(w, "\t%d", n)
			}
			fmt.Fprintln(w, "\t")
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", &table)
	})
	if r, ok := results["100-hz-5-ms"]; ok {
		t.Logf("at 100 pulses/s, by the virtual machine's clock: %v of processor in %v, start and end included; memory at most %.1f MB",
			r.CPU.Round(time.Millisecond), r.Took.Round(time.Millisecond), float64(r.Memory)/1024)
	}
}
