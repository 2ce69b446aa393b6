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
	has(page("site=poort&day=2026-05-02&ahead=360"), "Was the forecast right?", "2.4 of 9.3", "8.1 of 10", "2 to 8 days",
		`aria-current="true">6 hours before`, "Waiting time in minutes, forecast 6 hours before", "How long do people wait?")
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
	langs, err := loadLanguages()
	if err != nil {
		t.Fatal(err)
	}
	made := func(at string, mid float64) perron.Forecast {
		f := perron.Forecast{Site: "poort", Origin: civil(at)}
		for q := perron.Quarter.Start(f.Origin); q.Before(day.End()); q = q.Add(15 * time.Minute) {
			f.Quarters = append(f.Quarters, perron.Slot{Start: q, Minutes: 15, Open: site.Hours.Open(q), Basis: perron.Expected, Arrivals: perron.Exactly(mid)})
		}
		return f
	}
	var d accuracyDay
	d.compare(langs.words["en"], site, day, time.Hour, []perron.Forecast{
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
}

func TestWaitsByHour(t *testing.T) {
	s := scenarios()[0]
	langs, err := loadLanguages()
	if err != nil {
		t.Fatal(err)
	}
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
	add("2026-05-04 10:00", 3, func(int) float64 { return 20 }, false) // too few
	v := viewWaits(langs.words["en"], s.site("poort"), period{date("2026-05-01"), date("2026-05-07")}, samples)
	if len(v.Rows) != 2 {
		t.Fatalf("%d hours", len(v.Rows))
	}
	if c := v.Rows[0].Cells[5]; c.Text != "30" || c.Small != "53" || c.Class != "h7" {
		t.Errorf("Saturday at ten: %+v", c)
	}
	if c := v.Rows[1].Cells[5]; c.Text != "50" || c.Small != "50+" || !strings.Contains(c.Title, "longer than the sensors see") {
		t.Errorf("Saturday at eleven: %+v", c)
	}
	if c := v.Rows[0].Cells[0]; c.Text != "–" {
		t.Errorf("Monday at ten: %+v", c)
	}
	if v := viewWaits(langs.words["en"], s.site("poort"), period{}, nil); !v.None {
		t.Error("waits out of nothing")
	}
}
