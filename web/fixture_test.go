package web

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

// A scenario is a made-up situation at three sites, with a fixed now.
type scenario struct {
	name  string
	title string           // of the site, empty for the usual one
	words *words.Languages // nil for those that are compiled in
	now   time.Time
	sites []*perron.Site
	live  map[string]perron.Busyness // before AsOf
	days  map[string]float64         // how busy each site's days are, 1 is usual
	gates map[string][]perron.GatewayStatus
	since time.Time // before it nothing was counted

	mu      sync.Mutex
	actions []perron.Action
	failing error // of Act
}

func civil(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, perron.Amsterdam)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func tod(s string) perron.TimeOfDay {
	t, err := perron.ParseTimeOfDay(s)
	if err != nil {
		panic(err)
	}
	return t
}

func date(s string) perron.Date {
	d, err := perron.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func fixtureSites() []*perron.Site {
	hours := func() perron.Hours {
		h := perron.Hours{
			Holidays: map[perron.Holiday][]perron.Span{perron.LiberationDay: {{Open: tod("8:30"), Close: tod("17:00")}}},
			Exceptions: map[perron.Date]perron.Exception{
				date("2026-05-29"): {
					Spans:  []perron.Span{{Open: tod("8:30"), Close: tod("12:00")}},
					Reason: map[string]string{"nl": "Onderhoud aan de weegbrug.", "en": "Maintenance of the weighbridge."},
				},
			},
		}
		for d := time.Monday; d <= time.Saturday; d++ {
			h.Weekly[d] = []perron.Span{{Open: tod("8:30"), Close: tod("17:00")}}
		}
		return h
	}
	site := func(id, name, address string, lat, lon float64) *perron.Site {
		return &perron.Site{
			ID: id, Name: name, Address: address, Latitude: lat, Longitude: lon, Bays: 24, Lanes: 1, TypicalDwell: 12,
			Gates: []perron.Gate{
				{ID: "in", Name: "Ingang", Sensors: []string{"main-in"}},
				{ID: "out", Name: "Uitgang", Sensors: []string{"main-out"}},
			},
			QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 4}, {Sensor: "queue-2", Distance: 12}},
			Gateways:   []string{"gate"}, Hours: hours(),
			Materials: map[string][]string{
				"nl": {"Grofvuil", "Groenafval en snoeihout", "Puin en tegels", "Hout", "Elektrische apparaten", "Klein chemisch afval"},
				"en": {"Bulky waste", "Garden waste and prunings", "Rubble and tiles", "Wood", "Electrical appliances", "Small chemical waste"},
			},
		}
	}
	return []*perron.Site{
		site("poort", "Poort", "Argonweg 81, 1362 AB Almere", 52.34080, 5.15420),
		site("buiten", "Buiten", "Vlotbrugweg 36, 1332 AJ Almere", 52.40230, 5.27180),
		site("haven", "Haven", "De Steiger 113, 1351 AE Almere", 52.33870, 5.24140),
	}
}

// crowd is the wait in minutes and the number on site of a made-up day: a
// peak before noon and a lower one in the afternoon.
func crowd(day float64, t time.Time) (wait, onSite float64) {
	h := float64(perron.TimeOfDayOf(t)) / 60
	shape := math.Exp(-sq((h-11.2)/1.5)) + 0.55*math.Exp(-sq((h-14.3)/1.1))
	switch perron.DateOf(t).Weekday() {
	case time.Saturday:
		day *= 1.6
	case time.Tuesday, time.Wednesday:
		day *= 0.45
	}
	load := day * shape
	return math.Max(0, 52*(load-0.55)), math.Min(26, 28*load)
}

func sq(v float64) float64 { return v * v }

func slot(site *perron.Site, day float64, t time.Time, minutes int, basis perron.Quality) perron.Slot {
	wait, onSite := crowd(day, t)
	s := perron.Slot{
		Start: t, Minutes: minutes, Open: site.Hours.Open(t), Basis: basis,
		Arrivals: perron.Interval{Low: onSite * 0.5, Mid: onSite * 0.7, High: onSite},
		OnSite:   perron.Interval{Low: onSite * 0.8, Mid: onSite, High: onSite * 1.2},
		Wait:     perron.Interval{Low: wait * 0.7, Mid: wait, High: wait*1.25 + 2},
		Level:    perron.LevelOf(wait, onSite/float64(site.Bays)),
	}
	if !s.Open {
		s.Level, s.Arrivals, s.OnSite, s.Wait = perron.Closed, perron.Interval{}, perron.Interval{}, perron.Interval{}
	}
	return s
}

