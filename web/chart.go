package web

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// A bar is one piece of a day chart. X, Y, W and H are percentages of the
// chart, so that it fits any width without scripts or style attributes.
type bar struct {
	X, Y, W, H string
	// Class is how it is drawn: "m" measured (solid), "e" expected (light),
	// "t" typical (outline), "u" not measured and "n" not known yet (hatched),
	// with "l1" to "l4", or "l0" for too late to get in.
	Class string
	// Top is where what is expected lies in the middle, and BandY and BandH are
	// the still lighter part from the shortest to the longest wait that is likely.
	// They are empty where they are not drawn.
	Top, BandY, BandH string
}

// Level is the class of the bar's level, after a space.
func (b bar) Level() string { return b.Class[1:] }

// A tick is an hour on the axis.
type tick struct {
	X     string
	Label string
	Minor bool // left out where there is little room
}

// A row is a bar in words, for the table and the read-out.
type row struct {
	Time  string
	Wait  string
	Kind  string
	Level string // a level's word
	Mark  string // the level itself, for its icon
	Read  string // the whole in a sentence, for the read-out
}

// A dayChart is one civil day of a site, from the full hour in which it opens
// to the full hour by which it is closed.
type dayChart struct {
	Site, Name string
	Title      string // "Vandaag"
	Today      bool
	Bars       []bar
	Ticks      []tick
	Grid       []gridLine
	Rows       []row
	Run        words.Direction
	Scale      edge   // where the numbers of the scale stand
	Now        string // x of the now mark, empty when it is not in the chart
	NowIndex   int    // the bar of now, or the one before it, or the first one
	Summary    string
	Closed     bool // the site is closed all day
	Empty      bool // open, but nothing is known or expected
	From, To   string
	Kinds      []string // which kinds occur, for the legend
	Bands      bool     // some of what is expected has a range that shows
}

type gridLine struct{ Y, Label string }

// A timeAxis places times along the width of a chart, in percent from its left
// edge. Time runs from left to right, or the other way.
type timeAxis struct {
	from, to time.Time
	run      words.Direction
}

func (a timeAxis) x(t time.Time) float64 {
	x := 100 * t.Sub(a.from).Seconds() / a.to.Sub(a.from).Seconds()
	if a.run == words.RTL {
		return 100 - x
	}
	return x
}

// between are the edges of a stretch of time.
func (a timeAxis) between(from, to time.Time) (left, right float64) {
	left, right = a.x(from), a.x(to)
	return min(left, right), max(left, right)
}

// An edge is a side of a chart at which text stands, as attributes of SVG.
type edge struct{ X, Anchor string }

var leftEdge, rightEdge = edge{"0", "start"}, edge{"100%", "end"}

func (a timeAxis) start() edge {
	if a.run == words.RTL {
		return rightEdge
	}
	return leftEdge
}

func (a timeAxis) end() edge {
	if a.run == words.RTL {
		return leftEdge
	}
	return rightEdge
}

// nowRoom is the last part of a day in which the word at the now mark would lie
// over the numbers at the end of the axis, on a phone of 320 px.
const nowRoom = 0.15

// scale is the edge for the numbers of the scale: the end of the axis, where
// expected waits are low, or its start when now is near the end.
func (a timeAxis) scale(now time.Time) edge {
	if now.Before(a.to) && a.to.Sub(now).Seconds() < nowRoom*a.to.Sub(a.from).Seconds() {
		return a.start()
	}
	return a.end()
}

// height is how tall a bar is for a wait in minutes, 0 to 1. Waits stand on a
// square-root scale against an hour, so that the difference between 5 and 15
// minutes shows. Where nobody waits the bar shows how full the yard is, below
// the height of 5 minutes.
func height(s *perron.Slot, wait float64, bays int) float64 {
	h := math.Sqrt(math.Min(math.Max(wait, 0), 60) / 60)
	fill := 0.0
	if bays > 0 {
		fill = math.Min(math.Max(s.OnSite.Mid, 0)/float64(bays), 1)
	}
	under := math.Sqrt(5.0/60) * (0.12 + 0.82*fill)
	return math.Max(h, under)
}

