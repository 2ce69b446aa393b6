package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// handlers answers what openapi.json promises.
type handlers struct {
	*Server
}

var _ openapi.StrictServerInterface = handlers{}

// How long shared caches may keep an answer.
const (
	keepState    = 5 * time.Second
	keepForecast = time.Minute
	keepCounts   = time.Minute
	keepProfile  = 10 * time.Minute
	keepDocument = time.Hour

	daysAhead = 14 // of opening hours
)

func (h handlers) site(id string) (*perron.Site, error) {
	if s, ok := h.sites[id]; ok {
		return s, nil
	}
	return nil, noSite(id)
}

// ListSites implements openapi.StrictServerInterface.
func (h handlers) ListSites(ctx context.Context, r openapi.ListSitesRequestObject) (openapi.ListSitesResponseObject, error) {
	lang, err := h.language(r.Params.Lang)
	if err != nil {
		return nil, err
	}
	now := h.now()
	out := openapi.ListSites200JSONResponse{At: *instant(now), Sites: []openapi.Site{}}
	var tag []any
	for _, s := range h.order {
		lat, long := coordinates(s)
		site := openapi.Site{
			Id: s.ID, Name: s.Name, Address: s.Address, Latitude: lat, Longitude: long,
			Bays: s.Bays, Lanes: s.Lanes, Gates: gates(s), State: h.state(s, now), Statement: h.said(lang, s, now),
		}
		out.Sites = append(out.Sites, site)
		site.State.AgeSeconds = coarse(site.State.AgeSeconds)
		tag = append(tag, site)
	}
	return out, aboutAnswer(ctx, keepState, tag)
}

// GetSite implements openapi.StrictServerInterface.
func (h handlers) GetSite(ctx context.Context, r openapi.GetSiteRequestObject) (openapi.GetSiteResponseObject, error) {
	s, err := h.site(r.Id)
	if err != nil {
		return nil, err
	}
	lang, err := h.language(r.Params.Lang)
	if err != nil {
		return nil, err
	}
	now := h.now()
	lat, long := coordinates(s)
	out := openapi.GetSite200JSONResponse{
		At: *instant(now), Id: s.ID, Name: s.Name, Address: s.Address, Latitude: lat, Longitude: long,
		Bays: s.Bays, Lanes: s.Lanes, Gates: gates(s), State: h.state(s, now), Statement: h.said(lang, s, now), Opening: opening(s, now),
	}
	if len(s.Materials) > 0 {
		out.Materials = &s.Materials
	}
	same := out
	same.At, same.State.AgeSeconds = time.Time{}, coarse(same.State.AgeSeconds)
	return out, aboutAnswer(ctx, keepState, same)
}

// coarse is an age as far as it makes two answers differ. Who asks again gets
// the new age now and then, though nothing else has changed: a kept answer must
// not say for minutes that it was measured just now.
func coarse(seconds *int64) *int64 {
	if seconds == nil {
		return nil
	}
	halfMinutes := *seconds / 30
	return &halfMinutes
}

func (h handlers) state(s *perron.Site, now time.Time) openapi.State {
	b, _ := h.live.busyness(s.ID, now)
	return publicState(b, now)
}

// language is the one that was asked for, nil for none.
func (h handlers) language(tag *string) (*words.Language, error) {
	if tag == nil || *tag == "" {
		return nil, nil
	}
	if l, ok := h.words.Get(*tag); ok {
		return l, nil
	}
	return nil, noLanguage(*tag)
}

func noLanguage(tag string) error {
	return invalid("lang", tag, "there are no words in %q", clip(tag))
}

// said is what is said of a site in a language, nil without one.
func (h handlers) said(l *words.Language, s *perron.Site, now time.Time) *words.SiteStatement {
	if l == nil {
		return nil
	}
	said := h.live.say(s.ID, l, words.ToAll, now)
	return &said
}

