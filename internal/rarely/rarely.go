// Package rarely keeps a log readable while the same thing goes wrong again and
// again.
package rarely

import (
	"sync"
	"time"
)

// mostKeys bounds what is remembered: keys may hold what comes from outside.
const mostKeys = 1000

// others stands for keys beyond that.
const others = "others"

// A Limiter lets one log line a period through for each key, and counts the
// rest. It is safe for concurrent use.
type Limiter struct {
	period time.Duration
	mu     sync.Mutex
	last   map[string]time.Time
	count  map[string]uint64
}

// New makes a limiter.
func New(period time.Duration) *Limiter {
	return &Limiter{period: period, last: make(map[string]time.Time), count: make(map[string]uint64)}
}

// Allow says whether to log now, and how often it happened since the last line,
// this time included. What comes after a thousand keys shares one.
func (l *Limiter) Allow(key string) (times uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.last[key]; !known && len(l.last) >= mostKeys {
		key = others
	}
	l.count[key]++
	now := time.Now()
	if last, known := l.last[key]; known && now.Sub(last) < l.period {
		return 0, false
	}
	times = l.count[key]
	l.last[key], l.count[key] = now, 0
	return times, true
}
