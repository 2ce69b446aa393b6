package gpio

import (
	"context"
	"sync"
)

// A doorbell asks the reader of the lines to look at all of them. Its zero value
// is that of a house where nobody is at home.
type doorbell struct {
	mu      sync.Mutex
	wake    func()          // nil when nobody reads
	waiting []chan struct{} // closed when the lines have been read
}

// ring returns when all lines have been read since, when ctx ends, or at once
// when nobody reads them.
func (d *doorbell) ring(ctx context.Context) {
	d.mu.Lock()
	if d.wake == nil {
		d.mu.Unlock()
		return
	}
	done := make(chan struct{})
	d.waiting = append(d.waiting, done)
	d.wake()
	d.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// open says that somebody reads from now on, whom wake wakes. Wake does not wait.
func (d *doorbell) open(wake func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake = wake
}

// drain is who waits for the lines to be read.
func (d *doorbell) drain() []chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.waiting
	d.waiting = nil
	return waiting
}

// close says that nobody reads any more.
func (d *doorbell) close() {
	d.open(nil)
	answer(d.drain())
}

func answer(waiting []chan struct{}) {
	for _, w := range waiting {
		close(w)
	}
}
