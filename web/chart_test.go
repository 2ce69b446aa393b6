package web

import (
	"fmt"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// allDay is a site that is open around the clock every day.
func allDay() *perron.Site {
	site := fixtureSites()[0]
	site.Hours = perron.Hours{}
	for d := range site.Hours.Weekly {
		site.Hours.Weekly[d] = []perron.Span{{Open: 0, Close: 1440}}
	}
	return site
}

// A civil day has 23 hours when the clocks go forward, 25 when they go back.
func TestChartOnClockChanges(t *testing.T) {
	w := in(t, "nl")
	for _, c := range []struct {
		day       string
		hours     int
		threeOnce string // the labels, every third hour
	}{
		{"2026-03-29", 23, "0 4 7 10 13 16 19 22"},
		{"2026-05-09", 24, "0 3 6 9 12 15 18 21 24"},
		{"2026-10-25", 25, "0 2 5 8 11 14 17 20 23"},
	} {
		d := date(c.day)
		site := allDay()
		f := fixtureForecast(site, 1, d.Start(), d.Start())
		v := viewDay(w, site, &f, d, d.Start(), false)
		if got := len(v.Bars); got != c.hours*4 {
			t.Errorf("%s: %d bars, want %d", c.day, got, c.hours*4)
		}
		var labels []string
		for _, tick := range v.Ticks {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); got != c.threeOnce {
			t.Errorf("%s: hours %s, want %s", c.day, got, c.threeOnce)
		}

		var counts []perron.Count
		for s := d.Start(); s.Before(d.End()); s = s.Add(15 * time.Minute) {
			counts = append(counts, perron.Count{Start: s, In: 3, Out: 1})
		}
		curve := viewCurve(w, d, nil, counts)
		if len(curve.Bars) != c.hours*4 || len(curve.Rows) != c.hours*4 {
			t.Errorf("%s: curve of %d bars and %d rows, want %d", c.day, len(curve.Bars), len(curve.Rows), c.hours*4)
		}
		if last := curve.Rows[len(curve.Rows)-1].Time; last != "23:45" {
			t.Errorf("%s: the curve ends at %s", c.day, last)
		}
	}
}

// What a planner sees of a day is as wide as the day was: the hours around its
// opening, and those of whoever came outside them.
func TestCurveAxis(t *testing.T) {
	w := in(t, "nl")
	d := date("2026-05-09")
	periods := fixtureSites()[0].Hours.Periods(d)
	at := func(clock string) perron.Count { return perron.Count{Start: civil("2026-05-09 " + clock), In: 3} }
	axis := func(c *curveView) string { return c.Ticks[0].Label + "–" + c.Ticks[len(c.Ticks)-1].Label }
	for _, c := range []struct {
		counts []perron.Count
		want   string
	}{
		{[]perron.Count{at("08:30"), at("16:45")}, "8–17"},
		{[]perron.Count{at("07:45"), at("17:15"), {Start: civil("2026-05-09 03:00")}}, "7–18"},
	} {
		curve := viewCurve(w, d, periods, c.counts)
		if got := axis(curve); got != c.want || len(curve.Bars) != 2 {
			t.Errorf("axis %s with %d bars, want %s with 2", got, len(curve.Bars), c.want)
		}
	}
	// Two yards, the second of which opens first.
	early := perron.Period{Start: civil("2026-05-09 07:30"), End: civil("2026-05-09 12:00")}
	if got := axis(viewCurve(w, d, append(slices.Clone(periods), early), nil)); got != "7–17" {
		t.Errorf("axis of two yards %s, want 7–17", got)
	}
}

// A busy stretch goes on over a breather that is too short to profit from.
func TestSummaryBridges(t *testing.T) {
	w := in(t, "nl")
	var slots []perron.Slot
	for i, level := range []perron.Level{
		perron.Quiet, perron.Busy, perron.Busy, perron.Moderate, perron.Moderate, perron.Busy, // 10:00–11:30
		perron.Moderate, perron.Moderate, perron.Moderate, perron.Busy, // a pause of 45 minutes
	} {
		slots = append(slots, perron.Slot{Start: civil("2026-05-09 10:00").Add(time.Duration(i) * 15 * time.Minute), Minutes: 15, Level: level})
	}
	if got := w.Summary(slots); got != "Rustig 10:00–10:15. Druk 10:15–11:30." {
		t.Errorf("summary: %q", got)
	}
}

func TestDayChart(t *testing.T) {
	w := in(t, "nl")
	site := fixtureSites()[0]
	now := civil("2026-05-09 11:20")
	f := fixtureForecast(site, 1, now, now)
	v := viewDay(w, site, &f, date("2026-05-09"), now, false)
	if v.From != "8:00" || v.To != "17:00" || v.Now != "37.04%" {
		t.Errorf("window %s to %s, now at %s", v.From, v.To, v.Now)
	}
	// 8:30 to 17:00 is 34 quarters; the half hour before the opening is empty.
	if len(v.Bars) != 34 || len(v.Rows) != 34 {
		t.Fatalf("%d bars, %d rows", len(v.Bars), len(v.Rows))
	}
	if diff := cmp.Diff(row{Time: "8:30", Wait: "minder dan 5 min", Kind: "gemeten", Level: "Rustig", Mark: "quiet", Read: "8:30, gemeten minder dan 5 min"}, v.Rows[0]); diff != "" {
		t.Error(diff)
	}
	if got := v.Rows[v.NowIndex]; got.Time != "11:15" || got.Kind != "verwacht" {
		t.Errorf("now is %+v", got)
	}
	if got := v.Bars[0].Class + "," + v.Bars[33].Class; got != "m l1,e l1" {
		t.Errorf("classes %s", got)
	}
	if diff := cmp.Diff([]string{"m", "e"}, v.Kinds); diff != "" {
		t.Error(diff)
	}
	if !v.Bands {
		t.Error("the ranges of what is expected are not drawn")
	}
	if v.Summary != "Zeer druk 10:30–12:15. Rustig 15:00–17:00." {
		t.Errorf("summary %q", v.Summary)
	}

	// Closed by staff: what was expected of the rest of the day is gone.
	if v := viewDay(w, site, &f, date("2026-05-09"), now, true); len(v.Bars) != 11 || v.NowIndex != 10 {
		t.Errorf("closed by staff: %d bars, want the 11 measured quarters, and %d to be read first", len(v.Bars), v.NowIndex)
	}
	// Sunday is closed; without a forecast nothing is made up.
	if v := viewDay(w, site, &f, date("2026-05-10"), now, false); !v.Closed || len(v.Bars) != 0 {
		t.Errorf("Sunday: %+v", v)
	}
	if v := viewDay(w, site, nil, date("2026-05-09"), now, false); !v.Empty || v.Summary != "Nog geen verwachting." {
		t.Errorf("no forecast: %+v", v)
	}
	// Nothing is known of hours like these yet, and in the last one most are too late.
	none := fixtureForecast(site, 1, now, now)
	for i := range none.Quarters {
		none.Quarters[i].Level, none.Quarters[i].Basis = perron.Unknown, perron.QualityUnknown
	}
	last := &none.Quarters[22]
	last.Level, last.Basis, last.Late, last.Wait = perron.Late, perron.Expected, 0.7, perron.Interval{Low: 10, Mid: 20, High: 30}
	v = viewDay(w, site, &none, date("2026-05-09"), now, false)
	if got := v.Rows[32]; got.Kind != "nog niet bekend" || got.Level != "–" || v.Bars[32].Class != "n" {
		t.Errorf("not foreseen: %+v %+v", got, v.Bars[32])
	}
	if got := v.Rows[33]; got.Time != "16:45" || got.Kind != "verwacht" || got.Level != "Bijna gesloten" || !strings.Contains(got.Wait, "7 van de 10 keer") || v.Bars[33].Class != "e l0" {
		t.Errorf("too late: %+v %+v", got, v.Bars[33])
	}
	// Not measured is neither quiet nor nothing.
	f = fixtureForecast(site, 1, now, civil("2026-05-09 10:00"))
	v = viewDay(w, site, &f, date("2026-05-09"), now, false)
	if got := v.Rows[8]; got.Time != "10:30" || got.Kind != "niet gemeten" || got.Wait != "wachttijd onbekend" || v.Bars[8].Class != "u" {
		t.Errorf("unmeasured quarter: %+v %+v", got, v.Bars[8])
	}
	if got := v.Bars[33].Class; !strings.HasPrefix(got, "t ") {
		t.Errorf("without fresh data the rest is typical, not %q", got)
	}
}

func TestFocusDay(t *testing.T) {
	h := &fixtureSites()[0].Hours
	for now, want := range map[string]string{
		"2026-05-09 06:00": "2026-05-09", "2026-05-09 16:59": "2026-05-09", "2026-05-09 17:00": "2026-05-11",
		"2026-05-10 12:00": "2026-05-11", "2026-05-13 18:00": "2026-05-15", // Ascension Day between
	} {
		if got := focusDay(h, civil(now)).String(); got != want {
			t.Errorf("at %s the day to see is %s, want %s", now, got, want)
		}
	}
}

func TestHeight(t *testing.T) {
	at := func(wait, onSite float64) float64 {
		return height(&perron.Slot{OnSite: perron.Exactly(onSite)}, wait, 24)
	}
	five := math.Sqrt(5.0 / 60)
	if h := at(0, 24); h >= five {
		t.Errorf("a full yard without a wait is %v high, not below 5 minutes (%v)", h, five)
	}
	if h := at(0, 0); h <= 0 {
		t.Error("an empty yard that is open shows nothing")
	}
	if h := at(500, 24); h != 1 {
		t.Errorf("500 minutes are %v high", h)
	}
	if !(at(0, 5) < at(0, 20) && at(0, 20) < at(10, 0) && at(10, 0) < at(30, 0)) {
		t.Error("heights do not rise")
	}
}

// What is expected is drawn with its range: an edge at the middle, and a lighter
// part from the shortest to the longest wait that is likely.
func TestBarShowsItsRange(t *testing.T) {
	at := func(class string, low, mid, high float64) bar {
		s := perron.Slot{Level: perron.Busy, Wait: perron.Interval{Low: low, Mid: mid, High: high}}
		from := civil("2026-05-09 08:00")
		axis := timeAxis{from, from.Add(10 * time.Hour), words.LTR}
		return newBar(&s, class, axis, from, from.Add(time.Hour), 24)
	}
	y := func(minutes float64) string { return percent(yOf(math.Sqrt(minutes / 60))) }
	if b := at("e", 10, 15, 30); b.BandY != y(30) || b.Top != y(15) || b.Y != y(10) || b.BandH != percent(88*(math.Sqrt(0.5)-math.Sqrt(10.0/60))) {
		t.Errorf("expected 10 to 30 minutes: %+v", b)
	}
	if b := at("t", 10, 15, 30); b.BandY != y(30) || b.Top != "" || b.Y != y(15) {
		t.Errorf("usually 10 to 30 minutes: %+v", b)
	}
	if b := at("e", 30, 60, 400); b.BandY != y(60) || b.Y != y(30) {
		t.Errorf("expected an hour and more: %+v", b)
	}
	// No wait to speak of, no range at all, and what was measured.
	for _, b := range []bar{at("e", 0, 1, 4), at("e", 15, 15, 15), at("m", 10, 15, 30), at("u", 0, 0, 0)} {
		if b.BandH != "" || b.Class[0] == 'e' && b.Top != b.Y {
			t.Errorf("a range is drawn: %+v", b)
		}
	}
}

func TestWeek(t *testing.T) {
	w := in(t, "nl")
	site := fixtureSites()[0]
	now := civil("2026-05-09 11:20")
	f := fixtureForecast(site, 1, now, now)
	for i := range 12 { // until 12:00, the hour that is running included
		f.Hours[i].Basis = perron.Typical
	}
	v := viewWeek(w, site, &f, now)
	if len(v.Days) != 7 || len(v.Hours) != 9 || v.Hours[0] != 8 {
		t.Fatalf("%d days, hours %v", len(v.Days), v.Hours)
	}
	if d := v.Days[0]; d.Full != "Vandaag" || !d.Today || len(d.Bars) != 8 || d.Cell(11).Level != "Zeer druk" || d.Cell(20).Mark != "" {
		t.Errorf("today: %+v", d)
	}
	// Hours that are over are shown as measured, the running one as its quarter.
	classes := ""
	for _, b := range v.Days[0].Bars {
		classes += strings.Fields(b.Class)[0]
	}
	if classes != "mmeeeeee" {
		t.Errorf("today's hours are %q", classes)
	}
	if diff := cmp.Diff([]string{"m", "e", "t"}, v.Kinds); diff != "" {
		t.Errorf("the legend: %s", diff)
	}
	if d := v.Days[1]; d.Full != "Morgen" || !d.Closed || d.Summary != "Gesloten." {
		t.Errorf("Sunday: %+v", d)
	}
	if d := v.Days[5]; !d.Closed || d.Reason != "Hemelvaartsdag" {
		t.Errorf("Ascension Day: %+v", d)
	}
	if d := v.Days[3]; d.Summary != "De hele dag rustig." {
		t.Errorf("Tuesday: %q", d.Summary)
	}
	// A summary never names a time at which the site is closed.
	half := []perron.Slot{{Start: civil("2026-05-11 08:00"), Minutes: 60, Level: perron.Busy}, {Start: civil("2026-05-11 09:00"), Minutes: 60, Level: perron.Quiet}}
	if got := w.Summary(clip(half, site.Hours.Periods(date("2026-05-11")))); got != "Druk 8:30–9:00. Rustig 9:00–10:00." {
		t.Errorf("clipped summary: %q", got)
	}
}

func TestAdvice(t *testing.T) {
	w := in(t, "nl")
	now := civil("2026-05-09 11:20")
	sites := fixtureSites()
	at := func(i int, wait float64, best ...perron.Moment) words.SiteNow {
		return words.SiteNow{
			Site: sites[i], Forecast: &perron.Forecast{Best: best},
			Busyness: perron.Busyness{Level: perron.LevelOf(wait, 1), Estimate: perron.Estimate{Wait: perron.Exactly(wait)}, ClosesAt: civil("2026-05-09 17:00")},
		}
	}
	moment := perron.Moment{Start: civil("2026-05-09 15:30"), End: civil("2026-05-09 17:00"), Wait: perron.Interval{Low: 0, Mid: 2, High: 4}}
	unsure := moment
	unsure.Wait.High = 17 // told as "up to 20 min"
	unknown := at(1, 0)
	unknown.Busyness.Level = perron.Unknown
	for _, c := range []struct {
		name  string
		sites []words.SiteNow
		want  string
	}{
		{"another is faster", []words.SiteNow{at(0, 52), at(1, 29), at(2, 30)}, "Bij Buiten bent u nu ongeveer 20 minuten sneller aan de beurt dan bij Poort."},
		{"no difference worth a line", []words.SiteNow{at(0, 12), at(1, 5)}, ""},
		{"all busy, later is better", []words.SiteNow{at(0, 30, moment), at(1, 28)}, "Kunt u wachten? Vanaf 15:30 verwachten we bij Poort een kortere wachttijd: minder dan 5 min."},
		{"all busy, later may be as long", []words.SiteNow{at(0, 18, unsure), at(1, 19)}, ""},
		{"all busy, nothing better", []words.SiteNow{at(0, 30), at(1, 28)}, ""},
		{"unknown is not fast", []words.SiteNow{at(0, 30), unknown}, ""},
		{"nothing known", []words.SiteNow{unknown}, ""},
	} {
		if got := w.Advice(c.sites, now); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}

	s := at(0, 30, perron.Moment{Start: now.Add(-time.Hour), End: now}, moment)
	if got := w.BestToday(&s, now); got != "na 15:30" {
		t.Errorf("best moment: %q", got)
	}
	if got := w.BestToday(&s, civil("2026-05-09 16:00")); got != "nu, de rest van de dag" {
		t.Errorf("best moment at 16:00: %q", got)
	}
	// Each visitor has a moment of their own, or none when all is given away.
	part := moment
	part.Start = civil("2026-05-09 16:15")
	s.Own = []perron.Moment{part}
	if got := w.BestToday(&s, now); got != "na 16:15" {
		t.Errorf("own best moment: %q", got)
	}
	if got := w.Advice([]words.SiteNow{s}, now); !strings.Contains(got, "Vanaf 16:15") {
		t.Errorf("advice with a moment of their Own: %q", got)
	}
	s.Own = []perron.Moment{}
	if got := w.BestToday(&s, now) + w.Advice([]words.SiteNow{s}, now); got != "" {
		t.Errorf("advice when all is given away: %q", got)
	}
	s.Own = nil
	s.Busyness.Closure = &perron.Closure{}
	if got := w.BestToday(&s, now); got != "" {
		t.Errorf("best moment of a closed site: %q", got)
	}
}

// A day on which nobody waits has no best moment, which must not read like a
// day without quiet ones.
func TestNoBestMoment(t *testing.T) {
	w := in(t, "nl")
	now := civil("2026-05-12 10:20")
	quarter := func(at string, wait float64) perron.Slot {
		return perron.Slot{Start: civil(at), Minutes: 15, Open: true, Level: perron.LevelOf(wait, 0.5), Wait: perron.Exactly(wait)}
	}
	site := func(level perron.Level, quarters ...perron.Slot) *words.SiteNow {
		return &words.SiteNow{
			Site: fixtureSites()[0], Forecast: &perron.Forecast{Quarters: quarters},
			Busyness: perron.Busyness{Level: level},
		}
	}
	late := quarter("2026-05-12 16:45", 12)
	late.Level = perron.Late
	quiet := []perron.Slot{quarter("2026-05-12 10:30", 2), quarter("2026-05-12 12:00", 6), late, quarter("2026-05-13 12:00", 40)}
	closed := site(perron.Closed, quiet...)
	closed.Busyness.Closure = &perron.Closure{}
	for _, c := range []struct {
		name       string
		site       *words.SiteNow
		tile, page string
	}{
		{"short all day", site(perron.Quiet, quiet...), "elk moment", "De wachttijd blijft vandaag waarschijnlijk korter dan 10 minuten. Kom wanneer het u uitkomt."},
		{"long later", site(perron.Quiet, append(quiet, quarter("2026-05-12 14:00", 25))...), "", "Vandaag zijn er geen rustige momenten meer te verwachten."},
		{"nothing foreseen", site(perron.Quiet), "", "Er is nog geen verwachting. Daarom noemen we geen beste moment."},
		{"closed by staff", closed, "", "Voor vandaag zijn er geen momenten meer. Kijk bij de week."},
		{"not measured", site(perron.Unknown, quiet...), "", "We meten nu niet. Daarom noemen we geen beste moment."},
	} {
		if got := w.BestToday(c.site, now); got != c.tile {
			t.Errorf("%s: the tile says %q, want %q", c.name, got, c.tile)
		}
		if got := w.NoMoments(c.site, now); got != c.page {
			t.Errorf("%s: the page says %q, want %q", c.name, got, c.page)
		}
	}
}

func TestHours(t *testing.T) {
	w := in(t, "en")
	h := fixtureSites()[0].Hours
	h.Weekly[time.Friday] = []perron.Span{{Open: tod("8:30"), Close: tod("12:00")}, {Open: tod("13:00"), Close: tod("17:00")}}
	week := weekHours(w, &h, date("2026-05-09"))
	if week[0].Day != "Monday" || week[6].Times != "closed" || week[4].Times != "8:30–12:00 and 13:00–17:00" || !week[5].Today {
		t.Errorf("week: %+v", week)
	}
	want := []specialDay{
		{Day: "Thursday 14 May", Reason: "Ascension Day", Times: "closed"},
		{Day: "Monday 25 May", Reason: "Whit Monday", Times: "closed"},
		{Day: "Friday 29 May", Reason: "Maintenance of the weighbridge.", Times: "8:30–12:00"},
	}
	if diff := cmp.Diff(want, specialDays(w, &h, date("2026-05-09"))); diff != "" {
		t.Error(diff)
	}
}

// TestGuided: the pages spread visitors over the quarters of a moment and tell
// each the same again.
func TestGuided(t *testing.T) {
	now := civil("2026-05-09 11:20")
	s := &server{}
	seen := map[string]bool{}
	for i := range 40 {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:4711", i)
		text := func() string {
			n := words.SiteNow{Site: fixtureSites()[0], Forecast: &perron.Forecast{Best: []perron.Moment{{
				Start: civil("2026-05-09 15:30"), End: civil("2026-05-09 16:30"), Room: []float64{10, 10, 0, 10},
			}}}}
			s.guided(r, &n, now)
			return in(t, "nl").BestToday(&n, now)
		}
		first := text()
		if again := text(); first != again {
			t.Fatalf("told %q, then %q", first, again)
		}
		seen[first] = true
	}
	for _, want := range []string{"15:30–16:30", "15:45–16:30", "16:15–16:30"} {
		if !seen[want] || len(seen) != 3 {
			t.Errorf("visitors are told %v", seen)
		}
	}
	n := words.SiteNow{Site: fixtureSites()[0], Forecast: &perron.Forecast{Best: []perron.Moment{{Start: now, End: now.Add(time.Hour)}}}}
	if s.guided(httptest.NewRequest("GET", "/", nil), &n, now); n.Own != nil {
		t.Error("guided by a forecast without room")
	}
}

func TestRowSaysHowLikelyItIsTooLate(t *testing.T) {
	w := in(t, "nl")
	s := perron.Slot{Start: civil("2026-05-09 16:30"), Minutes: 15, Open: true, Level: perron.Busy, Wait: perron.Interval{Low: 10, Mid: 20, High: 34}}
	for late, want := range map[float64]string{
		0:    "10–35 min",
		0.04: "10–35 min",
		0.38: "10–35 min; 4 van de 10 keer bent u voor sluitingstijd niet aan de beurt",
		1:    "10–35 min; 9 van de 10 keer bent u voor sluitingstijd niet aan de beurt",
	} {
		s.Late = late
		if got := newRow(w, &s, "e", "day.expected").Wait; got != want {
			t.Errorf("%v: %q, want %q", late, got, want)
		}
	}
	if got := newRow(w, &s, "m", "day.measured").Wait; strings.Contains(got, "van de 10") {
		t.Errorf("what was measured is no chance: %q", got)
	}
}