// headroom is the part of a chart's height that is left for the now mark.
const headroom = 12.0

func yOf(h float64) float64 { return 100 - h*(100-headroom) }

func percent(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".") + "%"
}

// window is the part of a civil day that a chart shows: whole hours around the
// opening periods. A day that is open around the clock has 23, 24 or 25 hours.
func window(periods []perron.Period) (from, to time.Time) {
	from, to = periods[0].Start, periods[0].End
	for _, p := range periods[1:] {
		if p.Start.Before(from) {
			from = p.Start
		}
		if p.End.After(to) {
			to = p.End
		}
	}
	from = from.Truncate(time.Hour)
	if end := to.Truncate(time.Hour); end.Before(to) {
		to = end.Add(time.Hour)
	}
	return from, to
}

// focusDay is the day that a resident wants to see: today while it can still
// be visited, else the next day on which the site opens.
func focusDay(h *perron.Hours, now time.Time) perron.Date {
	today := perron.DateOf(now)
	for _, p := range h.Periods(today) {
		if p.End.After(now) {
			return today
		}
	}
	if next, ok := h.Next(now); ok {
		return perron.DateOf(next.Start)
	}
	return today
}

// slotsOf are the slots of a forecast that begin in [from, to): quarters where
// there are any, else hours.
func slotsOf(f *perron.Forecast, from, to time.Time) []perron.Slot {
	var quarters, hours []perron.Slot
	in := func(s *perron.Slot) bool { return !s.Start.Before(from) && s.Start.Before(to) }
	// The quarter of the origin may be in both: what is ahead counts.
	begun := to
	if len(f.Quarters) > 0 {
		begun = f.Quarters[0].Start
	}
	for i := range f.Measured {
		if s := &f.Measured[i]; in(s) && s.Start.Before(begun) {
			quarters = append(quarters, *s)
		}
	}
	for i := range f.Quarters {
		if s := &f.Quarters[i]; in(s) {
			quarters = append(quarters, *s)
		}
	}
	if len(quarters) > 0 {
		return quarters
	}
	for i := range f.Hours {
		if s := &f.Hours[i]; in(s) {
			hours = append(hours, *s)
		}
	}
	return hours
}

// kindOf is the class and word of a slot's basis.
func kindOf(s *perron.Slot, now time.Time) (class, word string) {
	switch unknown := s.Level.Rank() == 0 && s.Level != perron.Late; {
	case unknown && s.Start.After(now):
		return "n", "day.notyet"
	case unknown:
		return "u", "day.unknown"
	case s.Basis == perron.Measured || s.Basis == perron.Corrected:
		return "m", "day.measured"
	case s.Basis == perron.Expected:
		return "e", "day.expected"
	}
	return "t", "day.typical"
}

// viewDay draws the day d of a site. With unplanned the site is closed by
// staff now and what was expected of the rest of the day is left out.
func viewDay(w *words.Language, site *perron.Site, f *perron.Forecast, d perron.Date, now time.Time, unplanned bool) dayChart {
	today := perron.DateOf(now)
	c := dayChart{Site: site.ID, Name: site.Name, Title: w.NearDay(d, today), Today: d == today}
	periods := site.Hours.Periods(d)
	if len(periods) == 0 {
		c.Closed, c.Summary = true, w.T("state.closed")
		return c
	}
	from, to := window(periods)
	axis := timeAxis{from, to, w.Run()}
	c.Run, c.Scale = w.Run(), axis.scale(now)
	c.From, c.To = w.Clock(from), w.Clock(to)
	c.Ticks = ticks(w, axis)
	for _, m := range []int{5, 15, 30, 60} {
		c.Grid = append(c.Grid, gridLine{percent(yOf(math.Sqrt(float64(m) / 60))), w.Number(m)})
	}
	if now.After(from) && now.Before(to) {
		c.Now = percent(axis.x(now))
	}
	var slots []perron.Slot
	if f != nil {
		slots = slotsOf(f, from, to)
	}
	shown := slots[:0:0]
	seen := make(map[string]bool)
	for i := range slots {
		s := &slots[i]
		end := s.Start.Add(time.Duration(s.Minutes) * time.Minute)
		if !s.Open || s.Level == perron.Closed || unplanned && end.After(now) && d == today {
			continue
		}
		class, word := kindOf(s, now)
		shown = append(shown, *s)
		c.Bars = append(c.Bars, newBar(s, class, axis, s.Start, end, site.Bays))
		c.Rows = append(c.Rows, newRow(w, s, class, word))
		c.Bands = c.Bands || c.Bars[len(c.Bars)-1].BandH != ""
		if !seen[word] {
			seen[word] = true
			c.Kinds = append(c.Kinds, class)
		}
		if !now.Before(s.Start) {
			c.NowIndex = len(c.Bars) - 1
		}
	}
	c.Empty = len(c.Bars) == 0
	c.Summary = w.Summary(shown)
	return c
}

