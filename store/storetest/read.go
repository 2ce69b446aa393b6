package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// testClockChanges counts one vehicle in each quarter of an hour around both
// clock changes: days of 23 and 25 hours, weeks of 167 and 169.
func testClockChanges(t *testing.T, o Opener) {
	s := open(t, o)
	next := uint64(1)
	for _, tc := range []struct {
		day      string
		quarters int
		change   time.Time // the hour before the change begins
	}{
		{"2026-03-29", 92, time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)},
		{"2026-10-25", 100, time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)},
	} {
		day, err := perron.ParseDate(tc.day)
		if err != nil {
			t.Fatal(err)
		}
		from, to := day.AddDays(-6).Start(), day.AddDays(8).Start() // Monday to Monday
		b := batch("gate-1", "e1", next, next)
		for q := from; q.Before(to); q = q.Add(15 * time.Minute) {
			b.Entries = append(b.Entries, entry(q, "main", perron.In), entry(q.Add(15*time.Minute-1), "side", perron.Out))
		}
		n := len(b.Entries)
		next += uint64(n)
		commit(t, s, b, store.Result{Acked: next - 1, Stored: n})

		days := counts(t, s, store.CountQuery{Site: site, From: from, To: to, Step: perron.Day})
		if len(days) != 14 {
			t.Fatalf("%s: %d days, want 14", tc.day, len(days))
		}
		for i, c := range days {
			want := perron.Count{Start: day.AddDays(i - 6).Start(), In: 96, Out: 96}
			if i == 6 {
				want.In, want.Out = tc.quarters, tc.quarters
			}
			if d := cmp.Diff(want, c); d != "" {
				t.Errorf("%s: day %d (-want +got):\n%s", tc.day, i, d)
			}
		}
		hours := counts(t, s, store.CountQuery{Site: site, From: day.Start(), To: day.End(), Step: perron.Hour})
		if len(hours) != tc.quarters/4 {
			t.Errorf("%s: %d hours, want %d", tc.day, len(hours), tc.quarters/4)
		}
		for i, c := range hours {
			if !c.Start.Equal(day.Start().Add(time.Duration(i)*time.Hour)) || c.In != 4 || c.Out != 4 {
				t.Errorf("%s: hour %d is %+v", tc.day, i, c)
			}
		}
		weeks := counts(t, s, store.CountQuery{Site: site, From: from, To: to, Step: perron.Week, Gate: "main"})
		want := []perron.Count{
			{Start: from, Gate: "main", In: 6*96 + tc.quarters},
			{Start: day.AddDays(1).Start(), Gate: "main", In: 7 * 96},
		}
		if d := cmp.Diff(want, weeks); d != "" {
			t.Errorf("%s: weeks (-want +got):\n%s", tc.day, d)
		}
		sameAsEvents(t, s, tc.change, tc.change.Add(3*time.Hour))
	}
}

// testCountsEqualEvents spreads passages over gates and weeks and compares
// every kind of count, at ranges that do not fall on borders.
func testCountsEqualEvents(t *testing.T, o Opener) {
	s := open(t, o)
	b := batch("gate-1", "e1", 1, 1)
	gates := []string{"main", "side", "back-2"}
	kinds := []perron.Kind{perron.In, perron.Out, perron.In, perron.On, perron.Off}
	for i := range 900 {
		b.Entries = append(b.Entries, entry(base.Add(time.Duration(i)*41*time.Minute+time.Duration(i)*time.Millisecond/3), gates[i%3], kinds[i%5]))
	}
	commit(t, s, b, store.Result{Acked: 900, Stored: 900})
	sameAsEvents(t, s, base.AddDate(0, 0, -1), base.AddDate(0, 0, 40))
	sameAsEvents(t, s, base.Add(100*time.Hour+7*time.Minute), base.Add(333*time.Hour+44*time.Minute))
	sameAsEvents(t, s, base.Add(30*time.Hour), base.Add(30*time.Hour+10*time.Minute))

	day := store.CountQuery{Site: site, From: base.AddDate(0, 0, -1), To: base.AddDate(0, 0, 40), Step: perron.Day}
	perGate := day
	perGate.ByGate = true
	var sum [2]int
	for _, c := range counts(t, s, day) {
		sum[0] += c.In + c.Out
	}
	for _, c := range counts(t, s, perGate) {
		sum[1] += c.In + c.Out
	}
	if want := 900 * 3 / 5; sum != [2]int{want, want} {
		t.Errorf("%v passages in all and by gate, want %d", sum, want)
	}
}

