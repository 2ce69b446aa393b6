package web

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

type staffBody struct {
	User   string
	Wrong  *formError // what was wrong with the form that was just sent
	Health string     // empty when all is well
	Doubts []string   // what is wrong, in sentences
	Fresh  *logRow    // the newest action that can still be undone
	Cards  []staffCard
	Log    []logRow
	Script clientData
}

// A gateRow is one direction of a gate; a gate that vehicles only come in by
// has one row.
type gateRow struct {
	ID, Name, Direction   string
	TodayField, HourField string // names of the fields in a state
	Today, Hour           string
}

// A beliefView is what stands behind the numbers of a card.
type beliefView struct {
	Rows  []beliefRow
	Lines []string
	Why   string
}

type beliefRow struct{ What, Low, Mid, High string }

type sensorRow struct {
	Name, Health, Last string
	OK                 bool
}

type gatewayRow struct {
	Name, State, Waiting, Heard string
	Online                      bool
	Sensors                     []sensorRow
}

// A staffCard is one site on the staff page.
type staffCard struct {
	ID, Name string
	statementView
	Next      string // arrivals expected in the next hour
	Gates     []gateRow
	Belief    *beliefView
	Gateways  []gatewayRow
	Believed  string            // the number that the keypad starts from
	Max       int               // the highest recount
	MaxText   int               // characters of a reason or notice
	Closed    string            // by staff, until when; empty when it is not
	Languages []*words.Language // that an own text can be written in
	Untils    []option          // until when it can be closed
	Reasons   []option
	Notices   []option
	// Error belongs to the form of kind ErrorKind.
	Error     string
	ErrorKind string
}

func viewCard(w *words.Language, all []*words.Language, s *words.SiteNow, gateways []perron.GatewayStatus, now time.Time, wrong *formError) staffCard {
	b := &s.Busyness
	c := staffCard{
		ID: s.Site.ID, Name: s.Site.Name, statementView: viewStatement(w, s.Site, b, now, words.ToStaff), Languages: all,
		Next: w.T("staff.nextnone"), Max: s.Site.MaxRecount(), MaxText: perron.MaxActionText,
		Reasons: readyOptions(w, perron.Close), Notices: readyOptions(w, perron.Announce),
	}
	if p, ok := s.Site.Hours.NextDay(now); ok {
		c.Untils = append(c.Untils, option{Label: w.T("staff.untilday", "Opens", w.Opens(p.Start, now))})
	}
	c.Untils = append(c.Untils, option{Value: untilReopened, Label: w.T("staff.untilreopened")})
	switch {
	case b.Closure == nil:
	case b.Closure.Until.IsZero():
		c.Closed = w.T("staff.closedopen")
	default:
		c.Closed = w.T("staff.closedends", "Opens", w.Opens(b.Closure.Until, now))
	}
	if !b.StaleAt.IsZero() && !now.After(b.StaleAt) {
		c.Believed = strconv.Itoa(int(math.Round(b.OnSite.Mid)))
	}
	if n, ok := nextHour(s.Forecast, now); ok {
		c.Next = w.N("staff.nextvalue", n)
	}
	for _, g := range s.Site.Gates {
		c.Gates = append(c.Gates, viewGate(w, g, b.Gates)...)
	}
	c.Belief = viewBelief(w, b, now)
	for _, id := range s.Site.Gateways {
		i := slices.IndexFunc(gateways, func(g perron.GatewayStatus) bool { return g.Gateway == id })
		if i < 0 {
			c.Gateways = append(c.Gateways, gatewayRow{Name: id, State: w.T("staff.offline")})
			continue
		}
		c.Gateways = append(c.Gateways, viewGateway(w, s.Site, &gateways[i], now))
	}
	if wrong != nil && wrong.Site == c.ID {
		c.Error, c.ErrorKind = wrong.Text, string(wrong.Kind)
	}
	return c
}

// viewGate has a row for each direction in which vehicles passed today, and for
// both when none did.
func viewGate(w *words.Language, g perron.Gate, counts []perron.GateCount) []gateRow {
	in := gateRow{ID: g.ID, Name: words.GateName(g), Direction: w.T("staff.in"), TodayField: "inToday", HourField: "inHour", Today: "–", Hour: "–"}
	out := gateRow{ID: g.ID, Name: words.GateName(g), Direction: w.T("staff.out"), TodayField: "outToday", HourField: "outHour", Today: "–", Hour: "–"}
	for _, n := range counts {
		if n.Gate != g.ID {
			continue
		}
		in.Today, in.Hour = w.Number(n.InToday), w.Number(n.InHour)
		out.Today, out.Hour = w.Number(n.OutToday), w.Number(n.OutHour)
		switch {
		case n.InToday > 0 && n.OutToday == 0:
			return []gateRow{in}
		case n.OutToday > 0 && n.InToday == 0:
			return []gateRow{out}
		}
	}
	return []gateRow{in, out}
}

