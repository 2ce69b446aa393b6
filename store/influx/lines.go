package influx

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/influxdata/influxdb-client-go/v2/api"
)

// linesPerRequest keeps requests well below the server's limit of 25 MB.
const linesPerRequest = 5000

type tag struct{ key, value string }

// lines builds points in line protocol. The client's own encoder sorts and
// boxes every value, at ten times the cost.
type lines struct {
	buf    []byte
	ends   []int // of lines
	fields int   // in the line at hand
	err    error
}

// point begins a line. Tags must be in order of their keys, which the server
// likes best.
func (l *lines) point(measurement string, tags ...tag) {
	l.buf = append(l.buf, measurement...)
	for _, t := range tags {
		l.buf = append(l.buf, ',')
		l.buf = append(l.buf, t.key...)
		l.buf = append(l.buf, '=')
		l.buf = append(l.buf, escapeTag(t.value)...)
	}
	l.fields = 0
}

func (l *lines) key(name string) {
	sep := byte(' ')
	if l.fields > 0 {
		sep = ','
	}
	l.fields++
	l.buf = append(append(append(l.buf, sep), name...), '=')
}

func (l *lines) int(name string, v int64) {
	l.key(name)
	l.buf = append(strconv.AppendInt(l.buf, v, 10), 'i')
}

func (l *lines) float(name string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		l.err = fmt.Errorf("%s is %v, which cannot be stored", name, v)
	}
	l.key(name)
	l.buf = strconv.AppendFloat(l.buf, v, 'g', -1, 64)
}

func (l *lines) bool(name string, v bool) {
	l.key(name)
	l.buf = strconv.AppendBool(l.buf, v)
}

func (l *lines) string(name, v string) {
	l.key(name)
	l.buf = append(l.buf, '"')
	for _, c := range []byte(v) {
		if c == '"' || c == '\\' {
			l.buf = append(l.buf, '\\')
		}
		l.buf = append(l.buf, c)
	}
	l.buf = append(l.buf, '"')
}

// end ends the line with its time in nanoseconds.
func (l *lines) end(nanos int64) {
	l.buf = append(l.buf, ' ')
	l.buf = append(strconv.AppendInt(l.buf, nanos, 10), '\n')
	l.ends = append(l.ends, len(l.buf))
}

// send writes all points, some thousand a request.
func (s *Store) send(ctx context.Context, to api.WriteAPIBlocking, l *lines) error {
	if l.err != nil {
		return l.err
	}
	if s.closed.Load() {
		return errClosed
	}
	start := 0
	for i := 0; i < len(l.ends); i += linesPerRequest {
		end := l.ends[min(i+linesPerRequest, len(l.ends))-1]
		if err := to.WriteRecord(ctx, string(l.buf[start:end])); err != nil {
			return explain(ctx, err)
		}
		start = end
	}
	return nil
}

// escapeTag writes a tag's value without any character that line protocol or
// Flux could take for something else: as in a URL, with "%" alone for the empty
// value, which a tag cannot have. Names stay as they are.
func escapeTag(v string) string {
	for i := range len(v) {
		c := v[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && (c < 'A' || c > 'Z') {
			return url.QueryEscape(v)
		}
	}
	if v == "" {
		return "%"
	}
	return v
}

func unescapeTag(v string) (string, error) {
	if v == "%" {
		return "", nil
	}
	if !strings.ContainsAny(v, "%+") {
		return v, nil
	}
	return url.QueryUnescape(v)
}
