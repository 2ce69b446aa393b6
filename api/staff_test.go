package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func (r *rig) act(body string, headers ...string) reply {
	return r.do("POST", "/api/v1/sites/poort/actions", body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func TestActions(t *testing.T) {
	r := newRig(t, nil)
	doc := document(t)
	const pattern = "/api/v1/sites/{id}/actions"
	if got := r.act(`{"kind":"recount","vehicles":7}`); got.status != 401 {
		t.Errorf("without a session: %d", got.status)
	}
	r.login("planner", RolePlanner)
	if got := r.act(`{"kind":"recount","vehicles":7}`); got.status != 403 {
		t.Errorf("a planner: %d", got.status)
	}
	if len(r.store.actions) != 0 {
		t.Fatalf("stored %+v", r.store.actions)
	}
	r.login("anna", RoleStaff)
	got := r.act(`{"kind":"recount","vehicles":7,"text":{"nl":"x"}}`)
	if got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	check(t, doc, "POST", pattern, got)
	var a perron.Action
	got.into(t, &a)
	want := perron.Action{ID: a.ID, Site: "poort", At: noon, By: "anna", Kind: perron.Recount, Vehicles: 7}
	if diff := cmp.Diff(want, a); diff != "" || len(a.ID) != 26 {
		t.Errorf("%s %s", a.ID, diff)
	}
	if diff := cmp.Diff([]perron.Action{want}, r.store.actions); diff != "" {
		t.Error(diff)
	}
	if m := r.link.published; len(m) != 1 || m[0].Topic != "perron/v1/poort/actions" || m[0].Retained {
		t.Fatalf("published %+v", m)
	}
	nudge, err := broker.DecodeAction(r.link.published[0].Payload)
	if err != nil || nudge.ID != a.ID {
		t.Errorf("nudge %+v %v", nudge, err)
	}

	// A broker that is away does not undo what was decided.
	r.link.mu.Lock()
	r.link.err = errors.New("offline")
	r.link.mu.Unlock()
	r.clock.advance(30 * time.Second)
	if got := r.act(`{"kind":"close","text":{"nl":" Te druk. ","en":""}}`); got.status != 201 {
		t.Errorf("offline: %d %s", got.status, got.body)
	}
	closing := r.store.actions[1]
	if diff := cmp.Diff(map[string]string{"nl": "Te druk."}, closing.Text); diff != "" || closing.ID <= a.ID {
		t.Errorf("%s after %s: %s", closing.ID, a.ID, diff)
	}

	// It ends when the yard opens on its next day, which Ascension Day is not.
	if want := time.Date(2026, 5, 15, 6, 30, 0, 0, time.UTC); !closing.Until.Equal(want) {
		t.Errorf("closed until %v, want %v", closing.Until, want)
	}

	// Undo: what is there, once, for a minute, by anyone.
	r.login("bert", RoleAdmin)
	if got := r.act(`{"kind":"undo","undoes":"` + closing.ID + `"}`); got.status != 201 {
		t.Errorf("undo: %d %s", got.status, got.body)
	}
	for name, id := range map[string]string{"twice": closing.ID, "an undo": r.store.actions[2].ID, "what never was": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "nothing": ""} {
		if got := r.act(`{"kind":"undo","undoes":"` + id + `"}`); got.status != 400 || !strings.Contains(got.body, `"parameter":"undoes"`) {
			t.Errorf("undo %s: %d %s", name, got.status, got.body)
		}
	}
	r.clock.advance(45 * time.Second) // 75 s after the recount
	if got := r.act(`{"kind":"undo","undoes":"` + a.ID + `"}`); got.status != 400 || !strings.Contains(got.body, "60 seconds") {
		t.Errorf("undo too late: %d %s", got.status, got.body)
	}

	log := r.get("/api/v1/sites/poort/actions")
	check(t, doc, "GET", pattern, log)
	var list openapi.ActionList
	log.into(t, &list)
	if len(list.Actions) != 3 || list.Actions[0].By != "bert" || list.Actions[2].ID != a.ID || log.header.Get("Cache-Control") != `no-store` && !strings.Contains(strings.Join(log.header.Values("Cache-Control"), ","), "no-store") {
		t.Errorf("log %+v %v", list, log.header)
	}
	if got := r.get("/api/v1/sites/poort/actions?from=nonsense"); got.status != 400 {
		t.Errorf("from=nonsense: %d", got.status)
	}
}

func TestActionsThatCannotBeMeant(t *testing.T) {
	r := newRig(t, nil)
	r.login("anna", RoleStaff)
	text := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	for _, c := range []struct {
		body, field string
		status      int
	}{
		{`{"kind":"recount"}`, "vehicles", 400},
		{`{"kind":"recount","vehicles":-1}`, "vehicles", 400},
		{`{"kind":"recount","vehicles":301}`, "vehicles", 400},
		{`{"kind":"recount","vehicles":300}`, "", 201},
		{`{"kind":"recount","vehicles":0}`, "", 201},
		{`{"kind":"close"}`, "text", 400},
		{`{"kind":"announce","text":{"nl":"  "}}`, "text", 400},
		{`{"kind":"announce","text":{"de":"Voll"}}`, "text.de", 400},
		{`{"kind":"announce","text":{"nl":` + text(strings.Repeat("ë", 501)) + `}}`, "text.nl", 400},
		{`{"kind":"announce","text":{"nl":` + text(strings.Repeat("ë", 500)) + `}}`, "", 201},
		{`{"kind":"announce","text":{"nl":"a\u0007b"}}`, "text.nl", 400},
		{`{"kind":"explode"}`, "kind", 400},
		{`{"kind":`, "body", 400},
		{`{"kind":5}`, "kind", 400},
		{`{"kind":"recount","vehicles":"many"}`, "vehicles", 400},
		{`[]`, "body", 400},
		{`{"kind":"reopen","text":{"nl":"` + strings.Repeat("x", 20_000) + `"}}`, "", 413},
		{`{"kind":"reopen"}`, "", 201},
		{`{"kind":"close","text":{"nl":"Vol"},"untilReopened":true}`, "", 201},
		{`{"kind":"withdraw"}`, "", 201},
	} {
		got := r.act(c.body)
		var p openapi.Problem
		got.into(t, &p)
		if got.status != c.status || p.Parameter != c.field {
			t.Errorf("%.60s: %d %s", c.body, got.status, got.body)
		}
	}
	if got := r.do("POST", "/api/v1/sites/nowhere/actions", `{"kind":"reopen"}`, "Content-Type", "application/json"); got.status != 404 {
		t.Errorf("nowhere: %d", got.status)
	}
	// The closing of before was to hold until somebody reopens.
	before := len(r.store.actions)
	if a := r.store.actions[before-2]; a.Kind != perron.Close || !a.Until.IsZero() {
		t.Errorf("until somebody reopens: %+v", a)
	}
	r.store.fail(fmt.Errorf("disk: %w", store.ErrFull))
	if got := r.act(`{"kind":"reopen"}`); got.status != 503 || strings.Contains(got.body, "disk") || len(r.store.actions) != before {
		t.Errorf("full: %d %s", got.status, got.body)
	}
}

func TestForgedRequests(t *testing.T) {
	r := newRig(t, nil)
	r.login("anna", RoleStaff)
	body := `{"kind":"recount","vehicles":7}`
	for name, headers := range map[string][]string{
		"another site":              {"Sec-Fetch-Site", "cross-site"},
		"a sibling":                 {"Sec-Fetch-Site", "same-site"},
		"an old browser":            {"Origin", "https://elsewhere.example"},
		"a page without an address": {"Origin", "null"},
	} {
		got := r.act(body, headers...)
		if got.status != 403 || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		// The pages' own forms are behind the same guard.
		if got := r.do("POST", "/logout", "", headers...); got.status != 403 {
			t.Errorf("logout by %s: %d", name, got.status)
		}
	}
	if got := r.do("POST", "/api/v1/sites/poort/actions", body, "Content-Type", "text/plain"); got.status != 415 {
		t.Errorf("as a form sends it: %d", got.status)
	}
	if len(r.store.actions) != 0 {
		t.Errorf("stored %+v", r.store.actions)
	}
	if got := r.act(body, "Sec-Fetch-Site", "same-origin", "Origin", r.base); got.status != 201 {
		t.Errorf("our own page: %d %s", got.status, got.body)
	}
}