func coordinates(s *perron.Site) (lat, long *float64) {
	if s.Latitude == 0 && s.Longitude == 0 {
		return nil, nil
	}
	return &s.Latitude, &s.Longitude
}

func gates(s *perron.Site) []openapi.Gate {
	out := make([]openapi.Gate, 0, len(s.Gates))
	for _, g := range s.Gates {
		out = append(out, openapi.Gate{Id: g.ID, Name: g.Name})
	}
	return out
}

func opening(s *perron.Site, now time.Time) []openapi.OpeningDay {
	out := make([]openapi.OpeningDay, 0, daysAhead)
	for d, i := perron.DateOf(now), 0; i < daysAhead; d, i = d.AddDays(1), i+1 {
		day := openapi.OpeningDay{Date: d.String(), Periods: []openapi.Period{}}
		for _, p := range s.Hours.Periods(d) {
			day.Periods = append(day.Periods, openapi.Period{Start: p.Start, End: p.End})
		}
		if hol := perron.HolidayOn(d); hol != perron.NoHoliday {
			name := string(hol)
			day.Holiday = &name
		}
		if e, ok := s.Hours.Exceptions[d]; ok && len(e.Reason) > 0 {
			day.Reason = &e.Reason
		}
		out = append(out, day)
	}
	return out
}

