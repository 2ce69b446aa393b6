package present

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// The cases in testdata are days at a yard of 12 bays with two gateways, pi-1 and
// pi-2, that is open from 8:30 to 17:00, in words that a planner can read. Lines
// are in the order of their time; # begins a comment:
//
//	date 2026-05-30                   of the lines that follow
//	12:00 well                        both gateways say that they are well
//	12:00 pi-1 well waiting 3 since 11:58
//	                                  one says what is not (waiting, started, failing-since, off, clock, dropped,
//	                                  edges, stuck, damaged, epoch; at is the time by its own clock)
//	12:00 pi-1 gone                   its last will
//	12:01 in                          a vehicle enters; "in 3" is three, "out" leaves
//	12:10 in at 12:03                 it entered then, and is heard of now
//	12:02 recount 17                  staff count; also close, close until 12:30, reopen, announce, withdraw, undo
//	12:03 lost 3 of pi-1              also set-aside, unsure, outbox; outbox-found takes the last one back
//	12:04 forecast wait 12            expected from now on; "forecast late 0.7" is the probability of coming too late
//	12:05 typical busy                what is usual now
//	12:06 failed 2                    errors of the program, so far
//	12:06 scored worse                forecasts have become worse; "scored well" is that they have not
//	12:06 restart                     the program begins anew from what is stored; "reread" is the day only
//	12:06 busy                        until "12:07 free" nothing is done that the site calls for
//	expect 12:07 level moderate       and band, trend, quality, on_site, in_today, in_hour, measured, stale, doubts,
//	                                  closure, notice, closes, opens, due, wait, estimated
//	expect 12:08 samples 12:01-12:07=3/quiet 12:08-12:08=4/quiet
//	                                  what is made again of today, since events came late
//	expect 12:09 replays 1            how often the day had to be gone through again, so far; "heals" is how
//	                                  often it would be well to do so
//
// A vehicle beyond the tenth costs five minutes: the estimator of the cases
// counts, and complains of events that are out of order.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runCase(t, file) })
	}
}

// tallying is the estimator of the cases.
type tallying struct {
	t         *testing.T
	asked     *time.Time // of which time it was asked last
	vehicles  int
	newest    time.Time
	recounted time.Time
}

func (c *tallying) order(at time.Time) {
	if at.Before(c.newest) {
		c.t.Errorf("the estimator sees %v after %v", at, c.newest)
	}
	c.newest = at
}

func (c *tallying) Observe(e perron.Event) {
	c.order(e.Time)
	switch e.Kind {
	case perron.In:
		c.vehicles++
	case perron.Out:
		c.vehicles = max(0, c.vehicles-1)
	}
}

func (c *tallying) Recount(at time.Time, vehicles int) {
	c.order(at)
	c.vehicles, c.recounted = vehicles, at
}

func (c *tallying) Estimate(now time.Time) perron.Estimate {
	*c.asked = now
	return perron.Estimate{
		At: now, OnSite: perron.Exactly(float64(c.vehicles)), Wait: perron.Exactly(float64(5 * max(0, c.vehicles-10))), Recounted: c.recounted,
	}
}

