package replay

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// An outage is a time in which sensors say nothing.
type outage struct {
	from, to string
	sensors  []string // sorted
	must     perron.SensorHealth
	why      string
}

const minute = "2006-01-02 15:04"

func (o outage) span(t *testing.T) (from, to time.Time) {
	t.Helper()
	for text, at := range map[string]*time.Time{o.from: &from, o.to: &to} {
		var err error
		if *at, err = time.ParseInLocation(minute, text, perron.Amsterdam); err != nil {
			t.Fatal(err)
		}
	}
	return from, to
}

// without copies a recording and leaves out what the outages take: drop changes
// a line of a sensor that says nothing then, or empties it.
func without(t *testing.T, file string, outages []outage, drop func(line string, at time.Time, silent func(sensor string) bool) string) string {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b strings.Builder
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		text, _, _ := strings.Cut(line, ",")
		if at, err := time.ParseInLocation(time.DateTime, text, perron.Amsterdam); err == nil {
			line = drop(line, at, func(sensor string) bool {
				return slices.ContainsFunc(outages, func(o outage) bool {
					from, to := o.span(t)
					return slices.Contains(o.sensors, sensor) && !at.Before(from) && at.Before(to)
				})
			})
		}
		if line != "" {
			b.WriteString(line + "\n")
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(out, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// weigh holds what was said against outages, and returns how many were noticed
// and how many alarms have no outage. An outage may be noticed for as long as
// it lasts, and be called quiet before more is known.
func weigh(t *testing.T, said map[string][]pulse.Change, outages []outage) (noticed, wanted int, wrong []pulse.Change) {
	t.Helper()
	var delays []time.Duration
	explained := make(map[pulse.Change]bool)
	for _, o := range outages {
		from, to := o.span(t)
		for _, sensor := range o.sensors {
			wanted++
			var first *pulse.Change
			var names []perron.SensorHealth
			for i, c := range said[sensor] {
				if c.To != perron.SensorOK && !c.At.Before(from) && c.At.Before(to) {
					explained[c] = true
					names = append(names, c.To)
					if first == nil {
						first = &said[sensor][i]
					}
				}
			}
			if !slices.Contains(names, o.must) {
				t.Logf("missed: %s from %s (%s): judged %v, want %s", sensor, o.from, o.why, names, o.must)
				continue
			}
			noticed++
			delays = append(delays, first.At.Sub(from))
		}
	}
	for sensor, all := range said {
		for _, c := range all {
			if c.To != perron.SensorOK && !explained[c] {
				wrong = append(wrong, c)
				t.Logf("false alarm: %s %s since %s, noticed %s", sensor, c.To, c.Since.In(perron.Amsterdam).Format(minute), c.At.In(perron.Amsterdam).Format(minute))
			}
		}
	}
	slices.Sort(delays)
	if len(delays) > 0 {
		t.Logf("noticed %d of %d, median after %s, at the latest after %s", noticed, wanted, delays[len(delays)/2].Round(time.Minute), delays[len(delays)-1].Round(time.Minute))
	}
	return noticed, wanted, wrong
}

// A week at three toll gates, whose nights are different: from midnight to five
// gate 2 has an entry an hour, and the others go on. One outage is in the
// recording: on Wednesday from 21:31 to 22:50 nothing enters at gate 2, while
// exits are as many as ever and on any other day 40 to 80 vehicles enter there
// within that time. The others are made.
func TestHealthOfTollgates(t *testing.T) {
	real := outage{"2016-10-19 21:30", "2016-10-19 22:54", []string{"gate-2-in"}, perron.SensorStuckOff, "in the recording"}
	made := []outage{
		{"2016-10-20 10:00", "2016-10-20 11:30", []string{"gate-1-in"}, perron.SensorStuckOff, "made"},
		{"2016-10-20 20:00", "2016-10-20 21:30", []string{"gate-1-out"}, perron.SensorStuckOff, "made"},
		{"2016-10-21 17:00", "2016-10-21 18:30", []string{"gate-3-out"}, perron.SensorStuckOff, "made"},
		{"2016-10-22 09:00", "2016-10-22 10:30", []string{"gate-1-out", "gate-3-out"}, perron.SensorStuckOff, "made"},
		{"2016-10-23 03:00", "2016-10-23 05:00", []string{"gate-3-in"}, perron.SensorStuckOff, "made, at night"},
		{"2016-10-23 14:00", "2016-10-23 15:30", []string{"gate-3-in"}, perron.SensorStuckOff, "made"},
		{"2016-10-24 11:00", "2016-10-24 12:30", []string{"gate-2-in"}, perron.SensorStuckOff, "made"},
	}
	for _, tt := range []struct {
		name    string
		outages []outage
	}{{"as it is", []outage{real}}, {"with outages", append(made, real)}} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tollgates(recording(t, "tollgate/passages.csv"))
			cfg.File = without(t, cfg.File, tt.outages, func(line string, _ time.Time, silent func(string) bool) string {
				f := strings.Split(line, ",")
				if silent(fmt.Sprintf("gate-%s-%s", f[1], map[string]string{"0": "in", "1": "out"}[f[2]])) {
					return ""
				}
				return line
			})
			cfg.Speed = 1e12 // at once, in the order of their times
			said, _ := judged(t, cfg)
			noticed, wanted, wrong := weigh(t, said, tt.outages)
			t.Logf("false alarms: %d in %d sensor days", len(wrong), 5*7)
			if noticed < wanted || len(wrong) > 0 {
				t.Errorf("noticed %d of %d, false alarms %v", noticed, wanted, wrong)
			}
		})
	}
}

