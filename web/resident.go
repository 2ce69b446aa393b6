package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// refreshAfter is how often a page without scripts loads itself again.
const refreshAfter = 60

// A noticeView is a message by staff.
type noticeView struct {
	ID   string
	Text string
	Lang string // set when it is in another language
	When string
}

func viewNotice(w *words, n *perron.Notice, now time.Time) *noticeView {
	if n == nil {
		return nil
	}
	text, lang := w.Local(n.Text)
	v := &noticeView{ID: n.ID, Text: text, When: w.T("notice.at", "Time", w.Clock(n.At))}
	if lang != w.tag {
		v.Lang = lang
	}
	if perron.DateOf(n.At) != perron.DateOf(now) {
		v.When = w.T("notice.atday", "Day", w.DayOfMonth(perron.DateOf(n.At)))
	}
	return v
}

// A tile is one site on the overview.
type tile struct {
	ID, Name, Link string
	stateView
	Notice *noticeView
	Day    dayChart
	Best   string
	Lat    string // degrees, empty when not configured
	Lon    string
}

// A clientData is what the script starts from.
type clientData struct {
	Now    time.Time      `json:"now"`
	Lang   string         `json:"lang"`
	Live   string         `json:"live"` // path and query of the websocket
	States []scriptState  `json:"states"`
	Words  map[string]any `json:"words"`
}

type overviewBody struct {
	Tiles  []tile
	Advice string
	AsOf   string
	Script clientData
}

func (s *server) now(site *perron.Site) siteNow {
	v := siteNow{site: site, busyness: s.Live.Busyness(site.ID)}
	if f, ok := s.Live.Forecast(site.ID); ok {
		v.forecast = &f
	}
	return v
}

func (s *server) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	body := overviewBody{
		AsOf:   v.T("overview.asof", "Time", v.Clock(v.Now)),
		Script: clientData{Now: v.Now, Lang: v.tag, Live: "/api/v1/live", Words: v.script},
	}
	sites := make([]siteNow, 0, len(s.Sites))
	for _, site := range s.Sites {
		now := s.now(site)
		s.guided(r, &now, v.Now)
		sites = append(sites, now)
		body.Tiles = append(body.Tiles, viewTile(v, &now))
		body.Script.States = append(body.Script.States, newScriptState(site, &now.busyness))
	}
	body.Advice = advise(v.words, sites, v.Now)
	return s.render(w, r, v, http.StatusOK, "overview", layout{
		Title: v.T("overview.heading"), Area: "resident", Script: "site.js", Refresh: refreshAfter, Body: body,
	})
}

func viewTile(v *visit, s *siteNow) tile {
	t := tile{
		ID: s.site.ID, Name: s.site.Name, Link: v.Link("/perron/" + s.site.ID),
		stateView: viewState(v.words, &s.busyness, v.Now),
		Notice:    viewNotice(v.words, s.busyness.Notice, v.Now),
		Day:       viewDay(v.words, s.site, s.forecast, focusDay(&s.site.Hours, v.Now), v.Now, s.busyness.Closure != nil),
		Best:      bestToday(v.words, s, v.Now),
	}
	if s.site.Latitude != 0 || s.site.Longitude != 0 {
		t.Lat, t.Lon = degrees(s.site.Latitude), degrees(s.site.Longitude)
	}
	return t
}

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', 5, 64) }

// A momentView is one of the best moments.
type momentView struct{ When, Wait string }

type perronBody struct {
	tile
	Address   string
	Geo       template.URL // for a phone's own map, empty without coordinates
	Map       string
	Moments   []momentView
	NoMoments string // why there are none
	Week      weekView
	Hours     []weekdayHours
	Special   []specialDay
	Materials []string
	Weeks     string // what the forecast rests on
	Since     string
	Score     string // how often earlier forecasts were right
	Script    clientData
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
		Week:  viewWeek(v.words, site, now.forecast, v.Now),
		Hours: weekHours(v.words, &site.Hours, perron.DateOf(v.Now)), Special: specialDays(v.words, &site.Hours, perron.DateOf(v.Now)),
		Weeks: v.T("perron.how3none"),
		Script: clientData{
			Now: v.Now, Lang: v.tag, Live: "/api/v1/live?site=" + url.QueryEscape(site.ID),
			States: []scriptState{newScriptState(site, &now.busyness)}, Words: v.script,
		},
	}
	if d := &body.Day; d.Today && !d.Closed && !d.Empty {
		body.Week.Days[0].Summary = d.Summary // not another one, by the hour
	}
	for _, m := range momentsLeft(&now, v.Now) {
		body.Moments = append(body.Moments, momentView{capital(v.Moment(m, now.busyness.ClosesAt, v.Now)), v.WaitRange(m.Wait)})
	}
	if len(body.Moments) == 0 {
		body.NoMoments = noMoments(v.words, &now, v.Now)
	}
	if list, ok := site.Materials[v.tag]; ok {
		body.Materials = list
	} else {
		body.Materials = site.Materials[tags[0]]
	}
	if body.Lat != "" {
		at := body.Lat + "," + body.Lon
		body.Geo = template.URL("geo:" + at + "?q=" + at + "(" + url.PathEscape(site.Name) + ")")
		body.Map = "https://www.openstreetmap.org/?mlat=" + body.Lat + "&mlon=" + body.Lon + "#map=16/" + body.Lat + "/" + body.Lon
	}
	if now.forecast != nil && now.forecast.Weeks > 0 {
		body.Weeks = v.N("perron.how3", now.forecast.Weeks)
	}
	if now.forecast != nil {
		body.Score = scoreSentence(v.words, now.forecast.Score)
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
		s.Logger.Warn("no extent for the perron page", "site", site.ID, "err", err)
		return ""
	}
	if extent.First.IsZero() {
		return ""
	}
	return v.T("perron.since", "Day", v.Date(perron.DateOf(extent.First)))
}
