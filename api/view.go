package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/api/hub"
	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// resumeWithin is how long a language that nobody follows any more is still
// told, so that a viewer that lost its connection can go on where it was.
const resumeWithin = 2 * time.Minute

// A view is the sites as one kind of viewer sees them: the public or staff, as
// states or in the sentences of one language. A message is made once for all
// who share a view.
type view struct {
	name string
	hub  *hub.Hub[*frame]
	// gap is the least time between two messages about one site; the first
	// after a pause goes out at once.
	gap time.Duration
	// freshen is how far a measurement may move on before that alone is told.
	freshen time.Duration
	live    *Live
	to      words.Audience
	lang    *words.Language // nil for states
	sites   map[string]*viewed
	// used is when somebody last followed, by the process's clock; zero while the
	// view sleeps. Only a view in a language sleeps: it costs sentences.
	used time.Time

	// toldMu guards told, the sites as the viewers know them. A snapshot is made
	// of these and not of the newest states: a change that is held back and then
	// taken back is never told, and a snapshot must not have shown it.
	toldMu sync.Mutex
	told   map[string]telling
}

// A viewed is what the feed remembers of a site; only its goroutine's.
type viewed struct {
	core  []byte // what was last told, without what moves by itself
	fresh time.Time
	level perron.Level
	stale string // the headline for when it has grown old, as last told
	later []byte
	sent  time.Time // by the process's clock
	laid  time.Time // when later was last looked at, by the process's clock
	dirty bool
}

// A telling is what one kind of viewer is told of a site: one of the two is set.
type telling struct {
	state *openapi.State
	said  *words.SiteSaid
}

func newView(live *Live, to words.Audience, lang *words.Language, gap time.Duration) *view {
	v := &view{
		name: "public", hub: hub.New[*frame](hubMemory), gap: gap, freshen: 30 * time.Second,
		live: live, to: to, lang: lang, sites: make(map[string]*viewed), told: make(map[string]telling),
	}
	if to == words.ToStaff {
		v.name, v.gap, v.freshen = "staff", 2*gap, 5*time.Second
	}
	for _, s := range live.order {
		v.sites[s.ID] = new(viewed)
	}
	return v
}

// awake says whether anybody has to be told. A view that nobody has followed
// for a while forgets what it told.
func (v *view) awake(clock time.Time) bool {
	switch {
	case v.lang == nil:
		return true
	case v.hub.Size() > 0:
		v.used = clock
		return true
	case v.used.IsZero():
		return false
	case clock.Sub(v.used) < resumeWithin:
		return true
	case !v.hub.Forget():
		return true // somebody came just now
	}
	v.used = time.Time{}
	for id := range v.sites {
		v.sites[id] = &viewed{dirty: true}
	}
	v.toldMu.Lock()
	clear(v.told)
	v.toldMu.Unlock()
	return false
}

// render is what is to be told of a site at now.
func (v *view) render(site string, now time.Time) telling {
	b, s := v.live.busyness(site, now)
	if v.lang != nil {
		said := words.SiteSaid{ID: site, Said: v.lang.Say(s, &b, now, v.to)}
		return telling{said: &said}
	}
	st := publicState(b, now)
	if v.to == words.ToStaff {
		st = staffState(b, v.live.Gateways(site), now)
	}
	return telling{state: &st}
}

// later is what is to be said of a site when nothing more is heard.
func (v *view) later(site string, now time.Time) words.Later {
	b, s := v.live.busyness(site, now)
	return v.lang.Later(s, &b, now, v.to)
}

// tell publishes what is to be told of a site if it is something new.
func (v *view) tell(site string, seen *viewed, now, clock time.Time) error {
	t := v.render(site, now)
	core, fresh, err := t.core()
	if err != nil {
		return fmt.Errorf("encode state of %s: %w", site, err)
	}
	moved := fresh.Sub(seen.fresh)
	if bytes.Equal(core, seen.core) && moved < v.freshen && moved > -v.freshen {
		return nil
	}
	// Before it is published, so that whoever joins in between hears it twice
	// rather than never.
	v.toldMu.Lock()
	if old := v.told[site]; t.said != nil && old.said != nil {
		t.said.Later = old.said.Later
	}
	v.told[site] = t
	v.toldMu.Unlock()
	err = v.hub.Publish(hub.Key{Site: site, Kind: "state"}, func(seq uint64) (*frame, error) {
		return prepare(t.message(seq, now, seen.level))
	})
	seen.core, seen.fresh, seen.sent, seen.level = core, fresh, clock, t.level()
	return errors.Join(err, v.tellStale(t, seen, now))
}

// tellStale publishes the headline for when what was told has grown old. It
// names the minute of the measurement, and so is told once a minute and not
// with every change.
func (v *view) tellStale(t telling, seen *viewed, now time.Time) error {
	if t.said == nil || t.said.StaleHeadline == "" || t.said.StaleHeadline == seen.stale {
		return nil
	}
	seen.stale = t.said.StaleHeadline
	return v.hub.Publish(hub.Key{Site: t.said.ID, Kind: "stale"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.SaidMessage{Seq: int64(seq), Type: "stale", At: *instant(now), Site: words.SiteStale{ID: t.said.ID, Headline: seen.stale}})
	})
}

