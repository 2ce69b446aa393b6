package web

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"sort"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

// An accuracyView says how right the forecasts of a site were: by how far they
// looked ahead, and on one day beside what came.
type accuracyView struct {
	Intro string
	Worse string // since when they are worse, empty while they are not
	Rows  []accuracyRow
	// Unforeseen says how often there was a wait that no forecast held possible.
	Unforeseen string
	Day        *accuracyDay
}

type accuracyRow struct {
	Ahead              string
	Arrivals, Held     string // error of the vehicles a slot and how often the interval held
	Wait, WaitHeld     string
	Pairs, PairsOfWait string
}

type accuracyDay struct {
	Title  string
	Leads  []preset
	Charts []bandChart
	Rows   []comparedRow
	None   string // why there is nothing to show
}

// A bandChart shows intervals as boxes with a line at the median, and what came
// as a dot: filled within the box, hollow outside.
type bandChart struct {
	Title, Label string
	Marks        []bandMark
	Ticks        []tick
	Grid         []gridLine
	Scale        edge // where the numbers of the grid stand
	Came         bool // dots occur
}

type bandMark struct {
	X, W, Y, H, Mid string
	CX, CY          string // empty when it is not known what came
	Out             bool
}

type comparedRow struct{ Time, Arrivals, Came, Wait, Waited string }

// leads are how long before a forecast was made that is set beside what came.
var leads = []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}

// stale is how much longer before it may have been made.
const stale = 12 * time.Hour

// viewScore is the score of a site in a table.
func viewScore(w *words.Language, s *perron.Score) accuracyView {
	if s == nil || s.Days == 0 {
		return accuracyView{Intro: w.T("accuracy.none")}
	}
	v := accuracyView{Intro: w.N("accuracy.intro", s.Days, "From", w.DayOfMonth(perron.DateOf(s.From)), "To", w.DayOfMonth(perron.DateOf(s.To.Add(-time.Hour))))}
	if !s.WorseSince.IsZero() {
		v.Worse = w.T("accuracy.worse", "Day", w.Day(perron.DateOf(s.WorseSince)))
	}
	held := func(a perron.Accuracy) string {
		return w.T("accuracy.tenths", "Tenths", w.Decimal(10*a.Coverage))
	}
	idle, unforeseen := 0, 0
	for _, h := range s.Horizons {
		idle, unforeseen = idle+h.Idle, unforeseen+h.Unforeseen
		r := accuracyRow{Ahead: ahead(w, h.Over, h.UpTo), Arrivals: "–", Held: "–", Wait: "–", WaitHeld: "–", Pairs: w.Number(h.Arrivals.N), PairsOfWait: w.Number(h.Wait.N)}
		if a := h.Arrivals; a.N > 0 {
			id := "accuracy.vehicles"
			if h.Minutes == 60 {
				id = "accuracy.vehicleshour"
			}
			r.Arrivals, r.Held = w.T(id, "Off", w.Decimal(a.MAE), "Mean", w.Decimal(a.Mean)), held(a)
		}
		if a := h.Wait; a.N > 0 {
			r.Wait, r.WaitHeld = w.T("accuracy.minutes", "Off", w.Decimal(a.MAE), "Mean", w.Decimal(a.Mean)), held(a)
		}
		v.Rows = append(v.Rows, r)
	}
	if idle > 0 {
		v.Unforeseen = w.T("accuracy.unforeseen", "Unforeseen", w.Number(unforeseen), "Idle", w.Number(idle))
	}
	return v
}

// ahead says a range of leads: "1 to 3 hours".
func ahead(w *words.Language, over, upTo int) string {
	const day = 24 * 60
	switch {
	case over == 0:
		return w.N("accuracy.uptohours", upTo/60)
	case over < day:
		return w.T("accuracy.hours", "Over", over/60, "UpTo", upTo/60)
	}
	return w.T("accuracy.days", "Over", over/day, "UpTo", upTo/day)
}

// accuracy is the panel of one site. day is the day that was chosen, or the
// zero Date for the last one that is over.
func (s *server) accuracy(ctx context.Context, v *visit, site *perron.Site, q url.Values, p period, day perron.Date) (*accuracyView, error) {
	var score *perron.Score
	if f, ok := s.Live.Forecast(site.ID); ok {
		score = f.Score
	}
	view := viewScore(v.Language, score)
	today := perron.DateOf(v.Now)
	if day == (perron.Date{}) {
		day = today.AddDays(-1)
		for range 7 {
			if len(site.Hours.Periods(day)) > 0 {
				break
			}
			day = day.AddDays(-1)
		}
	}
	lead := leads[0]
	for _, l := range leads {
		if q.Get("ahead") == strconv.Itoa(int(l/time.Minute)) {
			lead = l
		}
	}
	d := &accuracyDay{Title: v.T("accuracy.day", "Day", v.FullDate(day))}
	for _, l := range leads {
		q := url.Values{
			"site": {site.ID}, "from": {p.From.String()}, "to": {p.To.String()},
			"day": {day.String()}, "ahead": {strconv.Itoa(int(l / time.Minute))},
		}
		d.Leads = append(d.Leads, preset{leadName(v.Language, l), v.Link("/planner") + "?" + q.Encode() + "#forecasts", l == lead})
	}
	view.Day = d
	if len(site.Hours.Periods(day)) == 0 || today.Before(day) {
		d.None = v.T("accuracy.noday")
		return &view, nil
	}
	forecasts, err := s.History.Forecasts(ctx, site.ID, day.Start().Add(-lead-stale), day.End())
	if err != nil {
		return nil, fmt.Errorf("forecasts of %s: %w", site.ID, err)
	}
	counts, err := s.History.Counts(ctx, store.CountQuery{Site: site.ID, From: day.Start(), To: day.End(), Step: perron.Quarter})
	if err != nil {
		return nil, fmt.Errorf("counts of %s: %w", site.ID, err)
	}
	samples, err := s.History.Samples(ctx, site.ID, day.Start(), day.End())
	if err != nil {
		return nil, fmt.Errorf("samples of %s: %w", site.ID, err)
	}
	d.compare(v.Language, site, day, lead, forecasts, counts, samples)
	return &view, nil
}

