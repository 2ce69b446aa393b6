package main

import (
	"math"
	"slices"

	"github.com/perrondrukte/perrondrukte/perron"
)

// errorSums scores numbers, with or without a range around them, against the
// truth.
type errorSums struct {
	n, abs, within, largest float64
	errors                  []float64
}

func (t *errorSums) add(truth float64, got perron.Interval) {
	t.n++
	off := got.Mid - truth
	t.abs += math.Abs(off)
	t.largest = math.Max(t.largest, math.Abs(off))
	t.errors = append(t.errors, off)
	if got.Low <= truth && truth <= got.High {
		t.within++
	}
}

func (t *errorSums) mae() float64      { return t.abs / t.n }
func (t *errorSums) coverage() float64 { return t.within / t.n }

func (t *errorSums) bias() float64 {
	var sum float64
	for _, v := range t.errors {
		sum += v
	}
	return sum / t.n
}

func (t *errorSums) medianBias() float64 {
	if len(t.errors) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(t.errors))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// join adds what another has.
func (t *errorSums) join(o *errorSums) {
	t.n += o.n
	t.abs += o.abs
	t.within += o.within
	t.largest = math.Max(t.largest, o.largest)
	t.errors = append(t.errors, o.errors...)
}
