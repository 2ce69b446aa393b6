package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// testReadings keeps the newest reading of each device, to the byte, over a
// restart, and none that it cannot give back.
func testReadings(t *testing.T, o Opener) {
	s := o(t)
	ctx := t.Context()
	if r, err := s.Reading(ctx, "poort", "esp-1"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("before the first: %+v, %v", r, err)
	}
	data := map[string]string{
		"poort/esp-1":  `{"v":1,"raw":1.5e+09,"text":"a \"quoted\" \\ back, = slash ${x} | 木"}`,
		"poort/esp-2":  strings.Repeat("0123456789abcdef", store.MaxReading/16),
		"buiten/esp-1": "other site",
	}
	for name, d := range data {
		site, gateway, _ := strings.Cut(name, "/")
		for _, d := range []string{"older", d, d} {
			if err := s.SaveReading(ctx, store.Reading{Site: site, Gateway: gateway, Data: d}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, wrong := range []store.Reading{
		{Site: "poort", Gateway: "esp-1"},
		{Site: "poort", Gateway: "esp-1", Data: "two\nlines"},
		{Site: "poort", Gateway: "esp-1", Data: strings.Repeat("x", store.MaxReading+1)},
		{Site: "Poort", Gateway: "esp-1", Data: "x"},
		{Site: "poort", Gateway: "", Data: "x"},
	} {
		if err := s.SaveReading(ctx, wrong); err == nil {
			t.Errorf("a reading of %q/%q with %d bytes is kept", wrong.Site, wrong.Gateway, len(wrong.Data))
		}
	}
	// Other things of the same device change nothing.
	commit(t, s, batch("esp-1", "e1", 1, 1, entry(base, "main", perron.In)), store.Result{Acked: 1, Stored: 1})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.SaveReading(ended, store.Reading{Site: "poort", Gateway: "esp-1", Data: "too late"}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	for range 2 {
		for name, want := range data {
			site, gateway, _ := strings.Cut(name, "/")
			got, err := s.Reading(ctx, site, gateway)
			if err != nil || got != (store.Reading{Site: site, Gateway: gateway, Data: want}) {
				t.Errorf("%s: %.80q (%d bytes), %v; want %.80q", name, got.Data, len(got.Data), err, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = o(t)
	}
	if got := len(events(t, s, "poort", base, base.Add(time.Hour))); got != 1 {
		t.Errorf("%d events beside the readings, want 1", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
