package main

import (
	"fmt"
	"io"
	"time"
)

// Totals add up sequences.
type totals struct {
	sequences, gateways, passages, lost, doubled, taken int
	risked, gone, flagged                               int
	shown                                               uint64
	faults                                              map[fault]int
	shapes                                              map[shape]int
	longest, sum                                        time.Duration
}

func newTotals() *totals { return &totals{faults: make(map[fault]int), shapes: make(map[shape]int)} }

func (t *totals) add(p *plan, r result, took time.Duration) {
	t.sequences++
	t.shapes[p.shape]++
	t.gateways += len(p.gateways)
	t.passages += p.passages()
	t.lost += r.lost
	t.doubled += r.doubled
	t.taken += r.taken
	t.shown += r.shown
	t.risked += r.risked
	t.gone += r.gone
	t.flagged += r.flagged
	for f, n := range r.done {
		t.faults[f] += n
	}
	t.longest = max(t.longest, took)
	t.sum += took
}

func (t *totals) print(w io.Writer, took time.Duration) {
	all := 0
	for _, n := range t.faults {
		all += n
	}
	mean := t.sum / time.Duration(max(t.sequences, 1))
	fmt.Fprintf(w, "\n| sequences | %d, in %s (mean %s, longest %s) |\n|---|---|\n", t.sequences,
		took.Round(time.Second), mean.Round(100*time.Millisecond), t.longest.Round(100*time.Millisecond))
	for _, s := range shapes {
		fmt.Fprintf(w, "| – with %s | %d |\n", s.shape, t.shapes[s.shape])
	}
	fmt.Fprintf(w, "| gateways | %d |\n", t.gateways)
	fmt.Fprintf(w, "| faults | %d |\n", all)
	for _, f := range faults {
		if t.faults[f.fault] == 0 {
			continue
		}
		fmt.Fprintf(w, "| – %s | %d |\n", f.fault, t.faults[f.fault])
	}
	fmt.Fprintf(w, "| passages | %d |\n", t.passages)
	fmt.Fprintf(w, "| gone with an outbox that was deleted or damaged | %d |\n", t.taken)
	fmt.Fprintf(w, "| – of them, staff are told of at least | %d |\n", t.shown)
	fmt.Fprintf(w, "| stored with a time that is flagged as unsure | %d |\n", t.flagged)
	fmt.Fprintf(w, "| pages not yet synced when the power was cut | %d |\n", t.risked)
	fmt.Fprintf(w, "| – of them not there, or torn | %d |\n", t.gone)
	fmt.Fprintf(w, "| lost | %d |\n", t.lost)
	fmt.Fprintf(w, "| doubled | %d |\n\n", t.doubled)
}