func testEmpty(t *testing.T, o Opener) {
	s := open(t, o)
	none := func(what string, n int, err error) {
		t.Helper()
		if n != 0 || err != nil {
			t.Errorf("%s: %d rows, %v", what, n, err)
		}
	}
	for range 2 { // once in an empty store, once beside its events
		for _, r := range []struct {
			site     string
			from, to time.Time
		}{
			{"nowhere", long, farAhead},
			{site, base.AddDate(0, 0, 7), base.AddDate(0, 0, 14)},
			{site, base, base},
			{site, base.Add(time.Hour), base},
			{`poort" or 1=1 --`, base, farAhead},
		} {
			ctx := t.Context()
			none("events", len(events(t, s, r.site, r.from, r.to)), nil)
			for _, step := range []perron.Step{perron.Quarter, perron.Week} {
				none("counts", len(counts(t, s, store.CountQuery{Site: r.site, From: r.from, To: r.to, Step: step, ByGate: true})), nil)
			}
			samples, err := s.Samples(ctx, r.site, r.from, r.to)
			none("samples", len(samples), err)
			forecasts, err := s.Forecasts(ctx, r.site, r.from, r.to)
			none("forecasts", len(forecasts), err)
			actions, err := s.Actions(ctx, r.site, r.from, r.to)
			none("actions", len(actions), err)
			losses, err := s.Losses(ctx, r.site, r.from, r.to)
			none("losses", len(losses), err)
			for range s.SetAside(ctx, r.site, r.from, r.to) {
				t.Error("an event set aside, or an error")
			}
		}
		none("counts of an unknown gate", len(counts(t, s, store.CountQuery{Site: site, Gate: `x" or 1=1`, From: base, To: base.Add(time.Hour), Step: perron.Hour})), nil)
		if e, err := s.Extent(t.Context(), "nowhere"); err != nil || e != (store.Extent{}) {
			t.Errorf("extent of nowhere: %v, %v", e, err)
		}
		if _, err := s.Commit(t.Context(), batch("gate-1", "e1", 1, 1, entry(base, "main", perron.In))); err != nil {
			t.Fatal(err)
		}
	}
}