// GetForecast implements openapi.StrictServerInterface.
func (h handlers) GetForecast(ctx context.Context, r openapi.GetForecastRequestObject) (openapi.GetForecastResponseObject, error) {
	if _, err := h.site(r.Id); err != nil {
		return nil, err
	}
	f, ok := h.live.Forecast(r.Id)
	if !ok {
		return nil, &failure{status: 404, detail: fmt.Sprintf("there is no forecast of %s yet", r.Id), retryAfter: time.Minute}
	}
	// An empty list is a list.
	f.Measured, f.Quarters, f.Hours, f.Best = orEmpty(f.Measured), orEmpty(f.Quarters), orEmpty(f.Hours), orEmpty(f.Best)
	return openapi.GetForecast200JSONResponse(f), aboutAnswer(ctx, keepForecast, nil)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// GetProfile implements openapi.StrictServerInterface.
func (h handlers) GetProfile(ctx context.Context, r openapi.GetProfileRequestObject) (openapi.GetProfileResponseObject, error) {
	s, err := h.site(r.Id)
	if err != nil {
		return nil, err
	}
	weeks := 8
	if r.Params.Weeks != nil {
		weeks = *r.Params.Weeks
	}
	if weeks < 1 || weeks > 53 {
		return nil, invalid("weeks", fmt.Sprint(weeks), "%d is not between 1 and 53", weeks)
	}
	p, err := h.profiles.get(ctx, s, weeks, h.now())
	if err != nil {
		return nil, err
	}
	return openapi.GetProfile200JSONResponse(p), aboutAnswer(ctx, keepProfile, nil)
}

// ListActions implements openapi.StrictServerInterface.
func (h handlers) ListActions(ctx context.Context, r openapi.ListActionsRequestObject) (openapi.ListActionsResponseObject, error) {
	if _, err := h.auth.staffOf(ctx); err != nil {
		return nil, err
	}
	if _, err := h.site(r.Id); err != nil {
		return nil, err
	}
	from, to, err := period(r.Params.From, r.Params.To, h.now(), 30*24*time.Hour)
	if err != nil {
		return nil, err
	}
	ctx, done, err := h.history.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	actions, err := h.store.Actions(ctx, r.Id, from, to)
	if err != nil {
		return nil, fmt.Errorf("actions: %w", err)
	}
	actions = slices.Clone(actions)
	slices.Reverse(actions)
	return openapi.ListActions200JSONResponse{Site: r.Id, Actions: orEmpty(actions)}, nil
}

// Act implements openapi.StrictServerInterface.
func (h handlers) Act(ctx context.Context, r openapi.ActRequestObject) (openapi.ActResponseObject, error) {
	name, err := h.auth.staffOf(ctx)
	if err != nil {
		return nil, err
	}
	site, err := h.site(r.Id)
	if err != nil {
		return nil, err
	}
	a := perron.Action{Site: r.Id, By: name, Kind: r.Body.Kind, Text: r.Body.Text, Undoes: r.Body.Undoes}
	switch {
	case r.Body.Vehicles != nil:
		a.Vehicles = *r.Body.Vehicles
	case a.Kind == perron.Recount:
		// Zero vehicles is a claim that has to be made.
		return nil, &InvalidError{"vehicles", "", "a recount needs the number of vehicles"}
	}
	if a.Kind == perron.Close && !r.Body.UntilReopened {
		if p, ok := site.Hours.NextDay(h.now()); ok {
			a.Until = p.Start
		}
	}
	if a, err = h.staff.Act(ctx, a); err != nil {
		return nil, err
	}
	return openapi.Act201JSONResponse(a), nil
}

// Health implements openapi.StrictServerInterface.
func (h handlers) Health(context.Context, openapi.HealthRequestObject) (openapi.HealthResponseObject, error) {
	return openapi.Health200JSONResponse{Status: "ok"}, nil
}

// Ready implements openapi.StrictServerInterface.
func (h handlers) Ready(ctx context.Context, _ openapi.ReadyRequestObject) (openapi.ReadyResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if h.ready != nil {
		if err := h.ready(ctx); err != nil {
			return nil, &failure{status: 503, detail: "not ready", retryAfter: 5 * time.Second, cause: err}
		}
	}
	return openapi.Ready200JSONResponse{Status: "ready"}, nil
}

// period reads from and to; to is now and from is span before it when absent.
func period(fromText, toText *string, now time.Time, span time.Duration) (from, to time.Time, err error) {
	to = now
	if toText != nil {
		if to, err = readInstant("to", *toText); err != nil {
			return from, to, err
		}
	}
	from = to.Add(-span)
	if fromText != nil {
		if from, err = readInstant("from", *fromText); err != nil {
			return from, to, err
		}
	}
	if !from.Before(to) {
		return from, to, invalid("from", deref(fromText), "%s is not before to, %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return from.UTC(), to.UTC(), nil
}

// latest bounds what a query may ask for, so that civil computations stay in
// the range of years that every backend knows.
var latest = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func readInstant(name, s string) (time.Time, error) {
	// The + of an offset arrives as a space when the client did not escape it.
	t, err := time.Parse(time.RFC3339, strings.Replace(s, " ", "+", 1))
	if err != nil {
		d, dateErr := perron.ParseDate(s)
		if dateErr != nil {
			return t, invalid(name, s, "%q is neither a time like 2026-05-01T08:00:00Z nor a date like 2026-05-01", clip(s))
		}
		t = d.Start()
	}
	if t.Before(perron.Earliest) || t.After(latest) {
		return t, invalid(name, s, "%q is not between the years 2000 and 2100", clip(s))
	}
	return t, nil
}

// A turnstile lets few requests read history at once: a year of quarter hours is
// some megabytes, and a backend has other work.
type turnstile struct {
	places chan struct{}
	wait   time.Duration
	work   time.Duration
}

func newTurnstile(places int, wait, work time.Duration) *turnstile {
	return &turnstile{places: make(chan struct{}, places), wait: wait, work: work}
}

// enter waits for a place. The context it returns bounds the work.
func (t *turnstile) enter(ctx context.Context) (work context.Context, done func(), err error) {
	timer := time.NewTimer(t.wait)
	defer timer.Stop()
	select {
	case t.places <- struct{}{}:
	case <-timer.C:
		return nil, nil, &failure{status: 503, detail: "too many ask for history at once", retryAfter: 5 * time.Second}
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	work, cancel := context.WithTimeout(ctx, t.work)
	return work, func() { cancel(); <-t.places }, nil
}
