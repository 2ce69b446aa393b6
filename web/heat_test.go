package web

import (
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// every makes counts of n vehicles for each hour of the days from up to to.
func every(from, to string, n int) []perron.Count {
	var out []perron.Count
	for t := date(from).Start(); t.Before(date(to).End()); t = t.Add(time.Hour) {
		out = append(out, perron.Count{Start: t, In: n})
	}
	return out
}

func TestHeatmapAverages(t *testing.T) {
	counts := []perron.Count{
		{Start: civil("2026-05-02 11:00"), In: 10}, // Saturday
		{Start: civil("2026-05-09 11:00"), In: 30},
		{Start: civil("2026-05-09 12:00"), In: 8},
		{Start: civil("2026-05-04 09:00"), Out: 5}, // only out: a measured day all the same
	}
	h := newHeatmap(counts)
	if got := h.Mean[5][11]; got != 20 {
		t.Errorf("Saturday at 11: %v, want 20", got)
	}
	if got := h.Mean[5][12]; got != 4 {
		t.Errorf("Saturday at 12: %v, want 4: the first Saturday had none", got)
	}
	if got := h.Mean[0][9]; got != 0 {
		t.Errorf("Monday at 9: %v, want 0", got)
	}
	if !math.IsNaN(h.Mean[6][11]) {
		t.Errorf("Sunday was never measured but has %v", h.Mean[6][11])
	}
	if h.First != 11 || h.Last != 12 || h.Max != 20 || h.MaxDay != 5 || h.MaxHour != 11 {
		t.Errorf("heatmap %+v", h)
	}
	if h.step(20) != heatSteps || h.step(0) != 0 || h.step(math.NaN()) != 0 || h.step(0.1) != 1 {
		t.Error("steps are wrong")
	}
	if empty := newHeatmap(nil); empty.Last >= empty.First {
		t.Errorf("an empty heatmap has hours %d to %d", empty.First, empty.Last)
	}
}

// A steady flow is steady on both clock changes too: the hour that comes twice
// is not twice as busy, and the one that is skipped is not missed.
func TestHeatmapOnClockChanges(t *testing.T) {
	for _, day := range []string{"2026-03-29", "2026-10-25"} {
		h := newHeatmap(every(day, day, 6))
		for hour := range 24 {
			got := h.Mean[6][hour]
			if day == "2026-03-29" && hour == 2 {
				if !math.IsNaN(got) {
					t.Errorf("%s: the hour that does not exist has %v", day, got)
				}
				continue
			}
			if got != 6 {
				t.Errorf("%s at %d: %v, want 6", day, hour, got)
			}
		}
	}
	total := dayTotals(every("2026-10-24", "2026-10-25", 6))
	if len(total) != 2 || total[0].Date != date("2026-10-25") || total[0].In != 150 || total[1].In != 144 {
		t.Errorf("day totals %+v", total)
	}
}

func TestDayTotalsAddSites(t *testing.T) {
	at := civil("2026-05-09 11:00")
	total := dayTotals([]perron.Count{{Start: at, In: 5}, {Start: at.Add(time.Hour), In: 6}, {Start: at, In: 4}})
	if len(total) != 1 || total[0].In != 15 || total[0].PeakIn != 9 || !total[0].Hour.Equal(at) {
		t.Errorf("totals of two sites: %+v", total)
	}
}

func TestChoosePeriod(t *testing.T) {
	last := date("2026-05-09")
	for _, c := range []struct{ from, to, wantFrom, wantTo, complaint string }{
		{"", "", "2026-03-15", "2026-05-09", ""},
		{"2026-03-29", "2026-03-29", "2026-03-29", "2026-03-29", ""},
		{"2026-05-01", "2026-04-01", "2026-03-15", "2026-05-09", "planner.badrange"},
		{"gisteren", "2026-04-01", "2026-03-15", "2026-05-09", "planner.badrange"},
		{"2020-01-01", "2026-05-09", "2025-04-05", "2026-05-09", "planner.toolong"},
	} {
		p, complaint := choosePeriod(c.from, c.to, last)
		if p.From.String() != c.wantFrom || p.To.String() != c.wantTo || complaint != c.complaint {
			t.Errorf("choosePeriod(%q, %q) = %v %q", c.from, c.to, p, complaint)
		}
		if c.complaint == "planner.toolong" && p.days() != plannerMaxDays {
			t.Errorf("%d days, want %d", p.days(), plannerMaxDays)
		}
	}
}

// A mean of one is "1 vehicle", and one that rounds to nothing is not "0".
func TestMeansAreSaidInTheirNumber(t *testing.T) {
	en := in(t, "en")
	for _, c := range []struct {
		mean float64
		text string
		want string
	}{
		{0.2, "< 1", "Monday 9:00–10:00: less than one vehicle on average"},
		{1.2, "1", "Monday 9:00–10:00: 1 vehicle on average"},
		{1200, "1,200", "Monday 9:00–10:00: 1,200 vehicles on average"},
	} {
		var h heatmap
		h.Mean[0][9], h.Max = c.mean, c.mean
		if got := viewCell(en, &h, 0, 9); got.Text != c.text || got.Title != c.want {
			t.Errorf("%v: %q, %q", c.mean, got.Text, got.Title)
		}
	}
	if got := onAverage(en, 0.2, "planner.peak", "planner.peakfew", "Day", "Monday", "From", "9:00", "To", "10:00"); got != "The busiest hour is Monday 9:00–10:00, with less than one vehicle on average." {
		t.Errorf("a peak of 0.2 is %q", got)
	}
}
