package words

import (
	"reflect"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Statement is what is to be said of a site at one instant in one language.
// Its sentences are ready: a channel shows those that it has room for. What does
// not apply is empty.
type Statement struct {
	// Level, Typical and Trend are the marks beside the words. Typical is the
	// usual level and set only when Level is unknown.
	Level   perron.Level `json:"level"`
	Typical perron.Level `json:"typical,omitempty"`
	Trend   perron.Trend `json:"trend,omitempty"`

	Headline string `json:"headline"`
	Detail   string `json:"detail,omitempty"`
	// DetailLang is set when the detail is a text of staff in another language.
	DetailLang string `json:"detailLang,omitempty"`
	Until      string `json:"until,omitempty"`
	// Wait is the board in words.
	Wait  string `json:"wait"`
	Board Board  `json:"board"`
	// Aloud is the whole in one breath, for ears.
	Aloud  string `json:"aloud,omitempty"`
	OnSite string `json:"onSite,omitempty"`
	Visits string `json:"visits,omitempty"`
	// MeasuredAt is what the age counts from, to the second; zero when no age is
	// to be shown.
	MeasuredAt time.Time `json:"measuredAt,omitzero"`
	Notice     *Notice   `json:"notice,omitempty"`
	// StaleAt is when this no longer holds unless something newer is heard, to
	// the second. From then on [Fallback.Stale] is to be shown with the headline
	// StaleHeadline, which alone of it names the time of the measurement.
	StaleAt       time.Time `json:"staleAt,omitzero"`
	StaleHeadline string    `json:"staleHeadline,omitempty"`
	// Staff is there when it is said to staff. A fallback leaves out its gates.
	Staff *StaffFigures `json:"staff,omitempty"`
}

// A Board is the round board with the wait: its lines from top to bottom, and
// how many of its twelve five-minute segments are lit.
type Board struct {
	Top  string `json:"top,omitempty"`
	Main string `json:"main"`
	Sub  string `json:"sub,omitempty"`
	Lit  int    `json:"lit,omitempty"`
}

// A Notice is a message by staff.
type Notice struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Lang string `json:"lang,omitempty"` // set when it is in another language
	When string `json:"when"`
}

// A Fallback is what is to be said of a site when nothing more is heard of it.
type Fallback struct {
	// Stale takes the place of the statement from its StaleAt on; nil when that
	// does not grow old.
	Stale *Statement `json:"stale,omitempty"`
	// Then takes the place of both at its instants, which rise.
	Then []Change `json:"then,omitempty"`
}

// A Change is what is to be said from an instant on.
type Change struct {
	At        time.Time `json:"at"`
	Statement Statement `json:"statement"`
}

// An Audience is whom something is said to.
type Audience int

const (
	ToAll Audience = iota
	ToStaff
)

// Say is what is to be said of a site. b has to be as of now.
func (l *Language) Say(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) Statement {
	s := l.say(site, b, now, to)
	if stale, at, ok := l.stale(site, b, now, to); ok && !sameWords(s, stale) {
		s.StaleAt, s.StaleHeadline = at.UTC().Truncate(time.Second), stale.Headline
	}
	return s
}

// stale is what is to be said once nothing newer was heard for too long; ok is
// false when that is so already.
func (l *Language) stale(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) (s Statement, at time.Time, ok bool) {
	if b.StaleAt.IsZero() || now.After(b.StaleAt) {
		return s, at, false
	}
	at = b.StaleAt.Add(1)
	old := b.AsOf(site, at)
	return l.say(site, &old, at, to), b.StaleAt, true
}

func (l *Language) say(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) Statement {
	s := Statement{Level: b.Level, Notice: l.notice(b.Notice, now)}
	switch {
	case b.Level == perron.Closed:
		l.closed(&s, b, now)
	case b.Level == perron.Late:
		s.Headline = l.T("state.late", "Time", l.Clock(b.ClosesAt))
		s.Detail = l.T("state.latewhy")
		s.Board = Board{Top: l.T("board.late"), Main: l.Clock(b.ClosesAt)}
		s.Wait = l.Level(perron.Late)
		l.measured(&s, b)
	case b.Level.Rank() == 0: // unknown
		s.Level = perron.Unknown
		s.Headline = l.LastMeasured(b.MeasuredAt, now)
		s.Board = Board{Main: l.T("board.nothing"), Sub: l.T("board.unknown")}
		s.Wait, s.OnSite = l.T("wait.unknown"), l.T("onsite.unknown")
		s.Detail = l.T("state.notypical")
		if b.TypicalLevel.Rank() > 0 {
			s.Typical = b.TypicalLevel
			s.Detail = l.T("state.typical." + string(s.Typical))
		}
		s.Until = l.until(b)
	default:
		s.Trend = b.Trend
		s.Headline = l.Level(b.Level)
		s.Detail = l.T("trend." + string(trendOr(b.Trend)))
		s.Wait = l.Wait(b.Band, b.AtLeast)
		s.Board = l.board(b.Band, b.AtLeast)
		s.Until = l.until(b)
		l.measured(&s, b)
	}
	s.Aloud = l.aloud(site, &s)
	if to == ToStaff {
		s.Staff = l.staff(site, b, now)
	}
	return s
}

