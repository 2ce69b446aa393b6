package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/words"
)

// An option of a picker.
type option struct {
	Value, Label string
	Selected     bool
}

// A preset is a period by one press.
type preset struct {
	Label, Link string
	Current     bool
}

type heatCell struct {
	Text  string // "84", "–"
	Small string // a second number below it
	Title string // the cell in a sentence
	Class string
}

type heatRow struct {
	Hour  string
	Cells []heatCell
}

type busyDay struct {
	Day, Link, Holiday string
	In                 string
	Width              string // of its bar
	Peak               string
	Current            bool
}

type download struct{ Label, Link string }

type curveRow struct{ Time, In, Out, OnSite string }

type curveView struct {
	Title, Label string
	Bars         []bar
	Ticks        []tick
	Rows         []curveRow
	OnSite       *bandChart // of one site, on a day that is over
	from, to     time.Time  // its axis
}

type plannerBody struct {
	Complaint string
	Sites     []option
	From, To  string // as dates for the pickers
	Earliest  string
	Presets   []preset
	Caption   string
	Peak      string
	Total     string
	Weekdays  []option // label is the short name, value the full one
	Heat      []heatRow
	Days      []busyDay
	Curve     *curveView
	Waits     *waitsView    // of one site
	Accuracy  *accuracyView // of one site
	Choose    []preset      // sites to choose for these
	Downloads []download
	Extent    string
}

func (s *server) planner(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	chosen := s.Sites
	if id := q.Get("site"); id != "" {
		site := s.sites[id]
		if site == nil {
			return errNotFound
		}
		chosen = []*perron.Site{site}
	}
	ctx, done, err := s.enterHistory(r.Context())
	if err != nil {
		return err
	}
	defer done()
	extent, err := s.extent(ctx, chosen)
	if err != nil {
		return err
	}
	last := perron.DateOf(v.Now)
	if !extent.Last.IsZero() && extent.Last.Before(v.Now) {
		last = perron.DateOf(extent.Last)
	}
	p, complaint := choosePeriod(q.Get("from"), q.Get("to"), last)
	counts, err := s.counts(ctx, chosen, p.From.Start(), p.To.End(), perron.Hour)
	if err != nil {
		return err
	}
	body := viewPlanner(v, s.Sites, chosen, p, last, counts, q.Get("day"))
	if day := q.Get("day"); complaint == "" && day != "" {
		if d, err := perron.ParseDate(day); err != nil || d.Before(perron.DateOf(perron.Earliest)) {
			complaint = "planner.badday"
		}
	}
	if complaint != "" {
		body.Complaint = v.T(complaint)
	}
	if !extent.First.IsZero() {
		body.Extent = v.T("planner.extent", "From", v.Date(perron.DateOf(extent.First)))
		body.Earliest = perron.DateOf(extent.First).String()
	}
	if day, err := perron.ParseDate(q.Get("day")); err == nil && !day.Before(perron.DateOf(perron.Earliest)) {
		quarters, err := s.counts(ctx, chosen, day.Start(), day.End(), perron.Quarter)
		if err != nil {
			return err
		}
		var periods []perron.Period
		for _, site := range chosen {
			periods = append(periods, site.Hours.Periods(day)...)
		}
		body.Curve = viewCurve(v.Language, day, periods, quarters)
		if err := s.onSite(ctx, v, chosen, day, body.Curve); err != nil {
			return err
		}
	}
	if err := s.perSite(ctx, v, q, chosen, p, &body); err != nil {
		return err
	}
	return s.render(w, r, v, http.StatusOK, "planner", layout{
		Title: v.T("planner.heading"), Area: "planner", Script: "planner.js", Body: body,
	})
}

// onSite adds how many vehicles were on site, where that can be told.
func (s *server) onSite(ctx context.Context, v *visit, chosen []*perron.Site, day perron.Date, c *curveView) error {
	if s.OnSite == nil || len(chosen) != 1 || !day.Before(perron.DateOf(v.Now)) || len(chosen[0].Hours.Periods(day)) == 0 {
		return nil
	}
	estimates, err := s.OnSite(ctx, chosen[0], day)
	if err != nil {
		return fmt.Errorf("vehicles on site at %s on %v: %w", chosen[0].ID, day, err)
	}
	if len(estimates) == 0 {
		return nil
	}
	var slots []perron.Slot
	told := make(map[string]string)
	top := estimates[0]
	for _, e := range estimates {
		slots = append(slots, perron.Slot{Start: e.At, Minutes: 15, Open: true, OnSite: e.OnSite})
		told[v.Clock(e.At)] = v.T("accuracy.interval", "Mid", int(math.Round(e.OnSite.Mid)), "Low", int(e.OnSite.Low), "High", int(e.OnSite.High))
		if e.OnSite.Mid > top.OnSite.Mid {
			top = e
		}
	}
	for i := range c.Rows {
		c.Rows[i].OnSite = told[c.Rows[i].Time]
	}
	slots = slices.DeleteFunc(slots, func(p perron.Slot) bool { return p.Start.Before(c.from) || !p.Start.Before(c.to) })
	c.OnSite = &bandChart{
		Title: v.T("planner.onsite"),
		Label: v.N("planner.onsitelabel", int(math.Round(top.OnSite.Mid)), "Time", v.Clock(top.At)),
	}
	c.OnSite.draw(v.Language, c.from, c.to, slots, func(p *perron.Slot) perron.Interval { return p.OnSite }, nil, 0)
	return nil
}

