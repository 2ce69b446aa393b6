package gateway

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// rivalGone is how long after its last attempt a rival counts as gone. A
	// device that is refused tries again every half minute.
	rivalGone = 5 * time.Minute
	// rivalTold is how often it is logged.
	rivalTold = time.Minute
)

// A rival is another device with the name of this gateway.
type rival struct {
	mu         sync.Mutex
	first      time.Time // by the device's clock
	told, came time.Time // logged and come last, by the machine's
}

// seen notes that it has come.
func (r *rival) seen(now time.Time, log *slog.Logger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.came.IsZero() || time.Since(r.came) > rivalGone {
		r.first = now
	}
	r.came = time.Now()
	if r.told.IsZero() || time.Since(r.told) > rivalTold {
		r.told = r.came
		log.Error("another device has come to the broker with the name of this gateway; one of them needs a name and a credential of its own")
	}
}

// since is when it came first; zero when it is gone.
func (r *rival) since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.came.IsZero() || time.Since(r.came) > rivalGone {
		return time.Time{}
	}
	return r.first
}