// leadName is "1 hour before".
func leadName(w *words.Language, l time.Duration) string {
	return w.N("accuracy.before", int(l/time.Hour))
}

// compare sets what was said that long before beside what came.
func (d *accuracyDay) compare(w *words.Language, site *perron.Site, day perron.Date, lead time.Duration, forecasts []perron.Forecast, counts []perron.Count, samples []perron.Sample) {
	arrivals, waits := perron.Came(day.Start(), day.End(), counts, samples)
	var said []perron.Slot
	from, to := window(site.Hours.Periods(day))
	for t := from; t.Before(to); t = t.Add(15 * time.Minute) {
		if !site.Hours.Open(t) {
			continue
		}
		i := sort.Search(len(forecasts), func(i int) bool { return forecasts[i].Origin.After(t.Add(-lead)) }) - 1
		if i < 0 || t.Sub(forecasts[i].Origin) > lead+stale {
			continue
		}
		if slot, ok := forecasts[i].SlotAt(t); ok && slot.Minutes == 15 && slot.Open && slot.Basis != perron.QualityUnknown {
			said = append(said, slot)
		}
	}
	if len(said) == 0 {
		d.None = w.T("accuracy.noforecasts")
		return
	}
	before := leadName(w, lead)
	vehicles := bandChart{Title: w.T("accuracy.vehicleschart")}
	minutes := bandChart{Title: w.T("accuracy.waitchart")}
	vehicles.draw(w, from, to, said, func(s *perron.Slot) perron.Interval { return s.Arrivals }, arrivals, 0)
	minutes.draw(w, from, to, said, func(s *perron.Slot) perron.Interval { return s.Wait }, waits, 5)
	for _, c := range []*bandChart{&vehicles, &minutes} {
		held, known := 0, 0
		for _, m := range c.Marks {
			if m.CX != "" {
				known++
				if !m.Out {
					held++
				}
			}
		}
		c.Label = w.T("accuracy.charttoday", "Title", c.Title, "Before", before)
		if known > 0 {
			c.Label = w.T("accuracy.chart", "Title", c.Title, "Before", before, "Held", held, "Known", known)
		}
		d.Charts = append(d.Charts, *c)
	}
	interval := func(i perron.Interval) string {
		return w.T("accuracy.interval", "Mid", int(math.Round(i.Mid)), "Low", int(math.Floor(i.Low)), "High", int(math.Ceil(i.High)))
	}
	came := func(values map[int64]float64, s *perron.Slot) string {
		if n, ok := values[s.Start.Unix()]; ok {
			return w.Number(int(math.Round(n)))
		}
		return "?"
	}
	for i := range said {
		s := &said[i]
		d.Rows = append(d.Rows, comparedRow{w.Clock(s.Start), interval(s.Arrivals), came(arrivals, s), interval(s.Wait), came(waits, s)})
	}
}

// draw places slots of a day on a scale that holds all of them. Below matters
// nothing is worth telling apart: a wait of no minute and one of half a minute.
// So the scale goes on well above it, and a day without waits looks like one.
func (c *bandChart) draw(w *words.Language, from, to time.Time, slots []perron.Slot, of func(*perron.Slot) perron.Interval, came map[int64]float64, matters float64) {
	top := max(4, 3*matters)
	for i := range slots {
		top = math.Max(top, math.Max(of(&slots[i]).High, came[slots[i].Start.Unix()]))
	}
	step := scaleStep(top)
	y := func(v float64) float64 { return yOf(math.Min(math.Max(v, 0)/top, 1)) }
	for v := step; v <= top; v += step {
		c.Grid = append(c.Grid, gridLine{percent(y(v)), w.Number(int(v))})
	}
	axis := timeAxis{from, to, w.Run()}
	c.Scale = axis.end()
	c.Ticks = ticks(w, axis)
	for i := range slots {
		s := &slots[i]
		v := of(s)
		x0, x1 := axis.between(s.Start, s.Start.Add(time.Duration(s.Minutes)*time.Minute))
		m := bandMark{
			X: percent(x0 + 0.15), W: percent(x1 - x0 - 0.3),
			Y: percent(y(v.High)), H: percent(math.Max(0.8, y(v.Low)-y(v.High))), Mid: percent(y(v.Mid)),
		}
		if truth, ok := came[s.Start.Unix()]; ok {
			c.Came = true
			m.CX, m.CY = percent((x0+x1)/2), percent(y(truth))
			m.Out = (truth < v.Low-1e-9 || truth > v.High+1e-9) && max(truth, v.High) >= matters
		}
		c.Marks = append(c.Marks, m)
	}
}

// scaleStep is the distance of two to five lines of a scale up to top.
func scaleStep(top float64) float64 {
	for step := 1.0; ; step *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if top/(f*step) <= 5 {
				return f * step
			}
		}
	}
}
