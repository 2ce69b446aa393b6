package web

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

func scenarioNamed(t *testing.T, name string) *scenario {
	t.Helper()
	for _, s := range scenarios() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scenario %q", name)
	return nil
}

// get asks for a page; header is pairs of name and value.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(h http.Handler, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLanguageOfAPage(t *testing.T) {
	h := newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{})
	const nl, en = "Hoe druk is het nu?", "How busy is it now?"
	for _, c := range []struct{ path, accept, want string }{
		{"/", "", nl},
		{"/", "en-GB,en;q=0.9", en},
		{"/", "ja,ko;q=0.5", nl},
		{"/", "nl;q=0.3,en;q=0.8", en},
		{"/nl/", "en", nl},
		{"/en", "nl", en},
		{"/en/", "nl", en},
	} {
		w := get(h, c.path, "Accept-Language", c.accept)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s with %q: %d, want a page that says %q", c.path, c.accept, w.Code, c.want)
		}
		if byHeader := strings.Contains(strings.Join(w.Header()["Vary"], ","), "Accept-Language"); byHeader != (c.path == "/") {
			t.Errorf("%s varies by Accept-Language: %v", c.path, byHeader)
		}
	}
	// Links stay within the language of the address, and without one within none.
	if body := get(h, "/en/perron/poort").Body.String(); !strings.Contains(body, `class="pd-back" href="/en/"`) {
		t.Error("/en/perron/poort does not link back to /en/")
	}
	if body := get(h, "/").Body.String(); !strings.Contains(body, `href="/perron/poort"`) {
		t.Error("/ does not link to /perron/poort")
	}
}

func TestHeadersAndErrors(t *testing.T) {
	h := newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{})
	for path, status := range map[string]int{
		"/": 200, "/perron/poort": 200, "/planner": 200, "/staff/login": 200, "/staff": 303,
		"/perron/nergens": 404, "/nl/perron/nergens": 404, "/planner?site=nergens": 404, "/bestaat-niet": 404, "/staff/nee": 404, "/assets/niets.css": 404,
	} {
		w := get(h, path)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if !strings.HasPrefix(w.Header().Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, w.Header().Get(name))
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		body := w.Body.String()
		if strings.Contains(body, " style=") || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<no value>") {
			t.Errorf("%s has a style attribute, an unsafe value or a hole", path)
		}
	}
	if body := get(h, "/en/bestaat-niet").Body.String(); !strings.Contains(body, "This page does not exist") {
		t.Error("the error page is not in English")
	}
}

func TestCompressionAndCaching(t *testing.T) {
	h := newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{})
	plain := get(h, "/")
	w := get(h, "/", "Accept-Encoding", "br, gzip;q=0.8")
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v", w.Header())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || string(body) != plain.Body.String() {
		t.Errorf("compressed page differs: %v", err)
	}
	if w := get(h, "/", "Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for one who refuses it")
	}
	_, after, _ := strings.Cut(plain.Body.String(), `rel="stylesheet" href="`)
	style, _, _ := strings.Cut(after, `"`)
	w = get(h, style, "Accept-Encoding", "gzip")
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("style: %d %v", w.Code, w.Header())
	}
	if total := w.Body.Len(); total > 15_000 {
		t.Errorf("the style is %d bytes", total)
	}
}