// viewBelief says what the numbers of a site rest on; nil when that is not
// known.
func viewBelief(w *words.Language, b *perron.Busyness, now time.Time) *beliefView {
	if b.Belief == nil {
		return nil
	}
	v := &beliefView{Why: w.T("belief.guess")}
	if n := b.Belief.Days; n > 0 {
		v.Why = w.N("belief.learned", n)
	}
	row := func(what string, i perron.Interval) {
		v.Rows = append(v.Rows, beliefRow{
			w.T(what), w.Number(int(math.Floor(i.Low))), w.Number(int(math.Round(i.Mid))), w.Number(int(math.Ceil(i.High))),
		})
	}
	if !b.StaleAt.IsZero() && !now.After(b.StaleAt) {
		row("belief.onsite", b.OnSite)
		row("belief.queue", b.Queue)
		if b.Level != perron.Closed { // nobody waits to get in then
			row("belief.wait", b.Wait)
		}
	}
	row("belief.dwell", b.Belief.Dwell)
	of100 := func(part float64) int { return int(math.Round(100 * part)) }
	for _, c := range []struct {
		id string
		perron.CounterBelief
	}{{"belief.entries", b.Belief.Entries}, {"belief.exits", b.Belief.Exits}} {
		v.Lines = append(v.Lines, w.T(c.id, "Now", of100(c.Missed), "Usual", of100(c.Usual)))
	}
	v.Lines = append(v.Lines, w.T("belief.stated", "Minutes", int(math.Round(b.Belief.Stated))))
	return v
}

func viewGateway(w *words.Language, site *perron.Site, g *perron.GatewayStatus, now time.Time) gatewayRow {
	r := gatewayRow{Name: g.Gateway, Online: g.Online, State: w.T("staff.offline")}
	if g.Online {
		r.State = w.T("staff.online")
	}
	if g.Waiting > 0 {
		r.Waiting = w.N("staff.waiting", int(min(g.Waiting, 1<<31)))
	}
	if !g.At.IsZero() {
		r.Heard = w.T("staff.heard", "Time", w.Clock(g.At))
	}
	for _, sensor := range g.Sensors {
		row := sensorRow{
			Name: w.SensorName(site, sensor.Sensor), Health: w.Health(sensor.Health, sensor.Since, now),
			Last: w.T("staff.none"), OK: sensor.Health == perron.SensorOK || sensor.Health == perron.SensorFinished,
		}
		if !sensor.Last.IsZero() {
			row.Last = w.Clock(sensor.Last)
		}
		r.Sensors = append(r.Sensors, row)
	}
	return r
}

func readyOptions(w *words.Language, kind perron.ActionKind) []option {
	var out []option
	for _, id := range readySentences(kind) {
		out = append(out, option{Value: id, Label: w.T(readyID(kind, id))})
	}
	return out
}

// nextHour is how many vehicles are expected within the hour from now, from
// the quarters that it covers.
func nextHour(f *perron.Forecast, now time.Time) (vehicles int, ok bool) {
	if f == nil {
		return 0, false
	}
	end := now.Add(time.Hour)
	sum := 0.0
	for _, s := range f.Quarters {
		until := s.Start.Add(time.Duration(s.Minutes) * time.Minute)
		from, to := s.Start, until
		if from.Before(now) {
			from = now
		}
		if to.After(end) {
			to = end
		}
		if from.Before(to) && s.Minutes > 0 {
			if s.Open && s.Basis == perron.QualityUnknown {
				return 0, false
			}
			sum += s.Arrivals.Mid * to.Sub(from).Minutes() / float64(s.Minutes)
			ok = true
		}
	}
	return int(math.Round(sum)), ok
}

// A logRow is one action in the log.
type logRow struct {
	ID, Site, When, Who, What string
	Undone                    bool
	Undo                      int // seconds left in which it can be undone
}

// viewLog lists actions, newest first.
func viewLog(w *words.Language, sites map[string]*perron.Site, actions []perron.Action, now time.Time) []logRow {
	effective := make(map[string]bool)
	for _, a := range perron.Effective(actions) {
		effective[a.ID] = true
	}
	sorted := slices.Clone(actions)
	slices.SortStableFunc(sorted, func(a, b perron.Action) int { return b.At.Compare(a.At) })
	var out []logRow
	for _, a := range sorted[:min(len(sorted), logRows)] {
		name := a.Site
		if site := sites[a.Site]; site != nil {
			name = site.Name
		}
		r := logRow{ID: a.ID, Site: a.Site, When: w.When(a.At, now), Who: a.By, What: w.Did(name, &a)}
		if a.Kind != perron.Undo {
			r.Undone = !effective[a.ID]
			if left := perron.UndoFor - now.Sub(a.At); effective[a.ID] && left > 0 {
				r.Undo = int(math.Ceil(left.Seconds()))
			}
		}
		out = append(out, r)
	}
	return out
}
