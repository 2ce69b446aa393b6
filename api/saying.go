package api

import (
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/words"
)

// sayings keep what was last said of each site to whoever asks once, so that
// many who ask at the same time do not have it put in words for each of them.
type sayings struct {
	mu   sync.Mutex
	kept map[sayingKey]saying
}

type sayingKey struct {
	site string
	lang *words.Language
	to   words.Audience
}

type saying struct {
	version uint64 // of the state that it was made of
	// second is that of civil time in which it was made. It holds no longer:
	// whoever gets it takes what was to change until then for included.
	second time.Time
	said   words.SiteStatement
}

// say is all that is to be said of a site, to be changed by nobody.
func (l *Live) say(site string, lang *words.Language, to words.Audience, now time.Time) words.SiteStatement {
	key, second := sayingKey{site, lang, to}, now.Truncate(time.Second)
	l.sayings.mu.Lock()
	defer l.sayings.mu.Unlock()
	version := l.version(site)
	if k, ok := l.sayings.kept[key]; ok && k.version == version && k.second.Equal(second) {
		return k.said
	}
	b, s := l.busyness(site, now)
	said := lang.SaySite(s, &b, now, to)
	l.sayings.kept[key] = saying{version, second, said}
	return said
}
