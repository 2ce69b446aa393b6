package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func TestSites(t *testing.T) {
	r := newRig(t, nil)
	doc := document(t)
	r.link.busyness(t, busy(noon))
	eventually(t, "the state arrives", func() bool { return strings.Contains(r.get("/api/v1/sites").body, `"busy"`) })

	all := r.get("/api/v1/sites")
	check(t, doc, "GET", "/api/v1/sites", all)
	var list openapi.SiteList
	all.into(t, &list)
	age, visits := int64(30), 120
	want := openapi.State{
		Id: "poort", Level: perron.Busy, Band: &perron.Band{Min: 10, Max: 15}, Quality: perron.Measured,
		// The numbers of the public are whole.
		OnSite: &perron.Interval{Low: 17, Mid: 20, High: 22}, Queue: &perron.Interval{Low: 3, Mid: 4, High: 6},
		Wait: &perron.Interval{Low: 8, Mid: 12, High: 16}, Trend: perron.Falling, TypicalLevel: perron.Moderate, Visits: &visits,
		MeasuredAt: instant(noon.Add(-30 * time.Second)), AgeSeconds: &age, StaleAt: instant(noon.Add(270 * time.Second)),
		ClosesAt: instant(time.Date(2026, 5, 13, 15, 0, 0, 0, time.UTC)),
	}
	if diff := cmp.Diff(want, list.Sites[0].State); diff != "" {
		t.Error(diff)
	}
	// Nothing was ever heard of haven: that is unknown, and no number is shown.
	want = openapi.State{
		Id: "haven", Level: perron.Unknown, Quality: perron.QualityUnknown, TypicalLevel: perron.Unknown, ClosesAt: want.ClosesAt,
	}
	if diff := cmp.Diff(want, list.Sites[1].State); diff != "" {
		t.Error(diff)
	}

	one := r.get("/api/v1/sites/poort")
	check(t, doc, "GET", "/api/v1/sites/{id}", one)
	var detail openapi.SiteDetail
	one.into(t, &detail)
	if len(detail.Opening) != 14 || detail.Opening[0].Date != "2026-05-13" || len(detail.Opening[0].Periods) != 1 {
		t.Errorf("opening %+v", detail.Opening)
	}
	if day := detail.Opening[1]; day.Holiday == nil || *day.Holiday != "ascension" || len(day.Periods) != 0 {
		t.Errorf("Ascension is %+v", day)
	}
	if strings.Contains(one.body, "gateways") || strings.Contains(one.body, "inToday") {
		t.Error("what is for staff is in the public answer")
	}

	// Five minutes later nothing is known but what is usual.
	r.clock.advance(5 * time.Minute)
	var later openapi.SiteDetail
	r.get("/api/v1/sites/poort").into(t, &later)
	if s := later.State; s.Level != perron.Unknown || s.Quality != perron.Typical || s.OnSite != nil || s.Wait != nil || s.Band != nil || *s.AgeSeconds != 330 {
		t.Errorf("stale state %+v", s)
	}
	// After closing it is closed, and the old number on site is not shown.
	r.clock.advance(6 * time.Hour)
	r.get("/api/v1/sites/poort").into(t, &later)
	if s := later.State; s.Level != perron.Closed || s.OnSite != nil || s.Quality != perron.QualityUnknown || s.OpensAt == nil || !s.OpensAt.Equal(time.Date(2026, 5, 15, 6, 30, 0, 0, time.UTC)) {
		t.Errorf("closed state %+v", s)
	}
}

func TestConditionalAnswers(t *testing.T) {
	r := newRig(t, nil)
	r.link.busyness(t, busy(noon))
	eventually(t, "the state arrives", func() bool { return strings.Contains(r.get("/api/v1/sites").body, `"busy"`) })
	first := r.get("/api/v1/sites")
	tag := first.header.Get("ETag")
	if tag == "" || first.header.Get("Cache-Control") != "public, max-age=5" {
		t.Fatalf("headers %v", first.header)
	}
	r.clock.advance(10 * time.Second) // only ages move on
	if again := r.get("/api/v1/sites", "If-None-Match", `"x", `+tag); again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("the same state is answered %d %q", again.status, again.body)
	}
	r.clock.advance(30 * time.Second) // by now the old age would mislead
	if again := r.get("/api/v1/sites", "If-None-Match", tag); again.status != http.StatusOK {
		t.Errorf("an age that is half a minute off is answered %d", again.status)
	}
	r.clock.advance(10 * time.Minute)
	if again := r.get("/api/v1/sites", "If-None-Match", tag); again.status != http.StatusOK {
		t.Errorf("another state is answered %d", again.status)
	}
	doc := r.get("/api/openapi.json")
	if doc.body != string(openapi.Document) {
		t.Error("the document is not served as it is")
	}
	zipped := r.get("/api/openapi.json", "Accept-Encoding", "br, gzip")
	if zipped.header.Get("Content-Encoding") != "gzip" || len(zipped.body) > len(doc.body)/3 {
		t.Errorf("%d of %d bytes, %v", len(zipped.body), len(doc.body), zipped.header)
	}
}

