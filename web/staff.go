package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

const (
	// logDays and logRows bound the log.
	logDays, logRows = 7, 50
	// untilReopened closes until somebody reopens, and not only for today.
	untilReopened = "reopened"
	// ownField and a language's tag is the field of an own text in it.
	ownField = "text-"
)

// A formError is what was wrong with a form, shown at that form.
type formError struct {
	Site string
	Kind perron.ActionKind
	Text string
}

func (e *formError) Error() string { return e.Text }

// who is the member of staff, or an answer that was already given.
func (s *server) who(w http.ResponseWriter, r *http.Request, v *visit) (name string, done bool, err error) {
	w.Header().Set("Cache-Control", "no-store")
	name, role, ok := s.Auth.User(r)
	if !ok {
		http.Redirect(w, r, v.Link("/staff/login"), http.StatusSeeOther)
		return "", true, nil
	}
	if role != "staff" && role != "admin" {
		return "", true, errForbidden
	}
	return name, false, nil
}

func (s *server) staff(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, done, err := s.who(w, r, v)
	if done || err != nil {
		return err
	}
	return s.renderStaff(w, r, v, http.StatusOK, name, nil)
}

func (s *server) renderStaff(w http.ResponseWriter, r *http.Request, v *visit, status int, user string, wrong *formError) error {
	body := staffBody{User: v.T("staff.user", "Name", user), Wrong: wrong, Script: newClientData(v, "/api/v1/live?"+url.Values{"lang": {v.Lang()}, "detail": {"staff"}}.Encode())}
	var actions []perron.Action
	for _, site := range s.Sites {
		now := s.now(site)
		body.Doubts = append(body.Doubts, v.Doubts(site, &now.Busyness, v.Now)...)
		body.Cards = append(body.Cards, viewCard(v.Language, s.Words.All(), &now, s.Live.Gateways(site.ID), v.Now, wrong))
		body.Script.Sites = append(body.Script.Sites, v.SaySite(site, &now.Busyness, v.Now, words.ToStaff))
		a, err := s.actions(r.Context(), site.ID, v.Now, logDays*24*time.Hour)
		if err != nil {
			return err
		}
		actions = append(actions, a...)
	}
	if n := len(body.Doubts); n > 0 {
		body.Health = v.N("staff.doubts", n)
	}
	body.Log = viewLog(v.Language, s.sites, actions, v.Now)
	for i := range body.Log {
		if body.Log[i].Undo > 0 {
			body.Fresh = &body.Log[i]
			break
		}
	}
	return s.render(w, r, v, status, "staff", layout{
		Title: v.T("staff.heading"), Area: "staff", Script: "staff.js", Body: body, // no refresh: it would take away what is being typed
	})
}

func (s *server) actions(ctx context.Context, site string, now time.Time, back time.Duration) ([]perron.Action, error) {
	a, err := s.History.Actions(ctx, site, now.Add(-back), now.Add(time.Second))
	if err != nil {
		return nil, fmt.Errorf("actions at %s: %w", site, err)
	}
	return a, nil
}

// act carries out one form of the staff page and goes back to the page.
func (s *server) act(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, done, err := s.who(w, r, v)
	if done || err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: %w", errForbidden, err)
	}
	site := s.sites[r.PostForm.Get("site")]
	if site == nil {
		return errNotFound
	}
	a, err := s.readAction(r, v, site)
	if err == nil {
		a.Site, a.By = site.ID, name
		if _, err = s.Staff.Act(r.Context(), a); err != nil {
			s.Logger.Error("staff action failed", logs.Site, site.ID, logs.Kind, a.Kind, logs.Error, err)
			wrong := &formError{site.ID, a.Kind, v.T("staff.failed")}
			return s.renderStaff(w, r, v, http.StatusServiceUnavailable, name, wrong)
		}
		http.Redirect(w, r, v.Link("/staff")+"#"+site.ID, http.StatusSeeOther)
		return nil
	}
	var wrong *formError
	if errors.As(err, &wrong) {
		return s.renderStaff(w, r, v, http.StatusBadRequest, name, wrong)
	}
	return err
}

// readAction makes an action of a form.
func (s *server) readAction(r *http.Request, v *visit, site *perron.Site) (perron.Action, error) {
	form := r.PostForm
	a := perron.Action{Kind: perron.ActionKind(form.Get("kind"))}
	wrong := func(id string, kv ...any) (perron.Action, error) {
		return a, &formError{site.ID, a.Kind, v.T(id, kv...)}
	}
	switch a.Kind {
	case perron.Recount:
		n, err := strconv.Atoi(strings.TrimSpace(form.Get("vehicles")))
		if err != nil || n < 0 || n > site.MaxRecount() {
			return wrong("staff.badnumber", "Max", site.MaxRecount())
		}
		a.Vehicles = n
	case perron.Close, perron.Announce:
		text, id := s.readText(form, a.Kind)
		if id != "" {
			return wrong(id, "Max", perron.MaxActionText)
		}
		a.Text = text
		if p, ok := site.Hours.NextDay(v.Now); ok && a.Kind == perron.Close && form.Get("until") != untilReopened {
			a.Until = p.Start
		}
	case perron.Reopen, perron.Withdraw:
	case perron.Undo:
		recent, err := s.actions(r.Context(), site.ID, v.Now, perron.UndoFor+perron.UndoGrace)
		if err != nil {
			return a, err
		}
		a.Undoes = form.Get("undoes")
		for _, old := range perron.Effective(recent) {
			if old.ID == a.Undoes {
				return a, nil
			}
		}
		return wrong("staff.toolate", "Seconds", perron.UndoFor.Seconds())
	default:
		return a, errNotFound
	}
	return a, nil
}

// readText is a ready sentence in all languages, or the member of staff's own
// words in those that were filled in; complaint is a message id.
func (s *server) readText(form url.Values, kind perron.ActionKind) (text map[string]string, complaint string) {
	text = make(map[string]string)
	for _, tag := range s.Words.Tags() {
		own := strings.Join(strings.Fields(form.Get(ownField+tag)), " ")
		if len([]rune(own)) > perron.MaxActionText {
			return nil, "staff.toolong"
		}
		if own != "" {
			text[tag] = own
		}
	}
	if len(text) > 0 {
		return text, ""
	}
	for _, id := range readySentences(kind) {
		if id == form.Get("ready") {
			for _, l := range s.Words.All() {
				text[l.Lang()] = l.T(readyID(kind, id))
			}
			return text, ""
		}
	}
	return nil, "staff.notext"
}

// readySentences are the ids of the ready sentences for closing and for
// notices, in the order in which they are offered.
func readySentences(kind perron.ActionKind) []string {
	if kind == perron.Close {
		return []string{"road", "full", "incident", "weather", "power"}
	}
	return []string{"lane", "green", "rubble", "works", "early"}
}

func readyID(kind perron.ActionKind, id string) string {
	if kind == perron.Close {
		return "ready.close." + id
	}
	return "ready.notice." + id
}