// caseSite is the yard of the cases.
func caseSite() *perron.Site {
	s := &perron.Site{
		ID: "poort", Name: "Poort", Bays: 12, Lanes: 1,
		Gates:      []perron.Gate{{ID: "main", Sensors: []string{"main-in", "main-out"}}},
		QueueLoops: []perron.QueueLoop{{Sensor: "queue-1", Distance: 5}},
		Gateways:   []string{"pi-1", "pi-2"},
	}
	for d := range s.Hours.Weekly {
		s.Hours.Weekly[d] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	return s
}

// A story is a case while it runs.
type story struct {
	t       *testing.T
	site    *Site
	date    perron.Date
	loaded  bool
	busy    bool
	actions []perron.Action
	records []perron.Record // in the order in which they came
	losses  []Loss
	replays int
	heals   int
	mended  Mended
	asked   time.Time
}

func (s *story) begin() {
	s.site = New(Config{
		Site: caseSite(), StaleAfter: 5 * time.Minute, NewEstimator: func() Estimator { return &tallying{t: s.t, asked: &s.asked} },
	})
}

// load lets the site read the day.
func (s *story) load(now time.Time) error {
	stored := slices.Clone(s.records)
	slices.SortStableFunc(stored, func(a, b perron.Record) int { return a.Time.Compare(b.Time) })
	day := func(yield func(perron.Record, error) bool) {
		for _, rec := range stored {
			if perron.DateOf(rec.Time) == s.date && !yield(rec, nil) {
				return
			}
		}
	}
	s.loaded = true
	return s.site.Load(now, day, s.losses, s.actions, nil)
}

func runCase(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &story{t: t}
	s.begin()
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		text, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if err := s.line(words); err != nil {
			t.Errorf("%s:%d: %s: %v", file, n, strings.TrimSpace(text), err)
		}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
}

func (s *story) line(w []string) error {
	if len(w) < 2 {
		return fmt.Errorf("too short")
	}
	switch w[0] {
	case "date":
		d, err := time.Parse(time.DateOnly, w[1])
		s.date = perron.Date{Year: d.Year(), Month: d.Month(), Day: d.Day()}
		return err
	case "expect":
		if len(w) < 3 {
			return fmt.Errorf("expects nothing")
		}
		now, err := s.reach(w[1])
		if err != nil {
			return err
		}
		want, got := strings.Join(w[3:], " "), s.ask(w[2], now)
		if got != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	}
	now, err := s.reach(w[0])
	if err != nil {
		return err
	}
	if err := s.happen(now, w[1:]); err != nil {
		return err
	}
	s.heed(now)
	return nil
}

// clock is a civil time of the date.
func (s *story) clock(text string) (time.Time, error) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			day := s.date.At(perron.TimeOfDay(at.Hour()*60 + at.Minute()))
			return day.Add(time.Duration(at.Second()) * time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time of day", text)
}

// reach lets the time come, and a new day with it.
func (s *story) reach(text string) (time.Time, error) {
	now, err := s.clock(text)
	switch {
	case err != nil:
	case s.loaded && s.site.Date() == s.date:
	case s.loaded && s.site.Date().AddDays(1) == s.date:
		s.losses = nil
		err = s.site.Turn(s.actions, nil)
	default:
		err = s.load(now)
		s.site.Calls() // nothing is stored
	}
	return now, err
}

// heed does what the site calls for, at once.
func (s *story) heed(now time.Time) {
	if s.busy {
		return
	}
	c := s.site.Calls()
	if c.Replay == Some {
		s.heals++
	}
	if c.Replay > Some {
		s.replays++
		if err := s.site.Replay(nil); err != nil {
			s.t.Error(err)
		}
	}
	if c.Mend {
		m, err := s.site.Mend(now)
		if err != nil {
			s.t.Error(err)
		}
		s.mended = m
	}
}

// happen lets something happen.
func (s *story) happen(now time.Time, w []string) error {
	switch what, rest := w[0], w[1:]; what {
	case "well":
		for _, g := range []string{"pi-1", "pi-2"} {
			if err := s.status(now, g, nil); err != nil {
				return err
			}
		}
	case "pi-1", "pi-2":
		if len(rest) == 1 && rest[0] == "gone" {
			s.site.Hear(Status{GatewayStatus: perron.GatewayStatus{Site: "poort", Gateway: what}, Heard: now}, now)
			return nil
		}
		if len(rest) == 0 || rest[0] != "well" {
			return fmt.Errorf("a gateway is well or gone")
		}
		return s.status(now, what, rest[1:])
	case "in", "out":
		n, at := 1, now
		for len(rest) > 0 {
			var err error
			if rest[0] == "at" && len(rest) > 1 {
				at, err = s.clock(rest[1])
				rest = rest[2:]
			} else {
				n, err = strconv.Atoi(rest[0])
				rest = rest[1:]
			}
			if err != nil {
				return err
			}
		}
		for range n {
			e := perron.Event{Time: at, Sensor: "main-" + what, Kind: perron.Kind(what)}
			s.records = append(s.records, perron.Record{Event: e, Gateway: "pi-1"})
			s.site.Reported("pi-1", at, now)
			s.site.Observe(e, now)
		}
	case "recount", "close", "reopen", "announce", "withdraw", "undo":
		return s.act(now, perron.ActionKind(what), rest)
	case "lost", "set-aside", "unsure", "outbox", "outbox-found":
		if len(rest) != 3 {
			return fmt.Errorf("want a number of a gateway")
		}
		n, err := strconv.ParseUint(rest[0], 10, 64)
		kinds := map[string]perron.DoubtKind{
			"lost": perron.DoubtLost, "set-aside": perron.DoubtSetAside, "unsure": perron.DoubtTimes,
			"outbox": perron.DoubtOutbox, "outbox-found": perron.DoubtOutbox,
		}
		loss := Loss{Gateway: rest[2], Kind: kinds[what], Outbox: "e", At: now, Count: n, Withdrawn: what == "outbox-found"}
		s.losses = append(s.losses, loss)
		s.site.Lose(loss)
		return err
	case "forecast":
		return s.forecast(now, rest)
	case "typical":
		if len(rest) != 1 {
			return fmt.Errorf("want a level")
		}
		s.site.LookAhead(Outlook{Typical: map[time.Time]perron.Level{perron.Quarter.Start(now): perron.Level(rest[0])}})
	case "failed":
		n, err := strconv.ParseUint(strings.Join(rest, ""), 10, 64)
		s.site.Fail(perron.Doubt{Kind: perron.DoubtFailed, Since: now, Count: n})
		return err
	case "scored":
		score := &perron.Score{}
		if slices.Equal(rest, []string{"worse"}) {
			score.WorseSince = now
		}
		s.site.Score(score)
	case "restart":
		s.begin()
		return s.load(now)
	case "reread":
		return s.load(now)
	case "busy", "free":
		s.busy = what == "busy"
	default:
		return fmt.Errorf("nothing of that kind can happen")
	}
	return nil
}

// status lets a gateway say how it is: pairs of what and a value.
func (s *story) status(now time.Time, gateway string, w []string) error {
	st := perron.GatewayStatus{Site: "poort", Gateway: gateway, At: now, Online: true, Epoch: "e"}
	for ; len(w) >= 2; w = w[2:] {
		n, _ := strconv.ParseUint(w[1], 10, 64) // some are no numbers
		at, err := s.clock(w[1])
		switch w[0] {
		case "waiting":
			st.Waiting, err = n, nil
		case "since":
			st.OldestWaiting = at
		case "started":
			st.Started = at
		case "failing-since":
			st.FailingSince = at
		case "off": // off 9:00 until 10:00
			st.Outages = append(st.Outages, perron.Outage{From: at})
		case "until":
			st.Outages[len(st.Outages)-1].Until = at
		case "clock":
			synced := w[1] == "good"
			st.ClockSynced, err = &synced, nil
			if w[1] == "1970" {
				st.At = time.Unix(40, 0)
			}
		case "at":
			st.At = at
		case "epoch":
			st.Epoch, err = w[1], nil
		case "dropped":
			st.Dropped, err = n, nil
		case "edges":
			st.LostEdges, err = n, nil
		case "damaged":
			st.Damaged, err = int(n), nil
		case "stuck":
			st.Sensors, err = append(st.Sensors, perron.SensorStatus{Sensor: w[1], Health: perron.SensorStuck, Since: now}), nil
		default:
			return fmt.Errorf("%s says nothing of a gateway", w[0])
		}
		if err != nil {
			return err
		}
	}
	s.site.Hear(Status{GatewayStatus: st, Heard: now}, now)
	return nil
}

func (s *story) act(now time.Time, kind perron.ActionKind, w []string) error {
	a := perron.Action{ID: fmt.Sprint(len(s.actions)), Site: "poort", At: now, Kind: kind, Text: map[string]string{"en": "why"}}
	var err error
	switch {
	case kind == perron.Recount && len(w) == 1:
		a.Vehicles, err = strconv.Atoi(w[0])
	case kind == perron.Close && len(w) == 2:
		a.Until, err = s.clock(w[1])
	case kind == perron.Undo && len(s.actions) > 0:
		a.Undoes = s.actions[len(s.actions)-1].ID
	case len(w) > 0 || kind == perron.Undo:
		err = fmt.Errorf("cannot be done")
	}
	if err != nil {
		return err
	}
	s.actions = append(s.actions, a)
	s.site.Act(s.actions)
	return nil
}

func (s *story) forecast(now time.Time, w []string) error {
	if len(w) != 2 {
		return fmt.Errorf("want wait or late, and a number")
	}
	v, err := strconv.ParseFloat(w[1], 64)
	f := &perron.Forecast{Origin: now}
	for q := perron.Quarter.Start(now); len(f.Quarters) < 12; q = perron.Quarter.Next(q) {
		slot := perron.Slot{Start: q, Minutes: 15, Open: s.site.site.Hours.Open(q), Basis: perron.Expected}
		if w[0] == "late" {
			slot.Late = v
		} else {
			slot.Wait = perron.Exactly(v)
		}
		f.Quarters = append(f.Quarters, slot)
	}
	s.site.LookAhead(Outlook{Forecast: f})
	return err
}

// ask is what is known of something at now, in words.
func (s *story) ask(what string, now time.Time) string {
	b, err := s.site.Busyness(now)
	if err != nil {
		return err.Error()
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		h, m, sec := t.In(perron.Amsterdam).Clock()
		if sec != 0 {
			return fmt.Sprintf("%d:%02d:%02d", h, m, sec)
		}
		return fmt.Sprintf("%d:%02d", h, m)
	}
	switch what {
	case "level":
		return string(b.Level)
	case "band":
		return fmt.Sprintf("%d-%d", b.Band.Min, b.Band.Max)
	case "trend":
		return string(b.Trend)
	case "quality":
		return string(b.Quality)
	case "on_site":
		return fmt.Sprint(b.OnSite.Mid)
	case "wait":
		return fmt.Sprint(b.Wait.Mid)
	case "in_today":
		return fmt.Sprint(b.Gates[0].InToday)
	case "in_hour":
		return fmt.Sprint(b.Gates[0].InHour)
	case "measured":
		return at(b.MeasuredAt)
	case "stale":
		return at(b.StaleAt)
	case "closes":
		return at(b.ClosesAt)
	case "opens":
		return at(b.OpensAt)
	case "due":
		return at(s.site.Due(now))
	case "closure":
		if b.Closure == nil {
			return "none"
		}
		return "since " + at(b.Closure.Since)
	case "notice":
		if b.Notice == nil {
			return "none"
		}
		return "since " + at(b.Notice.At)
	case "estimated":
		return at(s.asked)
	case "replays":
		return fmt.Sprint(s.replays)
	case "heals":
		return fmt.Sprint(s.heals)
	case "doubts":
		var out []string
		for _, d := range b.Doubts {
			text := string(d.Kind)
			for _, more := range []string{d.Gateway, d.Sensor} {
				if more != "" {
					text += " " + more
				}
			}
			if d.Count > 0 {
				text += fmt.Sprint(" ", d.Count)
			}
			out = append(out, text)
		}
		if len(out) == 0 {
			return "none"
		}
		return strings.Join(out, ", ")
	case "samples":
		return s.samples(at)
	}
	return "unknown question"
}

// samples writes what was made again as runs of minutes that are alike.
func (s *story) samples(at func(time.Time) string) string {
	var runs []string
	var first, last time.Time
	was := ""
	flush := func() {
		if was != "" {
			runs = append(runs, fmt.Sprintf("%s-%s=%s", at(first), at(last), was))
		}
	}
	for _, m := range s.mended.Samples {
		is := fmt.Sprintf("%v/%s", m.OnSite.Mid, m.Level)
		if m.Level == perron.Closed && m.Wait != (perron.Interval{}) {
			is += "/waiting"
		}
		if m.Quality != perron.Measured {
			is += "/" + string(m.Quality)
		}
		if is != was || m.At.Sub(last) != time.Minute {
			flush()
			first, was = m.At, is
		}
		last = m.At
	}
	flush()
	return strings.Join(runs, " ")
}
