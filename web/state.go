package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A stateView is the live part of a tile or perron page. The script makes the
// same from the same state: testdata/states.json keeps the two alike.
type stateView struct {
	// Level and Typical are the marks: Typical is a level, or empty, and is set
	// only when Level is unknown.
	Level    string `json:"level"`
	Typical  string `json:"typical"`
	Trend    string `json:"trend"` // empty when it does not apply
	Headline string `json:"headline"`
	Detail   string `json:"detail"`
	Until    string `json:"until"`
	Age      string `json:"age"`
	OnSite   string `json:"onSite"`
	Visits   string `json:"visits"`
	// Wait is the board in words, for ears.
	Wait string `json:"wait"`
	// BoardTop, BoardMain and BoardSub are the lines on the wait board, Lit how
	// many of its twelve five-minute segments are lit.
	BoardTop  string `json:"boardTop"`
	BoardMain string `json:"boardMain"`
	BoardSub  string `json:"boardSub"`
	Lit       int    `json:"lit"`
	// DetailLang is set when the detail is a text of staff in another language.
	DetailLang string `json:"detailLang"`
}

// viewState puts a state in words. b must be as of now.
func viewState(w *words, b *perron.Busyness, now time.Time) stateView {
	v := stateView{Level: string(b.Level)}
	switch {
	case b.Level == perron.Closed:
		v.Headline = w.T("state.closed")
		v.BoardMain = w.T("board.closed")
		v.Wait = w.Level(perron.Closed)
		switch {
		case b.Closure != nil:
			text, lang := w.Local(b.Closure.Reason)
			if text == "" {
				text = w.T("hours.unplanned") + "."
			} else if lang != w.tag {
				v.DetailLang = lang
			}
			v.Detail = text
			v.Until = w.T("hours.since", "Time", w.Clock(b.Closure.Since))
			if !b.Closure.Until.IsZero() {
				v.Until += ". " + w.Opens(b.Closure.Until, now)
			}
		case !b.OpensAt.IsZero():
			v.Detail = w.Opens(b.OpensAt, now)
		}
		return v
	case b.Level == perron.Late:
		v.Headline = w.T("state.late", "Time", w.Clock(b.ClosesAt))
		v.Detail = w.T("state.latewhy")
		v.BoardTop, v.BoardMain = w.T("board.late"), w.Clock(b.ClosesAt)
		v.Wait = w.Level(perron.Late)
		v.Age = w.Age(b.MeasuredAt, now)
		v.OnSite, v.Visits = w.OnSite(b.OnSite), w.Visits(visits(b))
		return v
	case b.Level.Rank() == 0: // unknown
		v.Level = string(perron.Unknown)
		v.Headline = w.lastMeasured(b.MeasuredAt, now)
		v.BoardMain, v.BoardSub = "?", w.T("board.unknown")
		v.Wait = w.T("wait.unknown")
		v.OnSite = w.T("onsite.unknown")
		v.Detail = w.T("state.notypical")
		if b.TypicalLevel.Rank() > 0 {
			v.Typical = string(b.TypicalLevel)
			v.Detail = w.T("state.typical." + v.Typical)
		}
	default:
		v.Trend = string(b.Trend)
		v.Headline = w.Level(b.Level)
		v.Detail = w.T("trend." + string(trendOr(b.Trend)))
		v.Wait = w.Wait(b.Band, b.AtLeast)
		v.BoardMain, v.Lit = board(b.Band, b.AtLeast)
		if b.Band != (perron.Band{}) {
			v.BoardSub = w.T("board.min")
		}
		v.Age = w.Age(b.MeasuredAt, now)
		v.OnSite, v.Visits = w.OnSite(b.OnSite), w.Visits(visits(b))
	}
	if !b.ClosesAt.IsZero() {
		v.Until = w.T("hours.until", "Time", w.Clock(b.ClosesAt))
	}
	return v
}

// visits is how many vehicles came in today.
func visits(b *perron.Busyness) int {
	n := 0
	for _, g := range b.Gates {
		n += g.InToday
	}
	return n
}

func trendOr(t perron.Trend) perron.Trend {
	if t == "" {
		return perron.Steady
	}
	return t
}

func (w *words) lastMeasured(at, now time.Time) string {
	switch {
	case at.IsZero():
		return w.T("state.never")
	case perron.DateOf(at) == perron.DateOf(now):
		return w.T("state.unknown", "Time", w.Clock(at))
	}
	return w.T("state.unknownday", "Day", w.DayOfMonth(perron.DateOf(at)))
}

// board is the number on the wait board and how many of the twelve segments
// of its ring, five minutes each, are lit: up to the longer end of the band.
func board(b perron.Band, atLeast bool) (number string, lit int) {
	switch {
	case b == (perron.Band{}):
		return "?", 0
	case b.Max == 0 || atLeast && b.Min > 0:
		return strconv.Itoa(b.Min) + "+", min(12, b.Min/5)
	case b.Min == 0:
		return "< " + strconv.Itoa(b.Max), b.Max / 5
	}
	return strconv.Itoa(b.Min) + "–" + strconv.Itoa(b.Max), b.Max / 5
}

// Dashes is the stroke-dasharray that lights Lit segments of a ring whose
// pathLength is 60: a segment is 5 long, 1.2 of it is the gap.
func (v stateView) Dashes() string {
	if v.Lit == 0 {
		return "0 60"
	}
	return strings.Repeat("3.8 1.2 ", v.Lit-1) + "3.8 60"
}

// MainY is where the middle of the board's number stands: in the middle of the
// disc, a little higher or lower with a line under or over it.
func (v stateView) MainY() int {
	switch {
	case v.BoardTop != "":
		return 63
	case v.BoardSub != "":
		return 55
	}
	return 60
}

// Narrow is the class that sizes the board's number: the longer, the smaller.
func (v stateView) Narrow() string {
	switch n := len([]rune(v.BoardMain)); {
	case n <= 3:
		return "n3"
	case n <= 4:
		return "n4"
	}
	return "n5"
}

// A scriptState is the part of a state that the script starts from; later ones
// come over the websocket with the same names.
type scriptState struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Level        perron.Level    `json:"level"`
	Band         perron.Band     `json:"band"`
	AtLeast      bool            `json:"atLeast,omitempty"`
	OnSite       perron.Interval `json:"onSite"`
	Visits       int             `json:"visits"`
	Trend        perron.Trend    `json:"trend,omitempty"`
	MeasuredAt   time.Time       `json:"measuredAt,omitzero"`
	StaleAt      time.Time       `json:"staleAt,omitzero"`
	ClosesAt     time.Time       `json:"closesAt,omitzero"`
	OpensAt      time.Time       `json:"opensAt,omitzero"`
	TypicalLevel perron.Level    `json:"typicalLevel,omitempty"`
	Closure      *perron.Closure `json:"closure,omitempty"`
	Notice       *perron.Notice  `json:"notice,omitempty"`
}

func newScriptState(site *perron.Site, b *perron.Busyness) scriptState {
	return scriptState{
		ID: site.ID, Name: site.Name, Level: b.Level, Band: b.Band, AtLeast: b.AtLeast, OnSite: b.OnSite, Visits: visits(b),
		Trend: b.Trend, MeasuredAt: b.MeasuredAt, StaleAt: b.StaleAt, ClosesAt: b.ClosesAt, OpensAt: b.OpensAt,
		TypicalLevel: b.TypicalLevel, Closure: b.Closure, Notice: b.Notice,
	}
}
