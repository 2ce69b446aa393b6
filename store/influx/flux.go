package influx

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/store"
)

// pivot makes one row of the fields of a point.
const pivot = `
	|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")`

// from begins a query with what the server does best: a range of time and a
// condition on measurement, tags and field. The range must not be empty. Beware:
// InfluxDB 1.8 includes its end, and then puts what lies there into the wrong
// window; 2.x does not. So either nothing may lie at the end, or the caller
// must leave it out.
func (s *Store) from(bucket string, from, to time.Time, where string) string {
	return fmt.Sprintf("from(bucket: %s)\n\t|> range(start: %s, stop: %s)\n\t|> filter(fn: (r) => %s)",
		bucket, from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano), where)
}

// is is a condition on a tag.
func is(key, value string) string {
	return fmt.Sprintf("r.%s == %s", key, literal(escapeTag(value)))
}

// literal is a string in Flux. Whatever could end it or begin an expression
// within it is written as a number.
func literal(v string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(v) {
		switch {
		case c < ' ' || c == '"' || c == '\\' || c == '$' || c == '{' || c == '}' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bounds clamps a range to what the server can hold; ok is false when nothing
// is in it.
func bounds(from, to time.Time) (lo, hi time.Time, ok bool) {
	a, b := store.Nanos(from), store.Nanos(to)
	return store.FromNanos(a), store.FromNanos(b), a < b
}

// A row is one record of an answer.
type row map[string]any

func (r row) int(key string) int64 {
	v, _ := r[key].(int64) // absent: the server leaves out what is zero length
	return v
}

func (r row) float(key string) float64 {
	v, _ := r[key].(float64)
	return v
}

func (r row) bool(key string) bool {
	v, _ := r[key].(bool)
	return v
}

// string is the value of a field; the empty string comes as nothing.
func (r row) string(key string) string {
	v, _ := r[key].(string)
	return v
}

func (r row) time() time.Time {
	v, _ := r["_time"].(time.Time)
	return v.UTC()
}

// tag is the value of a tag.
func (r row) tag(key string) (string, error) {
	v, err := unescapeTag(r.string(key))
	if err != nil {
		return "", fmt.Errorf("tag %s: %w", key, err)
	}
	return v, nil
}

// each runs a query and calls fn for each row of the answer. An answer that is
// cut off is an error.
func (s *Store) each(ctx context.Context, flux string, fn func(row) error) (err error) {
	if s.closed.Load() {
		return errClosed
	}
	res, err := s.query.Query(ctx, flux)
	if err != nil {
		return explain(ctx, err)
	}
	defer func() {
		if e := res.Close(); e != nil && err == nil {
			err = explain(ctx, e)
		}
	}()
	for res.Next() {
		if err := fn(res.Record().Values()); err != nil {
			return err
		}
	}
	return explain(ctx, res.Err())
}

func (s *Store) rows(ctx context.Context, flux string) ([]row, error) {
	var out []row
	err := s.each(ctx, flux, func(r row) error {
		out = append(out, r)
		return nil
	})
	return out, err
}
