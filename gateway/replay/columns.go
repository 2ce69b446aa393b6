package replay

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// maxCount is the most passages that one line may stand for.
const maxCount = 100_000

// columns turns lines into events.
type columns struct {
	cfg       Config
	delimiter byte
	names     []string
	fields    [][]byte

	time, sensor, kind, in, out int // places, -1 when there is none
	key                         []int

	zone     *time.Location
	lastText string // times come in runs
	lastTime time.Time
	texts    []byte // of the key
}

func newColumns(cfg Config) (*columns, error) {
	c := &columns{cfg: cfg, zone: cfg.Time.Zone}
	if c.zone == nil {
		c.zone = time.UTC
	}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if cfg.Time.Column == "" || cfg.Time.Layout == "" {
		fault("time has no column or no layout")
	}
	ways := 0
	for _, is := range []bool{cfg.Sensor != nil && cfg.Kind != nil, cfg.Key != nil, cfg.Counts != nil} {
		if is {
			ways++
		}
	}
	if ways != 1 || (cfg.Sensor == nil) != (cfg.Kind == nil) {
		fault("want one of: sensor with kind, key, counts")
	}
	checkField := func(name string, f *Field, ok func(string) bool) {
		if f == nil {
			return
		}
		if (f.Column == "") == (f.Value == "") {
			fault("%s: want either a column or a value", name)
		}
		if f.Value != "" && !ok(f.Value) {
			fault("%s: %q is not valid", name, f.Value)
		}
		for k, v := range f.Map {
			if !ok(v) {
				fault("%s: %q means %q, which is not valid", name, k, v)
			}
		}
	}
	checkField("sensor", cfg.Sensor, perron.ValidID)
	checkField("kind", cfg.Kind, func(s string) bool { return perron.Kind(s).Valid() })
	if cfg.Key != nil {
		if len(cfg.Key.Columns) == 0 || len(cfg.Key.Map) == 0 {
			fault("key has no columns or no map")
		}
		for k, m := range cfg.Key.Map {
			if !perron.ValidID(m.Sensor) || !m.Kind.Valid() {
				fault("key: %q means sensor %q, kind %q, which is not valid", k, m.Sensor, m.Kind)
			}
		}
	}
	if n := cfg.Counts; n != nil {
		if n.In == nil && n.Out == nil || n.Over <= 0 {
			fault("counts: want in, out or both, and over")
		}
		for _, one := range []*Count{n.In, n.Out} {
			if one != nil && (one.Column == "" || !perron.ValidID(one.Sensor)) {
				fault("counts: column %q for sensor %q is not valid", one.Column, one.Sensor)
			}
		}
	}
	return c, errors.Join(errs...)
}

// header takes in the line of names. The delimiter is the one that makes the
// names show up: comma, semicolon or tab.
func (c *columns) header(line []byte) error {
	var first error
	for _, d := range []byte{',', ';', '\t'} {
		fields, err := split(nil, line, d)
		if err == nil {
			c.delimiter, c.names = d, nil
			for _, f := range fields {
				c.names = append(c.names, string(f))
			}
			err = c.find()
		}
		if err == nil {
			return nil
		}
		if first == nil || len(fields) > 1 && len(c.names) > 1 && d != ',' {
			first = err
		}
	}
	return first
}

func (c *columns) find() error {
	var missing []string
	at := func(name string) int {
		i := slices.Index(c.names, name)
		if i < 0 {
			missing = append(missing, name)
		}
		return i
	}
	field := func(f *Field) int {
		if f == nil || f.Column == "" {
			return -1
		}
		return at(f.Column)
	}
	count := func(one *Count) int {
		if one == nil {
			return -1
		}
		return at(one.Column)
	}
	c.time, c.sensor, c.kind, c.in, c.out, c.key = at(c.cfg.Time.Column), field(c.cfg.Sensor), field(c.cfg.Kind), -1, -1, nil
	if c.cfg.Key != nil {
		for _, name := range c.cfg.Key.Columns {
			c.key = append(c.key, at(name))
		}
	}
	if n := c.cfg.Counts; n != nil {
		c.in, c.out = count(n.In), count(n.Out)
	}
	if len(missing) > 0 {
		return fmt.Errorf("line 1: has no column %s; the columns are %s", strings.Join(missing, ", "), strings.Join(c.names, ", "))
	}
	return nil
}

// A foreign value is one that no map names.
type foreign struct{ column, value string }

func (f foreign) Error() string { return fmt.Sprintf("%s %q is in no map", f.column, f.value) }

