package words

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// laterSteps bounds how many instants are looked at, laterMidnights those
	// that are midnights: after a week a closed site names the date on which it
	// opens, which no midnight makes untrue.
	laterSteps     = 16
	laterMidnights = 8
)

// Later is what is to be said of a site when nothing is heard of it from now
// on. b has to be as of now. The last of it stays true: it is unknown once a
// site has opened on another day, and closed until somebody reopens it.
func (l *Language) Later(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) Later {
	var out Later
	last := l.say(site, b, now, to)
	if stale, _, ok := l.stale(site, b, now, to); ok && !sameWords(last, stale) {
		stale.Headline = "" // the Said has it
		out.Stale = &stale
	}
	at, state := now, *b
	for step, midnights := 0, 0; step < laterSteps; step++ {
		midnight := perron.DateOf(at).End()
		next := nextChange(site, &state, at)
		// While it is measured no midnight changes what is said.
		if midnights < laterMidnights && !midnight.Before(b.StaleAt) && (next.IsZero() || midnight.Before(next)) {
			next = midnight
			midnights++
		}
		if next.IsZero() {
			break
		}
		at = next
		state = b.AsOf(site, at)
		another := perron.DateOf(at) != perron.DateOf(now)
		if another {
			state.TypicalLevel = perron.Unknown // it was of this time today
		}
		if s := l.say(site, &state, at, to); !sameWords(s, last) {
			out.Then = append(out.Then, Change{At: at.UTC(), Said: s})
			last = s
		}
		if another && state.Level == perron.Unknown {
			break
		}
	}
	return out
}

// nextChange is when a site next opens or closes, or a closure ends; zero when
// none of it is foreseen.
func nextChange(site *perron.Site, b *perron.Busyness, at time.Time) time.Time {
	var next time.Time
	if period, open := site.Hours.At(at); open {
		next = period.End
	} else if period, ok := site.Hours.Next(at); ok {
		next = period.Start
	}
	if c := b.Closure; c.Holds(at) && !c.Until.IsZero() && (next.IsZero() || c.Until.Before(next)) {
		next = c.Until
	}
	return next
}

// A SiteStale is the headline of [Later.Stale] for one site, as it goes to a
// script: the time that it names moves on with every measurement.
type SiteStale struct {
	ID       string `json:"id"`
	Headline string `json:"headline"`
}

// A SiteLater is what is to be said later of one site, as it goes to a script.
type SiteLater struct {
	ID    string `json:"id"`
	Later Later  `json:"later"`
}