func TestProblems(t *testing.T) {
	r := newRig(t, nil)
	doc := document(t)
	long := strings.Repeat("z", 300)
	for _, c := range []struct {
		path, pattern    string
		status           int
		parameter, value string
		says             string
	}{
		{"/api/v1/sites/nowhere", "/api/v1/sites/{id}", 404, "id", "nowhere", `no site "nowhere"`},
		{"/api/v1/sites/nowhere/forecast", "/api/v1/sites/{id}/forecast", 404, "id", "nowhere", ""},
		{"/api/v1/sites/nowhere/counts", "/api/v1/sites/{id}/counts", 404, "id", "nowhere", ""},
		{"/api/v1/sites/nowhere/profile", "/api/v1/sites/{id}/profile", 404, "id", "nowhere", ""},
		{"/api/v1/sites/" + long, "/api/v1/sites/{id}", 404, "id", long[:100] + "…", ""},
		{"/api/v1/sites/poort/forecast", "/api/v1/sites/{id}/forecast", 404, "", "", "no forecast of poort yet"},
		{"/api/v1/sites/poort/counts?interval=2h", "/api/v1/sites/{id}/counts", 400, "interval", "2h", "15m, 1h, 1d, 1w"},
		{"/api/v1/sites/poort/counts?from=yesterday", "/api/v1/sites/{id}/counts", 400, "from", "yesterday", "2026-05-01"},
		{"/api/v1/sites/poort/counts?to=9999-01-01", "/api/v1/sites/{id}/counts", 400, "to", "9999-01-01", "2100"},
		{"/api/v1/sites/poort/counts?from=2026-05-02&to=2026-05-01", "/api/v1/sites/{id}/counts", 400, "from", "2026-05-02", "not before to"},
		{"/api/v1/sites/poort/counts?gate=back", "/api/v1/sites/{id}/counts", 400, "gate", "back", `no gate "back"`},
		{"/api/v1/sites/poort/counts?format=xml", "/api/v1/sites/{id}/counts", 400, "format", "xml", "json or csv"},
		{"/api/v1/sites/poort/counts?from=2024-01-01&interval=15m", "/api/v1/sites/{id}/counts", 400, "from", "2024-01-01", "40000"},
		{"/api/v1/sites/poort/profile?weeks=many", "/api/v1/sites/{id}/profile", 400, "weeks", "many", ""},
		{"/api/v1/sites/poort/profile?weeks=54", "/api/v1/sites/{id}/profile", 400, "weeks", "54", "between 1 and 53"},
		{"/api/v1/live?site=nowhere", "/api/v1/live", 404, "site", "nowhere", ""},
		{"/api/v1/live?since=-1", "/api/v1/live", 400, "since", "-1", ""},
		{"/api/v1/live?detail=all", "/api/v1/live", 400, "detail", "all", ""},
		{"/api/v1/live?detail=staff", "/api/v1/live", 401, "", "", ""},
		{"/api/v1/live", "/api/v1/live", 426, "", "", "Upgrade"},
		{"/api/v1/sites/poort/actions", "/api/v1/sites/{id}/actions", 401, "", "", ""},
	} {
		t.Run(c.path[:min(len(c.path), 60)], func(t *testing.T) {
			got := r.get(c.path)
			if got.status != c.status {
				t.Fatalf("status %d, want %d: %s", got.status, c.status, got.body)
			}
			check(t, doc, "GET", c.pattern, got)
			if ct := got.header.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("content type %s", ct)
			}
			var p openapi.Problem
			got.into(t, &p)
			if p.Status != c.status || p.Title != http.StatusText(c.status) || p.Parameter != c.parameter || p.Value != c.value || !strings.Contains(p.Detail, c.says) {
				t.Errorf("problem %+v", p)
			}
		})
	}
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/api/v2/sites", 404, ""},
		{"POST", "/api/v1/sites", 405, "GET, HEAD, OPTIONS"},
		{"DELETE", "/api/v1/sites/poort/actions", 405, "GET, POST, HEAD, OPTIONS"},
	} {
		got := r.do(c.method, c.path, "")
		if got.status != c.status || got.header.Get("Allow") != c.allow || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %v", c.method, c.path, got.status, got.header)
		}
	}
	if got := r.get("/api/v1/sites/poort/counts", "Accept", "application/xml"); got.status != 406 {
		t.Errorf("XML is answered %d", got.status)
	}
}

