package rarely

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLineAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(time.Minute)
		allow := func(key string, want uint64) {
			t.Helper()
			if n, ok := l.Allow(key); n != want || ok != (want > 0) {
				t.Errorf("%s: %d %v, want %d", key, n, ok, want)
			}
		}
		allow("a", 1)
		allow("a", 0)
		allow("b", 1) // of its own
		time.Sleep(time.Minute - time.Nanosecond)
		allow("a", 0)
		time.Sleep(time.Nanosecond)
		allow("a", 3)
		allow("a", 0)
		time.Sleep(time.Hour)
		allow("b", 1)
	})
}

// Names that a stranger makes up fill neither the log nor the memory.
func TestKeysAreBounded(t *testing.T) {
	l := New(time.Hour)
	lines := 0
	for i := range 10 * mostKeys {
		if _, ok := l.Allow(strconv.Itoa(i)); ok {
			lines++
		}
	}
	if lines != mostKeys+1 || len(l.last) != mostKeys+1 || len(l.count) != mostKeys+1 {
		t.Errorf("%d lines, %d keys remembered, want %d", lines, len(l.last), mostKeys+1)
	}
}
