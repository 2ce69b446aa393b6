package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Span returns the quarters that the query needs, from included, to not: those
// of every interval that starts within From and To, whole. It is empty when
// from is not before to.
func (q CountQuery) Span() (from, to time.Time, err error) {
	if _, err := perron.ParseStep(string(q.Step)); err != nil {
		return from, to, fmt.Errorf("step %w", err)
	}
	lo := perron.Quarter.Start(FromNanos(Nanos(q.From)))
	hi := perron.Quarter.Start(FromNanos(Nanos(q.To)))
	from = q.Step.Start(lo)
	if from.Before(lo) {
		from = q.Step.Next(lo)
	}
	if !from.Before(hi) {
		return from, from, nil
	}
	return from, q.Step.Next(hi.Add(-1)), nil
}

// A Fold adds up rows of quarters, or of hours, into the intervals of a query.
type Fold struct {
	query      CountQuery
	start, end time.Time // of the interval that the last row fell in
	sums       map[foldKey]*perron.Count
}

type foldKey struct {
	start int64
	gate  string
}

// NewFold is an empty sum.
func NewFold(q CountQuery) *Fold { return &Fold{query: q, sums: make(map[foldKey]*perron.Count)} }

// Add adds what passed one gate in the quarter or hour that begins at start.
// Rows may come in any order; those in order of time are cheaper.
func (f *Fold) Add(start time.Time, gate string, in, out int) {
	if start.Before(f.start) || !start.Before(f.end) || f.end.IsZero() {
		f.start, f.end = f.query.Step.Start(start), f.query.Step.Next(start)
	}
	if !f.query.ByGate {
		gate = f.query.Gate
	}
	k := foldKey{f.start.UnixNano(), gate}
	c := f.sums[k]
	if c == nil {
		c = &perron.Count{Start: f.start, Gate: gate}
		f.sums[k] = c
	}
	c.In += in
	c.Out += out
}

// Counts returns the sums by time, then gate. Intervals without a passage are
// left out.
func (f *Fold) Counts() []perron.Count {
	out := make([]perron.Count, 0, len(f.sums))
	for _, c := range f.sums {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b perron.Count) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Gate, b.Gate))
	})
	return out
}

// A Rollup is what passed a gate within the quarter of an hour that begins at
// Start.
type Rollup struct{ In, Out int }

// A RollupKey names the quarter, by its start in nanoseconds, and the gate.
type RollupKey struct {
	Start int64
	Gate  string
}

// Rollups counts the passages of entries that are not set aside.
func Rollups(entries []Entry) map[RollupKey]Rollup {
	sums := make(map[RollupKey]Rollup)
	for i := range entries {
		e := &entries[i]
		if e.SetAside != "" || !e.Kind.Passage() {
			continue
		}
		k := RollupKey{QuarterOf(e.Time), e.Gate}
		r := sums[k]
		if e.Kind == perron.In {
			r.In++
		} else {
			r.Out++
		}
		sums[k] = r
	}
	return sums
}

// QuarterOf is the start of the quarter of an hour that t lies in, in
// nanoseconds since 1970.
func QuarterOf(t time.Time) int64 {
	const quarter = int64(15 * time.Minute)
	n := t.UnixNano()
	return n - n%quarter // times before 1970 are never stored
}
