package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/words"
)

const (
	heartbeatEvery = 15 * time.Second
	// reviewEvery is how often the passing of time alone is looked at: opening,
	// closing, and data that turns stale.
	reviewEvery = time.Second
	hubMemory   = 256 // messages a client may have missed and still resume
)

// A feed turns what Live takes in, and the passing of time, into messages.
type feed struct {
	live   *Live
	views  []*view
	logger *slog.Logger
}

func newFeed(live *Live, langs *words.Languages, gap time.Duration, logger *slog.Logger) *feed {
	f := &feed{live: live, logger: logger}
	for _, to := range []words.Audience{words.ToAll, words.ToStaff} {
		f.views = append(f.views, newView(live, to, nil, gap))
		for _, l := range langs.All() {
			f.views = append(f.views, newView(live, to, l, gap))
		}
	}
	return f
}

// view is the one of an audience in a language, or in states when that is
// empty; ok is false when the language is not known.
func (f *feed) view(to words.Audience, lang string) (v *view, ok bool) {
	for _, v := range f.views {
		if v.to == to && (v.lang == nil && lang == "" || v.lang != nil && v.lang.Lang() == lang) {
			return v, true
		}
	}
	return nil, false
}

// close sends all viewers away.
func (f *feed) close() {
	for _, v := range f.views {
		v.hub.Close()
	}
}

// viewers is how many there are.
func (f *feed) viewers() int {
	n := 0
	for _, v := range f.views {
		n += v.hub.Size()
	}
	return n
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
			f.close()
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
			f.logger.Error("tell viewers", logs.Error, err)
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
		if !v.awake(clock) {
			continue
		}
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
			now := f.live.now()
			err = errors.Join(err, v.tell(s.ID, seen, now, clock), v.tellFallback(s.ID, seen, now, clock))
		}
	}
	return next, err
}

func (f *feed) forecast(site string) error {
	fc, ok := f.live.Forecast(site)
	if !ok {
		return nil
	}
	var err error
	for _, v := range f.views {
		err = errors.Join(err, v.announce(site, fc.Origin, f.live.now()))
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
