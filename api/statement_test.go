package api

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/api/hub"
	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
	"github.com/perrondrukte/perrondrukte/words/wordstest"
)

// A heard is a message in a language as a viewer gets it.
type heard struct {
	Type string          `json:"type"`
	Seq  uint64          `json:"seq"`
	Run  string          `json:"run"`
	AsOf string          `json:"asOf"`
	Raw  json.RawMessage `json:"site"`
	Site words.SiteStatement
}

func hear(t *testing.T, f *frame) heard {
	t.Helper()
	var h heard
	if err := json.Unmarshal(f.text, &h); err != nil {
		t.Fatal(err)
	}
	if h.Type == "statement" || h.Type == "fallback" {
		if err := json.Unmarshal(h.Raw, &h.Site); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// drain empties a member's queue.
func drain(m *hub.Member[*frame]) []*frame {
	synctest.Wait()
	var out []*frame
	for {
		select {
		case f := <-m.Messages():
			out = append(out, f)
		default:
			return out
		}
	}
}

// running is a feed that runs until the test is over.
func running(t *testing.T) (*feed, *fakeLink, *clock) {
	t.Helper()
	return runningIn(t, testLanguages(t))
}

func runningIn(t *testing.T, langs *words.Languages) (*feed, *fakeLink, *clock) {
	t.Helper()
	link, c := &fakeLink{}, &clock{t: noon}
	live := NewLive(testSites(), link, c.now, quietLogger())
	f := newFeed(live, langs, 40*time.Millisecond, quietLogger())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); live.run(ctx) }()
	go f.run(ctx)
	t.Cleanup(func() { cancel(); <-done })
	return f, link, c
}

func join(t *testing.T, v *view, at *hub.Position) (*hub.Member[*frame], hub.Welcome[*frame]) {
	t.Helper()
	m, w, ok := v.hub.Join([]string{"poort"}, 1000, at)
	if !ok {
		t.Fatal("the hub is closed")
	}
	return m, w
}

func TestViewersAreToldInTheirLanguage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, link, c := running(t)
		nl, _ := join(t, f.viewOf(t, words.ToAll, "nl"), nil)
		en, _ := join(t, f.viewOf(t, words.ToAll, "en"), nil)
		staff, _ := join(t, f.viewOf(t, words.ToStaff, "nl"), nil)
		b := busy(noon)
		link.busyness(t, b)
		statement := func(m *hub.Member[*frame]) words.SiteStatement {
			t.Helper()
			var last words.SiteStatement
			for _, f := range drain(m) {
				if h := hear(t, f); h.Type == "statement" {
					last = h.Site
				}
			}
			return last
		}
		if s := statement(nl); s.Headline != "Druk" || s.Wait != "10–15 min" || s.Detail != "Wordt rustiger" || s.Staff != nil || s.Aloud != "Poort: Druk. 10–15 min" {
			t.Errorf("Dutch: %+v", s)
		}
		if s := statement(en); s.Headline != "Busy" || s.Detail != "Getting quieter" || s.Until != "open until 17:00" {
			t.Errorf("English: %+v", s)
		}
		if s := statement(staff); s.Staff == nil || s.Staff.Count != "20" || s.Staff.Between != "tussen 17 en 23" || s.Staff.Gates[0].InToday != "120" {
			t.Errorf("staff: %+v", s.Staff)
		}
		// What nobody reads is not told: the queue is for staff.
		b.Queue = perron.Exactly(9)
		link.busyness(t, b)
		time.Sleep(time.Second)
		if s := statement(nl); s.ID != "" {
			t.Errorf("told of a queue that is not shown: %+v", s)
		}
		if s := statement(staff); s.Staff == nil || s.Staff.Queue != "ongeveer 9 wachtende voertuigen" || s.Aloud != "" {
			t.Errorf("staff: %+v", s)
		}
		// A heartbeat says of what time of day it is.
		c.advance(20 * time.Second)
		time.Sleep(20 * time.Second)
		if !slices.ContainsFunc(drain(en), func(f *frame) bool { return hear(t, f).AsOf == "As of 12:00" }) {
			t.Error("no heartbeat in English")
		}
	})
}

