package web

import (
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// guides spread those who ask over the best moments of each site.
type guides struct {
	mu     sync.Mutex
	bySite map[string]*perron.Guide
}

// choose picks the moment that a visitor is told.
func (g *guides) choose(site string, moments []perron.Moment, now time.Time, visitor uint64) (perron.Moment, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bySite == nil {
		g.bySite = make(map[string]*perron.Guide)
	}
	if g.bySite[site] == nil {
		g.bySite[site] = &perron.Guide{}
	}
	return g.bySite[site].Choose(moments, now, visitor)
}

// visitor is a number that is the same for a visitor over a day, and another
// the next: a hash, kept in memory until the day is over and written nowhere.
// Households behind one address share it, and their advice.
func visitor(r *http.Request, now time.Time) uint64 {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	h := fnv.New64a()
	for _, s := range []string{host, r.Header.Get("X-Forwarded-For"), r.UserAgent(), perron.DateOf(now).String()} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	// Mixed once more (splitmix64), since similar texts have similar hashes.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// guided are the moments as this visitor is advised: one of them, where it is
// known how many more they can take.
func (s *server) guided(r *http.Request, now *words.SiteNow, at time.Time) {
	if now.Forecast == nil {
		return
	}
	left := now.MomentsLeft(at)
	for _, m := range left {
		if len(m.Room) == 0 {
			return // an older forecast
		}
	}
	now.Own = []perron.Moment{}
	if m, ok := s.guides.choose(now.Site.ID, left, at, visitor(r, at)); ok {
		now.Own = append(now.Own, m)
	}
}
