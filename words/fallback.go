package words

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// fallbackSteps bounds how many instants are looked at, fallbackMidnights
	// those that are midnights: a site that is closed for more than a week names
	// the date on which it opens, which no midnight makes untrue.
	fallbackSteps     = 16
	fallbackMidnights = 8
)

// Fallback is what is to be said of a site when nothing is heard of it from now
// on. b has to be as of now. The last of it stays true: it is unknown once a
// site has opened on another day, and closed until somebody reopens it.
func (l *Language) Fallback(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) Fallback {
	var out Fallback
	last := withoutCounts(l.say(site, b, now, to))
	stale, staleAt, fresh := l.stale(site, b, now, to)
	stale = withoutCounts(stale)
	if fresh && !sameWords(last, stale) {
		s := stale
		s.Headline = "" // the Statement has it
		out.Stale = &s
	}
	// A script's clock counts milliseconds.
	grown := staleAt.Add(time.Millisecond)
	at, state := now, *b
	for step, midnights := 0, 0; step < fallbackSteps; step++ {
		midnight := perron.DateOf(at).End()
		next := nextChange(site, &state, at)
		if midnights < fallbackMidnights && (next.IsZero() || midnight.Before(next)) {
			next = midnight
		}
		if fresh && at.Before(grown) && (next.IsZero() || grown.Before(next)) {
			next = grown
		}
		if next.IsZero() {
			break
		}
		if next.Equal(midnight) {
			midnights++
		}
		at = next
		state = b.AsOf(site, at)
		another := perron.DateOf(at) != perron.DateOf(now)
		if another {
			state.TypicalLevel = perron.Unknown // it was of this time today
		}
		measured := fresh && at.Before(grown) && state.Level != perron.Closed && state.Level != perron.Unknown
		if measured {
			continue // no midnight changes what is said
		}
		if at.Equal(grown) && len(out.Then) == 0 {
			last = stale // which has taken its place
			continue
		}
		if s := withoutCounts(l.say(site, &state, at, to)); !sameWords(s, last) {
			out.Then = append(out.Then, Change{At: at.UTC(), Statement: s})
			last = s
		}
		if another && state.Level == perron.Unknown {
			break
		}
	}
	return out
}

// withoutCounts leaves out what passed the gates: it stays as it was, and a
// fallback would change with every vehicle.
func withoutCounts(s Statement) Statement {
	if s.Staff != nil {
		figures := *s.Staff
		figures.Gates = nil
		s.Staff = &figures
	}
	return s
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

// A SiteFreshness is the part of a statement that moves on with every vehicle
// and every measurement, as it goes to a script by itself.
type SiteFreshness struct {
	ID            string    `json:"id"`
	OnSite        string    `json:"onSite,omitempty"`
	Visits        string    `json:"visits,omitempty"`
	MeasuredAt    time.Time `json:"measuredAt,omitzero"`
	StaleAt       time.Time `json:"staleAt,omitzero"`
	StaleHeadline string    `json:"staleHeadline,omitempty"`
}

// Freshness is the part of a statement that moves on by itself.
func (s *SiteStatement) Freshness() SiteFreshness {
	return SiteFreshness{s.ID, s.OnSite, s.Visits, s.MeasuredAt, s.StaleAt, s.StaleHeadline}
}

// A SiteFallback is the fallback of one site, as it goes to a script.
type SiteFallback struct {
	ID       string   `json:"id"`
	Fallback Fallback `json:"fallback"`
}