func TestInternalsStayInside(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Ready = func(context.Context) error { return errors.New("secret of the house") }
	})
	r.store.fail(errors.New("secret of the house"))
	for path, status := range map[string]int{"/api/v1/sites/poort/counts": 500, "/readyz": 503, "/panic": 500} {
		got := r.get(path)
		if got.status != status || strings.Contains(got.body, "secret") || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	r.store.fail(fmt.Errorf("dial: %w", store.ErrUnavailable))
	if got := r.get("/api/v1/sites/poort/profile"); got.status != 503 || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "dial") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestCounts(t *testing.T) {
	r := newRig(t, nil)
	doc := document(t)
	// Around the end of summer time two hours have the same name on the clock.
	first := time.Date(2025, 10, 26, 0, 0, 0, 0, time.UTC)
	r.store.counts = []perron.Count{{Start: first, In: 3, Out: 1}, {Start: first.Add(time.Hour), In: 2, Out: 4}}

	got := r.get("/api/v1/sites/poort/counts?from=2025-10-26&to=2025-10-27T00:00:00+01:00&interval=1h")
	check(t, doc, "GET", "/api/v1/sites/{id}/counts", got)
	want := store.CountQuery{
		Site: "poort", Step: perron.Hour,
		From: time.Date(2025, 10, 25, 22, 0, 0, 0, time.UTC), To: time.Date(2025, 10, 26, 23, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, r.store.query); diff != "" {
		t.Error(diff)
	}
	var counts openapi.Counts
	got.into(t, &counts)
	if diff := cmp.Diff(r.store.counts, counts.Counts); diff != "" {
		t.Error(diff)
	}

	for _, ask := range [][2]string{{"", "text/csv"}, {"&format=csv", "application/json"}, {"", "application/json;q=0.5, text/csv;q=0.9, */*;q=0.1"}} {
		csv := r.get("/api/v1/sites/poort/counts?from=2025-10-26&to=2025-10-27"+ask[0], "Accept", ask[1])
		check(t, doc, "GET", "/api/v1/sites/{id}/counts", csv)
		if diff := cmp.Diff("site,gate,start_local,start_utc,interval,in,out\n"+
			"poort,,2025-10-26T02:00:00+02:00,2025-10-26T00:00:00Z,1h,3,1\n"+
			"poort,,2025-10-26T02:00:00+01:00,2025-10-26T01:00:00Z,1h,2,4\n", csv.body); diff != "" {
			t.Error(diff)
		}
		if d := csv.header.Get("Content-Disposition"); !strings.Contains(d, "poort-counts-1h-2025-10-26.csv") {
			t.Error(d)
		}
	}
	for accept, isCSV := range map[string]bool{"*/*": false, "text/*": true, "": false, "text/html, */*;q=0.8": false, "text/csv;q=0, */*": false} {
		got := r.get("/api/v1/sites/poort/counts", "Accept", accept)
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") != isCSV {
			t.Errorf("Accept %q gives %s", accept, got.header.Get("Content-Type"))
		}
	}
	r.get("/api/v1/sites/poort/counts?gate=main")
	if r.store.query.Gate != "main" || r.store.query.ByGate {
		t.Errorf("query %+v", r.store.query)
	}
	r.get("/api/v1/sites/poort/counts?gate=*")
	if r.store.query.Gate != "" || !r.store.query.ByGate {
		t.Errorf("query %+v", r.store.query)
	}
}

func TestForecast(t *testing.T) {
	r := newRig(t, nil)
	r.link.forecast(t, perron.Forecast{
		Site: "poort", Origin: noon, Weeks: 8,
		Quarters: []perron.Slot{{Start: noon, Minutes: 15, Open: true, Arrivals: perron.Exactly(9), Level: perron.Quiet, Basis: perron.Expected}},
	})
	var got reply
	eventually(t, "the forecast arrives", func() bool {
		got = r.get("/api/v1/sites/poort/forecast")
		return got.status == 200
	})
	check(t, document(t), "GET", "/api/v1/sites/{id}/forecast", got)
	var f perron.Forecast
	got.into(t, &f)
	if f.Origin != noon || len(f.Quarters) != 1 || f.Quarters[0].Arrivals.Mid != 9 {
		t.Errorf("forecast %+v", f)
	}
}