// fixtureForecast is a forecast of a made-up day seen from now. With a stale
// measurement it is typical all over.
func fixtureForecast(site *perron.Site, day float64, now, measuredTo time.Time) perron.Forecast {
	f := perron.Forecast{Site: site.ID, Origin: now, Weeks: 8}
	today := perron.DateOf(now)
	origin := perron.Quarter.Start(now)
	for t := today.Start(); t.Before(origin); t = t.Add(15 * time.Minute) {
		s := slot(site, day, t, 15, perron.Measured)
		if s.Open && t.After(measuredTo) {
			s.Level, s.Basis = perron.Unknown, perron.QualityUnknown
		}
		f.Measured = append(f.Measured, s)
	}
	basis := perron.Expected
	if measuredTo.Before(now.Add(-5 * time.Minute)) {
		basis = perron.Typical
	}
	for t := origin; t.Before(today.AddDays(2).Start()); t = t.Add(15 * time.Minute) {
		b := basis
		if perron.DateOf(t) != today {
			b = perron.Typical
		}
		f.Quarters = append(f.Quarters, slot(site, day, t, 15, b))
	}
	for t := today.Start(); t.Before(today.AddDays(7).Start()); t = t.Add(time.Hour) {
		b := perron.Typical
		if perron.DateOf(t) == today {
			b = basis
		}
		f.Hours = append(f.Hours, slot(site, day, t, 60, b))
	}
	var from time.Time
	for _, s := range f.Quarters {
		if perron.DateOf(s.Start) != today || !s.Open {
			continue
		}
		quiet := s.Wait.Mid < 5
		if quiet && from.IsZero() {
			from = s.Start
		}
		end := s.Start.Add(15 * time.Minute)
		if !from.IsZero() && (!quiet || !site.Hours.Open(end)) {
			if !quiet {
				end = s.Start
			}
			f.Best = append(f.Best, perron.Moment{Start: from, End: end, Wait: perron.Interval{Low: 0, Mid: 2, High: 4.5}})
			from = time.Time{}
		}
	}
	return f
}

func estimate(site *perron.Site, day float64, now time.Time) perron.Busyness {
	wait, onSite := crowd(day, now)
	later, _ := crowd(day, now.Add(30*time.Minute))
	b := perron.Busyness{
		Site: site.ID,
		Estimate: perron.Estimate{
			At: now, OnSite: perron.Interval{Low: onSite - 3, Mid: onSite, High: onSite + 3},
			Queue: perron.Interval{Low: wait * 0.6, Mid: wait * 0.8, High: wait}, Wait: perron.Interval{Low: wait * 0.8, Mid: wait, High: wait * 1.2},
		},
		MeasuredAt: now.Add(-70 * time.Second), StaleAt: now.Add(4 * time.Minute), Quality: perron.Measured,
		Level: perron.LevelOf(wait, onSite/24), Band: perron.BandOf(wait), Trend: perron.Steady, TypicalLevel: perron.Moderate,
		Gates: []perron.GateCount{{Gate: "in", InToday: 214, InHour: 31}, {Gate: "out", OutToday: 193, OutHour: 27}},
	}
	switch {
	case later > wait+3:
		b.Trend = perron.Rising
	case later < wait-3:
		b.Trend = perron.Falling
	}
	return b
}

func status(site *perron.Site, now time.Time) perron.GatewayStatus {
	sensor := func(id string, h perron.SensorHealth) perron.SensorStatus {
		return perron.SensorStatus{Sensor: id, Health: h, Last: now.Add(-40 * time.Second), Events: 120}
	}
	return perron.GatewayStatus{Site: site.ID, Gateway: "gate", At: now.Add(-20 * time.Second), Online: true, Version: "0.1.0", Sensors: []perron.SensorStatus{
		sensor("main-in", perron.SensorOK), sensor("main-out", perron.SensorOK), sensor("queue-1", perron.SensorOK), sensor("queue-2", perron.SensorOK),
	}}
}