// A range that ends below 5 minutes is no wait, and one that is lower than
// bandFrom cannot be seen.
const bandFrom = 0.03

func newBar(s *perron.Slot, class string, axis timeAxis, from, to time.Time, bays int) bar {
	h := height(s, s.Wait.Mid, bays)
	if class == "u" || class == "n" {
		h = 0.12
	}
	left, right := axis.between(from, to)
	gap := (right - left) * 0.14
	b := bar{X: percent(left + gap), W: percent(right - left - 2*gap), Class: class}
	if class == "e" || class == "t" {
		low, high := min(h, height(s, s.Wait.Low, bays)), max(h, height(s, s.Wait.High, bays))
		if s.Wait.High >= 5 && high-low >= bandFrom {
			b.BandY, b.BandH = percent(yOf(high)), percent((high-low)*(100-headroom))
		} else {
			low = h
		}
		// An outline goes up to the middle; what is expected has an edge there.
		if class == "e" {
			b.Top, h = percent(yOf(h)), low
		}
	}
	b.Y, b.H = percent(yOf(h)), percent(h*(100-headroom))
	if r := s.Level.Rank(); r > 0 || s.Level == perron.Late {
		b.Class += " l" + strconv.Itoa(r)
	}
	return b
}

func newRow(w *words.Language, s *perron.Slot, class, word string) row {
	r := row{Time: w.Clock(s.Start), Kind: w.T(word), Level: w.Level(s.Level), Mark: string(s.Level)}
	switch class {
	case "u", "n":
		r.Wait, r.Level = w.T("wait.unknown"), "–"
	case "m":
		r.Wait = w.Wait(perron.BandOf(s.Wait.Mid), false)
	default:
		r.Wait = w.WaitRange(s.Wait)
	}
	if n := int(math.Round(s.Late * 10)); n >= 1 && (class == "e" || class == "t") {
		r.Wait = w.T("wait.late", "Wait", r.Wait, "Tenths", min(n, 9))
	}
	r.Read = w.T("day.row", "Time", r.Time, "Kind", r.Kind, "Wait", r.Wait)
	if class == "u" || class == "n" {
		r.Read = w.T("day.rowunknown", "Time", r.Time, "Kind", r.Kind) // the kind says it all
	}
	return r
}

// ticks label the full hours; in a wide chart every hour, in a narrow one
// every other.
func ticks(w *words.Language, axis timeAxis) []tick {
	hours := int(axis.to.Sub(axis.from) / time.Hour)
	step := 1
	if hours > 14 {
		step = 3
	}
	var out []tick
	for i := 0; i <= hours; i++ {
		t := axis.from.Add(time.Duration(i) * time.Hour)
		if i%step != 0 {
			continue
		}
		hour := t.In(perron.Amsterdam).Hour()
		if hour == 0 && i > 0 {
			hour = 24
		}
		out = append(out, tick{X: percent(axis.x(t)), Label: w.Tick(hour), Minor: (i/step)%2 == 1})
	}
	return out
}
