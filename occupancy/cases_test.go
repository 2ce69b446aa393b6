package occupancy_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// The cases in testdata are written so that a planner can read them:
//
//	site bays 24 dwell 14 loops 4,12,25      the yard; lanes and hours too
//	date 2026-05-16                          of the lines that follow
//	08:41:10 in                              a vehicle enters (or: out)
//	08:41:10 in back-door                    over another sensor
//	visits 60s from 08:30 to 12:00 stay 14m  one a minute comes, stays about that long, and leaves
//	visits … miss-in 9 miss-out 5 double 20  and every ninth entry is missed, and so on
//	every 60s from 08:30 to 12:00 in         a vehicle each minute, exactly
//	late 09:30 09:02:00 out                  the event of 09:02 arrives at 09:30
//	09:10 on queue-1                         a loop is occupied (or: off)
//	11:00 recount 17                         staff count
//	08:41:10.25 in                           fractions of a second
//	expect 12:00 on_site 12..16              the median lies between
//	expect 12:00 on_site covers 14           the interval holds 14
//	expect 12:00 on_site truth 3             the median is at most 3 off from what the visits make
//
// What can be expected: on_site, queue, wait (minutes), rate (entries a
// minute), at_least (0 or 1). Sensors are main-in, main-out and queue-1, -2, …
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runCase(t, file) })
	}
}

// A happening is a line of a case at the time at which it takes effect.
type happening struct {
	at   time.Time
	line int
	do   func(e *occupancy.Estimator)
}

type visit struct{ in, out time.Time }

func runCase(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	site := &perron.Site{
		ID: "poort", Bays: 24, Lanes: 1, TypicalDwell: 14, RoadSpace: 45,
		Gates: []perron.Gate{{ID: "main", Sensors: []string{"main-in", "main-out"}}},
	}
	hours := []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	var date perron.Date
	var all []happening
	var visits []visit
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		text, _, _ := strings.Cut(scan.Text(), "#")
		w := strings.Fields(text)
		if len(w) == 0 {
			continue
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n, err)
			}
		}
		clock := func(s string) time.Time {
			t.Helper()
			if len(s) == len("15:04") {
				s += ":00"
			}
			v, err := time.Parse("15:04:05", s)
			must(err)
			return date.At(perron.TimeOfDay(v.Hour()*60 + v.Minute())).Add(time.Duration(v.Second())*time.Second + time.Duration(v.Nanosecond()))
		}
		observe := func(arrives, at time.Time, kind perron.Kind, sensor string) {
			if sensor == "" {
				sensor = "main-" + string(kind)
			}
			ev := perron.Event{Time: at, Sensor: sensor, Kind: kind}
			all = append(all, happening{arrives, n, func(e *occupancy.Estimator) { e.Observe(ev) }})
		}
		word := func(i int) string {
			if i < len(w) {
				return w[i]
			}
			return ""
		}
		number := func(s string) float64 {
			t.Helper()
			v, err := strconv.ParseFloat(s, 64)
			must(err)
			return v
		}
		switch w[0] {
		case "site":
			for i := 1; i+1 < len(w); i += 2 {
				switch v := w[i+1]; w[i] {
				case "bays":
					site.Bays = int(number(v))
				case "lanes":
					site.Lanes = int(number(v))
				case "dwell":
					site.TypicalDwell = number(v)
				case "loops":
					for k, d := range strings.Split(v, ",") {
						site.QueueLoops = append(site.QueueLoops, perron.QueueLoop{Sensor: fmt.Sprintf("queue-%d", k+1), Distance: int(number(d))})
					}
				case "hours":
					from, to, _ := strings.Cut(v, "-")
					open, err := perron.ParseTimeOfDay(from)
					must(err)
					shut, err := perron.ParseTimeOfDay(to)
					must(err)
					hours = []perron.Span{{Open: open, Close: shut}}
				default:
					t.Fatalf("%s:%d: site has no %s", file, n, w[i])
				}
			}
		case "date":
			d, err := perron.ParseDate(word(1))
			must(err)
			date = d
		case "every":
			step, err := time.ParseDuration(word(1))
			must(err)
			for at := clock(word(3)); at.Before(clock(word(5))); at = at.Add(step) {
				observe(at, at, perron.Kind(word(6)), word(7))
			}
		case "visits":
			every, err := time.ParseDuration(word(1))
			must(err)
			stay, err := time.ParseDuration(word(7))
			must(err)
			nth := map[string]int{}
			for i := 8; i+1 < len(w); i += 2 {
				nth[w[i]] = int(number(w[i+1]))
			}
			hit := func(what string, k int) bool { return nth[what] > 0 && k%nth[what] == nth[what]-1 }
			r := rand.New(rand.NewPCG(uint64(n), 7))
			for k, at := 0, clock(word(3)); at.Before(clock(word(5))); k++ {
				v := visit{at, at.Add(time.Duration(float64(stay) * math.Exp(0.4*r.NormFloat64())).Round(time.Second))}
				visits = append(visits, v)
				if !hit("miss-in", k) {
					observe(v.in, v.in, perron.In, "")
				}
				if !hit("miss-out", k) {
					observe(v.out, v.out, perron.Out, "")
				}
				if hit("double", k) {
					observe(v.in.Add(time.Second), v.in.Add(time.Second), perron.In, "")
				}
				at = at.Add(time.Duration(float64(every) * r.ExpFloat64()).Round(time.Second))
			}
		case "late":
			observe(clock(word(1)), clock(word(2)), perron.Kind(word(3)), word(4))
		case "expect":
			at, what, lo, hi := clock(word(1)), word(2), math.Inf(-1), math.Inf(1)
			covers := word(3) == "covers"
			truth := word(3) == "truth"
			if truth {
				all = append(all, happening{at, n, func(e *occupancy.Estimator) {
					inside := 0.0
					for _, v := range visits {
						if !v.in.After(at) && v.out.After(at) {
							inside++
						}
					}
					if got := e.Estimate(at).OnSite; math.Abs(got.Mid-inside) > number(word(4)) {
						t.Errorf("%s:%d: %s is %v, true %v", file, n, strings.TrimSpace(text), got, inside)
					}
				}})
				continue
			}
			if covers {
				lo = number(word(4))
			} else if a, b, ok := strings.Cut(word(3), ".."); ok {
				lo, hi = number(a), number(b)
			} else {
				lo = number(word(3))
				hi = lo
			}
			all = append(all, happening{at, n, func(e *occupancy.Estimator) {
				got := e.Estimate(at)
				sane(t, site, got)
				v := map[string]perron.Interval{
					"on_site": got.OnSite, "queue": got.Queue, "wait": got.Wait,
					"rate": perron.Exactly(got.EntryRate), "at_least": perron.Exactly(0),
				}
				if got.AtLeast {
					v["at_least"] = perron.Exactly(1)
				}
				iv, ok := v[what]
				switch {
				case !ok:
					t.Fatalf("%s:%d: nothing is called %s", file, n, what)
				case covers && (lo < iv.Low || lo > iv.High), !covers && (iv.Mid < lo || iv.Mid > hi):
					t.Errorf("%s:%d: %s is %.1f (%.1f to %.1f)", file, n, strings.TrimSpace(text), iv.Mid, iv.Low, iv.High)
				}
			}})
		default:
			at := clock(w[0])
			if word(1) == "recount" {
				count := int(number(word(2)))
				all = append(all, happening{at, n, func(e *occupancy.Estimator) { e.Recount(at, count) }})
				continue
			}
			if kind := perron.Kind(word(1)); kind.Valid() {
				observe(at, at, kind, word(2))
				continue
			}
			t.Fatalf("%s:%d: cannot read %q", file, n, text)
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	for w := range 7 {
		site.Hours.Weekly[w] = hours
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].at.Before(all[j].at) })
	e := occupancy.New(site)
	for i, h := range all {
		h.do(e)
		if i%10 == 0 { // asking in between must change nothing
			sane(t, site, e.Estimate(h.at))
		}
	}
}

