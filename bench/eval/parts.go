package main

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/perrondrukte/perrondrukte/forecast"
)

// parts shows what each part of the model is worth on the public series: how
// much worse it gets without it.
func (e *eval) parts() error {
	of, err := e.publics()
	if err != nil {
		return err
	}
	type variant struct {
		name  string
		parts forecast.Part
		cells [][]*cell // by series
		err   error
	}
	variants := []*variant{{name: "whole model"}}
	all := forecast.Part(0)
	for _, p := range forecast.Parts() {
		all |= p.Part
		variants = append(variants, &variant{name: "without " + p.Name, parts: p.Part})
	}
	variants = append(variants, &variant{name: "without all of these: the mean of eight weeks", parts: all})
	var wait sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, v := range variants {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for i := range of {
				cells, err := of[i].score(v.parts)
				if err != nil {
					v.err = err
					return
				}
				v.cells = append(v.cells, cells)
			}
		})
	}
	wait.Wait()
	t := e.table("What each part of the model is worth: public series, open slots, geometric mean over horizons of the ratio to the whole model",
		"model", "pinball: calit2_in", "fremont", "bank_calls", "all", "MAE: all", "80 % range holds")
	whole := variants[0]
	for _, v := range variants {
		if v.err != nil {
			return v.err
		}
		row := []string{v.name}
		var pin, mae, n, within, counted float64
		for i, cells := range v.cells {
			var sum float64
			for k, c := range cells {
				w := whole.cells[i][k]
				sum += math.Log(c.pin / w.pin)
				mae += math.Log(c.abs / w.abs)
				within += c.within
				counted += c.n
			}
			row = append(row, fmt.Sprintf("%.3f", math.Exp(sum/float64(len(cells)))))
			pin += sum
			n += float64(len(cells))
		}
		t.row(append(row, fmt.Sprintf("%.3f", math.Exp(pin/n)), fmt.Sprintf("%.3f", math.Exp(mae/n)), fmt.Sprintf("%.3f", within/counted))...)
	}
	return t.end()
}