func TestPagesSayWhatIs(t *testing.T) {
	for _, c := range []struct {
		scenario, path string
		want           []string
		never          []string
	}{
		{"saturday", "/nl/", []string{"minstens 45 min", "Zeer druk", "Bij Buiten bent u nu ongeveer", "Beste moment vandaag:"}, nil},
		{"saturday", "/nl/perron/poort", []string{"ongeveer 26 voertuigen op het terrein", "geo:52.34080,5.15420?q=52.34080,5.15420%28Poort%29", "Hemelvaartsdag", "laatste 8 weken", "Groenafval"}, nil},
		{"sunday", "/nl/", []string{"Gesloten.", "Morgen open om 8:30."}, []string{`data-level="quiet"`, "gemeten om"}},
		{"down", "/nl/", []string{"Geen actuele meting (laatste om 10:42).", "Meestal rustig op dit moment.", `data-level="unknown" data-typical="quiet"`, "Er is nog geen verwachting."}, []string{"na 12:00"}},
		{"down", "/en/perron/poort", []string{"No current measurement (last at 10:42).", "Usually quiet at this time.", "so we name no best moment"}, []string{`data-level="quiet"`}},
		{"late", "/nl/", []string{"Sluit om 17:00.", "Als u nu vertrekt, komt u waarschijnlijk niet meer aan de beurt."}, nil},
		{"notice", "/en/", []string{"One lane is closed.", "Posted at 9:41", "The queue has reached the public road.", "since 9:52"}, nil},
		{"notice", "/nl/perron/buiten", []string{"De rij staat op de openbare weg."}, []string{"Na 1"}},
		{"saturday", "/planner?site=poort&day=2026-05-02", []string{"Drukste dagen", "/api/v1/sites/poort/counts?format=csv&amp;from=2026-03-15&amp;to=2026-05-10&amp;interval=1h", "Verloop van zaterdag 2 mei 2026"}, nil},
		{"saturday", "/planner?from=2027-01-01&to=2027-02-01", []string{"In deze periode zijn er geen tellingen."}, nil},
		{"saturday", "/planner?from=x&to=y", []string{"Die periode klopt niet."}, nil},
		{"saturday", "/planner?site=poort&day=2026-02-30", []string{"Die dag klopt niet.", "Klopte de verwachting?"}, nil},
		{"saturday", "/planner?from=2026-05-02&to=2026-05-02", []string{" binnengekomen op 1 dag."}, nil},
	} {
		body := get(newHandler(t, scenarioNamed(t, c.scenario), &fakeAuth{}), c.path).Body.String()
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s %s does not say %q", c.scenario, c.path, want)
			}
		}
		for _, never := range c.never {
			if strings.Contains(body, never) {
				t.Errorf("%s %s says %q", c.scenario, c.path, never)
			}
		}
	}
}

// TestPagesOfANewServer: nothing that divides by what is not there yet shows on
// a page, neither before the first count nor on the first day.
func TestPagesOfANewServer(t *testing.T) {
	nothing := newScenario("nothing", "2026-05-09 11:20")
	nothing.since = nothing.now.Add(time.Hour)
	for _, site := range nothing.sites {
		nothing.live[site.ID], nothing.gates[site.ID] = perron.Busyness{}, nil
	}
	first := newScenario("first day", "2026-05-09 11:20")
	first.since = civil("2026-05-09 08:30")
	wrong := regexp.MustCompile(`NaN|\bInf(inity)?\b|[>\s(]-\d|\d{7,} (min|voertuig)`)
	tags := regexp.MustCompile(`(?s)<script.*?</script>|<svg.*?</svg>|<[^>]*>`)
	for _, s := range []*scenario{nothing, first} {
		h := newHandler(t, s, &fakeAuth{})
		for _, path := range []string{
			"/nl/", "/nl/perron/poort", "/nl/staff", "/nl/planner", "/nl/planner?site=poort", "/nl/planner?site=poort&day=2026-05-09",
			"/nl/planner?site=poort&day=2026-10-25&ahead=360", "/nl/planner?site=poort&from=2026-03-29&to=2026-03-29",
		} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.AddCookie(&http.Cookie{Name: "user", Value: "ans"})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%s: %s: %d", s.name, path, w.Code)
			}
			if m := wrong.FindString(tags.ReplaceAllString(w.Body.String(), "\n")); m != "" {
				t.Errorf("%s: %s says %q", s.name, path, m)
			}
			if strings.Contains(w.Body.String(), `"NaN`) || strings.Contains(w.Body.String(), `"+Inf`) {
				t.Errorf("%s: %s draws what is no number", s.name, path)
			}
		}
	}
}

