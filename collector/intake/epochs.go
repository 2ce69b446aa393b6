package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// keepGone is how many outboxes that are gone are remembered of a gateway:
// batches of them may still be on their way, and a second device with the same
// name brings its own again and again.
const keepGone = 8

// maxSaid is how many statuses may wait for a worker.
const maxSaid = 16

// A said is what a status tells of an outbox.
type said struct {
	Epoch string `json:"epoch"`
	// Next is the highest number to come that was heard of, and Waiting how many
	// events before it were not acknowledged then.
	Next    uint64 `json:"next,omitempty"`
	Waiting uint64 `json:"waiting,omitempty"`
	// Ended is set by a gateway that was stopped in order: it saw nothing after.
	Ended bool      `json:"ended,omitempty"`
	Heard time.Time `json:"heard"` // last
}

// missing is how many of its events can never come when everything up to acked
// is stored: those that waited, as far as they were not stored since. There may
// be more, which nobody has heard of.
func (s *said) missing(acked uint64) uint64 {
	if s.Next <= acked+1 {
		return 0
	}
	return min(s.Waiting, s.Next-acked-1)
}

// A gone is an outbox that another one took the place of.
type gone struct {
	said
	At        time.Time `json:"at"` // of the loss
	Count     uint64    `json:"count,omitempty"`
	Withdrawn bool      `json:"withdrawn,omitempty"` // it was no loss
}

// epochs knows which outbox a gateway has, and what the ones before it held:
// one that was deleted, or was damaged and set aside, takes with it what was not
// stored, and the gateway cannot tell how much that was. Only the worker uses
// it, but for hear.
type epochs struct {
	g    *gateway
	wake chan struct{}
	mu   sync.Mutex
	due  []said // guarded by mu

	known *book // nil until it was read
	saved string
}

// A book is what is remembered of epochs over a restart. Kind tells it from the
// [tally] of a device that reports counts: a gateway may become one.
type book struct {
	Kind string `json:"kind"`
	Now  said   `json:"now"`
	Gone []gone `json:"gone,omitempty"` // the newest last
}

const bookKind = "outbox"

// readBook is nil for what is no book.
func readBook(data string) *book {
	b := new(book)
	if err := json.Unmarshal([]byte(data), b); err != nil || b.Kind != bookKind {
		return nil
	}
	return b
}

func (b *book) clone() *book {
	c := *b
	c.Gone = slices.Clone(b.Gone)
	return &c
}

func newEpochs(g *gateway) *epochs { return &epochs{g: g, wake: make(chan struct{}, 1)} }

// hear takes in a status, also a goodbye. It does not block.
func (e *epochs) hear(s *perron.GatewayStatus, heard time.Time) {
	if s.Epoch == "" {
		return // a last will
	}
	news := said{Epoch: s.Epoch, Next: s.Next, Waiting: s.Waiting, Ended: !s.Online, Heard: heard.Round(0).UTC()}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.due); n > 0 && e.due[n-1].Epoch == news.Epoch {
		e.due[n-1].add(news)
	} else if n < maxSaid { // else the next status says it again
		e.due = append(e.due, news)
	}
	pace.Poke(e.wake)
}

// add takes in what was said later of the same outbox. A card that forgot its
// last writes may say less than before, which is no reason to know less.
func (s *said) add(later said) {
	if later.Next >= s.Next {
		s.Next, s.Waiting = later.Next, later.Waiting
	}
	s.Ended = later.Ended
	if later.Heard.After(s.Heard) {
		s.Heard = later.Heard
	}
}

// work does what statuses call for.
func (e *epochs) work(ctx context.Context) error {
	e.mu.Lock()
	due := e.due
	e.due = nil
	e.mu.Unlock()
	for _, s := range due {
		err := e.g.in.insist(ctx, e.g, "keep what is known of an outbox", func() error { return e.said(ctx, s) })
		if err != nil {
			return err
		}
	}
	return nil
}

// said takes in a status.
func (e *epochs) said(ctx context.Context, s said) error {
	if err := e.read(ctx); err != nil {
		return err
	}
	if s.Epoch != e.known.Now.Epoch {
		return e.change(ctx, s)
	}
	e.known.Now.add(s)
	return e.save(ctx)
}

// stored takes in that everything up to acked of an outbox is stored. It is
// called before that is acknowledged: of an outbox of which a gateway was told
// anything is known that there was one.
func (e *epochs) stored(ctx context.Context, epoch string, acked uint64, now time.Time) error {
	if err := e.read(ctx); err != nil {
		return err
	}
	b := e.known
	if epoch == b.Now.Epoch {
		b.Now.Heard = now
		return nil
	}
	i := slices.IndexFunc(b.Gone, func(g gone) bool { return g.Epoch == epoch })
	if i < 0 {
		return e.change(ctx, said{Epoch: epoch, Next: acked + 1, Heard: now})
	}
	// It was on its way for long.
	g := &b.Gone[i]
	n := g.missing(acked)
	if g.Withdrawn || n >= g.Count {
		return nil
	}
	if err := e.lose(ctx, g, n); err != nil {
		return err
	}
	return e.save(ctx)
}

