package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// DriverReplay plays a recording.
const DriverReplay Driver = "replay"

// Replay is a recording of passages: a CSV file with a line of column names.
//
// What a line means is said in one of three ways: sensor and kind each from a
// column or fixed; key, where some columns together name sensor and kind; or
// counts, where a line says how many passed in an interval.
type Replay struct {
	// The CSV file. A relative path counts from the directory of this file.
	File string `yaml:"file" jsonschema:"required" want:"want a CSV file"`
	// 1 is real time, 60 is a minute a second, 0 as fast as possible.
	Speed float64 `yaml:"speed" jsonschema:"minimum=0,maximum=1000000"`
	// keep leaves the recorded times. now moves them: at a speed each event gets
	// the time at which it is played, as fast as possible the last one is now.
	Shift Shift `yaml:"shift"`
	// A line that cannot be read: refuse the whole file, or skip the line.
	OnError OnError `yaml:"on_error"`
	// The column with the time.
	Time ReplayTime `yaml:"time" jsonschema:"required"`
	// Which sensor.
	Sensor *ReplayField `yaml:"sensor"`
	// What happened: in, out, on or off.
	Kind *ReplayField `yaml:"kind"`
	// Columns that name sensor and kind together.
	Key *ReplayKey `yaml:"key"`
	// Columns with numbers of passages.
	Counts *ReplayCounts `yaml:"counts"`
}

func (r *Replay) setDefaults() {
	r.Shift, r.OnError = ShiftKeep, OnErrorRefuse
	r.Time.Zone = "Europe/Amsterdam"
	r.Time.Layout = time.DateTime
}

func (r *Replay) files() []*string { return []*string{&r.File} }

// A Shift says what becomes of recorded times.
type Shift string

// The shifts.
const (
	ShiftKeep Shift = "keep"
	ShiftNow  Shift = "now"
)

// Choices are both shifts.
func (Shift) Choices() []string { return []string{string(ShiftKeep), string(ShiftNow)} }

// OnError says what to do about a line that cannot be read.
type OnError string

// What to do about a line that cannot be read.
const (
	OnErrorSkip   OnError = "skip"
	OnErrorRefuse OnError = "refuse"
)

// Choices are both.
func (OnError) Choices() []string { return []string{string(OnErrorSkip), string(OnErrorRefuse)} }

// ReplayTime is how the time is written.
type ReplayTime struct {
	// Name of the column.
	Column string `yaml:"column" jsonschema:"required" want:"want the name of the column with the time"`
	// How 2 January 2006, 15:04:05 is written in the file, or unix or unix_ms.
	Layout string `yaml:"layout"`
	// Time zone of times that name none, like Europe/Amsterdam or UTC.
	Zone string `yaml:"zone"`
}

// ReplayField is a value from a column, or the same for every line.
type ReplayField struct {
	// Name of the column.
	Column string `yaml:"column"`
	// The same value for every line, instead of a column.
	Value string `yaml:"value"`
	// What the texts in the column mean; lines with others are left out. Without
	// it the texts are taken as they are.
	Map map[string]string `yaml:"map"`
}

// ReplayKey names sensor and kind from some columns together.
type ReplayKey struct {
	// Names of the columns; their texts are joined with a slash.
	Columns []string `yaml:"columns" jsonschema:"required" want:"want the names of the columns"`
	// What a joined text, like 1/0, means. Lines with others are left out.
	Map map[string]ReplayMeaning `yaml:"map" jsonschema:"required" want:"want what each combination means, like \"1/0\": {sensor: main-in, kind: in}"`
}

// ReplayMeaning is what a key means.
type ReplayMeaning struct {
	// Id of the sensor.
	Sensor ID `yaml:"sensor" jsonschema:"required" want:"want the id of a sensor"`
	// in, out, on or off.
	Kind Kind `yaml:"kind" jsonschema:"required" want:"want in, out, on or off"`
}

// A Kind is what an event says.
type Kind string

// Choices are all kinds.
func (Kind) Choices() []string {
	return []string{string(perron.In), string(perron.Out), string(perron.On), string(perron.Off)}
}

// ReplayCounts are columns with numbers of passages, which are spread over the
// interval that begins at the line's time.
type ReplayCounts struct {
	// Vehicles that entered.
	In *ReplayCount `yaml:"in"`
	// Vehicles that left.
	Out *ReplayCount `yaml:"out"`
	// Length of the interval.
	Over Duration `yaml:"over" jsonschema:"required" bounds:"1s,24h" want:"want the length of a line's interval, like 30m"`
}

// ReplayCount is one column with a number of passages.
type ReplayCount struct {
	// Name of the column.
	Column string `yaml:"column" jsonschema:"required" want:"want the name of a column"`
	// Id of the sensor.
	Sensor ID `yaml:"sensor" jsonschema:"required" want:"want the id of a sensor"`
}

func (r *Replay) check(c *checker, at string) {
	if r.Time.Zone != "" {
		if _, err := time.LoadLocation(r.Time.Zone); err != nil || r.Time.Zone == "Local" {
			c.fault(at+".time.zone", "%s: want a zone like Europe/Amsterdam or UTC", quote(r.Time.Zone))
		}
	}
	if l := r.Time.Layout; l != "unix" && l != "unix_ms" {
		probe := time.Date(2016, 10, 18, 17, 43, 21, 0, time.UTC)
		back, err := time.Parse(l, probe.Format(l))
		if l == "" || err != nil || !back.Truncate(time.Minute).Equal(probe.Truncate(time.Minute)) {
			c.fault(at+".time.layout", "%s: want how 2 January 2006, 15:04:05 is written, like %s, or unix or unix_ms",
				quote(l), quote(time.DateTime))
		}
	}
	ways := 0
	for _, given := range []bool{r.Sensor != nil || r.Kind != nil, r.Key != nil, r.Counts != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		c.fault(at, "want one of: sensor with kind, key, counts")
	}
	if ways == 1 && (r.Sensor != nil) != (r.Kind != nil) {
		missing := "sensor"
		if r.Kind == nil {
			missing = "kind"
		}
		c.fault(at+"."+missing, "is missing: want a column or a value")
	}
	r.Sensor.check(c, at+".sensor", func(v string) string {
		if perron.ValidID(v) {
			return ""
		}
		return quote(v) + ": want the id of a sensor: " + ID("").check()
	})
	r.Kind.check(c, at+".kind", func(v string) string { return choiceFault(v, Kind("").Choices()) })
	if r.Key != nil {
		for _, k := range slices.Sorted(maps.Keys(r.Key.Map)) {
			if n := strings.Count(k, "/") + 1; n != len(r.Key.Columns) && len(r.Key.Columns) > 0 {
				c.fault(at+".key.map."+k, "has %d parts: want %d, one a column, joined with a slash", n, len(r.Key.Columns))
			}
		}
	}
	if r.Counts != nil && r.Counts.In == nil && r.Counts.Out == nil {
		c.fault(at+".counts", "want in, out or both")
	}
}

// check may be called on nil.
func (f *ReplayField) check(c *checker, at string, wrong func(string) string) {
	if f == nil {
		return
	}
	if (f.Column == "") == (f.Value == "") {
		c.fault(at, "want either column or value")
	}
	if f.Value != "" {
		if len(f.Map) > 0 {
			c.fault(at+".map", "belongs to a column: leave it out")
		}
		if m := wrong(f.Value); m != "" {
			c.fault(at+".value", "%s", m)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(f.Map)) {
		if m := wrong(f.Map[k]); m != "" {
			c.fault(fmt.Sprintf("%s.map.%s", at, k), "%s", m)
		}
	}
}
