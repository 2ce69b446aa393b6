package web

import (
	"encoding/json"
	"html"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
	"github.com/perrondrukte/perrondrukte/words/wordstest"
)

const locales = "../words/locales"

// withMadeUp loads the compiled-in languages and two made-up ones, one with the
// many plural forms of Arabic and written from right to left, from files.
func withMadeUp(t *testing.T) *words.Languages {
	t.Helper()
	l, err := words.Load(wordstest.Folder(t, os.DirFS(locales), map[string]map[string]any{
		"pl": wordstest.MadeUp(t, os.DirFS(locales), "nl", "⟦Polski⟧", "ltr", "few", "many"),
		"ar": wordstest.MadeUp(t, os.DirFS(locales), "nl", "⟦العربية⟧", "rtl", "zero", "two", "few", "many"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	notShown   = regexp.MustCompile(`(?s)<script.*?</script>|<!doctype html>`)
	withinText = regexp.MustCompile(`</?time[^>]*>`)
	attributes = regexp.MustCompile(`\s(?:aria-label|aria-valuetext|title|alt|placeholder|data-read|data-fail)="([^"]*)"`)
	anyTag     = regexp.MustCompile(`(?s)<[^>]*>`)
)

// texts is everything on a page that people read or hear.
func texts(page string) string {
	page = notShown.ReplaceAllString(page, "\n")
	var out strings.Builder
	for _, m := range attributes.FindAllStringSubmatch(page, -1) {
		out.WriteString(html.UnescapeString(m[1]) + "\n")
	}
	page = withinText.ReplaceAllString(page, "")
	out.WriteString(html.UnescapeString(anyTag.ReplaceAllString(page, "\n")))
	return out.String()
}

// everyPage is the paths of all pages, with the queries that show all parts.
var everyPage = []string{
	"/", "/perron/poort", "/perron/buiten", "/perron/haven", "/planner", "/planner?site=poort&day=2026-05-02&ahead=360",
	"/planner?from=x&to=y", "/planner?site=poort&day=2026-02-30", "/staff", "/staff/login", "/does-not-exist",
}

// A language that has a file is on every page, whole: nothing is missing and
// nothing is left in another language. What it does not say itself are names
// and what was configured or written by staff.
func TestEveryPageInAMadeUpLanguage(t *testing.T) {
	langs := withMadeUp(t)
	data := strings.NewReplacer(
		"Recyclingperrons Almere", "", "Argonweg 81, 1362 AB Almere", "", "Vlotbrugweg 36, 1332 AJ Almere", "", "De Steiger 113, 1351 AE Almere", "",
		"Grofvuil", "", "Groenafval en snoeihout", "", "Puin en tegels", "", "Hout", "", "Elektrische apparaten", "", "Klein chemisch afval", "",
		"Poort", "", "Buiten", "", "Haven", "", "Ingang", "", "Uitgang", "",
		"De rij staat op de openbare weg.", "", "Er is één rijstrook dicht. De rij gaat langzamer dan normaal.", "", "Onderhoud aan de weegbrug.", "",
	)
	names := map[string]bool{"ans": true, "bert": true} // of staff, and of languages
	for _, l := range langs.All() {
		names[strings.ToUpper(l.Lang())], names[l.Name()], names["("+l.Name()+")"] = true, true, true
	}
	letters := regexp.MustCompile(`\p{L}`)
	for _, s := range scenarios() {
		s.words = langs
		h := newHandler(t, s, &fakeAuth{})
		for _, tag := range []string{"pl", "ar"} {
			l, _ := langs.Get(tag)
			pages := make(map[string]string)
			for _, path := range everyPage {
				if strings.HasPrefix(path, "/planner") && s.name != "saturday" {
					continue // a planner's page has nothing of the present
				}
				cookie := "user=ans"
				if path == "/staff/login" {
					cookie = ""
				}
				pages[path] = get(h, "/"+tag+path, "Cookie", cookie).Body.String()
			}
			pages["wrong password"] = post(h, "/"+tag+"/staff/login", url.Values{"name": {"ans"}, "password": {"fout"}}).Body.String()
			pages["wrong number"] = post(h, "/"+tag+"/staff/act", url.Values{"site": {"poort"}, "kind": {"recount"}, "vehicles": {"1000"}}, "Cookie", "user=ans").Body.String()
			for name, page := range pages {
				if !strings.Contains(page, `<html lang="`+tag+`" dir="`+string(l.Dir())+`">`) {
					t.Errorf("%s: %s in %s: the page does not say its language and direction", s.name, name, tag)
				}
				for _, text := range strings.Split(texts(page), "\n") {
					rest := strings.TrimSpace(data.Replace(wordstest.Unmarked(text)))
					if letters.MatchString(rest) && !names[rest] {
						t.Errorf("%s: %s in %s says %q in another language: %q", s.name, name, tag, rest, text)
					}
				}
				if strings.Contains(page, "<no value>") || strings.Contains(page, "&lt;no value&gt;") {
					t.Errorf("%s: %s in %s has a hole", s.name, name, tag)
				}
			}
		}
	}
}

// Everything that depends on which languages there are follows from the files.
func TestLanguagesOfAPage(t *testing.T) {
	s := scenarioNamed(t, "tuesday")
	s.words = withMadeUp(t)
	h := newHandler(t, s, &fakeAuth{})
	page := get(h, "/perron/poort?x=1", "Accept-Language", "ar;q=0.9, en;q=0.1").Body.String()
	for _, want := range []string{
		`<html lang="ar" dir="rtl">`, `hreflang="pl" href="/pl/perron/poort?x=1"`, `hreflang="nl" href="/nl/perron/poort?x=1"`,
		`<a href="/ar/perron/poort?x=1" lang="ar" hreflang="ar" aria-current="true">AR<span class="pd-hidden"> ⟦العربية⟧</span></a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	staff := get(h, "/ar/staff", "Cookie", "user=ans").Body.String()
	for _, want := range []string{`name="text-pl" lang="pl" dir="ltr"`, `name="text-ar" lang="ar" dir="rtl"`, `lang=ar"`} {
		if !strings.Contains(staff, want) {
			t.Errorf("the staff page lacks %s", want)
		}
	}
	// A sentence of the list is in every language.
	post(h, "/ar/staff/act", url.Values{"site": {"poort"}, "kind": {"close"}, "ready": {"full"}}, "Cookie", "user=ans")
	if a := s.actions[len(s.actions)-1]; len(a.Text) != len(s.words.Tags()) || a.Text["pl"] != wordstest.Mark("De containers zijn vol.") {
		t.Errorf("closed: %+v", a.Text)
	}
	if w := get(h, "/tlh/"); w.Code != 404 {
		t.Errorf("a language that has no file: %d", w.Code)
	}
}

// What a page shows in another language, because it was not configured in its
// own, says so: a screen reader and the order of its letters depend on it.
func TestTextsInAnotherLanguageSaySo(t *testing.T) {
	s := scenarioNamed(t, "tuesday")
	s.words = withMadeUp(t)
	hours := &s.sites[0].Hours
	hours.Exceptions[perron.DateOf(s.now).AddDays(2)] = perron.Exception{Reason: map[string]string{"nl": "Onderhoud aan de poort.", "en": "Maintenance of the gate."}}
	h := newHandler(t, s, &fakeAuth{})
	foreign := []string{
		`<ul class="pd-materials" lang="nl"><li dir="auto">Grofvuil</li>`, `<span lang="nl" dir="auto">Onderhoud aan de poort.</span></p>`,
		`<span lang="nl" dir="auto">Onderhoud aan de poort.</span></li>`,
	}
	page := get(h, "/ar/perron/poort").Body.String()
	for _, want := range foreign {
		if !strings.Contains(page, want) {
			t.Errorf("the page in Arabic lacks %s", want)
		}
	}
	page = get(h, "/en/perron/poort").Body.String()
	for _, want := range []string{`<ul class="pd-materials"><li>Bulky waste</li>`, `<span>Maintenance of the gate.</span></p>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page in English lacks %s", want)
		}
	}
	// What is there neither in the language of the page nor in the default one is
	// shown all the same.
	s.sites[0].Materials = map[string][]string{"en": {"Bulky waste"}}
	if page = get(h, "/ar/perron/poort").Body.String(); !strings.Contains(page, `<ul class="pd-materials" lang="en"><li dir="auto">Bulky waste</li>`) {
		t.Error("materials that there are in English only are not shown in Arabic")
	}
	s = scenarioNamed(t, "notice")
	s.words = withMadeUp(t)
	staff := get(newHandler(t, s, &fakeAuth{}), "/ar/staff", "Cookie", "user=ans").Body.String()
	if !strings.Contains(staff, `</strong> <span lang="nl" dir="auto">Er is één rijstrook dicht.`) {
		t.Error("the notice that staff can take away does not say its language")
	}
}

// The page says at first what the websocket says: of every state, in every
// language, its fields are those of what the script starts from.
func TestPagesSayWhatIsSaid(t *testing.T) {
	field := regexp.MustCompile(`data-field="([a-z-]+)"[^>]*>([^<]*)<`)
	for _, s := range scenarios() {
		s.words = withMadeUp(t)
		h := newHandler(t, s, &fakeAuth{})
		for _, l := range s.words.All() {
			for _, site := range s.sites {
				b := s.Busyness(site.ID)
				want := l.SaySite(site, &b, s.now, words.ToAll)
				page := get(h, "/"+l.Lang()+"/perron/"+site.ID).Body.String()
				got := make(map[string]string)
				for _, m := range field.FindAllStringSubmatch(page, -1) {
					if _, ok := got[m[1]]; !ok {
						got[m[1]] = html.UnescapeString(m[2])
					}
				}
				notice := words.Notice{}
				if want.Notice != nil {
					notice = *want.Notice
				}
				for name, text := range map[string]string{
					"level": want.Headline, "trend": want.Detail, "until": want.Until, "onsite": want.OnSite, "visits": want.Visits, "band": want.Wait,
					"board-top": want.Board.Top, "board-main": want.Board.Main, "board-sub": want.Board.Sub,
					"notice-text": notice.Text, "notice-when": notice.When,
				} {
					if got[name] != text {
						t.Errorf("%s: %s in %s: the page says %q as %s, the websocket %q", s.name, site.ID, l.Lang(), got[name], name, text)
					}
				}
				_, after, _ := strings.Cut(page, `<script type="application/json" id="start">`)
				raw, _, _ := strings.Cut(after, "</script>")
				var start struct{ Sites []words.SiteStatement }
				if err := json.Unmarshal([]byte(raw), &start); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]words.SiteStatement{want}, start.Sites); diff != "" {
					t.Errorf("%s: %s in %s: the script starts from something else:\n%s", s.name, site.ID, l.Lang(), diff)
				}
			}
		}
	}
}
