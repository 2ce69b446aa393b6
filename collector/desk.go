package collector

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
)

// A desk is where the loops of one site meet. All of it may be used by all of
// them: what is for the present goes into the inbox, what the present says stands
// on the board.
type desk struct {
	*perron.Site
	c     *core
	inbox inbox
	board board
	out   *retained
	past  past
	// score is how good the forecasts were; nil until that is known.
	score   atomic.Pointer[perron.Score]
	failure failure
	ready   chan struct{} // closed when the present was shown for the first time
	once    sync.Once     // closes ready
}

func newDesk(c *core, site *perron.Site) *desk {
	return &desk{
		Site: site, c: c, out: newRetained(site.ID), ready: make(chan struct{}),
		inbox: inbox{wake: make(chan struct{}, 1)}, board: board{site: site, known: make(chan struct{}, 1)},
	}
}

// Publish publishes a retained message of the site.
func (d *desk) Publish(m broker.Message) { d.out.put(m) }

// Hear takes in what a gateway says of itself.
func (d *desk) Hear(s present.Status) {
	d.inbox.put(func(n *news) { n.statuses = append(n.statuses, s) })
}

// News is what is to be told to the present.
type news struct {
	events   []perron.Event
	newest   map[string]time.Time // by gateway
	losses   []present.Loss
	statuses []present.Status
	actions  []perron.Action
	acted    bool // actions is set
	outlook  *present.Outlook
	score    *perron.Score
	learned  bool // estimators know more than before
	untold   bool // something may be stored that nobody told
}

// An inbox is where news wait.
type inbox struct {
	wake chan struct{} // there is something
	mu   sync.Mutex
	news news // guarded by mu
}

// put puts something in.
func (in *inbox) put(write func(*news)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	write(&in.news)
	pace.Poke(in.wake)
}

// empty takes everything out.
func (in *inbox) empty() news {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := in.news
	in.news = news{}
	return n
}

// A board shows what the present last said.
type board struct {
	site  *perron.Site
	known chan struct{} // what was unknown is known

	mu       sync.Mutex
	busyness perron.Busyness // guarded by mu
	mended   present.Mended  // guarded by mu
}

func (b *board) show(s perron.Busyness) {
	b.mu.Lock()
	was := b.busyness
	b.busyness = s
	b.mu.Unlock()
	if !present.Known(&was) && present.Known(&s) {
		pace.Poke(b.known)
	}
}

// asOf is the state as it must be shown now.
func (b *board) asOf(now time.Time) perron.Busyness {
	b.mu.Lock()
	s := b.busyness
	b.mu.Unlock()
	return s.AsOf(b.site, now)
}

// leave leaves samples that were made again for whoever keeps them.
func (b *board) leave(m present.Mended) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mended = b.mended.With(m)
}

// collect takes them away.
func (b *board) collect() present.Mended {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mended
	b.mended = present.Mended{}
	return m
}

// The past of a site may change: late events fall on days that were learned
// from.
type past struct {
	mu      sync.Mutex
	changed bool
	at      elapsed // last
}

func (p *past) change(now elapsed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed, p.at = true, now
}

// state says whether it has changed, and when last.
func (p *past) state() (changed bool, at elapsed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed, p.at
}

// set says whether there is a change that was not learned from.
func (p *past) set(changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = changed
}

// A failure counts the panics of a day.
type failure struct {
	mu    sync.Mutex
	doubt perron.Doubt
}

func (f *failure) add(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := &f.doubt; d.Count > 0 && perron.DateOf(d.Since) == perron.DateOf(now) {
		d.Count++
	} else {
		*d = perron.Doubt{Kind: perron.DoubtFailed, Since: now, Count: 1}
	}
}

func (f *failure) get() perron.Doubt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.doubt
}
