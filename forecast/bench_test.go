package forecast

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"testing"
	"time"
)

// shared finds the folder of public series beside the repository.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(append([]string{dir, "..", "shared", "forecast-eval"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("series are absent: %v", err)
		}
		t.Skipf("series are absent: %v", err)
	}
	return path
}

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

// loadSeries reads a public series into rows.
func loadSeries(t *testing.T, name string, slotMinutes int) (s *series, open []bool) {
	t.Helper()
	var rows []row
	var kind []int
	var lastDay string
	firstSlot, weekend := 1440, false
	type at struct {
		t time.Time
		y float64
	}
	var all []at
	for _, r := range readCSV(t, shared(t, "series", name+".csv")) {
		when, err := time.Parse("2006-01-02 15:04:05", r["time"])
		if err != nil {
			t.Fatal(err)
		}
		y, err := strconv.ParseFloat(r["y"], 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at{when, y})
		open = append(open, r["open"] == "1")
		firstSlot = min(firstSlot, (when.Hour()*60+when.Minute())/slotMinutes)
		weekend = weekend || when.Weekday() == time.Saturday
	}
	perDay := 0
	for _, a := range all {
		if d := a.t.Format(time.DateOnly); d != lastDay {
			lastDay = d
			kind = append(kind, int(a.t.Weekday()))
		}
		slot := (a.t.Hour()*60+a.t.Minute())/slotMinutes - firstSlot
		perDay = max(perDay, slot+1)
		rows = append(rows, row{len(kind) - 1, slot, a.y})
	}
	week := 5
	if weekend {
		week = 7
	}
	return newSeries(rows, kind, perDay, week), open
}

// TestAgainstPeers forecasts the public series by the protocol of their bench
// (rolling origin, nothing later than the origin is used, refitted each day)
// and prints the score beside the peers'. With FORECASTS_OUT set to a folder
// the forecasts are written there, for other scorers.
func TestAgainstPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	var meta map[string]struct {
		SlotMin  int            `json:"slot_min"`
		T0       int            `json:"T0"`
		Horizons map[string]int `json:"horizons"`
	}
	raw, err := os.ReadFile(shared(t, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	peers := readCSV(t, shared(t, "peers.csv"))
	var gPin, gMae, gBest, cells float64
	for _, name := range []string{"calit2_in", "fremont", "bank_calls"} {
		m := meta[name]
		s, open := loadSeries(t, name, m.SlotMin)
		hour := 60 / m.SlotMin
		c := newCounter(s, hour, m.T0)
		type horizon struct {
			name string
			h    int
			fit  fit

			abs, pin, within, n float64
		}
		var hs []*horizon
		for k, h := range m.Horizons {
			hs = append(hs, &horizon{name: k, h: h})
		}
		sort.Slice(hs, func(i, j int) bool { return hs[i].h < hs[j].h })
		began := time.Now()
		day := -1
		var out *csv.Writer
		if dir := os.Getenv("FORECASTS_OUT"); dir != "" {
			f, err := os.Create(filepath.Join(dir, name+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			out = csv.NewWriter(f)
			defer out.Flush()
			if err := out.Write([]string{"origin", "h", "q10", "point", "q90"}); err != nil {
				t.Fatal(err)
			}
		}
		for o := m.T0 - 1; o < len(s.rows)-1; o++ {
			c.learn(o + 1)
			if s.rows[o].day != day {
				day = s.rows[o].day
				for _, h := range hs {
					h.fit = c.train(pastPairs(s, o, h.h, trainWeeks), prior(float64(h.h*m.SlotMin)/60), trainMemory)
				}
			}
			for _, h := range hs {
				if o+h.h >= len(s.rows) {
					continue
				}
				r := s.rows[o+h.h]
				var f [features]float64
				base := c.vector(&f, o, r.day, r.slot)
				lo, mid, hi := h.fit.quantiles((base+0.02)*h.fit.factor(&f), r.slot)
				if out != nil {
					if err := out.Write([]string{strconv.Itoa(o), strconv.Itoa(h.h), fmt.Sprint(lo), fmt.Sprint(mid), fmt.Sprint(hi)}); err != nil {
						t.Fatal(err)
					}
				}
				if !open[o+h.h] {
					continue
				}
				loss := func(q, v float64) float64 { return math.Max(q*(r.y-v), (q-1)*(r.y-v)) }
				h.n++
				h.abs += math.Abs(r.y - mid)
				h.pin += (loss(0.1, lo) + loss(0.5, mid) + loss(0.9, hi)) / 3
				if lo <= r.y && r.y <= hi {
					h.within++
				}
			}
		}
		t.Logf("%s: %d origins in %v", name, len(s.rows)-m.T0, time.Since(began).Round(time.Millisecond))
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
