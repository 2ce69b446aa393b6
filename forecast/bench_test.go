package forecast

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/recordings"
)

func readCSV(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range all[1:] {
		m := map[string]string{}
		for i, h := range all[0] {
			m[h] = r[i]
		}
		out = append(out, m)
	}
	return out
}

// loadRows reads a public series.
func loadRows(t *testing.T, name string) (rows []Row, open []bool) {
	t.Helper()
	for _, r := range readCSV(t, recordings.Path(t, "forecast-eval", "series", name+".csv")) {
		when, err := time.Parse(time.DateTime, r["time"])
		if err != nil {
			t.Fatal(err)
		}
		y, err := strconv.ParseFloat(r["y"], 64)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, Row{when, y})
		open = append(open, r["open"] == "1")
	}
	return rows, open
}

// TestAgainstPeers forecasts the public series by the protocol of their bench
// (rolling origin, nothing later than the origin is used, refitted each day)
// and prints the score beside the peers'.
func TestAgainstPeers(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("takes some seconds, and a minute with the race detector, which has nothing to find here")
	}
	var meta map[string]struct {
		T0       int            `json:"T0"`
		Horizons map[string]int `json:"horizons"`
	}
	raw, err := os.ReadFile(recordings.Path(t, "forecast-eval", "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	peers := readCSV(t, recordings.Path(t, "forecast-eval", "peers.csv"))
	var gPin, gMae, gBest, cells float64
	for _, name := range []string{"calit2_in", "fremont", "bank_calls"} {
		m := meta[name]
		rows, open := loadRows(t, name)
		type horizon struct {
			name string
			h    int

			abs, pin, within, n float64
		}
		var hs []*horizon
		for k, h := range m.Horizons {
			hs = append(hs, &horizon{name: k, h: h})
		}
		sort.Slice(hs, func(i, j int) bool { return hs[i].h < hs[j].h })
		began := time.Now()
		by := map[int]*horizon{}
		var ahead []int
		for _, h := range hs {
			by[h.h] = h
			ahead = append(ahead, h.h)
		}
		err := Backtest(rows, m.T0, ahead, func(q Quantiles) error {
			if !open[q.Origin+q.H] {
				return nil
			}
			y, h := rows[q.Origin+q.H].Y, by[q.H]
			loss := func(p, v float64) float64 { return math.Max(p*(y-v), (p-1)*(y-v)) }
			h.n++
			h.abs += math.Abs(y - q.Mid)
			h.pin += (loss(0.1, q.Low) + loss(0.5, q.Mid) + loss(0.9, q.High)) / 3
			if q.Low <= y && y <= q.High {
				h.within++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d origins in %v", name, len(rows)-m.T0, time.Since(began).Round(time.Millisecond))
		for _, h := range hs {
			best := func(col, method string) (v float64, who string) {
				v = math.Inf(1)
				for _, p := range peers {
					x, err := strconv.ParseFloat(p[col], 64)
					if p["series"] == name && p["slots"] == "open" && p["horizon"] == h.name && err == nil && x < v && (method == "" || method == p["method"]) {
						v, who = x, p["method"]
					}
				}
				return v, who
			}
			mae, pin := h.abs/h.n, h.pin/h.n
			bm, wm := best("MAE", "")
			bp, wp := best("pinball", "")
			cm, _ := best("MAE", "combo3")
			cp, _ := best("pinball", "combo3")
			t.Logf("  %-9s MAE %7.2f (combo3 %.3f, %s %.3f) pinball %6.3f (combo3 %.3f, %s %.3f) coverage %.3f",
				h.name, mae, mae/cm, wm, mae/bm, pin, pin/cp, wp, pin/bp, h.within/h.n)
			gMae += math.Log(mae / cm)
			gPin += math.Log(pin / cp)
			gBest += math.Log(pin / bp)
			cells++
		}
	}
	if mae, pin := math.Exp(gMae/cells), math.Exp(gPin/cells); mae > 0.97 || pin > 0.96 {
		t.Errorf("MAE %.3f and pinball %.3f of the best peer: worse than it was", mae, pin)
	}
	t.Logf("geometric means over %v cells: MAE %.3f of combo3, pinball %.3f of combo3, %.3f of the best peer of each cell",
		cells, math.Exp(gMae/cells), math.Exp(gPin/cells), math.Exp(gBest/cells))
}
