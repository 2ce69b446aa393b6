package intake

import (
	"testing"
	"time"
)

// A gateway that is started again and again is one device. Two that take turns
// are noticed when the second return is heard.
func TestRuns(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 2, 9, minute, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		started []int // minutes, heard one a minute
		want    int   // index of the first that is noticed, or -1
	}{
		"restarts":               {[]int{1, 2, 3, 4, 5, 6, 7, 8}, -1},
		"statuses of one run":    {[]int{1, 1, 1, 1}, -1},
		"a late status":          {[]int{1, 2, 1, 3, 4}, -1},
		"two devices":            {[]int{1, 2, 1, 2}, 3},
		"two and a restart":      {[]int{1, 2, 1, 3, 1}, 4},
		"clock set after start":  {[]int{0, 55, 55, 55}, -1},
		"the second return late": {[]int{1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, -1},
	} {
		var r runs
		got := -1
		for i, m := range c.started {
			if r.returned(at(m), at(i)) && got < 0 {
				got = i
			}
		}
		if got != c.want {
			t.Errorf("%s: noticed at %d, want %d", name, got, c.want)
		}
	}
}