func newScenario(name, now string) *scenario {
	s := &scenario{
		name: name, now: civil(now), sites: fixtureSites(), live: make(map[string]perron.Busyness),
		days: map[string]float64{"poort": 1, "buiten": 0.62, "haven": 0.8}, gates: make(map[string][]perron.GatewayStatus),
	}
	for _, site := range s.sites {
		s.live[site.ID] = estimate(site, s.days[site.ID], s.now)
		s.gates[site.ID] = []perron.GatewayStatus{status(site, s.now)}
	}
	return s
}

func (s *scenario) change(site string, f func(b *perron.Busyness)) {
	b := s.live[site]
	f(&b)
	s.live[site] = b
}

// scenarios are what the pages are looked at in.
func scenarios() []*scenario {
	saturday := newScenario("saturday", "2026-05-09 11:20")
	saturday.title = "Recyclingperrons Almere" // beside the languages at 360 px
	saturday.change("poort", func(b *perron.Busyness) {
		b.AtLeast, b.Band = true, perron.Band{Min: 45, Max: 60}
		b.Wait, b.Level = perron.Interval{Low: 45, Mid: 52, High: 70}, perron.VeryBusy
	})
	saturday.actions = []perron.Action{
		{ID: "01", Site: "poort", At: saturday.now.Add(-3 * time.Hour), By: "ans", Kind: perron.Recount, Vehicles: 4},
		{ID: "02", Site: "haven", At: saturday.now.Add(-26 * time.Hour), By: "bert", Kind: perron.Close, Text: map[string]string{"nl": "De containers zijn vol.", "en": "The containers are full."}},
		{ID: "03", Site: "haven", At: saturday.now.Add(-25 * time.Hour), By: "bert", Kind: perron.Reopen},
		{ID: "04", Site: "poort", At: saturday.now.Add(-20 * time.Second), By: "ans", Kind: perron.Recount, Vehicles: 23},
	}

	sunday := newScenario("sunday", "2026-05-10 13:00")

	saturday.change("poort", func(b *perron.Busyness) {
		b.Belief = &perron.Belief{
			Entries: perron.CounterBelief{Missed: 0.02, Usual: 0.02},
			Exits:   perron.CounterBelief{Missed: 0.18, Usual: 0.04, DriftSince: civil("2026-05-09 10:35")},
			Dwell:   perron.Interval{Low: 12, Mid: 17, High: 20}, Stated: 14, Days: 12,
		}
		b.Doubts = []perron.Doubt{{Kind: perron.DoubtExits, Since: civil("2026-05-09 10:35"), Part: 0.18}}
	})
	saturday.change("buiten", func(b *perron.Busyness) {
		b.Belief = &perron.Belief{
			Entries: perron.CounterBelief{Missed: 0.03, Usual: 0.03}, Exits: perron.CounterBelief{Missed: 0.04, Usual: 0.05},
			Dwell: perron.Interval{Low: 10, Mid: 14, High: 20}, Stated: 14,
		}
	})

	down := newScenario("down", "2026-05-07 10:58")
	down.days = map[string]float64{"poort": 0.8, "buiten": 0.62, "haven": 0.8}
	for _, id := range []string{"poort", "haven"} {
		down.change(id, func(b *perron.Busyness) {
			b.MeasuredAt = civil("2026-05-07 10:42")
			b.StaleAt = b.MeasuredAt.Add(5 * time.Minute)
			b.TypicalLevel = perron.Quiet
			b.Doubts = []perron.Doubt{
				{Kind: perron.DoubtOffline, Gateway: "gate", Since: b.MeasuredAt},
				{Kind: perron.DoubtStuck, Gateway: "gate", Sensor: "queue-2", Since: down.now.Add(-40 * time.Minute)},
				{Kind: perron.DoubtBacklog, Gateway: "gate", Count: 12},
			}
		})
		down.gates[id][0].Online = false
		down.gates[id][0].Sensors[3].Health = perron.SensorStuck
		down.gates[id][0].Waiting = 12
	}
	down.change("haven", func(b *perron.Busyness) {
		b.TypicalLevel = perron.Unknown
		b.MeasuredAt = time.Time{}
		b.StaleAt = time.Time{}
	})

	notice := newScenario("notice", "2026-05-08 10:05")
	notice.change("poort", func(b *perron.Busyness) {
		b.Notice = &perron.Notice{ID: "09", At: civil("2026-05-08 09:41"), Text: map[string]string{
			"nl": "Er is één rijstrook dicht. De rij gaat langzamer dan normaal.", "en": "One lane is closed. The queue moves more slowly than usual.",
		}}
	})
	notice.change("buiten", func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-08 09:52"), Reason: map[string]string{
			"nl": "De rij staat op de openbare weg.", "en": "The queue has reached the public road.",
		}}
	})

	late := newScenario("late", "2026-05-09 16:41")
	late.change("poort", func(b *perron.Busyness) { b.Level = perron.Late })

	return []*scenario{saturday, newScenario("tuesday", "2026-05-12 14:20"), sunday, down, notice, late}
}

