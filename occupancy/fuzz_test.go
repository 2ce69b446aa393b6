package occupancy_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// fuzzSite is a yard with everything an estimator looks at: hours with a
// break and an exception, two gates, two loops.
func fuzzSite() *perron.Site {
	site := &perron.Site{
		ID: "poort", Bays: 8, Lanes: 2, TypicalDwell: 12, RoadSpace: 20,
		Gates: []perron.Gate{{ID: "main", Sensors: []string{"main-in", "main-out"}}, {ID: "back", Sensors: []string{"back-in"}}},
		QueueLoops: []perron.QueueLoop{
			{Sensor: "queue-1", Distance: 2}, {Sensor: "queue-2", Distance: 7},
		},
	}
	site.Hours.Weekly[time.Saturday] = []perron.Span{{Open: 9 * 60, Close: 12 * 60}, {Open: 13 * 60, Close: 17 * 60}}
	site.Hours.Weekly[time.Monday] = []perron.Span{{Open: 9 * 60, Close: 17 * 60}}
	return site
}

// FuzzEstimator lets an estimator see events, recounts and questions at any
// times, in any order. It may learn nonsense of nonsense, but it must answer
// with numbers, and never panic: times come from devices.
func FuzzEstimator(f *testing.F) {
	step := func(kind byte, at time.Time) []byte {
		return append([]byte{kind}, binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))...)
	}
	saturday := time.Date(2026, 5, 16, 8, 0, 0, 0, time.UTC)
	var day []byte
	for i := range 40 {
		day = append(day, step(byte(i%8), saturday.Add(time.Duration(i*i)*time.Second))...)
	}
	f.Add(day)
	unset := time.Unix(0, 0)
	f.Add(append(step(7, unset.Add(-time.Hour)), step(7, unset.Add(-time.Minute))...))
	f.Add(append(append(step(0, unset.Add(-time.Second)), step(1, unset.Add(30*time.Second))...), step(7, saturday)...))
	f.Add(append(append(step(0, time.Time{}.Add(time.Second)), step(1, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))...), step(7, saturday)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		const length, most = 9, 200
		site := fuzzSite()
		e := occupancy.New(site)
		for n := 0; len(data) >= length && n < most; n++ {
			kind, at := data[0], time.Unix(int64(binary.BigEndian.Uint64(data[1:length])), 0).UTC()
			data = data[length:]
			if y := at.Year(); y < 1 || y > 9999 {
				continue // no decoder lets it through
			}
			switch kind % 8 {
			case 0:
				e.Observe(perron.Event{Time: at, Sensor: "main-in", Kind: perron.In})
			case 1:
				e.Observe(perron.Event{Time: at, Sensor: "main-out", Kind: perron.Out})
			case 2:
				e.Observe(perron.Event{Time: at, Sensor: "queue-1", Kind: perron.On})
			case 3:
				e.Observe(perron.Event{Time: at, Sensor: "queue-1", Kind: perron.Off})
			case 4:
				e.Observe(perron.Event{Time: at, Sensor: "queue-2", Kind: perron.On})
			case 5:
				e.Observe(perron.Event{Time: at, Sensor: "queue-2", Kind: perron.Off})
			case 6:
				e.Recount(at, int(kind))
			case 7:
				wantNumbers(t, e.Estimate(at))
			}
		}
		wantNumbers(t, e.Estimate(saturday))
		belief := e.Belief()
		for _, v := range []float64{belief.Entries.Missed, belief.Exits.Missed} {
			if math.IsNaN(v) || v < 0 || v > 1 {
				t.Errorf("belief %+v", belief)
			}
		}
	})
}

func wantNumbers(t *testing.T, e perron.Estimate) {
	t.Helper()
	for name, i := range map[string]perron.Interval{"on site": e.OnSite, "queue": e.Queue, "wait": e.Wait} {
		for _, v := range []float64{i.Low, i.Mid, i.High} {
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Errorf("%s %+v at %v", name, i, e.At)
				return
			}
		}
	}
}
