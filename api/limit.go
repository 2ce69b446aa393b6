package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A limiter admits a burst of attempts a key and then one a period (the
// generic cell rate algorithm: a key is remembered as the time at which its
// allowance is whole again). It remembers at most size keys.
type limiter struct {
	burst  int
	period time.Duration
	size   int

	mu    sync.Mutex
	whole map[string]time.Time
}

func newLimiter(burst int, period time.Duration, size int) *limiter {
	return &limiter{burst: burst, period: period, size: size, whole: make(map[string]time.Time)}
}

// take uses one attempt. When there is none it returns how long to wait.
func (l *limiter) take(key string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := l.whole[key]
	if whole.Before(now) {
		whole = now
	}
	whole = whole.Add(l.period)
	if wait := whole.Add(-time.Duration(l.burst) * l.period).Sub(now); wait > 0 {
		return wait, false
	}
	if _, known := l.whole[key]; !known && len(l.whole) >= l.size {
		l.forget(now)
	}
	l.whole[key] = whole
	return 0, true
}

// reset gives a key its whole allowance back.
func (l *limiter) reset(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.whole, key)
}

// forget makes room: first the keys whose allowance is whole, which changes
// nothing, and if that is not enough any key.
func (l *limiter) forget(now time.Time) {
	for k, t := range l.whole {
		if !t.After(now) {
			delete(l.whole, k)
		}
	}
	for k := range l.whole {
		if len(l.whole) < l.size {
			return
		}
		delete(l.whole, k)
	}
}

// homes remembers the addresses from which names have come in, as long as the
// process runs. Only a right password adds to it.
type homes struct {
	mu    sync.Mutex
	known map[home]struct{}
}

type home struct{ name, addr string }

const maxHomes = 10_000

func (h *homes) add(name, addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) >= maxHomes {
		h.known = make(map[home]struct{})
	}
	h.known[home{name, addr}] = struct{}{}
}

func (h *homes) has(name, addr string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.known[home{name, addr}]
	return ok
}

// clientAddr is the address that a request came from. Behind trusted proxies
// that is the last address in X-Forwarded-For that is not one of theirs;
// what comes before it could have been made up by the client.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// clientKey is what limits count by: an IPv4 address, or the /64 network of an
// IPv6 address, within which a subscriber can choose freely.
func clientKey(addr netip.Addr) string {
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