func (l *Language) closed(s *Statement, b *perron.Busyness, now time.Time) {
	s.Headline = l.T("state.closed")
	s.Board.Main = l.T("board.closed")
	s.Wait = l.Level(perron.Closed)
	switch {
	case b.Closure != nil:
		s.Detail, s.DetailLang = l.Local(b.Closure.Reason)
		if s.Detail == "" {
			s.Detail = l.T("hours.unplanned")
		}
		s.Until = l.T("hours.since", "Time", l.When(b.Closure.Since, now))
		if !b.Closure.Until.IsZero() {
			s.Until = l.T("hours.sinceuntil", "Since", s.Until, "Opens", l.Opens(b.Closure.Until, now))
		}
	case !b.OpensAt.IsZero():
		s.Detail = l.Opens(b.OpensAt, now)
	}
}

func (l *Language) until(b *perron.Busyness) string {
	if b.ClosesAt.IsZero() {
		return ""
	}
	return l.T("hours.until", "Time", l.Clock(b.ClosesAt))
}

// measured adds what rests on a fresh measurement.
func (l *Language) measured(s *Statement, b *perron.Busyness) {
	s.MeasuredAt = b.MeasuredAt.UTC().Truncate(time.Second)
	visits := 0
	for _, g := range b.Gates {
		visits += g.InToday
	}
	s.OnSite, s.Visits = l.OnSite(b.OnSite), l.Visits(visits)
}

func (l *Language) aloud(site *perron.Site, s *Statement) string {
	if s.Level.Rank() > 0 {
		return l.T("aloud.open", "Name", site.Name, "Level", s.Headline, "Wait", s.Wait)
	}
	headline := s.Headline
	if s.Level == perron.Unknown {
		headline = l.T("state.never") // since when is of no help to ears
	}
	return l.T("aloud.else", "Name", site.Name, "Headline", headline, "Detail", s.Detail)
}

func trendOr(t perron.Trend) perron.Trend {
	if t == "" {
		return perron.Steady
	}
	return t
}

// segment is the part of an hour that a segment of the board stands for.
const segment = 5 // minutes

// board is the wait on the board: lit up to the longer end of the band.
func (l *Language) board(b perron.Band, atLeast bool) Board {
	minutes := l.T("board.min")
	switch {
	case b == (perron.Band{}):
		return Board{Main: l.T("board.nothing")}
	case b.Max == 0 || atLeast && b.Min > 0:
		return Board{Main: l.T("board.over", "Min", b.Min), Sub: minutes, Lit: min(12, b.Min/segment)}
	case b.Min == 0:
		return Board{Main: l.T("board.under", "Max", b.Max), Sub: minutes, Lit: b.Max / segment}
	}
	return Board{Main: l.T("board.between", "Min", b.Min, "Max", b.Max), Sub: minutes, Lit: b.Max / segment}
}

func (l *Language) notice(n *perron.Notice, now time.Time) *Notice {
	if n == nil {
		return nil
	}
	out := &Notice{ID: n.ID, When: l.T("notice.at", "Time", l.Clock(n.At))}
	out.Text, out.Lang = l.Local(n.Text)
	if d := perron.DateOf(n.At); d != perron.DateOf(now) {
		out.When = l.T("notice.atday", "Day", l.DayOfMonth(d))
	}
	return out
}

// sameWords says whether two show the same, whenever it was measured.
func sameWords(a, b Statement) bool {
	for _, s := range []*Statement{&a, &b} {
		s.MeasuredAt, s.StaleAt, s.StaleHeadline = time.Time{}, time.Time{}, ""
	}
	return reflect.DeepEqual(a, b)
}

// A SiteStatement is a statement of a site as a script gets it. What comes over
// a websocket after the first message has neither Fallback nor StaleHeadline:
// they have messages of their own, since they change seldom.
type SiteStatement struct {
	ID string `json:"id"`
	Statement
	Fallback *Fallback `json:"fallback,omitempty"`
}

// SaySite is all that a script has to have of a site: what is said now and what
// is to be said later. b has to be as of now.
func (l *Language) SaySite(site *perron.Site, b *perron.Busyness, now time.Time, to Audience) SiteStatement {
	later := l.Fallback(site, b, now, to)
	return SiteStatement{ID: site.ID, Statement: l.Say(site, b, now, to), Fallback: &later}
}