func testSetAside(t *testing.T, o Opener) {
	s := open(t, o)
	aside := func(e store.Entry, why string) store.Entry { e.SetAside = why; return e }
	odd := store.Entry{Event: perron.Event{Time: base, Sensor: "wat \"is\\ dit\n, héé=1", Kind: "??"}, SetAside: "unknown_sensor"}
	b := batch("gate-1", "e1", 1, 1,
		entry(base, "main", perron.In),
		aside(entry(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "main", perron.In), "ancient"),
		aside(entry(time.Date(9998, 1, 1, 0, 0, 0, 7, time.UTC), "main", perron.Out), "future"),
		odd,
		aside(entry(base, "main", perron.In), "future"),
		entry(base, "main", perron.Out),
	)
	commit(t, s, b, store.Result{Acked: 6, Stored: 2, SetAside: 4})
	commit(t, s, b, store.Result{Acked: 6, Duplicate: 6})
	sameRecords(t, events(t, s, site, long, farAhead), recordsOf(b))
	c := counts(t, s, store.CountQuery{Site: site, From: base, To: base.Add(time.Hour), Step: perron.Hour})
	if d := cmp.Diff([]perron.Count{{Start: base, In: 1, Out: 1}}, c); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}

	var want []store.SetAside
	for i, e := range b.Entries {
		if e.SetAside == "" {
			continue
		}
		want = append(want, store.SetAside{Reason: e.SetAside, Received: received, Record: perron.Record{
			Event: perron.Event{Time: e.Time, Sensor: e.Sensor, Kind: e.Kind}, Site: site, Gateway: "gate-1", Gate: e.Gate, Epoch: "e1", Seq: uint64(i + 1),
		}})
	}
	var got []store.SetAside
	for a, err := range s.SetAside(t.Context(), site, received, received.Add(1)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	slices.SortFunc(got, func(a, b store.SetAside) int { return int(a.Seq) - int(b.Seq) })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events set aside (-want +got):\n%s", d)
	}
	for range s.SetAside(t.Context(), site, long, received) {
		t.Error("an event set aside before it was received, or an error")
	}

	losses, err := s.Losses(t.Context(), site, long, farAhead)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(losses, func(a, b store.Loss) int { return cmpStrings(a.Reason, b.Reason) })
	l := store.Loss{Site: site, Gateway: "gate-1", Kind: perron.DoubtSetAside, At: received}
	wantLosses := []store.Loss{l, l, l}
	for i, v := range []struct {
		reason string
		n      uint64
	}{{"ancient", 1}, {"future", 2}, {"unknown_sensor", 1}} {
		wantLosses[i].Reason, wantLosses[i].Count = v.reason, v.n
	}
	if d := cmp.Diff(wantLosses, losses); d != "" {
		t.Errorf("losses (-want +got):\n%s", d)
	}
}

func cmpStrings(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

func testSamples(t *testing.T, o Opener) {
	s := open(t, o)
	var want []perron.Sample
	for i := range 50 {
		v := perron.Sample{Level: perron.Busy, Quality: perron.Measured}
		f := float64(i)
		v.At = base.Add(time.Duration(i)*time.Minute + time.Duration(i))
		v.OnSite = perron.Interval{Low: f / 3, Mid: f / 2, High: f * 1.1}
		v.Queue = perron.Interval{Low: f, Mid: f + 0.25, High: f + 1}
		v.Wait = perron.Interval{High: f * 17.000001}
		v.EntryRate = f / 7
		v.AtLeast = i%2 == 1
		if i%5 == 0 {
			v.Recounted, v.Quality = base.Add(-time.Hour), perron.Corrected
		}
		want = append(want, v)
	}
	if err := s.SaveSamples(t.Context(), site, want); err != nil {
		t.Fatal(err)
	}
	want[3].Level = perron.Quiet
	want[3].AtLeast = false
	want[5].Recounted = time.Time{} // a replaced sample leaves nothing of itself behind
	for _, again := range [][]perron.Sample{want[3:6], nil} {
		if err := s.SaveSamples(t.Context(), site, again); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveSamples(t.Context(), "haven", want[:1]); err != nil {
		t.Fatal(err)
	}
	got, err := s.Samples(t.Context(), site, long, farAhead)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("samples (-want +got):\n%s", d)
	}
	got, err = s.Samples(t.Context(), site, want[10].At, want[20].At)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want[10:20], got); d != "" {
		t.Errorf("samples of a range (-want +got):\n%s", d)
	}
}