// sane checks what holds of every estimate.
func sane(t *testing.T, site *perron.Site, e perron.Estimate) {
	t.Helper()
	for name, v := range map[string]perron.Interval{"on site": e.OnSite, "queue": e.Queue, "wait": e.Wait} {
		if !(v.Low >= 0 && v.Low <= v.Mid && v.Mid <= v.High && v.High < 1000) {
			t.Fatalf("%v: %s %+v", e.At, name, v)
		}
	}
	if !(e.EntryRate >= 0 && e.EntryRate < 100) {
		t.Fatalf("%v: entry rate %v", e.At, e.EntryRate)
	}
	if e.OnSite.High > 3*float64(site.Bays)+20 {
		t.Fatalf("%v: %v vehicles in %d bays", e.At, e.OnSite, site.Bays)
	}
}

// TestNothingBreaksIt throws events without sense at the estimator: every
// estimate must still be one.
func TestNothingBreaksIt(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		site := &perron.Site{ID: "poort", Bays: int(seed % 5 * 9), Lanes: int(seed % 3), TypicalDwell: float64(seed % 4 * 10)}
		if seed%2 == 0 {
			site.QueueLoops = []perron.QueueLoop{{Sensor: "queue-1", Distance: 3}, {Sensor: "queue-2", Distance: 60}}
		}
		if seed%3 > 0 {
			for w := range 6 {
				site.Hours.Weekly[w] = []perron.Span{{Open: 9 * 60, Close: 12 * 60}, {Open: 13 * 60, Close: 24 * 60}}
			}
		}
		e := occupancy.New(site)
		at := time.Date(2026, 3, 28, 8, 0, 0, 0, time.UTC)
		gap := []float64{0.1, 20, 600, 40000}[seed%4]
		for range []int{150, 100, 30, 8}[seed%4] {
			at = at.Add(time.Duration((r.ExpFloat64() - 0.1) * gap * float64(time.Second)))
			switch k := r.IntN(40); {
			case k == 0:
				e.Recount(at, r.IntN(200)-50)
			default:
				kind := []perron.Kind{perron.In, perron.Out, perron.On, perron.Off, "nonsense"}[r.IntN(5)]
				sensor := []string{"main-in", "queue-1", "queue-2"}[r.IntN(3)]
				if kind.Passage() && seed%7 == 0 {
					kind = perron.Out
				}
				e.Observe(perron.Event{Time: at, Sensor: sensor, Kind: kind})
			}
			got := e.Estimate(at.Add(time.Duration(r.IntN(3000)) * time.Second))
			for name, v := range map[string]perron.Interval{"on site": got.OnSite, "queue": got.Queue, "wait": got.Wait} {
				if !(v.Low >= 0 && v.Low <= v.Mid && v.Mid <= v.High && v.High <= 300) {
					t.Fatalf("seed %d: %s %+v", seed, name, v)
				}
			}
		}
	}
}