// tellLater publishes what is to be said later if that has changed. It is
// looked at once in a while only: it matters minutes from now.
func (v *view) tellLater(site string, seen *viewed, now, clock time.Time) error {
	if v.lang == nil || clock.Sub(seen.laid) < reviewEvery {
		return nil
	}
	seen.laid = clock
	later := v.later(site, now)
	text, err := json.Marshal(later)
	if err != nil {
		return fmt.Errorf("encode what is said later of %s: %w", site, err)
	}
	if bytes.Equal(text, seen.later) {
		return nil
	}
	seen.later = text
	v.toldMu.Lock()
	if t := v.told[site]; t.said != nil {
		said := *t.said // what was told is shared
		said.Later = &later
		v.told[site] = telling{said: &said}
	}
	v.toldMu.Unlock()
	return v.hub.Publish(hub.Key{Site: site, Kind: "later"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.SaidMessage{Seq: int64(seq), Type: "later", At: *instant(now), Site: words.SiteLater{ID: site, Later: later}})
	})
}

// core is the part of a telling whose change is worth a message, and how fresh
// the rest is: ages and measurements move on by themselves, and so do the
// counters of gateways.
func (t telling) core() (core []byte, fresh time.Time, err error) {
	if t.said != nil {
		said := t.said.Said
		fresh = said.MeasuredAt
		if !said.StaleAt.IsZero() {
			fresh = said.StaleAt
		}
		said.MeasuredAt, said.StaleAt, said.StaleHeadline = time.Time{}, time.Time{}, ""
		core, err = json.Marshal(said)
		return core, fresh, err
	}
	st := *t.state
	if st.MeasuredAt != nil {
		fresh = *st.MeasuredAt
	}
	st.AgeSeconds, st.MeasuredAt, st.StaleAt = nil, nil, nil
	if st.Gateways != nil {
		quiet := make([]perron.GatewayStatus, len(st.Gateways))
		for i, g := range st.Gateways {
			g.At, g.OldestWaiting, g.OutboxBytes, g.Next = time.Time{}, time.Time{}, 0, 0
			quiet[i] = g
		}
		st.Gateways = quiet
	}
	core, err = json.Marshal(st)
	return core, fresh, err
}

func (t telling) level() perron.Level {
	if t.said != nil {
		return t.said.Level
	}
	return t.state.Level
}

// message is the message of a change. before is the level that was told last:
// what is said aloud is for a change of level.
func (t telling) message(seq uint64, now time.Time, before perron.Level) any {
	if t.said == nil {
		return openapi.LiveMessage{Seq: int64(seq), Type: "state", At: *instant(now), Site: *t.state}
	}
	said := *t.said
	said.Later, said.StaleHeadline = nil, "" // they have messages of their own
	if said.Level == before {
		said.Aloud = ""
	}
	return openapi.SaidMessage{Seq: int64(seq), Type: "said", At: *instant(now), Site: said}
}

// announce tells that there is a new forecast.
func (v *view) announce(site string, origin, now time.Time) error {
	return v.hub.Publish(hub.Key{Site: site, Kind: "forecast"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.LiveMessage{Seq: int64(seq), Type: "forecast", At: *instant(now), Site: site, Origin: instant(origin)})
	})
}

// beat is the heartbeat.
func (v *view) beat(seq uint64, now time.Time) any {
	if v.lang == nil {
		return openapi.LiveMessage{Seq: int64(seq), Type: "heartbeat", At: *instant(now), Run: v.hub.Run()}
	}
	return openapi.SaidMessage{Seq: int64(seq), Type: "heartbeat", At: *instant(now), Run: v.hub.Run(), AsOf: v.lang.AsOf(now)}
}

// snapshot is what a viewer is told first. seq is the hub's number when the
// viewer joined.
func (v *view) snapshot(sites []string, seq uint64, now time.Time) any {
	states := openapi.LiveMessage{Seq: int64(seq), Type: "snapshot", At: *instant(now), Run: v.hub.Run()}
	said := openapi.SaidMessage{Seq: int64(seq), Type: "snapshot", At: *instant(now), Run: v.hub.Run()}
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	for _, id := range sites {
		t, ok := v.told[id]
		if !ok {
			t = v.render(id, now)
		}
		if t.said != nil {
			one := *t.said
			if one.Later == nil {
				later := v.later(id, now)
				one.Later = &later
			}
			said.Sites = append(said.Sites, one)
			continue
		}
		st := *t.state
		st.AgeSeconds = ageOf(st.MeasuredAt, now)
		states.Sites = append(states.Sites, st)
	}
	if v.lang != nil {
		said.AsOf = v.lang.AsOf(now)
		return said
	}
	return states
}