func testForecasts(t *testing.T, o Opener) {
	s := open(t, o)
	var want []perron.Forecast
	for i := range 6 {
		origin := base.Add(time.Duration(i) * 15 * time.Minute)
		f := perron.Forecast{Site: site, Origin: origin, Weeks: i}
		for j := range 20 {
			v := float64(i*j) + 0.25
			f.Quarters = append(f.Quarters, perron.Slot{
				Start: origin.Add(time.Duration(j) * 15 * time.Minute), Minutes: 15, Open: j%3 > 0,
				Arrivals: perron.Interval{Low: v, Mid: v + 1, High: v + 2}, OnSite: perron.Exactly(v), Wait: perron.Interval{High: v},
				Level: perron.Moderate, Basis: perron.Expected,
			})
		}
		f.Hours = []perron.Slot{{Start: origin, Minutes: 60, Level: perron.Closed, Basis: perron.Typical}}
		f.Best = []perron.Moment{{Start: origin.Add(time.Hour), End: origin.Add(2 * time.Hour), Wait: perron.Exactly(1)}}
		want = append(want, f)
		if err := s.SaveForecast(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	want[2].Weeks, want[2].Best = 99, nil
	if err := s.SaveForecast(t.Context(), want[2]); err != nil {
		t.Fatal(err)
	}
	got, err := s.Forecasts(t.Context(), site, want[1].Origin, want[5].Origin)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want[1:5], got, emptyness, cmpopts.EquateApprox(0, store.ForecastGrain/2)); d != "" {
		t.Errorf("forecasts (-want +got):\n%s", d)
	}
}

func testActions(t *testing.T, o Opener) {
	s := open(t, o)
	want := []perron.Action{
		{ID: "01J1", Site: site, At: base, By: "anna", Kind: perron.Recount, Vehicles: 17},
		{ID: "01J2", Site: site, At: base.Add(1), By: "bob \"the\\ builder\"", Kind: perron.Close, Text: map[string]string{"nl": "Brand, in de \"container\"\nKom later", "en": "Fire"}, Until: base.Add(20 * time.Hour)},
		{ID: "01J3", Site: site, At: base.Add(1), By: "anna", Kind: perron.Undo, Undoes: "01J2"},
		{ID: "01J4", Site: site, At: base.Add(time.Hour), By: "anna", Kind: perron.Reopen},
	}
	for _, i := range []int{3, 1, 0, 2, 1} {
		if err := s.SaveAction(t.Context(), want[i]); err != nil {
			t.Fatal(err)
		}
	}
	longer := want[1]
	longer.Until = time.Time{}
	if err := s.SaveAction(t.Context(), longer); !errors.Is(err, store.ErrExists) {
		t.Errorf("another end under a taken ID: %v", err)
	}
	other := want[0]
	other.Vehicles = 18
	if err := s.SaveAction(t.Context(), other); !errors.Is(err, store.ErrExists) {
		t.Errorf("another action under a taken ID: %v", err)
	}
	other.Site = "haven"
	if err := s.SaveAction(t.Context(), other); err != nil {
		t.Errorf("the same ID at another site: %v", err)
	}
	for _, r := range []struct {
		from, to time.Time
		want     []perron.Action
	}{
		{long, farAhead, want},
		{base.Add(1), base.Add(time.Hour), want[1:3]},
		{base.Add(2), base.Add(time.Hour), nil},
	} {
		got, err := s.Actions(t.Context(), site, r.from, r.to)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r.want, got, emptyness); d != "" {
			t.Errorf("actions (-want +got):\n%s", d)
		}
	}
}

func testExtent(t *testing.T, o Opener) {
	s := open(t, o)
	check := func(first, last time.Time) {
		t.Helper()
		got, err := s.Extent(t.Context(), site)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(store.Extent{First: first, Last: last}, got); d != "" {
			t.Errorf("extent (-want +got):\n%s", d)
		}
	}
	check(time.Time{}, time.Time{})
	early := entry(base.AddDate(-3, 0, 0), "main", perron.In)
	early.SetAside = "ancient"
	commit(t, s, batch("gate-1", "e1", 1, 1, early), store.Result{Acked: 1, SetAside: 1})
	check(time.Time{}, time.Time{})
	commit(t, s, batch("gate-1", "e1", 1, 2, entry(base.Add(2), "main", perron.In), entry(base.Add(1), "", perron.On)), store.Result{Acked: 3, Stored: 2})
	check(base.Add(1), base.Add(2))
	commit(t, s, batch("gate-2", "e1", 1, 1, entry(base.Add(time.Hour+5), "main", perron.In)), store.Result{Acked: 1, Stored: 1})
	commit(t, s, batch("gate-2", "e2", 1, 1, entry(base.AddDate(0, -2, 0), "main", perron.In)), store.Result{Acked: 1, Stored: 1})
	check(base.AddDate(0, -2, 0), base.Add(time.Hour+5))
}
