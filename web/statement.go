package web

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// A statementView is the live part of a tile, a perron page or a staff card: what is
// said of a site, with its age in words for who has no script.
type statementView struct {
	words.Statement
	Age                 string
	BeforeAge, AfterAge string // the words around it
}

func viewStatement(w *words.Language, site *perron.Site, b *perron.Busyness, now time.Time, to words.Audience) statementView {
	v := statementView{Statement: w.Say(site, b, now, to)}
	v.BeforeAge, v.AfterAge = w.Around("age.measured", "Age")
	if !v.MeasuredAt.IsZero() {
		v.Age = w.Age(v.MeasuredAt, now)
	}
	return v
}

// Instant is a time as a script reads it.
func (v statementView) Instant() string {
	if v.MeasuredAt.IsZero() {
		return ""
	}
	return v.MeasuredAt.Format(time.RFC3339)
}

// Dashes is the stroke-dasharray that lights segments of the board's ring,
// whose pathLength is 60: a segment is 5 long, 1.2 of it is the gap.
func (v statementView) Dashes() string {
	if v.Board.Lit == 0 {
		return "0 60"
	}
	return strings.Repeat("3.8 1.2 ", v.Board.Lit-1) + "3.8 60"
}

// MainY is where the middle of the board's number stands: in the middle of the
// disc, a little higher or lower with a line under or over it.
func (v statementView) MainY() int {
	switch {
	case v.Board.Top != "":
		return 63
	case v.Board.Sub != "":
		return 55
	}
	return 60
}

// Narrow is the class that sizes the board's number: the longer, the smaller.
func (v statementView) Narrow() string {
	switch n := utf8.RuneCountInString(v.Board.Main); {
	case n <= 3:
		return "n3"
	case n <= 4:
		return "n4"
	}
	return "n5"
}

// A clientData is what the script starts from.
type clientData struct {
	Now time.Time `json:"now"`
	// Locale is the language as the browser is asked to write numbers and ages.
	Locale string                `json:"locale"`
	Live   string                `json:"live"`             // path and query of the websocket
	Asking string                `json:"asking,omitempty"` // path and query without one; empty for none
	AsOf   string                `json:"asOf"`
	Sites  []words.SiteStatement `json:"sites"`
	Labels map[string]string     `json:"labels"`
}

// labels are the fixed texts of the line that says whether figures are live.
var labels = []string{"on", "off", "paused", "pause", "resume"}

func newClientData(v *visit, live string) clientData {
	c := clientData{Now: v.Now, Locale: v.Locale(), Live: live, AsOf: v.AsOf(v.Now), Labels: make(map[string]string)}
	for _, id := range labels {
		c.Labels[id] = v.T("live." + id)
	}
	return c
}