// What a viewer that hears nothing more shows is what the server would have
// said.
func TestWhatIsSaidLaterIsWhatIsSaidThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, link, _ := running(t)
		v := f.viewOf(t, words.ToAll, "nl")
		m, _ := join(t, v, nil)
		link.busyness(t, busy(noon))
		time.Sleep(2 * reviewEvery)
		var now, fallback words.SiteStatement
		var stale words.SiteFreshness
		for _, f := range drain(m) {
			switch h := hear(t, f); h.Type {
			case "statement":
				now = h.Site
			case "fresh":
				if err := json.Unmarshal(h.Raw, &stale); err != nil {
					t.Fatal(err)
				}
			case "fallback":
				fallback = h.Site
			}
		}
		if fallback.Fallback == nil || fallback.Fallback.Stale == nil || !now.StaleAt.Equal(busy(noon).StaleAt) {
			t.Fatalf("now %+v, fallback %+v", now, fallback.Fallback)
		}
		if stale.StaleHeadline != "Geen actuele meting (laatste om 11:59)." || fallback.Fallback.Stale.Detail != "Meestal gemiddeld druk op dit moment." {
			t.Errorf("stale: %q, %+v", stale.StaleHeadline, fallback.Fallback.Stale)
		}
		// The next day is Ascension Day, on which it is closed.
		first := fallback.Fallback.Then[0]
		if !first.At.Equal(time.Date(2026, 5, 13, 15, 0, 0, 0, time.UTC)) || first.Statement.Headline != "Gesloten." || first.Statement.Detail != "Vrijdag open om 8:30." {
			t.Errorf("then %+v", first)
		}
		// Time passes, it is measured again, and later is still the same.
		link.busyness(t, busy(noon.Add(40*time.Second)))
		time.Sleep(2 * reviewEvery)
		for _, f := range drain(m) {
			if h := hear(t, f); h.Type != "fresh" || len(f.text) > 300 {
				t.Errorf("told again though nothing has changed: %s", f.text)
			}
		}
		snapshot, ok := v.snapshot([]string{"poort"}, 1, noon).(openapi.StatementMessage)
		if !ok || len(snapshot.Sites) != 1 || snapshot.Sites[0].Fallback == nil || snapshot.Sites[0].Aloud == "" {
			t.Errorf("snapshot %+v", snapshot)
		}
	})
}

// A viewer that came while a site was closed has no headline for when the site
// has grown old, even if that is the one of before.
func TestReopenedSiteSaysHowItGrowsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, link, _ := running(t)
		m, _ := join(t, f.viewOf(t, words.ToAll, "en"), nil)
		open := busy(noon)
		closed := open
		closed.Closure = &perron.Closure{Since: noon}
		for _, b := range []perron.Busyness{open, closed} {
			link.busyness(t, b)
			time.Sleep(2 * reviewEvery)
			drain(m)
		}
		link.busyness(t, open)
		time.Sleep(2 * reviewEvery)
		if !slices.ContainsFunc(drain(m), func(f *frame) bool {
			return strings.Contains(string(f.text), `"staleHeadline":"No current measurement (last at 11:59)."`)
		}) {
			t.Error("nobody was told with what headline the site grows old")
		}
	})
}