func (s *scenario) languages(t testing.TB) *words.Languages {
	if s.words != nil {
		return s.words
	}
	return languages(t)
}

func (s *scenario) site(id string) *perron.Site {
	for _, site := range s.sites {
		if site.ID == id {
			return site
		}
	}
	panic("no site " + id)
}

func (s *scenario) Busyness(site string) perron.Busyness {
	return s.live[site].AsOf(s.site(site), s.now)
}

func (s *scenario) Forecast(site string) (perron.Forecast, bool) {
	if s.live[site].MeasuredAt.IsZero() {
		return perron.Forecast{}, false
	}
	f := fixtureForecast(s.site(site), s.days[site], s.now, s.live[site].MeasuredAt)
	if site != "haven" { // where they have not been made for long
		f.Score = fixtureScore(s.now)
	}
	return f, true
}

func (s *scenario) Gateways(site string) []perron.GatewayStatus { return s.gates[site] }

func (s *scenario) Counts(_ context.Context, q store.CountQuery) ([]perron.Count, error) {
	site := s.site(q.Site)
	var out []perron.Count
	for t := q.Step.Start(q.From); t.Before(q.To) && t.Before(s.now); t = q.Step.Next(t) {
		if !site.Hours.Open(t) || t.Before(s.since) {
			continue
		}
		_, onSite := crowd(s.dayOf(q.Site, t), t)
		n := onSite * 4.2
		if q.Step == perron.Quarter {
			n /= 4
		}
		if in := int(math.Round(n)); in > 0 {
			out = append(out, perron.Count{Start: t, In: in, Out: in - in/9})
		}
	}
	return out, nil
}

// dayOf is how busy a day of the past was at a site, as Counts has it.
func (s *scenario) dayOf(site string, t time.Time) float64 {
	d := perron.DateOf(t)
	return s.days[site] * (0.8 + 0.4*float64((d.Day*7+int(d.Month)*3)%10)/10)
}

func (s *scenario) Samples(_ context.Context, id string, from, to time.Time) ([]perron.Sample, error) {
	site := s.site(id)
	var out []perron.Sample
	for t := perron.Quarter.Start(from); t.Before(to) && t.Before(s.now); t = t.Add(5 * time.Minute) {
		if !site.Hours.Open(t) || t.Before(s.since) {
			continue
		}
		wait, onSite := crowd(s.dayOf(id, t), t)
		v := perron.Sample{Level: perron.LevelOf(wait, onSite/float64(site.Bays)), Quality: perron.Measured}
		v.At, v.Wait, v.OnSite = t, perron.Exactly(wait), perron.Exactly(onSite)
		out = append(out, v)
	}
	return out, nil
}

// onSite is the estimate of a day that is over.
func (s *scenario) onSite(_ context.Context, site *perron.Site, d perron.Date) ([]perron.Estimate, error) {
	var out []perron.Estimate
	for _, p := range site.Hours.Periods(d) {
		for t := p.Start; !t.After(p.End); t = t.Add(15 * time.Minute) {
			_, n := crowd(s.dayOf(site.ID, t), t)
			out = append(out, perron.Estimate{At: t, OnSite: perron.Interval{Low: math.Floor(n * 0.8), Mid: math.Round(n), High: math.Ceil(n * 1.2)}})
		}
	}
	return out, nil
}

