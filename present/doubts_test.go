package present

import (
	"fmt"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A device that loses its outbox at every restart, and is restarted all day,
// must not make the state so long that it can no longer be sent.
func TestOutboxesThatAreGoneStayFew(t *testing.T) {
	s := New(Config{Site: caseSite(), NewEstimator: func() Estimator { return new(tallying) }, StaleAfter: 5 * time.Minute})
	start := time.Date(2026, 5, 9, 9, 0, 0, 0, perron.Amsterdam)
	if err := s.Load(start, func(func(perron.Record, error) bool) {}, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	lose := func(gateway string, n int, count uint64) {
		for i := range n {
			s.Lose(Loss{Gateway: gateway, Kind: perron.DoubtOutbox, Outbox: fmt.Sprint(i), At: start.Add(time.Duration(i) * time.Second), Count: count})
		}
	}
	lose("pi-1", 5000, 2)
	lose("pi-2", maxOutboxes, 0)
	told := make(map[string][]perron.Doubt)
	for _, d := range s.doubts(start.Add(2 * time.Hour)) {
		if d.Kind == perron.DoubtOutbox {
			told[d.Gateway] = append(told[d.Gateway], d)
		}
	}
	first := told["pi-1"]
	if len(first) != maxOutboxes || len(told["pi-2"]) != maxOutboxes {
		t.Fatalf("%d and %d outboxes are told of, want %d each", len(first), len(told["pi-2"]), maxOutboxes)
	}
	var count uint64
	for _, d := range first {
		count += d.Count
	}
	if count != 10_000 || !first[0].Since.Equal(start) || first[0].Count == 2 {
		t.Errorf("%d events are told of as gone, want 10000; the first is %+v", count, first[0])
	}
	if last := first[maxOutboxes-1]; last.Count != 2 || !last.Since.Equal(start.Add(4999*time.Second)) {
		t.Errorf("the last is %+v", last)
	}
}