// Sentences are made for languages that somebody follows, and for one that
// nobody follows any more until a viewer that lost its connection would be back.
func TestLanguagesSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, link, _ := running(t)
		v := f.viewOf(t, words.ToAll, "en")
		told := func() bool { v.toldMu.Lock(); defer v.toldMu.Unlock(); return len(v.told) > 0 }
		b := busy(noon)
		link.busyness(t, b)
		time.Sleep(2 * reviewEvery)
		if told() {
			t.Fatal("a language that nobody follows was told")
		}
		m, w := join(t, v, nil)
		run := v.hub.Run()
		time.Sleep(2 * reviewEvery)
		frames := drain(m)
		if len(frames) == 0 || w.Resumed {
			t.Fatal("the first viewer of a language is told nothing")
		}
		at := &hub.Position{Run: run, Seq: hear(t, frames[len(frames)-1]).Seq}
		m.Leave()
		b.Level = perron.VeryBusy
		link.busyness(t, b)
		time.Sleep(resumeWithin / 2)
		m, w = join(t, v, at)
		if !w.Resumed || len(w.Missed) != 1 || hear(t, w.Missed[0]).Site.Headline != "Very busy" {
			t.Errorf("back within %s: %+v", resumeWithin, w)
		}
		at.Seq = w.Seq
		time.Sleep(2 * reviewEvery)
		drain(m)
		m.Leave()
		time.Sleep(resumeWithin + 2*reviewEvery)
		if told() || v.hub.Run() == run {
			t.Error("the language does not sleep")
		}
		b.Level = perron.Busy
		link.busyness(t, b)
		time.Sleep(2 * reviewEvery)
		if _, w = join(t, v, at); w.Resumed {
			t.Error("a viewer resumed where nothing was told meanwhile")
		}
	})
}

