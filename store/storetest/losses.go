package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// testSavedLosses keeps one loss for each cause, whichever was saved last, over
// a restart and beside those that batches show; one that was withdrawn is not
// listed, and can come back.
func testSavedLosses(t *testing.T, o Opener) {
	s := o(t)
	ctx := t.Context()
	gone := func(gateway, epoch string, at time.Duration, n uint64) store.Loss {
		return store.Loss{Site: "poort", Gateway: gateway, Kind: perron.DoubtOutbox, Reason: epoch, At: base.Add(at), Count: n}
	}
	save := func(l store.Loss) {
		t.Helper()
		if err := s.SaveLoss(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	save(gone("gate-1", "e1", 0, 30))
	save(gone("gate-1", "e1", time.Second, 12)) // less than was thought
	save(gone("gate-1", "e2", 2*time.Second, 0))
	save(gone("gate-2", "e1", 3*time.Second, 5))
	withdrawn := gone("gate-1", "e3", 4*time.Second, 7)
	save(withdrawn)
	withdrawn.Withdrawn = true
	save(withdrawn)
	back := gone("gate-1", "e4", 5*time.Second, 8)
	back.Withdrawn = true
	save(back)
	back.Withdrawn = false
	save(back)
	other := gone("gate-1", "e1", 0, 1)
	other.Site = "buiten"
	save(other)
	lost := batch("gate-1", "e1", 4, 4, entry(base, "main", perron.In))
	lost.Received = base.Add(6 * time.Second)
	commit(t, s, lost, store.Result{Acked: 4, Stored: 1, Lost: 3})

	for _, wrong := range []store.Loss{
		{Site: "Poort", Gateway: "gate-1", Kind: perron.DoubtOutbox, Reason: "e", At: base},
		{Site: "poort", Gateway: "", Kind: perron.DoubtOutbox, Reason: "e", At: base},
		{Site: "poort", Gateway: "gate-1", Kind: perron.DoubtLost, Reason: "e", At: base},
		{Site: "poort", Gateway: "gate-1", Kind: perron.DoubtOutbox, At: base},
		{Site: "poort", Gateway: "gate-1", Kind: perron.DoubtOutbox, Reason: "e"},
	} {
		if err := s.SaveLoss(ctx, wrong); err == nil {
			t.Errorf("%+v is kept", wrong)
		}
	}
	want := []store.Loss{
		gone("gate-1", "e1", time.Second, 12), gone("gate-1", "e2", 2*time.Second, 0), gone("gate-2", "e1", 3*time.Second, 5), back,
		{Site: "poort", Gateway: "gate-1", Kind: perron.DoubtLost, At: lost.Received, Count: 3},
	}
	for range 2 {
		got, err := s.Losses(ctx, "poort", base, base.Add(time.Minute))
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("losses (-want +got), %v:\n%s", err, d)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = o(t)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