// change notes that a gateway has another outbox than it had. On an error
// nothing has happened that may not happen again.
func (e *epochs) change(ctx context.Context, s said) error {
	b := e.known.clone()
	if i := slices.IndexFunc(b.Gone, func(g gone) bool { return g.Epoch == s.Epoch }); i >= 0 {
		// It is not gone: two devices have one name.
		g := b.Gone[i]
		if err := e.withdraw(ctx, &g); err != nil {
			return err
		}
		g.said.add(s)
		s = g.said
		b.Gone = slices.Delete(b.Gone, i, i+1)
	}
	if old := b.Now; old.Epoch != "" {
		g := gone{said: old, At: old.Heard}
		// Losses are shown on their day.
		g.At = laterOf(g.At, perron.DateOf(s.Heard).Start())
		res, err := e.g.in.cfg.Store.Commit(ctx, store.Batch{
			Site: e.g.site.ID, Gateway: e.g.id, Epoch: old.Epoch, First: 1, Received: s.Heard,
		})
		if err != nil {
			return fmt.Errorf("ask up to where it is stored: %w", err)
		}
		if n := old.missing(res.Acked); n == 0 && old.Ended {
			g.Withdrawn = true // it went in order, with everything stored
		} else if err := e.lose(ctx, &g, n); err != nil {
			return err
		} else {
			e.g.in.log.Error("the gateway has a new outbox; what the old one held is lost", logs.Site, e.g.site.ID, logs.Gateway, e.g.id,
				logs.Was, old.Epoch, logs.Epoch, s.Epoch, logs.AtLeast, n, logs.LastHeard, old.Heard)
			e.g.metrics.lost.Add(float64(n))
		}
		b.Gone = append(b.Gone, g)
		b.Gone = slices.Delete(b.Gone, 0, max(0, len(b.Gone)-keepGone))
	}
	b.Now = s
	e.known = b
	return e.save(ctx)
}

// lose keeps how much was lost with an outbox, and has it shown.
func (e *epochs) lose(ctx context.Context, g *gone, n uint64) error {
	l := e.loss(g)
	l.Count = n
	if err := e.keep(ctx, l); err != nil {
		return err
	}
	g.Count = n
	return nil
}

// keep saves a loss and hands it to the live state, which may just be reading
// what is saved.
func (e *epochs) keep(ctx context.Context, l store.Loss) error {
	return e.g.site.Present.Together(func() error {
		if err := e.g.in.cfg.Store.SaveLoss(ctx, l); err != nil {
			return err
		}
		e.g.site.Present.Lost(l)
		return nil
	})
}

func (e *epochs) withdraw(ctx context.Context, g *gone) error {
	if g.Withdrawn {
		return nil
	}
	l := e.loss(g)
	l.Withdrawn = true
	return e.keep(ctx, l)
}

func (e *epochs) loss(g *gone) store.Loss {
	return store.Loss{Site: e.g.site.ID, Gateway: e.g.id, Kind: perron.DoubtOutbox, Reason: g.Epoch, At: g.At, Count: g.Count}
}

// read reads the book, once.
func (e *epochs) read(ctx context.Context) error {
	if e.known != nil {
		return nil
	}
	r, err := e.g.in.cfg.Store.Reading(ctx, e.g.site.ID, e.g.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if b := readBook(r.Data); b != nil {
		e.known, e.saved = b, essence(b)
	} else {
		e.known = &book{Kind: bookKind}
	}
	return nil
}

// save writes the book when something has changed that matters. A gateway that
// has nothing waiting costs no write.
func (e *epochs) save(ctx context.Context) error {
	now := essence(e.known)
	if now == e.saved {
		return nil
	}
	data, err := json.Marshal(e.known)
	if err != nil {
		return err
	}
	if err := e.g.in.cfg.Store.SaveReading(ctx, store.Reading{Site: e.g.site.ID, Gateway: e.g.id, Data: string(data)}); err != nil {
		return err
	}
	e.saved = now
	return nil
}

// essence is what of a book is worth a write: all that a loss is made of, and by
// the hour when it was last heard of.
func essence(b *book) string {
	n := b.Now
	if n.Waiting == 0 {
		n.Next = 0
	}
	s := fmt.Sprint(n.Epoch, n.Next, n.Waiting, n.Ended, n.Heard.Unix()/3600)
	for i := range b.Gone {
		s += fmt.Sprint(" ", b.Gone[i].Epoch, b.Gone[i].Count, b.Gone[i].Withdrawn)
	}
	return s
}
