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
	told   map[string]content
}

// A viewed is what the feed remembers of a site; only its goroutine's.
type viewed struct {
	core     []byte // what was last told, without what moves by itself
	fresh    time.Time
	figures  [2]string
	level    perron.Level
	stale    string // the headline for when it has grown old, as every viewer knows it
	fallback []byte
	sent     time.Time // by the process's clock
	laid     time.Time // when fallback was last looked at, by the process's clock
	dirty    bool
}

// A content is what one kind of viewer is told of a site: one of the two is set.
type content struct {
	state     *openapi.State
	statement *words.SiteStatement
}

func newView(live *Live, to words.Audience, lang *words.Language, gap time.Duration) *view {
	v := &view{
		name: "public", hub: hub.New[*frame](hubMemory), gap: gap, freshen: 30 * time.Second,
		live: live, to: to, lang: lang, sites: make(map[string]*viewed), told: make(map[string]content),
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
func (v *view) render(site string, now time.Time) content {
	b, s := v.live.busyness(site, now)
	if v.lang != nil {
		statement := words.SiteStatement{ID: site, Statement: v.lang.Say(s, &b, now, v.to)}
		return content{statement: &statement}
	}
	st := publicState(b, now)
	if v.to == words.ToStaff {
		st = staffState(b, v.live.Gateways(site), now)
	}
	return content{state: &st}
}

// fallback is what is to be said of a site when nothing more is heard.
func (v *view) fallback(site string, now time.Time) words.Fallback {
	b, s := v.live.busyness(site, now)
	return v.lang.Fallback(s, &b, now, v.to)
}

// tell publishes what is to be told of a site if it is something new.
func (v *view) tell(site string, seen *viewed, now, clock time.Time) error {
	c := v.render(site, now)
	core, fresh, err := c.core()
	if err != nil {
		return fmt.Errorf("encode state of %s: %w", site, err)
	}
	moved := fresh.Sub(seen.fresh)
	changed := !bytes.Equal(core, seen.core)
	if !changed && c.figures() == seen.figures && moved < v.freshen && moved > -v.freshen {
		return nil
	}
	// Before it is published, so that whoever joins in between hears it twice
	// rather than never.
	v.toldMu.Lock()
	if old := v.told[site]; c.statement != nil && old.statement != nil {
		c.statement.Fallback = old.statement.Fallback
	}
	v.told[site] = c
	v.toldMu.Unlock()
	before := seen.level
	seen.core, seen.fresh, seen.figures, seen.sent, seen.level = core, fresh, c.figures(), clock, c.level()
	if changed || c.statement == nil {
		err = v.hub.Publish(hub.Key{Site: site, Kind: "state"}, func(seq uint64) (*frame, error) {
			return prepare(c.message(seq, now, before))
		})
	}
	return errors.Join(err, v.tellFreshness(c, seen, changed, now))
}

// tellFreshness publishes the part of a statement that moves on with every
// vehicle and measurement: in place of the statement when nothing else has
// changed, and after it when the minute of the measurement has, which a statement
// does not name.
func (v *view) tellFreshness(c content, seen *viewed, changed bool, now time.Time) error {
	if c.statement == nil {
		return nil
	}
	known := seen.stale
	seen.stale = c.statement.StaleHeadline
	if changed && (seen.stale == "" || seen.stale == known) {
		return nil
	}
	return v.hub.Publish(hub.Key{Site: c.statement.ID, Kind: "fresh"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.StatementMessage{Seq: int64(seq), Type: "fresh", At: *instant(now), Site: c.statement.Freshness()})
	})
}

// tellFallback publishes the fallback of a site if that has changed. It is
// looked at once in a while only: it matters minutes from now.
func (v *view) tellFallback(site string, seen *viewed, now, clock time.Time) error {
	if v.lang == nil || clock.Sub(seen.laid) < reviewEvery {
		return nil
	}
	seen.laid = clock
	fallback := v.fallback(site, now)
	text, err := json.Marshal(fallback)
	if err != nil {
		return fmt.Errorf("encode the fallback of %s: %w", site, err)
	}
	if bytes.Equal(text, seen.fallback) {
		return nil
	}
	seen.fallback = text
	v.toldMu.Lock()
	if t := v.told[site]; t.statement != nil {
		statement := *t.statement // what was told is shared
		statement.Fallback = &fallback
		v.told[site] = content{statement: &statement}
	}
	v.toldMu.Unlock()
	return v.hub.Publish(hub.Key{Site: site, Kind: "fallback"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.StatementMessage{Seq: int64(seq), Type: "fallback", At: *instant(now), Site: words.SiteFallback{ID: site, Fallback: fallback}})
	})
}

// core is the part of a content whose change is worth the whole of it, and how
// fresh the rest is: ages and measurements move on by themselves, and so do the
// counters of gateways. The figures of a statement go out with its freshness.
func (t content) core() (core []byte, fresh time.Time, err error) {
	if t.statement != nil {
		statement := t.statement.Statement
		fresh = statement.MeasuredAt
		if !statement.StaleAt.IsZero() {
			fresh = statement.StaleAt
		}
		statement.MeasuredAt, statement.StaleAt, statement.StaleHeadline = time.Time{}, time.Time{}, ""
		statement.OnSite, statement.Visits = "", ""
		core, err = json.Marshal(statement)
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

// figures are those of a statement that a vehicle changes.
func (t content) figures() (f [2]string) {
	if t.statement != nil {
		f = [2]string{t.statement.OnSite, t.statement.Visits}
	}
	return f
}

func (t content) level() perron.Level {
	if t.statement != nil {
		return t.statement.Level
	}
	return t.state.Level
}

// message is the message of a change. before is the level that was told last:
// what is said aloud is for a change of level.
func (t content) message(seq uint64, now time.Time, before perron.Level) any {
	if t.statement == nil {
		return openapi.LiveMessage{Seq: int64(seq), Type: "state", At: *instant(now), Site: *t.state}
	}
	statement := *t.statement
	statement.Fallback, statement.StaleHeadline = nil, "" // they have messages of their own
	if statement.Level == before {
		statement.Aloud = ""
	}
	return openapi.StatementMessage{Seq: int64(seq), Type: "statement", At: *instant(now), Site: statement}
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
	return openapi.StatementMessage{Seq: int64(seq), Type: "heartbeat", At: *instant(now), Run: v.hub.Run(), AsOf: v.lang.AsOf(now)}
}

// snapshot is what a viewer is told first. seq is the hub's number when the
// viewer joined.
func (v *view) snapshot(sites []string, seq uint64, now time.Time) any {
	states := openapi.LiveMessage{Seq: int64(seq), Type: "snapshot", At: *instant(now), Run: v.hub.Run()}
	statement := openapi.StatementMessage{Seq: int64(seq), Type: "snapshot", At: *instant(now), Run: v.hub.Run()}
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	for _, id := range sites {
		t, ok := v.told[id]
		if v.lang != nil {
			if !ok || t.statement.Fallback == nil {
				said := v.live.say(id, v.lang, v.to, now)
				if ok {
					said.Statement = t.statement.Statement
				}
				t.statement = &said
			}
			statement.Sites = append(statement.Sites, *t.statement)
			continue
		}
		if !ok {
			t = v.render(id, now)
		}
		st := *t.state
		st.AgeSeconds = ageOf(st.MeasuredAt, now)
		states.Sites = append(states.Sites, st)
	}
	if v.lang != nil {
		statement.AsOf = v.lang.AsOf(now)
		return statement
	}
	return states
}
