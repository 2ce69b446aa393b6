package web

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// waitDays is how many days of samples are read for the waits at most: the last
// of the period that was chosen.
const waitDays = 91

// A waitsView shows the waits by weekday and hour: in each cell the wait that
// half of the visitors had at most, and the one that nine in ten had at most,
// had they come evenly spread over the hour.
type waitsView struct {
	Caption  string
	Lead     string
	Weekdays []option
	Rows     []heatRow
	None     bool
}

// waits reads the samples of a period and a site.
func (s *server) waits(ctx context.Context, v *visit, site *perron.Site, p period) (*waitsView, error) {
	if from := p.To.AddDays(1 - waitDays); p.From.Before(from) {
		p.From = from
	}
	var all []perron.Sample
	for d := p.From; !p.To.Before(d); d = d.AddDays(7) {
		to := d.AddDays(7)
		if last := p.To.AddDays(1); last.Before(to) {
			to = last
		}
		some, err := s.History.Samples(ctx, site.ID, d.Start(), to.Start())
		if err != nil {
			return nil, fmt.Errorf("samples of %s: %w", site.ID, err)
		}
		all = append(all, some...)
	}
	return viewWaits(v.Language, site, p, all), nil
}

// waitSteps are the minutes from which on a cell gets the next colour.
var waitSteps = [heatSteps]float64{0, 5, 10, 15, 20, 30, 45}

func viewWaits(w *words.Language, site *perron.Site, p period, samples []perron.Sample) *waitsView {
	var cells [7][24][]float64
	var beyond [7][24]int // samples that are a lower bound only
	first, last := 24, -1
	for i := range samples {
		m := &samples[i]
		if m.Level == perron.Closed || math.IsNaN(m.Wait.Mid) {
			continue
		}
		d, h := mondayFirst(perron.DateOf(m.At)), m.At.In(perron.Amsterdam).Hour()
		cells[d][h] = append(cells[d][h], m.Wait.Mid)
		if m.AtLeast {
			beyond[d][h]++
		}
		first, last = min(first, h), max(last, h)
	}
	v := &waitsView{Caption: w.T("waits.caption", "Site", site.Name, "From", w.Date(p.From), "To", w.Date(p.To))}
	if last < first {
		v.None = true
		return v
	}
	worst, at := -1.0, ""
	for d := range 7 {
		day := time.Weekday((d + 1) % 7)
		v.Weekdays = append(v.Weekdays, option{Value: w.Capital(w.Weekday(day)), Label: w.ShortWeekday(day)})
	}
	for h := first; h <= last; h++ {
		row := heatRow{Hour: w.Hour(h)}
		for d := range 7 {
			waits := cells[d][h]
			args := []any{"Day", w.Weekday(time.Weekday((d + 1) % 7)), "From", w.Hour(h), "To", w.Hour(h + 1)}
			if len(waits) < 6 { // half an hour of the demo's grid
				row.Cells = append(row.Cells, heatCell{Text: "–", Class: "h0", Title: w.Capital(w.T("waits.cellnone", args...))})
				continue
			}
			slices.Sort(waits)
			half, nine := quantile(waits, 0.5), quantile(waits, 0.9)
			halfOver, nineOver := beyond[d][h]*2 > len(waits), beyond[d][h]*10 > len(waits)
			c := heatCell{Text: w.ShortWait(half, halfOver), Small: w.ShortWait(nine, nineOver)}
			args = append(args, "Half", waited(w, "waits.half", half, halfOver), "Nine", waited(w, "waits.nine", nine, nineOver))
			c.Title = w.Capital(w.T("waits.cell", args...))
			if c.Small == c.Text {
				c.Small = ""
			}
			step := 1
			for i, from := range waitSteps {
				if nine >= from {
					step = i + 1
				}
			}
			c.Class = "h" + strconv.Itoa(step)
			row.Cells = append(row.Cells, c)
			if nine > worst {
				worst, at = nine, w.T("waits.cell", args...)
			}
		}
		v.Rows = append(v.Rows, row)
	}
	v.Lead = w.T("waits.worst", "Cell", at)
	if worst < waitSteps[1] {
		v.Lead = w.T("waits.short")
	}
	return v
}

// waited says one of the two waits of a cell; over when it is a lower bound only.
func waited(w *words.Language, id string, minutes float64, over bool) string {
	n := int(math.Round(minutes))
	switch {
	case over:
		id += "over"
	case n < 5:
		id += "under"
	}
	return w.T(id, "Minutes", n)
}

// quantile of a sorted list that is not empty.
func quantile(v []float64, q float64) float64 {
	x := q * float64(len(v)-1)
	i := int(x)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (x-float64(i))*(v[i+1]-v[i])
}
