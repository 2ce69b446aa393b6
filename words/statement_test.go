package words

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A stateCase is a state and the time at which it is told.
type stateCase struct {
	name  string
	now   time.Time
	state perron.Busyness
}

// stateCases are states of every kind, as of their now.
func stateCases() []stateCase {
	var out []stateCase
	add := func(name string, now time.Time, b perron.Busyness) {
		b.Site = "poort"
		out = append(out, stateCase{name, now, b.AsOf(yard(), now)})
	}
	now := civil("2026-05-09 11:20")
	measured := func(wait float64, f func(b *perron.Busyness)) perron.Busyness {
		b := perron.Busyness{
			Estimate:   perron.Estimate{OnSite: perron.Exactly(23.2)},
			MeasuredAt: now.Add(-70 * time.Second), StaleAt: now.Add(4 * time.Minute),
			Level: perron.LevelOf(wait, 0.5), Band: perron.BandOf(wait), Trend: perron.Falling, TypicalLevel: perron.Quiet,
			Gates: []perron.GateCount{{Gate: "in", InToday: 1214, InHour: 31}, {Gate: "out", OutToday: 193, OutHour: 27}},
		}
		if f != nil {
			f(&b)
		}
		return b
	}
	for _, wait := range []float64{0, 7, 12, 33, 80} {
		add(fmt.Sprintf("a wait of %v", wait), now, measured(wait, nil))
	}
	add("at least", now, measured(50, func(b *perron.Busyness) { b.AtLeast, b.Trend = true, perron.Rising }))
	add("almost empty, measured just now", now, measured(0, func(b *perron.Busyness) {
		b.OnSite, b.MeasuredAt, b.Trend, b.Gates = perron.Interval{}, now.Add(-5*time.Second), "", nil
	}))
	add("one vehicle", now, measured(0, func(b *perron.Busyness) { b.OnSite = perron.Exactly(1) }))
	add("late", civil("2026-05-09 16:45"), measured(12, func(b *perron.Busyness) {
		b.Level, b.MeasuredAt, b.StaleAt = perron.Late, civil("2026-05-09 16:44"), civil("2026-05-09 16:49")
	}))
	stale := func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt = civil("2026-05-09 10:42"), civil("2026-05-09 10:47")
	}
	add("stale with typical", now, measured(12, stale))
	add("stale without typical", now, measured(12, func(b *perron.Busyness) { stale(b); b.TypicalLevel = perron.Unknown }))
	add("stale since another day", now, measured(12, func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt, b.TypicalLevel = civil("2026-05-07 10:42"), civil("2026-05-07 10:47"), perron.VeryBusy
	}))
	add("never measured", now, perron.Busyness{})
	add("closed by staff", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-09 09:52"), Reason: map[string]string{"nl": "De rij staat op de openbare weg."}}
	}))
	add("closed by staff for today", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-09 09:52"), Until: civil("2026-05-11 08:30")}
	}))
	add("closed by staff until now", now, measured(12, func(b *perron.Busyness) {
		b.Closure = &perron.Closure{Since: civil("2026-05-08 09:52"), Until: now}
	}))
	add("closed by staff since another day", now, measured(12, func(b *perron.Busyness) { b.Closure = &perron.Closure{Since: civil("2026-05-08 16:40")} }))
	add("closed by staff without reason", now, measured(12, func(b *perron.Busyness) { b.Closure = &perron.Closure{Since: now} }))
	add("a notice of yesterday", now, measured(0, func(b *perron.Busyness) {
		b.Notice = &perron.Notice{ID: "1", At: civil("2026-05-08 15:00"), Text: map[string]string{"nl": "Volg de borden."}}
	}))
	add("closed, opens later today", civil("2026-05-09 07:00"), measured(0, nil))
	add("closed, opens on Monday", civil("2026-05-09 18:00"), measured(0, nil))
	add("closed, opens tomorrow", civil("2026-05-10 18:00"), measured(0, nil))
	add("closed, measured to the end", civil("2026-05-09 17:01"), measured(0, func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt = civil("2026-05-09 17:00"), civil("2026-05-09 17:05")
	}))
	// Gateways report all night, so that a closed yard is measured, too.
	add("closed, measured over midnight", civil("2026-05-09 23:46"), measured(0, func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt = civil("2026-05-09 23:46"), civil("2026-05-10 00:02")
	}))
	add("measured over closing time", civil("2026-05-09 16:58"), measured(0, func(b *perron.Busyness) {
		b.MeasuredAt, b.StaleAt = civil("2026-05-09 16:58"), civil("2026-05-09 17:03")
	}))
	return out
}