func TestLogin(t *testing.T) {
	h := newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{})
	good := url.Values{"name": {"ans"}, "password": {"welkom"}}
	if w := post(h, "/en/staff/login", good); w.Code != 303 || w.Header().Get("Location") != "/en/staff" || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("login: %d %v", w.Code, w.Header())
	}
	w := post(h, "/staff/login", url.Values{"name": {"<ans>"}, "password": {"fout"}})
	if w.Code != 401 || !strings.Contains(w.Body.String(), `value="&lt;ans&gt;"`) || strings.Contains(w.Body.String(), "fout") {
		t.Errorf("wrong password: %d", w.Code)
	}
	w = post(newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{limited: 90 * time.Second}), "/staff/login", good)
	if w.Code != 429 || w.Header().Get("Retry-After") != "90" || !strings.Contains(w.Body.String(), "over 2 min") {
		t.Errorf("too many attempts: %d %v", w.Code, w.Header())
	}
	if w := post(h, "/staff/login", good, "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("login from another site: %d", w.Code)
	}
	if w := get(h, "/staff", "Cookie", "user=planner"); w.Code != 403 {
		t.Errorf("a planner on the staff page: %d", w.Code)
	}
}

func TestStaffActs(t *testing.T) {
	s := scenarioNamed(t, "tuesday")
	h := newHandler(t, s, &fakeAuth{})
	act := func(kv ...string) *httptest.ResponseRecorder {
		form := url.Values{}
		for i := 0; i+1 < len(kv); i += 2 {
			form.Set(kv[i], kv[i+1])
		}
		return post(h, "/nl/staff/act", form, "Cookie", "user=ans")
	}
	last := func() perron.Action { return s.actions[len(s.actions)-1] }

	if w := act("site", "poort", "kind", "recount", "vehicles", " 23 "); w.Code != 303 || w.Header().Get("Location") != "/nl/staff#poort" {
		t.Fatalf("recount: %d %v", w.Code, w.Header())
	}
	if a := last(); a.Kind != perron.Recount || a.Vehicles != 23 || a.By != "ans" || a.Site != "poort" {
		t.Errorf("recount: %+v", a)
	}
	counted := last().ID
	act("site", "poort", "kind", "close", "ready", "full")
	if a := last(); a.Kind != perron.Close || a.Text["nl"] != "De containers zijn vol." || a.Text["en"] != "The containers are full." {
		t.Errorf("close: %+v", a)
	}
	// It is Tuesday; the page says beforehand until when that is, and afterwards.
	if a, page := last(), get(h, "/nl/staff", "Cookie", "user=ans").Body.String(); !a.Until.Equal(civil("2026-05-13 08:30")) ||
		!strings.Contains(page, `<option value="">Alleen vandaag. Morgen open om 8:30.</option><option value="reopened">Tot ik heropen, ook morgen nog</option>`) ||
		!strings.Contains(page, "gesloten tot wo 13 mei, 8:30. De containers zijn vol.") {
		t.Errorf("closed until %v", a.Until)
	}
	act("site", "poort", "kind", "close", "ready", "full", "until", "reopened")
	if a := last(); a.Kind != perron.Close || !a.Until.IsZero() {
		t.Errorf("until somebody reopens: %+v", a)
	}
	for until, says := range map[time.Time]string{
		{}: "Gesloten tot iemand heropent, ook de volgende dagen.", civil("2026-05-13 08:30"): "De sluiting eindigt vanzelf. Morgen open om 8:30.",
	} {
		closed := scenarioNamed(t, "tuesday")
		closed.change("poort", func(b *perron.Busyness) { b.Closure = &perron.Closure{Since: closed.now, Until: until} })
		if page := get(newHandler(t, closed, &fakeAuth{}), "/nl/staff", "Cookie", "user=ans").Body.String(); !strings.Contains(page, says) {
			t.Errorf("the page does not say %q", says)
		}
	}
	act("site", "poort", "kind", "announce", "ready", "", "text-nl", "  Volg \n de borden ", "text-en", "")
	if a := last(); a.Kind != perron.Announce || len(a.Text) != 1 || a.Text["nl"] != "Volg de borden" {
		t.Errorf("own text: %+v", a)
	}
	// The list stands at its first sentence until somebody touches it: who has
	// written something means that.
	act("site", "poort", "kind", "announce", "ready", "lane", "text-nl", "De kraan is stuk.", "text-en", "")
	if a := last(); len(a.Text) != 1 || a.Text["nl"] != "De kraan is stuk." {
		t.Errorf("own text beside a sentence of the list: %+v", a)
	}
	act("site", "poort", "kind", "undo", "undoes", counted)
	if a := last(); a.Kind != perron.Undo || a.Undoes != counted {
		t.Errorf("undo: %+v", a)
	}

	done := len(s.actions)
	for _, c := range []struct {
		form   []string
		status int
		says   string
	}{
		{[]string{"site", "poort", "kind", "recount", "vehicles", "veel"}, 400, "Vul een heel getal in"},
		{[]string{"site", "poort", "kind", "recount", "vehicles", "-1"}, 400, "Vul een heel getal in"},
		{[]string{"site", "poort", "kind", "recount", "vehicles", "1000"}, 400, "Vul een heel getal in"},
		{[]string{"site", "poort", "kind", "close"}, 400, "Kies een zin"},
		{[]string{"site", "poort", "kind", "announce", "text-nl", strings.Repeat("a", perron.MaxActionText+1)}, 400, "te lang"},
		{[]string{"site", "poort", "kind", "undo", "undoes", counted}, 400, "binnen 60 seconden"},
		{[]string{"site", "nergens", "kind", "reopen"}, 404, ""},
		{[]string{"site", "poort", "kind", "dance"}, 404, ""},
	} {
		w := act(c.form...)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%v: %d, want %d and %q", c.form, w.Code, c.status, c.says)
		}
	}
	if len(s.actions) != done {
		t.Errorf("a refused form was carried out: %+v", s.actions[done:])
	}

	// What may be written and counted stands at the forms.
	page := get(h, "/nl/staff", "Cookie", "user=ans").Body.String()
	for _, want := range []string{
		fmt.Sprintf(`maxlength="%d"`, perron.MaxActionText), fmt.Sprintf("Hooguit %d tekens.", perron.MaxActionText), fmt.Sprintf("Hooguit %d.</p>", s.sites[0].MaxRecount()),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}

	// The minute is over.
	s.now = s.now.Add(perron.UndoFor + perron.UndoGrace + time.Second)
	if w := act("site", "poort", "kind", "undo", "undoes", s.actions[1].ID); w.Code != 400 {
		t.Errorf("undo after a minute: %d", w.Code)
	}
	s.failing = errors.New("the store is full")
	w := act("site", "poort", "kind", "reopen")
	if w.Code != 503 || !strings.Contains(w.Body.String(), "Dit is niet bewaard") && !strings.Contains(w.Body.String(), "niet bewaard") {
		t.Errorf("failed action: %d", w.Code)
	}
	if w := post(h, "/staff/act", url.Values{"site": {"poort"}, "kind": {"reopen"}}); w.Code != 303 || w.Header().Get("Location") != "/staff/login" {
		t.Errorf("without a session: %d %v", w.Code, w.Header())
	}
}

func TestNextHour(t *testing.T) {
	now := civil("2026-05-09 11:20")
	f := perron.Forecast{}
	for q := now.Truncate(15 * time.Minute); len(f.Quarters) < 8; q = q.Add(15 * time.Minute) {
		f.Quarters = append(f.Quarters, perron.Slot{Start: q, Minutes: 15, Arrivals: perron.Exactly(6)})
	}
	if n, ok := nextHour(&f, now); n != 24 || !ok {
		t.Errorf("next hour: %d %v, want 24: parts of the first and the fifth quarter", n, ok)
	}
	f.Quarters[2].Open, f.Quarters[2].Basis = true, perron.QualityUnknown
	if n, ok := nextHour(&f, now); ok {
		t.Errorf("next hour: %d, want no number where nothing is known", n)
	}
	if _, ok := nextHour(nil, now); ok {
		t.Error("an hour is expected without a forecast")
	}
}
