package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A rival that tries every half minute is one spell, of which one line a minute
// tells; five minutes without it and it is gone.
func TestRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rival
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		if got := r.since(); !got.IsZero() {
			t.Errorf("without a rival: since %s", got)
		}
		began := time.Now().UTC()
		for range 8 {
			r.seen(time.Now(), log)
			time.Sleep(30 * time.Second)
		}
		if got := r.since(); !got.Equal(began) {
			t.Errorf("since %s, want %s", got, began)
		}
		if n := strings.Count(out.String(), "another device"); n < 3 || n > 4 {
			t.Errorf("%d lines in four minutes", n)
		}
		time.Sleep(6 * time.Minute)
		if got := r.since(); !got.IsZero() {
			t.Errorf("it has gone: since %s", got)
		}
	})
}
