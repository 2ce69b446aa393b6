package storetest

import (
	"encoding/csv"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/recordings"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// recorded is how many lines of the recording are stored: of the first three
// days. The whole week goes through the built programs in test.
const recorded = 16_000

// testRecording stores real passages, unsorted and with a thousand of equal
// stamps, as the gateways of three gates, and compares counts by gate and day
// with the file.
func testRecording(t *testing.T, o Opener) {
	f, err := os.Open(recordings.Path(t, "data", "tollgate", "passages.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) <= recorded {
		t.Fatalf("the recording has %d lines", len(lines))
	}
	lines = lines[:recorded+1] // and the header
	gateways := map[string][]store.Entry{}
	want := map[perron.Count]bool{}
	days := map[string]*perron.Count{}
	for _, line := range lines[1:] {
		at, err := time.ParseInLocation(time.DateTime, line[0], perron.Amsterdam)
		if err != nil {
			t.Fatal(err)
		}
		gate, kind := "gate-"+line[1], perron.In
		if line[2] == "1" {
			kind = perron.Out
		}
		gateways[gate] = append(gateways[gate], entry(at, gate, kind))
		day := perron.DateOf(at).Start()
		key := gate + day.String()
		if days[key] == nil {
			days[key] = &perron.Count{Start: day, Gate: gate}
		}
		if kind == perron.In {
			days[key].In++
		} else {
			days[key].Out++
		}
	}
	for _, c := range days {
		want[*c] = true
	}
	s := open(t, o)
	started := time.Now()
	for gateway, entries := range gateways {
		next := uint64(1)
		for part := range slices.Chunk(entries, 1000) {
			b := batch(gateway, "e1", 1, next, part...)
			next += uint64(len(part))
			commit(t, s, b, store.Result{Acked: next - 1, Stored: len(part)})
		}
	}
	took := time.Since(started)
	t.Logf("%d events in %v, %.0f a second", len(lines)-1, took.Round(time.Millisecond), float64(len(lines)-1)/took.Seconds())

	from := time.Date(2016, 10, 1, 0, 0, 0, 0, time.UTC)
	got := counts(t, s, store.CountQuery{Site: site, From: from, To: from.AddDate(0, 1, 0), Step: perron.Day, ByGate: true})
	for _, c := range got {
		if !want[c] {
			t.Errorf("counted %+v, the file says otherwise", c)
		}
		delete(want, c)
	}
	for c := range want {
		t.Errorf("not counted: %+v", c)
	}
	if n := len(events(t, s, site, long, farAhead)); n != len(lines)-1 {
		t.Errorf("%d events, the file has %d", n, len(lines)-1)
	}
}
