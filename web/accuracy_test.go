package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// TestPlannerShowsForecastsBesideWhatCame looks at the planner's page of one
// site as a browser without scripts gets it.
func TestPlannerShowsForecastsBesideWhatCame(t *testing.T) {
	h := newHandler(t, scenarios()[0], &fakeAuth{})
	page := func(query string) string {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/en/planner?"+query, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", query, w.Code)
		}
		return w.Body.String()
	}
	has := func(body string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
	}
	has(page("site=poort&day=2026-05-02&ahead=360"), "Was the forecast right?", "off by 2.4, of 9.3 on average", "8.1 of 10", "2 to 8 days", "one in 72 of 5,400 cases",
		`aria-current="true">6 hours before`, "Waiting time in minutes, forecast 6 hours before", "How long do people wait?", "Vehicles on the site", "Estimated afterwards")
	// Without a score, and on a day without opening.
	has(page("site=haven&day=2026-05-03"), "no forecasts yet whose outcome is known", "was not open that day")
	// Waits and forecasts of different sites do not add up.
	all := page("day=2026-05-02")
	has(all, "Choose a station")
	if strings.Contains(all, "Was the forecast right?") {
		t.Error("the forecasts of all sites are shown as one")
	}
}

func TestCompareTakesTheForecastOfThatLead(t *testing.T) {
	s := scenarios()[0]
	site, day := s.site("poort"), date("2026-05-02")
	made := func(at string, mid float64) perron.Forecast {
		f := perron.Forecast{Site: "poort", Origin: civil(at)}
		for q := perron.Quarter.Start(f.Origin); q.Before(day.End()); q = q.Add(15 * time.Minute) {
			f.Quarters = append(f.Quarters, perron.Slot{Start: q, Minutes: 15, Open: site.Hours.Open(q), Basis: perron.Expected, Arrivals: perron.Exactly(mid)})
		}
		return f
	}
	var d accuracyDay
	d.compare(in(t, "en"), site, day, time.Hour, []perron.Forecast{
		made("2026-05-01 12:00", 1), // too old for the morning
		made("2026-05-02 09:00", 7), made("2026-05-02 10:00", 9),
	}, []perron.Count{{Start: civil("2026-05-02 10:00"), In: 8}}, nil)
	got := map[string]string{}
	for _, r := range d.Rows {
		got[r.Time] = r.Arrivals
		if r.Came != "?" {
			t.Errorf("%s: %s came, though nobody measured", r.Time, r.Came)
		}
	}
	if _, ok := got["9:45"]; ok {
		t.Errorf("9:45 has a forecast that is 22 hours old: %q", got["9:45"])
	}
	if got["10:00"] != "7 (7–7)" || got["10:45"] != "7 (7–7)" || got["11:00"] != "9 (9–9)" {
		t.Errorf("an hour before: %v", got)
	}
	// A day on which nobody waits looks like one.
	if g := d.Charts[1].Grid; g[len(g)-1].Label != "15" {
		t.Errorf("the scale of the waits: %+v", g)
	}
}

func TestWaitsByHour(t *testing.T) {
	s := scenarios()[0]
	var samples []perron.Sample
	add := func(at string, n int, wait func(i int) float64, atLeast bool) {
		for i := range n {
			var v perron.Sample
			v.At, v.Wait, v.AtLeast, v.Level = civil(at).Add(time.Duration(i)*time.Minute), perron.Exactly(wait(i)), atLeast, perron.Busy
			samples = append(samples, v)
		}
	}
	add("2026-05-02 10:00", 60, func(i int) float64 { return float64(i) }, false) // Saturday
	add("2026-05-02 11:00", 60, func(int) float64 { return 50 }, true)
	add("2026-05-01 10:00", 48, func(int) float64 { return 3 }, false) // Friday: a queue beyond the sensors in one minute of five
	add("2026-05-01 10:48", 12, func(int) float64 { return 23 }, true)
	add("2026-05-04 10:00", 3, func(int) float64 { return 20 }, false) // too few
	v := viewWaits(in(t, "en"), s.site("poort"), period{date("2026-05-01"), date("2026-05-07")}, samples)
	if len(v.Rows) != 2 {
		t.Fatalf("%d hours", len(v.Rows))
	}
	if c := v.Rows[0].Cells[5]; c.Text != "30" || c.Small != "53" || c.Class != "h7" {
		t.Errorf("Saturday at ten: %+v", c)
	}
	if c := v.Rows[1].Cells[5]; c.Text != "50+" || c.Small != "" || c.Title != "Saturday 11:00–12:00: half of the time 50 min or longer, one time in ten 50 min or longer" {
		t.Errorf("Saturday at eleven: %+v", c)
	}
	if c := v.Rows[0].Cells[4]; c.Text != "< 5" || c.Small != "23+" || c.Title != "Friday 10:00–11:00: half of the time less than 5 min, one time in ten 23 min or longer" {
		t.Errorf("Friday at ten: %+v", c)
	}
	if c := v.Rows[0].Cells[0]; c.Text != "–" {
		t.Errorf("Monday at ten: %+v", c)
	}
	if v := viewWaits(in(t, "en"), s.site("poort"), period{}, nil); !v.None {
		t.Error("waits out of nothing")
	}
}

// TestStaffSeeWhatNumbersRestOn: the belief with its reason, a drifting counter
// in a sentence, and no row for the direction in which a gate has no traffic.
func TestStaffSeeWhatNumbersRestOn(t *testing.T) {
	s := scenarios()[0]
	w, b := in(t, "en"), s.Busyness("poort")
	v := viewBelief(w, &b, s.now)
	if v == nil || !strings.Contains(v.Why, "12 closed days") || len(v.Rows) != 4 || !strings.Contains(v.Lines[1], "miss 18 of 100 vehicles that leave now. Usually: 4") {
		t.Errorf("%+v", v)
	}
	if got := w.Doubts(s.site("poort"), &b, s.now); len(got) != 1 || !strings.Contains(got[0], "since 10:35") || !strings.Contains(got[0], "about 18 of 100") {
		t.Errorf("doubts: %q", got)
	}
	guess := s.Busyness("buiten")
	if v := viewBelief(w, &guess, s.now); v == nil || !strings.Contains(v.Why, "starting guess") {
		t.Errorf("%+v", v)
	}
	guess.Level = perron.Closed
	if v := viewBelief(w, &guess, s.now); len(v.Rows) != 3 {
		t.Errorf("closed: %+v", v.Rows)
	}
	// Without a measurement the numbers are not shown, what was learned is.
	if v := viewBelief(w, &guess, s.now.Add(time.Hour)); len(v.Rows) != 1 {
		t.Errorf("an hour later: %+v", v.Rows)
	}
	gate := perron.Gate{ID: "in", Name: "Entrance"}
	for _, c := range []struct {
		count perron.GateCount
		want  string
	}{
		{perron.GateCount{Gate: "in", InToday: 7, InHour: 2}, "in 7 2;"},
		{perron.GateCount{Gate: "in", OutToday: 5}, "out 5 0;"},
		{perron.GateCount{Gate: "in", InToday: 7, OutToday: 5, OutHour: 1}, "in 7 0;out 5 1;"},
		{perron.GateCount{Gate: "in"}, "in 0 0;out 0 0;"},
		{perron.GateCount{Gate: "other", InToday: 7}, "in – –;out – –;"},
	} {
		got := ""
		for _, r := range viewGate(w, gate, []perron.GateCount{c.count}) {
			got += r.Direction + " " + r.Today + " " + r.Hour + ";"
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.count, got, c.want)
		}
	}
}