// perSite adds what is shown of one site only: waits and forecasts of different
// sites do not add up.
func (s *server) perSite(ctx context.Context, v *visit, q url.Values, chosen []*perron.Site, p period, body *plannerBody) (err error) {
	if len(chosen) != 1 {
		for _, site := range chosen {
			body.Choose = append(body.Choose, preset{site.Name, plannerLink(v, site.ID, p, ""), false})
		}
		return nil
	}
	if body.Waits, err = s.waits(ctx, v, chosen[0], p); err != nil {
		return err
	}
	day, err := perron.ParseDate(q.Get("day"))
	if err != nil || day.Before(perron.DateOf(perron.Earliest)) {
		day = perron.Date{}
	}
	body.Accuracy, err = s.accuracy(ctx, v, chosen[0], q, p, day)
	return err
}

// A planner's page reads up to a year of counts and is open to everybody, so
// few are made at once, and none for long.
const (
	plannersAtOnce = 4
	plannerWait    = 5 * time.Second  // for a turn
	plannerWork    = 20 * time.Second // of the store
)

// enterHistory waits for a turn. The context that it returns bounds the work.
func (s *server) enterHistory(ctx context.Context) (work context.Context, done func(), err error) {
	turn, cancel := context.WithTimeout(ctx, plannerWait)
	defer cancel()
	select {
	case s.planners <- struct{}{}:
	case <-turn.Done():
		return nil, nil, fmt.Errorf("%w: too many ask for history at once", errUnavailable)
	}
	work, cancelWork := context.WithTimeout(ctx, plannerWork)
	return work, func() { cancelWork(); <-s.planners }, nil
}

// extent spans the extents of all sites.
func (s *server) extent(ctx context.Context, sites []*perron.Site) (store.Extent, error) {
	var all store.Extent
	for _, site := range sites {
		e, err := s.History.Extent(ctx, site.ID)
		if err != nil {
			return all, fmt.Errorf("extent of %s: %w", site.ID, err)
		}
		if e.First.IsZero() {
			continue
		}
		if all.First.IsZero() || e.First.Before(all.First) {
			all.First = e.First
		}
		if e.Last.After(all.Last) {
			all.Last = e.Last
		}
	}
	return all, nil
}

// counts gathers the counts of all sites; rows of different sites stand side
// by side.
func (s *server) counts(ctx context.Context, sites []*perron.Site, from, to time.Time, step perron.Step) ([]perron.Count, error) {
	var all []perron.Count
	for _, site := range sites {
		c, err := s.History.Counts(ctx, store.CountQuery{Site: site.ID, From: from, To: to, Step: step})
		if err != nil {
			return nil, fmt.Errorf("counts of %s: %w", site.ID, err)
		}
		all = append(all, c...)
	}
	return all, nil
}

// plannerLink is the address of a selection, so that it can be mailed.
func plannerLink(v *visit, site string, p period, day string) string {
	q := url.Values{"from": {p.From.String()}, "to": {p.To.String()}}
	if site != "" {
		q.Set("site", site)
	}
	anchor := ""
	if day != "" {
		q.Set("day", day)
		anchor = "#day"
	}
	return v.Link("/planner") + "?" + q.Encode() + anchor
}