// What is said of every kind of state, now and later, in every language that is
// compiled in, is what testdata/statement.json has; UPDATE=1 writes it anew.
func TestStatements(t *testing.T) {
	type row struct {
		Name      string    `json:"name"`
		Now       time.Time `json:"now"`
		Statement Statement `json:"statement"`
		Fallback  *Fallback `json:"fallback,omitempty"` // of some
	}
	site := yard()
	all := make(map[string][]row)
	for _, l := range built(t).All() {
		for _, c := range stateCases() {
			r := row{Name: c.name, Now: c.now, Statement: l.Say(site, &c.state, c.now, ToStaff)}
			if slices.Contains([]string{"a wait of 12", "closed by staff for today", "closed, opens tomorrow"}, c.name) {
				fallback := l.Fallback(site, &c.state, c.now, ToAll)
				r.Fallback = &fallback
			}
			all[l.Lang()] = append(all[l.Lang()], r)
		}
	}
	got, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const path = "testdata/statement.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (UPDATE=1 writes it anew):\n%s", path, diff)
	}
	// What must never be shown.
	for lang, rows := range all {
		for _, r := range rows {
			for _, text := range []string{r.Statement.Headline, r.Statement.Detail, r.Statement.OnSite, r.Statement.Wait, r.Statement.Board.Main} {
				if text == "0" || strings.ContainsRune(text, '%') || strings.HasPrefix(text, "0 ") {
					t.Errorf("%s in %s says %q", r.Name, lang, text)
				}
			}
		}
	}
}

// A vehicle changes nothing of what staff are told when nothing more is heard.
func TestFallbackOfStaffHoldsStill(t *testing.T) {
	site, l := yard(), built(t).Default()
	for _, c := range stateCases() {
		before := l.Fallback(site, &c.state, c.now, ToStaff)
		b := c.state
		b.Gates = slices.Clone(b.Gates)
		for i := range b.Gates {
			b.Gates[i].InHour++
		}
		if diff := cmp.Diff(before, l.Fallback(site, &b, c.now, ToStaff)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// shown is what a channel shows at an instant of which it heard nothing since
// now, as ts/statement.ts does it.
func shown(s Statement, fallback Fallback, at time.Time) Statement {
	for i := len(fallback.Then) - 1; i >= 0; i-- {
		if !at.Before(fallback.Then[i].At) {
			return fallback.Then[i].Statement
		}
	}
	if fallback.Stale != nil && at.After(s.StaleAt) {
		old := *fallback.Stale
		old.Headline = s.StaleHeadline
		return old
	}
	return s
}

// A channel that hears nothing says what one that hears of nothing new says, at
// every quarter of an hour of the coming days.
func TestFallbackIsWhatWouldBeSaid(t *testing.T) {
	site := yard()
	cases := stateCases()
	for _, eve := range []string{"2026-03-28 18:00", "2026-10-24 18:00"} { // of the days on which the clock changes
		now := civil(eve)
		b := perron.Busyness{Site: site.ID, MeasuredAt: now, StaleAt: now.Add(5 * time.Minute)}
		cases = append(cases, stateCase{"the clock changes after " + eve, now, b.AsOf(site, now)})
	}
	for _, l := range built(t).All() {
		for _, c := range cases {
			for _, to := range []Audience{ToAll, ToStaff} {
				testFallback(t, l, site, &c, to)
			}
		}
	}
}

func testFallback(t *testing.T, l *Language, site *perron.Site, c *stateCase, to Audience) {
	s, fallback := l.Say(site, &c.state, c.now, to), l.Fallback(site, &c.state, c.now, to)
	for at := c.now; at.Before(c.now.Add(9 * 24 * time.Hour)); at = at.Add(15 * time.Minute) {
		b := c.state.AsOf(site, at)
		got := shown(s, fallback, at)
		if perron.DateOf(at) != perron.DateOf(c.now) {
			// What is usual was usual at that time of that day, and once it has opened
			// again nothing but "unknown" stays true.
			b.TypicalLevel = perron.Unknown
			if got.Level == perron.Unknown {
				continue
			}
		}
		if want := l.say(site, &b, at, to); !sameWords(withoutCounts(got), withoutCounts(want)) {
			t.Errorf("%s in %s at %s, to %d: %s", c.name, l.Lang(), at.In(perron.Amsterdam), to, cmp.Diff(want, got))
			break
		}
	}
}
