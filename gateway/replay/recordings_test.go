package replay

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/internal/recordings"
	"github.com/perrondrukte/perrondrukte/perron"
)

// recording is the path of a real recording.
func recording(t testing.TB, name string) string {
	t.Helper()
	return recordings.Path(t, "data", name)
}

func tollgates(path string) Config {
	key := &Key{Columns: []string{"tollgate_id", "direction"}, Map: map[string]Meaning{}}
	for gate := 1; gate <= 3; gate++ {
		key.Map[fmt.Sprintf("%d/0", gate)] = Meaning{fmt.Sprintf("gate-%d-in", gate), perron.In}
		key.Map[fmt.Sprintf("%d/1", gate)] = Meaning{fmt.Sprintf("gate-%d-out", gate), perron.Out}
	}
	return Config{File: path, Refuse: true, Key: key, Time: Time{Column: "time", Layout: time.DateTime, Zone: perron.Amsterdam}}
}

// The totals are those that the recording's description states.
func TestTollgates(t *testing.T) {
	cfg := tollgates(recording(t, "tollgate/passages.csv"))
	var m memory
	began := time.Now()
	if err := source(t, cfg).Run(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events, checked and read in %v", len(m.events), time.Since(began).Round(time.Millisecond))
	got := map[string]int{}
	for _, e := range m.events {
		got[e.Sensor]++
	}
	want := map[string]int{"gate-1-in": 13543, "gate-1-out": 30972, "gate-2-in": 21226, "gate-3-in": 34062, "gate-3-out": 29020}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("totals (-want +got)\n%s", d)
	}
	if n := 128_823; len(m.events) != n {
		t.Errorf("%d events, want %d", len(m.events), n)
	}
}

func TestCalIt2(t *testing.T) {
	cfg := Config{
		File: recording(t, "calit2/inout_30min.csv"), Refuse: true,
		Time:   Time{Column: "t", Layout: time.DateTime, Zone: perron.Amsterdam},
		Counts: &Counts{In: &Count{"in", "main-in"}, Out: &Count{"out", "main-out"}, Over: 30 * time.Minute},
	}
	var m memory
	if err := source(t, cfg).Run(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	got := map[perron.Kind]int{}
	for _, e := range m.events {
		got[e.Kind]++
	}
	if d := cmp.Diff(map[perron.Kind]int{perron.In: 19597, perron.Out: 18837}, got); d != "" {
		t.Errorf("totals (-want +got)\n%s", d)
	}
}

// A traffic controller's log: real detectors, told apart by channel; what is not
// a detector's is left out.
func TestController(t *testing.T) {
	cfg := Config{
		File:   recording(t, "atspm/events.csv"),
		Refuse: true,
		Time:   Time{Column: "TimeStamp", Layout: time.RFC3339},
		Key: &Key{Columns: []string{"EventId", "Parameter"}, Map: map[string]Meaning{
			"82/25": {"loop-25", perron.On}, "81/25": {"loop-25", perron.Off},
		}},
	}
	var m memory
	if err := source(t, cfg).Run(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	got := map[perron.Kind]int{}
	for _, e := range m.events {
		got[e.Kind]++
	}
	// As grep counts them: this loop is often on without going off.
	if d := cmp.Diff(map[perron.Kind]int{perron.On: 340, perron.Off: 298}, got); d != "" {
		t.Errorf("totals (-want +got)\n%s", d)
	}
}

func BenchmarkTollgates(b *testing.B) {
	cfg := tollgates(recording(b, "tollgate/passages.csv"))
	n := 0
	for b.Loop() {
		var m memory
		if err := source(b, cfg).Run(b.Context(), &m); err != nil {
			b.Fatal(err)
		}
		n += len(m.events)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