// Fifteen weeks at the door of a building that is shut at night and nearly so
// at weekends. In the recording nobody comes in from Friday evening, 7 October,
// to Sunday noon, while dozens go out: the counter of entries was dead. Monday,
// 5 September, was a holiday of that country, which is no fault, but against
// every habit: it is said to be quiet, and counts as a false alarm here.
func TestHealthOfDoor(t *testing.T) {
	dead := outage{"2005-10-08 08:00", "2005-10-09 13:30", []string{"main-in"}, perron.SensorStuckOff, "in the recording"}
	in, out, both := []string{"main-in"}, []string{"main-out"}, []string{"main-in", "main-out"}
	made := []outage{
		{"2005-08-31 09:00", "2005-08-31 15:00", in, perron.SensorStuckOff, "made"},
		{"2005-09-13 10:00", "2005-09-13 16:00", out, perron.SensorStuckOff, "made"},
		{"2005-09-21 10:00", "2005-09-21 16:00", both, perron.SensorQuiet, "made"},
		{"2005-09-29 09:00", "2005-09-29 15:00", in, perron.SensorStuckOff, "made"},
		{"2005-10-14 12:00", "2005-10-14 18:00", out, perron.SensorStuckOff, "made"},
		{"2005-10-18 10:00", "2005-10-18 16:00", both, perron.SensorQuiet, "made"},
		{"2005-10-26 08:00", "2005-10-26 14:00", in, perron.SensorStuckOff, "made"},
		{"2005-11-03 10:00", "2005-11-03 16:00", both, perron.SensorQuiet, "made"},
	}
	for _, tt := range []struct {
		name    string
		outages []outage
	}{{"as it is", []outage{dead}}, {"with outages", append(made, dead)}} {
		t.Run(tt.name, func(t *testing.T) {
			file := without(t, recording(t, "calit2/inout_30min.csv"), tt.outages, func(line string, _ time.Time, silent func(string) bool) string {
				f := strings.Split(line, ",")
				for i, sensor := range []string{"main-out", "main-in"} {
					if silent(sensor) {
						f[i+1] = "0"
					}
				}
				return strings.Join(f, ",")
			})
			said, _ := judged(t, Config{
				File: file, Refuse: true,
				Time:   Time{Column: "t", Layout: time.DateTime, Zone: perron.Amsterdam},
				Counts: &Counts{In: &Count{"in", "main-in"}, Out: &Count{"out", "main-out"}, Over: 30 * time.Minute},
			})
			noticed, wanted, wrong := weigh(t, said, tt.outages)
			t.Logf("false alarms: %d in %d sensor days", len(wrong), 2*105)
			if noticed < wanted {
				t.Errorf("noticed %d of %d", noticed, wanted)
			}
			holiday := perron.Date{Year: 2005, Month: time.September, Day: 5}
			for _, c := range wrong {
				if c.To != perron.SensorQuiet || perron.DateOf(c.At) != holiday {
					t.Errorf("a false alarm: %+v", c)
				}
			}
		})
	}
}

// In the order of the file the toll gates' passages are days apart from one line
// to the next: what has not happened cannot be told, and nothing is said of it.
func TestHealthOfUnsortedRecording(t *testing.T) {
	cfg := tollgates(recording(t, "tollgate/passages.csv"))
	if said, _ := judged(t, cfg); len(said) > 0 {
		t.Errorf("a recording without order is judged: %v", said)
	}
}
