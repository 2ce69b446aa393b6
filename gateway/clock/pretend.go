package clock

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// A Pretended clock is wrong in the way that a file says, for tests of the real
// program: see docs/adr. The file is read again at every look:
//
//	{"offset": "-492192h", "synced": false, "boot": "first"}
//
// Offset is added to the true time. Boot names the boot, and "booted" says when
// it was, for a boot that is not the first; both are read once, for a program
// does not live through a boot.
type Pretended struct {
	path   string
	boot   string
	booted time.Time

	mu     sync.Mutex
	last   pretence
	loaded time.Time
}

type pretence struct {
	Offset string    `json:"offset"`
	Synced bool      `json:"synced"`
	Boot   string    `json:"boot"`
	Booted time.Time `json:"booted"`

	offset time.Duration
}

// Pretend reads the file for the first time.
func Pretend(path string) (*Pretended, error) {
	p := &Pretended{path: path}
	w, err := p.load()
	if err != nil {
		return nil, fmt.Errorf("test clock: %w", err)
	}
	p.last, p.boot, p.booted = w, w.Boot, w.Booted
	if p.booted.IsZero() {
		p.booted = powerOn
	}
	return p, nil
}

func (p *Pretended) load() (w pretence, err error) {
	text, err := os.ReadFile(p.path)
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return w, err
	}
	w.offset, err = time.ParseDuration(w.Offset)
	return w, err
}

// BootID is what the file called the boot at the start.
func (p *Pretended) BootID() string { return p.boot }

// powerOn is when a boot was of which nothing else is said: so far back that
// everything comes after it.
var powerOn = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Offset is how wrong the clock is now. While the file cannot be read, because
// it is just being written, it is as it was.
// A Read soon after it finds the same: times are given the offset first and
// then read back by the clock.
func (p *Pretended) Offset() time.Duration { return p.now(0).offset }

// now is what the file says, or said within the time of age.
func (p *Pretended) now(age time.Duration) pretence {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.loaded) < age {
		return p.last
	}
	p.loaded = time.Now()
	if w, err := p.load(); err == nil {
		p.last = w
	}
	return p.last
}

// Read is Config.Read.
func (p *Pretended) Read() Reading {
	w := p.now(200 * time.Millisecond)
	actual := time.Now()
	return Reading{Wall: actual.Add(w.offset), Boot: actual.Sub(p.booted), Synced: &w.Synced}
}