func viewPlanner(v *visit, all, chosen []*perron.Site, p period, last perron.Date, counts []perron.Count, day string) plannerBody {
	b := plannerBody{From: p.From.String(), To: p.To.String()}
	site, name := "", v.T("planner.all")
	if len(chosen) == 1 && len(all) > 1 || len(all) == 1 {
		site, name = chosen[0].ID, chosen[0].Name
	}
	if len(all) > 1 {
		b.Sites = append(b.Sites, option{"", v.T("planner.all"), site == ""})
	}
	for _, s := range all {
		b.Sites = append(b.Sites, option{s.ID, s.Name, s.ID == site})
	}
	for _, weeks := range []int{4, 8, 13, 26, 52} {
		of := period{last.AddDays(1 - 7*weeks), last}
		label := v.N("planner.weeks", weeks)
		if weeks == 52 {
			label = v.T("planner.year")
		}
		b.Presets = append(b.Presets, preset{label, plannerLink(v, site, of, ""), of == p})
	}
	for _, s := range chosen {
		link := "/api/v1/sites/" + s.ID + "/counts?format=csv&from=" + p.From.String() + "&to=" + p.To.AddDays(1).String()
		label := func(id string) string {
			if len(chosen) > 1 {
				return v.T("planner.ofsite", "Site", s.Name, "What", v.T(id))
			}
			return v.T(id)
		}
		b.Downloads = append(b.Downloads, download{label("planner.csvhour"), link + "&interval=1h"},
			download{label("planner.csvquarter"), link + "&interval=15m"})
	}
	b.Caption = v.T("planner.heatcaption", "Site", name, "From", v.Date(p.From), "To", v.Date(p.To))

	h := newHeatmap(counts)
	if h.Last < h.First {
		return b
	}
	b.Peak = onAverage(v.Language, h.Max, "planner.peak", "planner.peakfew",
		"Day", v.Weekday(time.Weekday((h.MaxDay+1)%7)), "From", v.Hour(h.MaxHour), "To", v.Hour(h.MaxHour+1))
	for i := range 7 {
		d := time.Weekday((i + 1) % 7)
		b.Weekdays = append(b.Weekdays, option{Value: v.Capital(v.Weekday(d)), Label: v.ShortWeekday(d)})
	}
	for hour := h.First; hour <= h.Last; hour++ {
		row := heatRow{Hour: v.Hour(hour)}
		for d := range 7 {
			row.Cells = append(row.Cells, viewCell(v.Language, &h, d, hour))
		}
		b.Heat = append(b.Heat, row)
	}
	totals := dayTotals(counts)
	sum := 0
	for _, t := range totals {
		sum += t.In
	}
	b.Total = v.N("planner.total", sum, "Days", v.N("planner.ondays", len(totals)))
	for _, t := range totals[:min(10, len(totals))] {
		b.Days = append(b.Days, busyDay{
			Day: v.Capital(v.FullDate(t.Date)), Link: plannerLink(v, site, p, t.Date.String()), Holiday: v.Holiday(t.Date),
			In: v.Number(t.In), Width: percent(100 * float64(t.In) / float64(totals[0].In)),
			Peak: v.Span(t.Hour, t.Hour.Add(time.Hour)), Current: t.Date.String() == day,
		})
	}
	return b
}

func viewCell(w *words.Language, h *heatmap, d, hour int) heatCell {
	mean := h.Mean[d][hour]
	step := h.step(mean)
	c := heatCell{Class: "h" + strconv.Itoa(step), Text: "–"}
	args := []any{"Day", w.Capital(w.Weekday(time.Weekday((d + 1) % 7))), "From", w.Hour(hour), "To", w.Hour(hour + 1)}
	switch {
	case step == 0:
		c.Title = w.T("planner.cellnone", args...)
		return c
	case mean < 1:
		c.Text = w.T("board.under", "Max", 1)
	default:
		c.Text = w.Number(int(math.Round(mean)))
	}
	c.Title = onAverage(w, mean, "planner.cell", "planner.cellfew", args...)
	return c
}

// onAverage is the message id in the form for a mean, which is rounded. A mean
// below one has a message of its own: neither "0 vehicles" nor "1" is true.
func onAverage(w *words.Language, mean float64, id, few string, kv ...any) string {
	if mean < 1 {
		return w.T(few, kv...)
	}
	return w.N(id, int(math.Round(mean)), kv...)
}

// viewCurve draws the quarter hours of a civil day that is open in those periods:
// the whole hours around them, and around what was counted outside. Without
// periods it is the whole day, all 92, 96 or 100 quarters of it.
func viewCurve(w *words.Language, d perron.Date, periods []perron.Period, counts []perron.Count) *curveView {
	in, out := make(map[time.Time]int), make(map[time.Time]int)
	for _, c := range counts {
		in[c.Start.UTC()] += c.In
		out[c.Start.UTC()] += c.Out
	}
	from, to := d.Start(), d.End()
	if len(periods) > 0 {
		from, to = window(periods)
		from, to = from.UTC(), to.UTC() // as the keys of in and out
		for _, c := range counts {
			hour := c.Start.UTC().Truncate(time.Hour)
			if c.In == 0 && c.Out == 0 {
				continue
			}
			if hour.Before(from) {
				from = hour
			}
			if end := hour.Add(time.Hour); end.After(to) {
				to = end
			}
		}
	}
	axis := timeAxis{from, to, w.Run()}
	top, at := 0, from
	for t, n := range in {
		if n > top || n == top && t.Before(at) {
			top, at = n, t
		}
	}
	c := &curveView{Title: w.T("planner.curve", "Day", w.FullDate(d)), Ticks: ticks(w, axis), from: from, to: to}
	for t := from; t.Before(to); t = t.Add(15 * time.Minute) {
		if in[t] == 0 && out[t] == 0 {
			continue
		}
		c.Rows = append(c.Rows, curveRow{Time: w.Clock(t), In: w.Number(in[t]), Out: w.Number(out[t])})
		if in[t] > 0 {
			h := float64(in[t]) / float64(top)
			left, right := axis.between(t, t.Add(15*time.Minute))
			c.Bars = append(c.Bars, bar{
				X: percent(left + 0.1), W: percent(right - left - 0.2),
				Y: percent(yOf(h)), H: percent(h * (100 - headroom)),
			})
		}
	}
	c.Label = w.T("planner.none")
	if top > 0 {
		c.Label = w.T("planner.curvelabel", "Day", w.FullDate(d), "Count", w.Number(top), "Time", w.Clock(at))
	}
	return c
}