// Forecasts were made every other hour, and knew the usual day only.
func (s *scenario) Forecasts(_ context.Context, id string, from, to time.Time) ([]perron.Forecast, error) {
	var out []perron.Forecast
	for t := perron.Hour.Start(from); t.Before(to) && t.Before(s.now); t = t.Add(2 * time.Hour) {
		if !t.Before(from) && !t.Before(s.since) {
			out = append(out, fixtureForecast(s.site(id), s.days[id], t, t))
		}
	}
	return out, nil
}

// fixtureScore is that of a site whose forecasts have been made for four weeks.
func fixtureScore(now time.Time) *perron.Score {
	today := perron.DateOf(now)
	out := &perron.Score{From: today.AddDays(-27).Start(), To: today.AddDays(1).Start(), Days: 24}
	over := 0
	for i, upTo := range []int{60, 180, 360, 1440, 2880, 11520} {
		h := perron.HorizonScore{Over: over, UpTo: upTo, Minutes: 15, Idle: 900, Unforeseen: 12}
		n := float64(i)
		h.Arrivals = perron.Accuracy{N: 3100 + 900*i, Mean: 9.3, MAE: 2.4 + n/5, Pinball: 0.8 + n/10, Coverage: 0.81 - n/100}
		h.Wait = perron.Accuracy{N: 800 + 300*i, Mean: 14.2, MAE: 3.1 + n, Pinball: 1 + n/4, Coverage: 0.78 + n/50}
		if upTo == 11520 {
			h.Minutes, h.Arrivals.Mean, h.Arrivals.MAE = 60, 37.1, 9.6
		}
		out.Horizons, over = append(out.Horizons, h), upTo
	}
	return out
}

func (s *scenario) Actions(_ context.Context, site string, from, to time.Time) ([]perron.Action, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Action
	for _, a := range s.actions {
		if a.Site == site && !a.At.Before(from) && a.At.Before(to) {
			out = append(out, a)
		}
	}
	return out, nil
}

func (s *scenario) Extent(context.Context, string) (store.Extent, error) {
	switch {
	case s.since.After(s.now):
		return store.Extent{}, nil
	case !s.since.IsZero():
		return store.Extent{First: s.since, Last: s.now}, nil
	}
	return store.Extent{First: civil("2026-01-05 08:31"), Last: s.now}, nil
}

func (s *scenario) Act(_ context.Context, a perron.Action) (perron.Action, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return a, s.failing
	}
	a.ID, a.At = fmt.Sprintf("1%d", len(s.actions)), s.now
	s.actions = append(s.actions, a)
	return a, nil
}

// A fakeAuth knows one password; the session is a plain cookie.
type fakeAuth struct{ limited time.Duration }

type tooMany struct{ time.Duration }

func (e tooMany) Error() string             { return "too many attempts" }
func (e tooMany) RetryAfter() time.Duration { return e.Duration }

func (a *fakeAuth) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), fakeAuthKey{}, w)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type fakeAuthKey struct{}

func (a *fakeAuth) User(r *http.Request) (name, role string, ok bool) {
	c, err := r.Cookie("user")
	if err != nil || c.Value == "" {
		return "", "", false
	}
	if c.Value == "planner" {
		return c.Value, "planner", true
	}
	return c.Value, "staff", true
}

func (a *fakeAuth) Login(r *http.Request, name, password string) error {
	if a.limited > 0 {
		return tooMany{a.limited}
	}
	if password != "welkom" {
		return ErrLogin
	}
	a.cookie(r, name)
	return nil
}

func (a *fakeAuth) Logout(r *http.Request) error { a.cookie(r, ""); return nil }

func (a *fakeAuth) cookie(r *http.Request, value string) {
	w := r.Context().Value(fakeAuthKey{}).(http.ResponseWriter)
	http.SetCookie(w, &http.Cookie{Name: "user", Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func languages(t testing.TB) *words.Languages {
	t.Helper()
	l, err := words.Built()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// in is the language of a tag.
func in(t testing.TB, tag string) *words.Language {
	t.Helper()
	l, ok := languages(t).Get(tag)
	if !ok {
		t.Fatalf("no words in %q", tag)
	}
	return l
}

func newHandler(t testing.TB, s *scenario, auth *fakeAuth) http.Handler {
	t.Helper()
	h, err := New(Config{
		Sites: s.sites, Words: s.languages(t), Live: s, History: s, Staff: s, Auth: auth, OnSite: s.onSite,
		Now: func() time.Time { return s.now }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Title: s.title,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}
