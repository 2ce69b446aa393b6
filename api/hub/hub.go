// Package hub fans numbered messages out to many members. It knows no sockets:
// a member is a bounded queue, and one that does not empty its queue is sent
// away rather than waited for. A short memory of past messages lets a member
// that lost its connection go on where it was.
package hub

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// A Reason says why a member was sent away.
type Reason int

const (
	Left   Reason = iota // it left by itself
	Slow                 // its queue was full
	Closed               // the hub is closed
)

// A Key names what a message is about. A later message with the same key makes
// an earlier one worthless to someone who missed both.
type Key struct{ Site, Kind string }

type entry[M any] struct {
	seq  uint64
	key  Key
	body M
}

// A Hub distributes messages of type M. Its methods may be called from any
// goroutine and never wait for a member.
type Hub[M any] struct {
	// Encoders ask for the run while the lock is held, so it does not need it.
	run atomic.Pointer[string]

	mu      sync.Mutex
	seq     uint64
	memory  []entry[M] // by rising seq, at most cap
	members map[*Member[M]]struct{}
	closed  bool
}

// New makes a hub that remembers the last memory messages. It starts nothing.
func New[M any](memory int) *Hub[M] {
	h := &Hub[M]{memory: make([]entry[M], 0, max(memory, 1)), members: make(map[*Member[M]]struct{})}
	h.begin()
	return h
}

func (h *Hub[M]) begin() {
	run := rand.Text()[:10]
	h.run.Store(&run)
}

// Run is the name of this hub's numbering. Another hub, and this one in another
// process or after Forget, has another.
func (h *Hub[M]) Run() string { return *h.run.Load() }

// Publish numbers a message and gives it to every member that follows the
// key's site. The number is used even when encode fails, so that nobody gets a
// number twice.
func (h *Hub[M]) Publish(key Key, encode func(seq uint64) (M, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	body, err := encode(h.seq)
	if err != nil {
		return fmt.Errorf("encode %s of %s: %w", key.Kind, key.Site, err)
	}
	if len(h.memory) == cap(h.memory) {
		h.memory = slices.Delete(h.memory, 0, 1)
	}
	h.memory = append(h.memory, entry[M]{h.seq, key, body})
	for m := range h.members {
		if m.follows(key.Site) {
			h.give(m, body)
		}
	}
	return nil
}

// Beat gives every member a message that has no number of its own and is not
// remembered.
func (h *Hub[M]) Beat(encode func(seq uint64) (M, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.members) == 0 {
		return nil
	}
	body, err := encode(h.seq)
	if err != nil {
		return fmt.Errorf("encode heartbeat: %w", err)
	}
	for m := range h.members {
		h.give(m, body)
	}
	return nil
}

func (h *Hub[M]) give(m *Member[M], body M) {
	select {
	case m.queue <- body:
	default:
		h.remove(m, Slow)
	}
}

func (h *Hub[M]) remove(m *Member[M], why Reason) {
	if _, ok := h.members[m]; !ok {
		return
	}
	delete(h.members, m)
	m.why = why
	close(m.done)
}

// Size is the number of members.
func (h *Hub[M]) Size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.members)
}

// Close sends every member away and admits no other.
func (h *Hub[M]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for m := range h.members {
		h.remove(m, Closed)
	}
}

// Forget begins a new run when there are no members: whoever comes back needs
// everything anew. It says whether it did. It is for a hub that is not told
// anything for a while, where a member would take silence for having missed
// nothing.
func (h *Hub[M]) Forget() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.members) > 0 {
		return false
	}
	clear(h.memory)
	h.memory = h.memory[:0]
	h.begin()
	return true
}

// A Position is where a member was in the numbering of a run.
type Position struct {
	Run string
	Seq uint64
}

// A Welcome is what a new member has to be told first.
type Welcome[M any] struct {
	// Seq is the number of the last message before the member joined.
	Seq uint64
	// Resumed says that the member's position could be taken up; Missed is then
	// the newest message of each key that it has not seen. Otherwise it needs
	// everything anew.
	Resumed bool
	Missed  []M
}

// Join adds a member that follows the named sites, or all sites when there are
// none, with room for queue messages. What is published from now on comes
// through the member; what was before is in the Welcome. ok is false when the
// hub is closed.
func (h *Hub[M]) Join(sites []string, queue int, at *Position) (m *Member[M], w Welcome[M], ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, w, false
	}
	m = &Member[M]{hub: h, sites: sites, queue: make(chan M, max(queue, 1)), done: make(chan struct{})}
	h.members[m] = struct{}{}
	w.Seq = h.seq
	w.Missed, w.Resumed = h.since(m, at)
	return m, w, true
}

func (h *Hub[M]) since(m *Member[M], at *Position) ([]M, bool) {
	if at == nil || at.Run != h.Run() || at.Seq > h.seq {
		return nil, false
	}
	oldest := h.seq + 1
	if len(h.memory) > 0 {
		oldest = h.memory[0].seq
	}
	if at.Seq+1 < oldest {
		return nil, false
	}
	var missed []M
	seen := make(map[Key]bool)
	for _, e := range slices.Backward(h.memory) {
		if e.seq <= at.Seq {
			break
		}
		if m.follows(e.key.Site) && !seen[e.key] {
			seen[e.key] = true
			missed = append(missed, e.body)
		}
	}
	slices.Reverse(missed)
	return missed, true
}

// A Member is one receiver.
type Member[M any] struct {
	hub   *Hub[M]
	sites []string
	queue chan M
	done  chan struct{}
	why   Reason
}

func (m *Member[M]) follows(site string) bool {
	return len(m.sites) == 0 || slices.Contains(m.sites, site)
}

// Messages are those for the member, in order. The channel is never closed.
func (m *Member[M]) Messages() <-chan M { return m.queue }

// Done is closed when the member belongs to the hub no longer.
func (m *Member[M]) Done() <-chan struct{} { return m.done }

// Why may be called once Done is closed.
func (m *Member[M]) Why() Reason { return m.why }

// Leave ends the membership. It may be called more than once.
func (m *Member[M]) Leave() {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.hub.remove(m, Left)
}
