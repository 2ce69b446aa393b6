package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/api/hub"
	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	heartbeatEvery = 15 * time.Second
	// reviewEvery is how often the passing of time alone is looked at: opening,
	// closing, and data that turns stale.
	reviewEvery = time.Second
	hubMemory   = 256 // messages a client may have missed and still resume
)

// A view is the sites as one kind of viewer sees them.
type view struct {
	name string
	hub  *hub.Hub[*frame]
	// gap is the least time between two messages about one site; the first
	// after a pause goes out at once.
	gap time.Duration
	// freshen is how far measuredAt may move on before that alone is told.
	freshen time.Duration
	render  func(site string, now time.Time) openapi.State
	sites   map[string]*viewed

	// toldMu guards told, the states as the viewers know them. A snapshot is
	// made of these and not of the newest states: a change that is held back and
	// then taken back is never told, and a snapshot must not have shown it.
	toldMu sync.Mutex
	told   map[string]openapi.State
}

// A viewed is what the feed remembers of a site; only its goroutine's.
type viewed struct {
	core     []byte // the state last told, without what moves by itself
	measured time.Time
	sent     time.Time // by the process's clock
	dirty    bool
}

// A feed turns what Live takes in, and the passing of time, into messages.
type feed struct {
	live   *Live
	views  []*view
	logger *slog.Logger
}

func newFeed(live *Live, gap time.Duration, logger *slog.Logger) (f *feed, public, staff *view) {
	public = &view{
		name: "public", hub: hub.New[*frame](hubMemory), gap: gap, freshen: 30 * time.Second,
		render: func(site string, now time.Time) openapi.State {
			b, _ := live.busyness(site, now)
			return publicState(b, now)
		},
	}
	staff = &view{
		name: "staff", hub: hub.New[*frame](hubMemory), gap: 2 * gap, freshen: 5 * time.Second,
		render: func(site string, now time.Time) openapi.State {
			b, _ := live.busyness(site, now)
			return staffState(b, live.Gateways(site), now)
		},
	}
	f = &feed{live: live, views: []*view{public, staff}, logger: logger}
	for _, v := range f.views {
		v.sites, v.told = make(map[string]*viewed), make(map[string]openapi.State)
		for _, s := range live.order {
			v.sites[s.ID] = &viewed{}
		}
	}
	return f, public, staff
}

// run feeds the hubs until ctx ends, and closes them.
func (f *feed) run(ctx context.Context) error {
	review := time.NewTicker(reviewEvery)
	defer review.Stop()
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	held := time.NewTimer(0) // when a message that was held back is due
	defer held.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			for _, v := range f.views {
				v.hub.Close()
			}
			return nil
		case <-f.live.changed:
			for c := range f.live.drain() {
				if c.forecast {
					err = errors.Join(err, f.forecast(c.site))
				} else {
					f.dirty(c.site)
				}
			}
		case <-review.C:
			for _, s := range f.live.order {
				f.dirty(s.ID)
			}
		case <-held.C:
		case <-heartbeat.C:
			err = f.heartbeat()
		}
		next, flushErr := f.flush(time.Now())
		if err = errors.Join(err, flushErr); err != nil {
			f.logger.Error("tell viewers", "err", err)
		}
		if next > 0 {
			held.Reset(next)
		}
	}
}

func (f *feed) dirty(site string) {
	for _, v := range f.views {
		v.sites[site].dirty = true
	}
}

// flush tells what has changed and may be told already; next is the time until
// more may be, 0 when nothing is held back.
func (f *feed) flush(clock time.Time) (next time.Duration, err error) {
	for _, v := range f.views {
		for _, s := range f.live.order {
			seen := v.sites[s.ID]
			if !seen.dirty {
				continue
			}
			if wait := v.gap - clock.Sub(seen.sent); wait > 0 {
				if next == 0 || wait < next {
					next = wait
				}
				continue
			}
			seen.dirty = false
			err = errors.Join(err, v.tell(s.ID, seen, f.live.now(), clock))
		}
	}
	return next, err
}

// tell publishes the state of a site if it says something new.
func (v *view) tell(site string, seen *viewed, now, clock time.Time) error {
	st := v.render(site, now)
	core, err := coreOf(st)
	if err != nil {
		return fmt.Errorf("encode state of %s: %w", site, err)
	}
	measured := time.Time{}
	if st.MeasuredAt != nil {
		measured = *st.MeasuredAt
	}
	moved := measured.Sub(seen.measured)
	if bytes.Equal(core, seen.core) && moved < v.freshen && moved > -v.freshen {
		return nil
	}
	seen.core, seen.measured, seen.sent = core, measured, clock
	// Before it is published, so that whoever joins in between hears it twice
	// rather than never.
	v.toldMu.Lock()
	v.told[site] = st
	v.toldMu.Unlock()
	return v.hub.Publish(hub.Key{Site: site, Kind: "state"}, func(seq uint64) (*frame, error) {
		return prepare(openapi.LiveMessage{Seq: int64(seq), Type: "state", At: *instant(now), Site: st})
	})
}

// coreOf is the part of a state whose change is worth a message: age and
// freshness move on by themselves, and so do the counters of gateways.
func coreOf(st openapi.State) ([]byte, error) {
	st.AgeSeconds, st.MeasuredAt, st.StaleAt = nil, nil, nil
	if st.Gateways != nil {
		quiet := make([]perron.GatewayStatus, len(st.Gateways))
		for i, g := range st.Gateways {
			g.At, g.OldestWaiting, g.OutboxBytes, g.Next = time.Time{}, time.Time{}, 0, 0
			quiet[i] = g
		}
		st.Gateways = quiet
	}
	return json.Marshal(st)
}

func (f *feed) forecast(site string) error {
	fc, ok := f.live.Forecast(site)
	if !ok {
		return nil
	}
	var err error
	for _, v := range f.views {
		err = errors.Join(err, v.hub.Publish(hub.Key{Site: site, Kind: "forecast"}, func(seq uint64) (*frame, error) {
			return prepare(openapi.LiveMessage{
				Seq: int64(seq), Type: "forecast", At: *instant(f.live.now()),
				Site: site, Origin: instant(fc.Origin),
			})
		}))
	}
	return err
}

func (f *feed) heartbeat() error {
	var err error
	for _, v := range f.views {
		err = errors.Join(err, v.hub.Beat(func(seq uint64) (*frame, error) {
			return prepare(v.beat(seq, f.live.now()))
		}))
	}
	return err
}

func (v *view) beat(seq uint64, now time.Time) openapi.LiveMessage {
	return openapi.LiveMessage{Seq: int64(seq), Type: "heartbeat", At: *instant(now), Run: v.hub.Run()}
}

// snapshot is what a viewer is told first. seq is the hub's number when the
// viewer joined.
func (v *view) snapshot(sites []string, seq uint64, now time.Time) openapi.LiveMessage {
	m := openapi.LiveMessage{Seq: int64(seq), Type: "snapshot", At: *instant(now), Run: v.hub.Run()}
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	for _, id := range sites {
		st, ok := v.told[id]
		if !ok {
			st = v.render(id, now)
		}
		st.AgeSeconds = ageOf(st.MeasuredAt, now)
		m.Sites = append(m.Sites, st)
	}
	return m
}
