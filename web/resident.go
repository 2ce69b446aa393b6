package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// refreshAfter is how often a page without scripts loads itself again.
const refreshAfter = 60

// A tile is one site on the overview.
type tile struct {
	ID, Name, Link string
	statementView
	Day  dayChart
	Best string
	Lat  string // degrees, empty when not configured
	Lon  string
}

type overviewBody struct {
	Tiles  []tile
	Advice string
	Script clientData
}

func (s *server) now(site *perron.Site) words.SiteNow {
	v := words.SiteNow{Site: site, Busyness: s.Live.Busyness(site.ID)}
	if f, ok := s.Live.Forecast(site.ID); ok {
		v.Forecast = &f
	}
	return v
}

func (s *server) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	query := url.Values{"lang": {v.Lang()}}.Encode()
	body := overviewBody{Script: newClientData(v, "/api/v1/live?"+query)}
	body.Script.Asking = "/api/v1/sites?" + query
	sites := make([]words.SiteNow, 0, len(s.Sites))
	for _, site := range s.Sites {
		now := s.now(site)
		s.guided(r, &now, v.Now)
		sites = append(sites, now)
		body.Tiles = append(body.Tiles, viewTile(v, &now))
		body.Script.Sites = append(body.Script.Sites, v.SaySite(site, &now.Busyness, v.Now, words.ToAll))
	}
	body.Advice = v.Advice(sites, v.Now)
	return s.render(w, r, v, http.StatusOK, "overview", layout{
		Title: v.T("overview.heading"), Area: "resident", Script: "site.js", Refresh: refreshAfter, Body: body,
	})
}

func viewTile(v *visit, s *words.SiteNow) tile {
	t := tile{
		ID: s.Site.ID, Name: s.Site.Name, Link: v.Link("/perron/" + s.Site.ID),
		statementView: viewStatement(v.Language, s.Site, &s.Busyness, v.Now, words.ToAll),
		Day:           viewDay(v.Language, s.Site, s.Forecast, focusDay(&s.Site.Hours, v.Now), v.Now, s.Busyness.Closure != nil),
		Best:          v.BestToday(s, v.Now),
	}
	if s.Site.Latitude != 0 || s.Site.Longitude != 0 {
		t.Lat, t.Lon = degrees(s.Site.Latitude), degrees(s.Site.Longitude)
	}
	return t
}

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', 5, 64) }

// A momentView is one of the best moments.
type momentView struct{ When, Wait string }

type perronBody struct {
	tile
	Address       string
	Geo           template.URL // for a phone's own map, empty without coordinates
	Map           string
	Moments       []momentView
	NoMoments     string // why there are none
	Week          weekView
	Hours         []weekdayHours
	Special       []specialDay
	Materials     []string
	MaterialsLang string // set when the materials are in another language
	Weeks         string // what the forecast rests on
	Since         string
	Score         string // how often earlier forecasts were right
	Script        clientData
}

func (s *server) perron(w http.ResponseWriter, r *http.Request, v *visit) error {
	site := s.sites[r.PathValue("id")]
	if site == nil {
		return errNotFound
	}
	now := s.now(site)
	s.guided(r, &now, v.Now)
	body := perronBody{
		tile: viewTile(v, &now), Address: site.Address,
		Week:  viewWeek(v.Language, site, now.Forecast, v.Now),
		Hours: weekHours(v.Language, &site.Hours, perron.DateOf(v.Now)), Special: specialDays(v.Language, &site.Hours, perron.DateOf(v.Now)),
		Weeks:  v.T("perron.how3none"),
		Script: newClientData(v, "/api/v1/live?"+url.Values{"lang": {v.Lang()}, "site": {site.ID}}.Encode()),
	}
	body.Script.Asking = "/api/v1/sites?" + url.Values{"lang": {v.Lang()}}.Encode()
	body.Script.Sites = []words.SiteStatement{v.SaySite(site, &now.Busyness, v.Now, words.ToAll)}
	if d := &body.Day; d.Today && !d.Closed && !d.Empty {
		body.Week.Days[0].Summary = d.Summary // not another one, by the hour
	}
	for _, m := range now.MomentsLeft(v.Now) {
		body.Moments = append(body.Moments, momentView{v.Capital(v.Moment(m, now.Busyness.ClosesAt, v.Now)), v.WaitRange(m.Wait)})
	}
	if len(body.Moments) == 0 {
		body.NoMoments = v.NoMoments(&now, v.Now)
	}
	body.Materials, body.MaterialsLang = v.LocalList(site.Materials)
	if body.Lat != "" {
		at := body.Lat + "," + body.Lon
		body.Geo = template.URL("geo:" + at + "?q=" + at + "(" + url.PathEscape(site.Name) + ")")
		body.Map = "https://www.openstreetmap.org/?mlat=" + body.Lat + "&mlon=" + body.Lon + "#map=16/" + body.Lat + "/" + body.Lon
	}
	if now.Forecast != nil && now.Forecast.Weeks > 0 {
		body.Weeks = v.N("perron.how3", now.Forecast.Weeks)
	}
	if now.Forecast != nil {
		body.Score = v.Score(now.Forecast.Score)
	}
	body.Since = s.countedSince(r.Context(), v, site)
	return s.render(w, r, v, http.StatusOK, "perron", layout{
		Title: site.Name, Area: "resident", Script: "site.js", Refresh: refreshAfter, Body: body,
	})
}

// sinceWait is how long a resident's page waits for the store.
const sinceWait = 500 * time.Millisecond

// countedSince is a sentence that a page can do without, so that the store
// may be away, or not answer, while the live state is there.
func (s *server) countedSince(ctx context.Context, v *visit, site *perron.Site) string {
	ctx, cancel := context.WithTimeout(ctx, sinceWait)
	defer cancel()
	extent, err := s.History.Extent(ctx, site.ID)
	if err != nil {
		s.Logger.Warn("no extent for the perron page", logs.Site, site.ID, logs.Error, err)
		return ""
	}
	if extent.First.IsZero() {
		return ""
	}
	return v.T("perron.since", "Day", v.Date(perron.DateOf(extent.First)))
}
