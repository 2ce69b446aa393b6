package influx

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// Events are read by windows of time that hold about this many.
	windowEvents = 20000
	minWindow    = quarter
	maxWindow    = 28 * 24 * time.Hour
)

// Events yields the counted events of a site from a time, included, to another,
// not, in order of time; equal times of one gateway in the order of its
// sequence. What is committed meanwhile may be missing.
func (s *Store) Events(ctx context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		fail := func(err error) { yield(perron.Record{}, fmt.Errorf("read events of %s: %w", site, err)) }
		first, last, ok, err := s.extent(ctx, site)
		if err != nil {
			fail(err)
			return
		}
		lo, hi := max(store.Nanos(from), first), min(store.Nanos(to), last+1)
		if !ok {
			return
		}
		window := int64(24 * time.Hour)
		for lo < hi {
			end := min(lo+window, hi)
			page, err := s.events(ctx, site, lo, end)
			if err != nil {
				fail(err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			switch {
			case len(page) < windowEvents/4:
				window = min(2*window, int64(maxWindow))
			case len(page) > windowEvents:
				window = max(window/2, int64(minWindow))
			}
			lo = end
		}
	}
}

// events reads one window, in order.
func (s *Store) events(ctx context.Context, site string, lo, hi int64) ([]perron.Record, error) {
	// Timestamps are within the millisecond of the event, before or after it.
	from, to := lo-lo%perMilli, hi-1-(hi-1)%perMilli+perMilli-1
	flux := s.from(s.bucket, store.FromNanos(from), store.FromNanos(to), `r._measurement == "event" and `+is("site", site)) +
		pivot + `
	|> keep(columns: ["_time", "t", "seq", "gate", "gateway", "epoch", "sensor", "kind"])`
	var out []perron.Record
	err := s.each(ctx, flux, func(r row) error {
		t := r.int("t")
		if t < lo || t >= hi {
			return nil
		}
		rec := perron.Record{
			Event: perron.Event{Time: store.FromNanos(t)},
			Site:  site, Gate: r.string("gate"), Seq: uint64(r.int("seq")),
		}
		var kind string
		if err := tags(r, map[string]*string{"sensor": &rec.Sensor, "gateway": &rec.Gateway, "epoch": &rec.Epoch, "kind": &kind}); err != nil {
			return err
		}
		rec.Kind = perron.Kind(kind)
		out = append(out, rec)
		return nil
	})
	slices.SortFunc(out, func(a, b perron.Record) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	return out, err
}

// tags reads several tags of a row.
func tags(r row, to map[string]*string) error {
	for key, p := range to {
		v, err := r.tag(key)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

// Counts adds up the rollups that the query spans. Intervals without a passage
// are left out; the rest is in order of time, then gate.
func (s *Store) Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	out, err := s.counts(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read counts of %s: %w", q.Site, err)
	}
	return out, nil
}

func (s *Store) counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	from, to, err := q.Span()
	if err != nil || !from.Before(to) {
		return nil, err
	}
	where := `r._measurement == "count" and ` + is("site", q.Site)
	if q.Gate != "" {
		where += " and " + is("gate", q.Gate)
	}
	flux := s.from(s.bucket, from, to.Add(-1), where) // a rollup lies at the start of a quarter
	// The server could add up to hours, but takes four times as long for it as
	// for handing out the quarters.
	flux += ` |> group(columns: ["gate", "_field"]) |> keep(columns: ["_time", "_value", "gate", "_field"])`
	fold := store.NewFold(q)
	err = s.each(ctx, flux, func(r row) error {
		gate, err := r.tag("gate")
		if err != nil {
			return err
		}
		n := int(r.int("_value"))
		if r.string("_field") == "in" {
			fold.Add(r.time(), gate, n, 0)
		} else {
			fold.Add(r.time(), gate, 0, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return fold.Counts(), nil
}

// atEpoch0 selects points that are stamped with their sequence number.
func (s *Store) atEpoch0(measurement, site string) string {
	return s.from(s.bucket, epoch0, epoch0.Add(time.Duration(perStream)), fmt.Sprintf("r._measurement == %s and %s", literal(measurement), is("site", site))) + pivot
}

// SetAside yields the events of a site that are kept but not counted, by the
// time at which they were received.
func (s *Store) SetAside(ctx context.Context, site string, from, to time.Time) iter.Seq2[store.SetAside, error] {
	return func(yield func(store.SetAside, error) bool) {
		all, err := s.setAside(ctx, site, from, to)
		if err != nil {
			yield(store.SetAside{}, fmt.Errorf("read events of %s set aside: %w", site, err))
			return
		}
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (s *Store) setAside(ctx context.Context, site string, from, to time.Time) ([]store.SetAside, error) {
	var out []store.SetAside
	flux := s.atEpoch0("aside", site) + fmt.Sprintf(` |> filter(fn: (r) => r.received >= %d and r.received < %d)`, store.Nanos(from), store.Nanos(to))
	err := s.each(ctx, flux, func(r row) error {
		a := store.SetAside{
			Record: perron.Record{
				Event: perron.Event{Sensor: r.string("sensor"), Kind: perron.Kind(r.string("kind"))},
				Site:  site, Gate: r.string("gate"), Seq: uint64(r.int("seq")),
			},
			Reason: r.string("reason"), Received: store.FromNanos(r.int("received")),
		}
		var err error
		if a.Time, err = time.Parse(time.RFC3339Nano, r.string("t")); err != nil {
			return err
		}
		if err := tags(r, map[string]*string{"gateway": &a.Gateway, "epoch": &a.Epoch}); err != nil {
			return err
		}
		out = append(out, a)
		return nil
	})
	slices.SortFunc(out, func(a, b store.SetAside) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	return out, err
}

// Losses lists what was noticed from a time, included, to another, not.
func (s *Store) Losses(ctx context.Context, site string, from, to time.Time) ([]store.Loss, error) {
	var out []store.Loss
	flux := s.atEpoch0("loss", site) + fmt.Sprintf(` |> filter(fn: (r) => r.at >= %d and r.at < %d)`, store.Nanos(from), store.Nanos(to))
	err := s.each(ctx, flux, func(r row) error {
		if r.int("count") == withdrawn {
			return nil
		}
		l := store.Loss{Site: site, At: store.FromNanos(r.int("at")), Count: uint64(r.int("count"))}
		var kind string
		if err := tags(r, map[string]*string{"gateway": &l.Gateway, "kind": &kind, "reason": &l.Reason}); err != nil {
			return err
		}
		l.Kind = perron.DoubtKind(kind)
		out = append(out, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read losses of %s: %w", site, err)
	}
	slices.SortStableFunc(out, func(a, b store.Loss) int { return a.At.Compare(b.At) })
	return out, nil
}

// Extent returns the times of the first and the last counted event of a site;
// both are zero when it has none.
func (s *Store) Extent(ctx context.Context, site string) (store.Extent, error) {
	first, last, ok, err := s.extent(ctx, site)
	if err != nil {
		return store.Extent{}, fmt.Errorf("read extent of %s: %w", site, err)
	}
	if !ok {
		return store.Extent{}, nil
	}
	return store.Extent{First: store.FromNanos(first), Last: store.FromNanos(last)}, nil
}

// extent is what the cursors of a site say.
func (s *Store) extent(ctx context.Context, site string) (first, last int64, ok bool, err error) {
	rows, err := s.rows(ctx, s.from(s.bucket, epoch0, epoch0.Add(1), `r._measurement == "cursor" and `+is("site", site))+pivot)
	first, last = math.MaxInt64, math.MinInt64
	for _, r := range rows {
		first, last = min(first, r.int("first")), max(last, r.int("last"))
	}
	return first, last, first <= last, err
}