// events appends what a line says. The error is a foreign, or what is broken.
func (c *columns) events(out []perron.Event, line []byte) ([]perron.Event, error) {
	var err error
	if c.fields, err = split(c.fields, line, c.delimiter); err != nil {
		return out, err
	}
	if len(c.fields) != len(c.names) {
		return out, fmt.Errorf("has %d fields, line 1 has %d", len(c.fields), len(c.names))
	}
	var what Meaning
	switch {
	case c.cfg.Key != nil:
		c.texts = c.texts[:0]
		for i, at := range c.key {
			if i > 0 {
				c.texts = append(c.texts, '/')
			}
			c.texts = append(c.texts, c.fields[at]...)
		}
		m, ok := c.cfg.Key.Map[string(c.texts)]
		if !ok {
			return out, foreign{strings.Join(c.cfg.Key.Columns, "/"), string(c.texts)}
		}
		what = m
	case c.cfg.Counts == nil:
		if what.Sensor, err = c.value(c.cfg.Sensor, c.sensor); err != nil {
			return out, err
		}
		if !perron.ValidID(what.Sensor) {
			return out, fmt.Errorf("%s: %q is not a valid id", c.cfg.Sensor.Column, what.Sensor)
		}
		kind, err := c.value(c.cfg.Kind, c.kind)
		if err != nil {
			return out, err
		}
		if what.Kind = perron.Kind(kind); !what.Kind.Valid() {
			return out, fmt.Errorf("%s: %q is not one of in, out, on, off", c.cfg.Kind.Column, kind)
		}
	}
	at, err := c.when(c.fields[c.time])
	if err != nil {
		return out, err
	}
	if c.cfg.Counts != nil {
		return c.spread(out, at)
	}
	return append(out, perron.Event{Time: at, Sensor: what.Sensor, Kind: what.Kind}), nil
}

func (c *columns) value(f *Field, at int) (string, error) {
	if at < 0 {
		return f.Value, nil
	}
	if f.Map == nil {
		return string(c.fields[at]), nil
	}
	v, ok := f.Map[string(c.fields[at])]
	if !ok {
		return "", foreign{f.Column, string(c.fields[at])}
	}
	return v, nil
}

func (c *columns) when(text []byte) (time.Time, error) {
	if string(text) == c.lastText && c.lastText != "" {
		return c.lastTime, nil
	}
	s := string(text)
	var t time.Time
	var err error
	switch layout := c.cfg.Time.Layout; layout {
	case "unix", "unix_ms":
		unit := time.Second
		if layout == "unix_ms" {
			unit = time.Millisecond
		}
		t, err = unix(s, unit)
	default:
		t, err = time.ParseInLocation(layout, s, c.zone)
	}
	if err != nil {
		return t, fmt.Errorf("%s: %q is not a time like %s", c.cfg.Time.Column, s, c.cfg.Time.Layout)
	}
	if y := t.Year(); y < 1900 || y > 2200 {
		return t, fmt.Errorf("%s: %q is in the year %d", c.cfg.Time.Column, s, y)
	}
	c.lastText, c.lastTime = s, t.UTC()
	return c.lastTime, nil
}

func unix(s string, unit time.Duration) (time.Time, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > -1e14 && n < 1e14 {
		perSecond := int64(time.Second / unit)
		return time.Unix(n/perSecond, n%perSecond*int64(unit)), nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || math.Abs(x*unit.Seconds()) > 1e10 {
		return time.Time{}, errors.New("not a number of seconds")
	}
	whole, part := math.Modf(x * unit.Seconds())
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// spread lets as many pass as the line says, evenly over its interval: each in
// the middle of its share.
func (c *columns) spread(out []perron.Event, at time.Time) ([]perron.Event, error) {
	from := len(out)
	add := func(one *Count, place int, kind perron.Kind) error {
		if one == nil {
			return nil
		}
		text := string(c.fields[place])
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxCount {
			return fmt.Errorf("%s: %q is not a number from 0 to %d", one.Column, text, maxCount)
		}
		for i := range n {
			part := time.Duration(float64(c.cfg.Counts.Over) * (float64(i) + 0.5) / float64(n))
			out = append(out, perron.Event{Time: at.Add(part), Sensor: one.Sensor, Kind: kind})
		}
		return nil
	}
	if err := errors.Join(add(c.cfg.Counts.In, c.in, perron.In), add(c.cfg.Counts.Out, c.out, perron.Out)); err != nil {
		return out[:from], err
	}
	slices.SortStableFunc(out[from:], func(a, b perron.Event) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return out, nil
}