func TestProfile(t *testing.T) {
	r := newRig(t, nil)
	// Two Tuesdays with 10 and 20 vehicles in the hour from noon; the third was
	// not measured and must not pull the mean down. A Sunday evening, closed,
	// has stray passages that are no part of the usual week.
	tuesday := func(weeksAgo int) time.Time { return noon.AddDate(0, 0, -1-7*weeksAgo) }
	r.store.counts = []perron.Count{
		{Start: tuesday(1), In: 20},
		{Start: tuesday(0), In: 10},
		{Start: time.Date(2026, 5, 10, 20, 0, 0, 0, time.UTC), In: 1},
	}
	for i, l := range []perron.Level{perron.Quiet, perron.Busy, perron.Busy, perron.VeryBusy, perron.Closed} {
		r.store.samples = append(r.store.samples, perron.Sample{
			Estimate: perron.Estimate{At: tuesday(i % 2).Add(time.Duration(i) * time.Minute)}, Level: l, Quality: perron.Measured,
		})
	}
	got := r.get("/api/v1/sites/poort/profile?weeks=3")
	check(t, document(t), "GET", "/api/v1/sites/{id}/profile", got)
	var p openapi.Profile
	got.into(t, &p)
	byHour := map[[2]int]openapi.ProfileCell{}
	for _, c := range p.Cells {
		byHour[[2]int{c.Weekday, c.Hour}] = c
	}
	if c := byHour[[2]int{2, 12}]; c.Days != 2 || c.Arrivals != 15 || c.Level != perron.Busy {
		t.Errorf("Tuesday noon %+v", c)
	}
	if c := byHour[[2]int{2, 8}]; c.Days != 2 || c.Arrivals != 0 || c.Level != perron.Unknown {
		t.Errorf("Tuesday at half past eight %+v", c)
	}
	if c, ok := byHour[[2]int{7, 22}]; ok {
		t.Errorf("Sunday night %+v", c)
	}
	if c, ok := byHour[[2]int{3, 12}]; ok {
		t.Errorf("Wednesday, never measured %+v", c)
	}
	if asked := r.store.asked; asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	r.get("/api/v1/sites/poort/profile?weeks=3")
	if asked := r.store.asked; asked != 1 {
		t.Error("the profile is not kept")
	}
	r.clock.advance(11 * time.Minute)
	r.get("/api/v1/sites/poort/profile?weeks=3")
	if asked := r.store.asked; asked != 2 {
		t.Error("the profile is kept for ever")
	}
}

func TestOpenToOtherOriginsButNotForStaff(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SecureCookies = true })
	open := r.get("/api/v1/sites", "Origin", "https://elsewhere.example")
	if open.header.Get("Access-Control-Allow-Origin") != "*" || open.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers %v", open.header)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":    "nosniff",
		"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
		"Strict-Transport-Security": "max-age=31536000",
	} {
		if got := open.header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	preflight := r.do("OPTIONS", "/api/v1/sites", "", "Origin", "https://elsewhere.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "if-none-match")
	if preflight.status != 204 || preflight.header.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("preflight %d %v", preflight.status, preflight.header)
	}
	staff := r.get("/api/v1/sites/poort/actions", "Origin", "https://elsewhere.example")
	if staff.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", staff.header)
	}
}

func TestOperation(t *testing.T) {
	r := newRig(t, nil)
	doc := document(t)
	check(t, doc, "GET", "/healthz", r.get("/healthz"))
	check(t, doc, "GET", "/readyz", r.get("/readyz"))
	r.get("/api/v1/sites/poort")
	r.get("/api/v1/sites/nowhere")
	r.get("/no/such/page")
	if m := r.get("/metrics"); m.status != 404 {
		t.Errorf("the metrics are public: %d", m.status)
	}
	text := httptest.NewRecorder()
	promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}).ServeHTTP(text, httptest.NewRequest("GET", "/metrics", nil))
	m := text.Body.String()
	for _, line := range []string{
		`perrondrukte_api_request_duration_seconds_count{code="200",method="GET",route="GET /api/v1/sites/{id}"} 1`,
		`perrondrukte_api_request_duration_seconds_count{code="404",method="GET",route="GET /api/v1/sites/{id}"} 1`,
		`perrondrukte_api_request_duration_seconds_count{code="404",method="GET",route="/"} 2`,
		`perrondrukte_api_viewers{detail="public"} 0`,
		`perrondrukte_api_viewers_dropped_total{reason="slow"} 0`,
	} {
		if !strings.Contains(m, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

func TestOriginsAreChecked(t *testing.T) {
	for _, bad := range []string{"*", "www.example.nl", "https://www.example.nl/", "ftp://www.example.nl", "https://"} {
		c := Config{
			Words: testLanguages(t), Store: &fakeStore{}, Live: NewLive(nil, &fakeLink{}, time.Now, quietLogger()), Auth: NewAuth(AuthConfig{}),
			Staff: &Staff{}, Now: time.Now, Logger: quietLogger(), Registry: prometheus.NewRegistry(), Origins: []string{bad},
		}
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("origin %q: %v", bad, err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	r := newRig(t, nil)
	if err := r.server.Listen(r.server.Addr()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("second Listen: %v", err)
	}
}
