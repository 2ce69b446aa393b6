package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
)

// A cell is one horizon of one series, open slots only.
type cell struct {
	name                string
	h                   int
	n, abs, pin, within float64
}

func (c *cell) add(y float64, q forecast.Quantiles) {
	loss := func(p, v float64) float64 { return math.Max(p*(y-v), (p-1)*(y-v)) }
	c.n++
	c.abs += math.Abs(y - q.Mid)
	c.pin += (loss(0.1, q.Low) + loss(0.5, q.Mid) + loss(0.9, q.High)) / 3
	if q.Low <= y && y <= q.High {
		c.within++
	}
}

// A peer's score at one horizon; pinball is NaN for a method without quantiles.
type peer struct{ mae, pinball float64 }

// peersOf reads what the other methods reach in open slots, by horizon and
// method.
func peersOf(path, series string) (map[string]map[string]peer, error) {
	in, err := rows(path)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]peer{}
	for _, r := range in {
		if r["series"] != series || r["slots"] != "open" {
			continue
		}
		p := peer{math.NaN(), math.NaN()}
		if v, err := strconv.ParseFloat(r["MAE"], 64); err == nil {
			p.mae = v
		}
		if v, err := strconv.ParseFloat(r["pinball"], 64); err == nil {
			p.pinball = v
		}
		if out[r["horizon"]] == nil {
			out[r["horizon"]] = map[string]peer{}
		}
		out[r["horizon"]][r["method"]] = p
	}
	return out, nil
}

// bestPeer is the method that the issue calls the best single peer overall.
const bestPeer = "combo3"

// A public is one of the public series.
type public struct {
	name     string
	t0       int
	horizons map[string]int
	rows     []forecast.Row
	open     []bool
	others   map[string]map[string]peer
}

// publics reads the public series.
func (e *eval) publics() ([]public, error) {
	dir := filepath.Join(e.data, "forecast-eval")
	raw, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		return nil, err
	}
	var meta map[string]struct {
		T0       int            `json:"T0"`
		Horizons map[string]int `json:"horizons"`
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return nil, fmt.Errorf("meta.json: %w", err)
	}
	var out []public
	for _, name := range []string{"calit2_in", "fremont", "bank_calls"} {
		p := public{name: name, t0: meta[name].T0, horizons: meta[name].Horizons}
		in, err := rows(filepath.Join(dir, "series", name+".csv"))
		if err != nil {
			return nil, err
		}
		p.rows, p.open = make([]forecast.Row, len(in)), make([]bool, len(in))
		for i, r := range in {
			if p.rows[i].Time, err = time.Parse(time.DateTime, r["time"]); err != nil {
				return nil, fmt.Errorf("%s, row %d: %w", name, i, err)
			}
			if p.rows[i].Y, err = strconv.ParseFloat(r["y"], 64); err != nil {
				return nil, fmt.Errorf("%s, row %d: %w", name, i, err)
			}
			p.open[i] = r["open"] == "1"
		}
		if p.others, err = peersOf(filepath.Join(dir, "peers.csv"), name); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// score forecasts the series without some parts of the model, by the protocol
// of the bench: rolling origin, refitted daily, nothing later than the origin
// is known. Cells are by rising horizon.
func (p *public) score(without forecast.Part) ([]*cell, error) {
	var scores []*cell
	by := map[int]*cell{}
	for k, h := range p.horizons {
		c := &cell{name: k, h: h}
		scores, by[h] = append(scores, c), c
	}
	slices.SortFunc(scores, func(a, b *cell) int { return a.h - b.h })
	var ahead []int
	for _, c := range scores {
		ahead = append(ahead, c.h)
	}
	crossed := 0
	err := forecast.BacktestWithout(without, p.rows, p.t0, ahead, func(q forecast.Quantiles) error {
		if !(q.Low <= q.Mid && q.Mid <= q.High) {
			crossed++
		}
		if p.open[q.Origin+q.H] {
			by[q.H].add(p.rows[q.Origin+q.H].Y, q)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	if crossed > 0 {
		return nil, fmt.Errorf("%s: quantiles cross in %d forecasts", p.name, crossed)
	}
	return scores, nil
}

// bench scores the forecasts of the public series.
func (e *eval) bench() error {
	of, err := e.publics()
	if err != nil {
		return err
	}
	t := e.table("Forecasts of public series, open slots, beside the best of nine other methods; a ratio below 1 is better",
		"series, horizon", "MAE", "to "+bestPeer, "pinball", "to "+bestPeer, "to the best of the cell", "80 % range holds")
	var mae, pin, best, cells float64
	type whole struct {
		name             string
		within, n, spent float64
	}
	var series []whole
	for _, p := range of {
		began := time.Now()
		scores, err := p.score(0)
		if err != nil {
			return err
		}
		w := whole{name: p.name, spent: time.Since(began).Seconds()}
		for _, c := range scores {
			w.within += c.within
			w.n += c.n
			first := math.Inf(1)
			for _, o := range p.others[c.name] {
				if o.pinball < first {
					first = o.pinball
				}
			}
			single, ok := p.others[c.name][bestPeer]
			if !ok {
				return fmt.Errorf("peers.csv has no %s for %s, %s", bestPeer, p.name, c.name)
			}
			ours, loss := c.abs/c.n, c.pin/c.n
			mae += math.Log(ours / single.mae)
			pin += math.Log(loss / single.pinball)
			best += math.Log(loss / first)
			cells++
			label := p.name + ", " + c.name
			t.row(label, fmt.Sprintf("%.4g", ours), fmt.Sprintf("%.2f", ours/single.mae), fmt.Sprintf("%.4g", loss), fmt.Sprintf("%.2f", loss/single.pinball),
				e.ratio(label+": pinball to the best of the cell", loss/first, 1), fmt.Sprintf("%.3f", c.within/c.n))
		}
		series = append(series, w)
	}
	t.row("geometric mean", "", e.ratio("MAE to "+bestPeer, math.Exp(mae/cells), 0.97), "",
		e.ratio("pinball to "+bestPeer, math.Exp(pin/cells), 0.95), e.ratio("pinball to the best of each cell, geometric mean", math.Exp(best/cells), 1), "")
	if err := t.end(); err != nil {
		return err
	}
	t = e.table("Each series over its horizons", "series", "80 % range holds", "all origins, seconds")
	for _, w := range series {
		t.row(w.name, e.holds(w.name+": coverage", w.within/w.n, 0.77, 0.84), e.figure(w.name+": seconds", "%.1f", w.spent, anyLow, 30))
	}
	return t.end()
}
