package demo

import (
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
)

func TestBegin(t *testing.T) {
	sites := config.Almere().PerronSites()
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const (
		openNow = "2026-11-24T10:00:00Z" // a Tuesday
		night   = "2026-11-24T02:00:00Z"
		// The Monday after Easter: the Saturday before is no holiday, and its
		// clock is that of summer.
		easter = "2026-04-06T20:00:00Z"
	)
	for _, c := range []struct {
		name, text, now string
		speed           float64
		want            string
	}{
		{"open: now", "auto", openNow, 1, openNow},
		{"closed: the last Saturday at its busiest", "auto", night, 1, "2026-11-21T11:15:00Z"},
		{"at a speed: before the last Saturday opens", "auto", openNow, 60, "2026-11-21T07:15:00Z"},
		{"in summer time", "auto", easter, 60, "2026-04-04T06:15:00Z"},
		{"now is now at any speed", "now", night, 60, night},
		{"a local time", "2026-06-13T10:30", night, 60, "2026-06-13T08:30:00Z"},
	} {
		got, err := Begin(c.text, c.speed, utc(c.now), sites)
		if err != nil || !got.Equal(utc(c.want)) {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
	if _, err := Begin("tomorrow", 1, utc(openNow), sites); err == nil {
		t.Error("a start that is no time is taken")
	}
}

func TestClockRunsAtItsSpeed(t *testing.T) {
	begin := time.Date(2026, 6, 13, 8, 0, 0, 0, time.UTC)
	var elapsed time.Duration
	now := Clock(begin, 60, func() time.Duration { return elapsed })
	if got := now(); !got.Equal(begin) {
		t.Errorf("it begins at %s", got)
	}
	elapsed = 90 * time.Second
	if got, want := now(), begin.Add(90*time.Minute); !got.Equal(want) {
		t.Errorf("after 90 s at 60 times the speed: %s, want %s", got, want)
	}
}