// TestBytesAChange measures what a viewer gets for a change, over two minutes
// in which a vehicle comes in every second: in sentences no more than in states,
// also in a language whose letters take two bytes and whose figures are isolated.
func TestBytesAChange(t *testing.T) {
	const most = 429 // what a state took when the pages still made the sentences
	locales := os.DirFS("../words/locales")
	langs, err := words.Load(wordstest.Folder(t, locales, map[string]map[string]any{
		"ar": wordstest.Mirrored(t, locales, testLanguages(t).Default().Lang(), ""),
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range append([]string{""}, langs.Tags()...) {
		synctest.Test(t, func(t *testing.T) {
			f, link, c := runningIn(t, langs)
			m, _ := join(t, f.viewOf(t, words.ToAll, lang), nil)
			const settling, changes = 10, 120 // the beginning is no change
			bytes, last := 0, ""
			for i := range settling + changes {
				b := busy(noon.Add(time.Duration(i) * time.Second))
				b.Gates[0].InToday += i
				b.OnSite = perron.Exactly(float64(20 + i%40))
				link.busyness(t, b)
				told := false
				for _, f := range drain(m) {
					h := hear(t, f)
					if i < settling || h.Type == "heartbeat" {
						continue
					}
					told, last = true, string(f.text)
					bytes += len(f.text) + 4 // the frame's header
					if strings.Contains(last, "null") {
						t.Errorf("what is not there is written: %s", last)
					}
				}
				if i >= settling && !told {
					t.Errorf("%q: change %d was not told", lang, i)
				}
				time.Sleep(time.Second)
				c.advance(time.Second)
			}
			t.Logf("%q: %d bytes a change and viewer, like %s", lang, bytes/changes, last)
			if bytes/changes > most {
				t.Errorf("%q: %d bytes a change and viewer, at most %d", lang, bytes/changes, most)
			}
		})
	}
}

// Every message over the websocket is what the document says of it.
func TestMessagesAreThoseOfTheDocument(t *testing.T) {
	schema := document(t).Paths.Find("/api/v1/live").Get.Responses.Status(101).Value.Content.Get("application/json").Schema.Value
	synctest.Test(t, func(t *testing.T) {
		f, link, c := running(t)
		seen := make(map[string]bool)
		valid := func(lang string, text []byte) {
			t.Helper()
			var m map[string]any
			if err := json.Unmarshal(text, &m); err != nil {
				t.Fatal(err)
			}
			seen[fmt.Sprint(lang, " ", m["type"])] = true
			if err := schema.VisitJSON(m); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		for _, lang := range []string{"", "en"} {
			v := f.viewOf(t, words.ToStaff, lang)
			m, w := join(t, v, nil)
			snapshot, err := prepare(v.snapshot([]string{"poort", "haven"}, w.Seq, c.now()))
			if err != nil {
				t.Fatal(err)
			}
			valid(lang, snapshot.text)
			for i := range 20 {
				b := busy(noon.Add(time.Duration(i) * time.Second))
				b.OnSite = perron.Exactly(float64(i))
				b.Notice = &perron.Notice{ID: "n", At: noon, Text: map[string]string{"nl": "Vol"}}
				b.Gates = b.Gates[:i%2]
				link.busyness(t, b)
				link.forecast(t, perron.Forecast{Site: "poort", Origin: b.At})
				time.Sleep(time.Second)
				c.advance(time.Second)
			}
			for _, f := range drain(m) {
				valid(lang, f.text)
			}
		}
		for _, want := range []string{" snapshot", " state", " forecast", " heartbeat", "en snapshot", "en statement", "en fallback", "en fresh", "en forecast", "en heartbeat"} {
			if !seen[want] {
				t.Errorf("no message like %q was seen", want)
			}
		}
	})
}

// Many who ask at once have it put in words once, until something changes.
func TestSaidOnceForAllWhoAsk(t *testing.T) {
	link := &fakeLink{}
	live := NewLive(testSites(), link, func() time.Time { return noon }, quietLogger())
	lang := testLanguages(t).Default()
	say := func(after time.Duration) words.SiteStatement {
		return live.say("poort", lang, words.ToAll, noon.Add(after))
	}
	first := say(0)
	if again := say(900 * time.Millisecond); again.Fallback != first.Fallback {
		t.Error("the same was put in words again")
	}
	if next := say(time.Second); next.Fallback == first.Fallback {
		t.Error("what was said still holds in the next second")
	}
	payload, err := broker.EncodeBusyness(busy(noon))
	if err != nil {
		t.Fatal(err)
	}
	if err := live.take(broker.Message{Topic: broker.BusynessTopic("poort"), Payload: payload}); err != nil {
		t.Fatal(err)
	}
	if changed := say(time.Second); changed.Level != perron.Busy {
		t.Errorf("after a change: %+v", changed)
	}
	if english, _ := testLanguages(t).Get("en"); live.say("poort", english, words.ToAll, noon).Headline != "Busy" {
		t.Error("another language says the same")
	}
}

func TestUnknownLanguage(t *testing.T) {
	r := newRig(t, nil)
	if _, resp, err := r.watch("?lang=xx"); err == nil || resp.StatusCode != 400 {
		t.Errorf("a websocket in a language that is not there: %v %v", resp, err)
	}
	for _, path := range []string{"/api/v1/sites?lang=xx", "/api/v1/sites/poort?lang=xx"} {
		if got := r.get(path); got.status != 400 || !strings.Contains(got.body, `"parameter":"lang"`) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestSitesInALanguage(t *testing.T) {
	r := newRig(t, nil)
	r.link.busyness(t, busy(noon))
	eventually(t, "the state is there", func() bool { return r.server.live.Busyness("poort").Level == perron.Busy })
	doc := document(t)
	got := r.get("/api/v1/sites?lang=en")
	check(t, doc, "GET", "/api/v1/sites", got)
	var list struct {
		Sites []struct{ Statement *words.SiteStatement }
	}
	if err := json.Unmarshal([]byte(got.body), &list); err != nil {
		t.Fatal(err)
	}
	if s := list.Sites[0].Statement; s == nil || s.ID != "poort" || s.Headline != "Busy" || s.Fallback == nil {
		t.Errorf("statement %+v", s)
	}
	if got := r.get("/api/v1/sites"); strings.Contains(got.body, `"statement"`) {
		t.Errorf("sentences for one who asked for no language: %s", got.body)
	}
	check(t, doc, "GET", "/api/v1/sites/{id}", r.get("/api/v1/sites/poort?lang=nl"))
	conn := r.mustWatch("?site=poort&lang=nl")
	var first openapi.StatementMessage
	if err := conn.ReadJSON(&first); err != nil {
		t.Fatal(err)
	}
	if first.Type != "snapshot" || len(first.Sites) != 1 || first.Sites[0].Headline != "Druk" || first.AsOf != "Stand van 12:00" {
		t.Errorf("snapshot %+v", first)
	}
}
