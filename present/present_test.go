package present

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perrondrukte/perrondrukte/perron"
)

var noon = time.Date(2026, 5, 30, 10, 0, 0, 0, time.UTC)

// none is a day of which nothing is stored.
func none(func(perron.Record, error) bool) {}

// loaded is the yard of the cases at noon.
func loaded(t *testing.T, estimator func() Estimator) *Site {
	t.Helper()
	if estimator == nil {
		estimator = func() Estimator { return &tallying{t: t, asked: new(time.Time)} }
	}
	s := New(Config{Site: caseSite(), StaleAfter: 5 * time.Minute, NewEstimator: estimator})
	if err := s.Load(noon, none, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Calls(), (Calls{Show: true, Mend: true}); got != want {
		t.Fatalf("after it was loaded it calls for %+v, want %+v", got, want)
	}
	return s
}

func enter(at time.Time) perron.Event {
	return perron.Event{Time: at, Sensor: "main-in", Kind: perron.In}
}

func well(s *Site, now time.Time) {
	for _, id := range s.site.Gateways {
		s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: id, At: now, Online: true}, Heard: now}, now)
	}
	s.Calls()
}

func TestWhatASiteCallsFor(t *testing.T) {
	count := func(at time.Time) []perron.Action {
		return []perron.Action{{ID: "a", Kind: perron.Recount, At: at, Vehicles: 3}}
	}
	for _, c := range []struct {
		what string
		do   func(*Site)
		want Calls
	}{
		{"nothing", func(*Site) {}, Calls{}},
		{"an event", func(s *Site) { s.Observe(enter(noon), noon) }, Calls{Show: true}},
		{"one of yesterday", func(s *Site) { s.Observe(enter(noon.AddDate(0, 0, -1)), noon) }, Calls{Show: true}},
		{"an event a minute old", func(s *Site) { s.Observe(enter(noon), noon.Add(lagging)) }, Calls{Show: true}},
		{"an event that is older", func(s *Site) { s.Observe(enter(noon), noon.Add(lagging+1)) }, Calls{Show: true, Mend: true}},
		{"two events in a slightly wrong order", func(s *Site) {
			s.Observe(enter(noon.Add(slightly)), noon)
			s.Observe(enter(noon), noon)
		}, Calls{Show: true, Replay: Some}},
		{"two events in the wrong order, and two slightly", func(s *Site) {
			s.Observe(enter(noon.Add(slightly+1)), noon)
			s.Observe(enter(noon), noon)
			s.Observe(enter(noon.Add(slightly)), noon)
		}, Calls{Show: true, Replay: Soon}},
		{"a status", func(s *Site) { s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: "pi-1"}}, noon) }, Calls{Show: true}},
		{"a status of a stranger", func(s *Site) { s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: "pi-9"}}, noon) }, Calls{}},
		{"a loss", func(s *Site) { s.Lose(Loss{Gateway: "pi-1", Kind: perron.DoubtLost, At: noon, Count: 1}) }, Calls{Show: true}},
		{"a recount", func(s *Site) { s.Act(count(noon)) }, Calls{Show: true}},
		{"a recount of before the last event", func(s *Site) {
			s.Observe(enter(noon.Add(time.Second)), noon)
			s.Act(count(noon))
		}, Calls{Show: true, Replay: AtOnce}},
		{"a recount of yesterday", func(s *Site) { s.Act(count(noon.AddDate(0, 0, -1))) }, Calls{Show: true}},
		{"a recount of tomorrow", func(s *Site) { s.Act(count(noon.AddDate(0, 0, 1))) }, Calls{Show: true}},
		{"a recount taken back", func(s *Site) { s.Act(count(noon)); s.Act(nil) }, Calls{Show: true, Replay: AtOnce}},
		{"an outlook", func(s *Site) { s.LookAhead(Outlook{}) }, Calls{Show: true}},
		{"a score", func(s *Site) { s.Score(nil) }, Calls{Show: true}},
		{"a lesson", func(s *Site) { s.Learned() }, Calls{Replay: Soon}},
		{"a failure", func(s *Site) { s.Fail(perron.Doubt{Count: 1}) }, Calls{Show: true}},
		{"a failure that is known", func(s *Site) {
			s.Fail(perron.Doubt{Count: 1})
			s.Calls()
			s.Fail(perron.Doubt{Count: 1})
		}, Calls{}},
	} {
		s := loaded(t, nil)
		c.do(s)
		if got := s.Calls(); got != c.want {
			t.Errorf("%s: it calls for %+v, want %+v", c.what, got, c.want)
		}
		if got := s.Calls(); got != (Calls{}) {
			t.Errorf("%s: it calls again for %+v", c.what, got)
		}
	}
}

// The instant that is said to be the next is the first at which the state differs.
func TestAStateHoldsUntilItIsDue(t *testing.T) {
	level := func(s *Site, at time.Time) perron.Level {
		b, err := s.Busyness(at)
		if err != nil {
			t.Fatal(err)
		}
		return b.Level
	}
	s := loaded(t, nil)
	well(s, noon.Add(time.Minute))
	if got := level(s, noon.Add(time.Minute)); got != perron.Quiet {
		t.Fatal(got)
	}
	due := s.Due(noon.Add(time.Minute))
	if got := level(s, due.Add(-1)); got != perron.Quiet {
		t.Errorf("at %v, just before it is due, the level is %v", due.Add(-1), got)
	}
	if got := level(s, due); got != perron.Unknown {
		t.Errorf("at %v, when it is due, the level is %v", due, got)
	}
	if next := s.Due(due); !next.Equal(perron.Hour.Next(noon)) {
		t.Errorf("after it has turned unknown it is due at %v", next)
	}
}

// Events that are a little ahead wait for their day, in whatever order they come.
func TestWhatIsOfTomorrowWaits(t *testing.T) {
	midnight := perron.DateOf(noon).End()
	now := midnight.Add(-5 * time.Second)
	s := loaded(t, nil)
	for _, ahead := range []time.Duration{40 * time.Second, 10 * time.Second} {
		s.Observe(enter(midnight.Add(ahead)), now)
	}
	count := func(now time.Time) perron.GateCount {
		b, err := s.Busyness(now)
		if err != nil {
			t.Fatal(err)
		}
		return b.Gates[0]
	}
	if got, want := count(now), (perron.GateCount{Gate: "main"}); got != want {
		t.Errorf("before midnight %+v", got)
	}
	if err := s.Turn(nil, nil); err != nil {
		t.Fatal(err)
	}
	s.Observe(enter(midnight.Add(time.Hour+time.Minute)), midnight.Add(time.Minute))
	if got, want := count(midnight.Add(time.Minute)), (perron.GateCount{Gate: "main", InToday: 3, InHour: 2}); got != want {
		t.Errorf("after midnight %+v, want %+v", got, want)
	}
	if got := s.estimator.Estimate(midnight).OnSite.Mid; got != 3 {
		t.Errorf("%v on site", got)
	}
}

// A gateway was off on the day on which it was, and since the first time.
func TestOutages(t *testing.T) {
	outage := func(from, until time.Duration) perron.Outage {
		return perron.Outage{From: noon.Add(from), Until: noon.Add(until)}
	}
	for _, c := range []struct {
		what    string
		outages []perron.Outage
		since   time.Time
	}{
		{"yesterday and tomorrow", []perron.Outage{outage(-26*time.Hour, -24*time.Hour), outage(24*time.Hour, 26*time.Hour)}, time.Time{}},
		{"over midnight", []perron.Outage{outage(-13*time.Hour, -11*time.Hour)}, noon.Add(-13 * time.Hour)},
		{"twice", []perron.Outage{outage(-3*time.Hour, -2*time.Hour), outage(-2*time.Hour, -time.Hour)}, noon.Add(-3 * time.Hour)},
	} {
		s := loaded(t, nil)
		s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: "pi-1", At: noon, Online: true, Outages: c.outages}, Heard: noon}, noon)
		if got := s.gateways["pi-1"].off; !got.Equal(c.since) {
			t.Errorf("%s: off since %v, want %v", c.what, got, c.since)
		}
	}
	// What is heard late, such as a retained status, makes nothing older.
	s := loaded(t, nil)
	for _, heard := range []time.Time{noon, noon.Add(-time.Hour)} {
		s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: "pi-1", At: heard, Online: true}, Heard: heard}, noon)
	}
	if g := s.gateways["pi-1"]; !g.heard.Equal(noon) || !g.reported.Equal(noon) {
		t.Errorf("heard at %v and reported until %v", g.heard, g.reported)
	}
	// By its starts alone it is told too, of the first one.
	at := noon
	for _, started := range []time.Duration{0, 5 * time.Minute, 10 * time.Minute} {
		at = at.Add(5 * time.Minute)
		s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: "pi-2", At: at, Online: true, Started: noon.Add(started)}, Heard: at}, at)
	}
	if got := s.gateways["pi-2"].off; !got.Equal(noon.Add(5 * time.Minute)) {
		t.Errorf("off since %v", got)
	}
}

// Losses are of the day on which they are shown, and begin with the first.
func TestLosses(t *testing.T) {
	s := loaded(t, nil)
	s.Lose(Loss{Gateway: "pi-1", Kind: perron.DoubtLost, At: noon, Count: 1})
	s.Lose(Loss{Gateway: "pi-1", Kind: perron.DoubtLost, At: noon.Add(-time.Hour), Count: 2})
	s.Lose(Loss{Gateway: "pi-1", Kind: perron.DoubtLost, At: noon, Count: 4})
	s.Lose(Loss{Gateway: "pi-2", Kind: perron.DoubtOutbox, Outbox: "old", At: noon.AddDate(0, 0, -1), Count: 8})
	want := []perron.Doubt{{Kind: perron.DoubtLost, Gateway: "pi-1", Since: noon.Add(-time.Hour), Count: 7}}
	if diff := cmp.Diff(want, s.doubts(noon)); diff != "" {
		t.Error(diff)
	}
}

// A device that reports counts has doubts of its own, and its last will says more
// than that it is gone.
func TestDoubtsOfADevice(t *testing.T) {
	s := loaded(t, nil)
	well(s, noon)
	late := perron.Doubt{Kind: perron.DoubtUplinks, Gateway: "pi-1", Since: noon, Count: 2}
	s.Hear(Status{
		GatewayStatus: perron.GatewayStatus{Gateway: "pi-1", At: noon, Sensors: []perron.SensorStatus{{
			Sensor: "main-in", Health: perron.SensorOK, Gaps: []perron.CounterGap{
				{Kind: "reset", From: noon.AddDate(0, 0, -1), To: noon.AddDate(0, 0, -1), Counted: 5},
				{Kind: "ok", From: noon.Add(-time.Hour), To: noon, Counted: 3},
			},
		}}},
		Heard: noon, Device: true, Doubts: []perron.Doubt{late},
	}, noon)
	want := []perron.Doubt{
		{Kind: perron.DoubtOffline, Gateway: "pi-1", Since: noon},
		{Kind: perron.DoubtSpread, Gateway: "pi-1", Sensor: "main-in", Since: noon.Add(-time.Hour), Count: 3},
		late,
	}
	if diff := cmp.Diff(want, s.doubts(noon)); diff != "" {
		t.Error(diff)
	}
	if err := s.Turn(nil, nil); err != nil {
		t.Fatal(err)
	}
	want = []perron.Doubt{want[0], {Kind: perron.DoubtOffline, Gateway: "pi-2", Since: noon}}
	if diff := cmp.Diff(want, s.doubts(noon.AddDate(0, 0, 1))); diff != "" {
		t.Errorf("of the next day: %s", diff)
	}
}

// nonsense is an estimator that divides by nothing.
type nonsense struct{ tallying }

func (nonsense) Estimate(now time.Time) perron.Estimate {
	return perron.Estimate{At: now, OnSite: perron.Exactly(2.345), Wait: perron.Exactly(math.NaN())}
}

func TestNothingIsSaidByWhatIsNoNumber(t *testing.T) {
	s := loaded(t, func() Estimator { return &nonsense{} })
	well(s, noon)
	b, err := s.Busyness(noon)
	if err == nil || b.Level != perron.Unknown || !b.MeasuredAt.IsZero() || b.Wait.Mid != 0 {
		t.Errorf("%v: level %v, measured at %v, wait %v", err, b.Level, b.MeasuredAt, b.Wait)
	}
	s.Observe(enter(noon), noon)
	if m, err := s.Mend(noon); err != nil || len(m.Samples) != 0 {
		t.Errorf("%v: samples %+v", err, m.Samples)
	}
	if e, err := tidy(perron.Estimate{OnSite: perron.Exactly(2.345)}); err != nil || e.OnSite.Mid != 2.35 && e.OnSite.Mid != 2.34 {
		t.Errorf("%v: rounded to %v", err, e.OnSite.Mid)
	}
}

// A day with more events than fit goes on, but cannot be gone through again.
func TestAFullDayGoesOn(t *testing.T) {
	s := New(Config{Site: caseSite(), StaleAfter: 5 * time.Minute, NewEstimator: func() Estimator { return &tallying{t: t, asked: new(time.Time)} }})
	begin := perron.DateOf(noon).Start()
	err := s.Load(noon, func(yield func(perron.Record, error) bool) {
		for i := range MaxEvents {
			if !yield(perron.Record{Event: enter(begin.Add(time.Duration(i) * time.Millisecond)), Gateway: "pi-1"}, nil) {
				return
			}
		}
	}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	well(s, noon)
	onSite := func() float64 {
		b, err := s.Busyness(noon)
		if err != nil {
			t.Fatal(err)
		}
		return b.OnSite.Mid
	}
	for i, late := range []time.Duration{0, time.Hour} {
		s.Observe(enter(noon.Add(-late)), noon)
		if got, want := onSite(), float64(MaxEvents+1+i); got != want {
			t.Errorf("%v on site, want %v", got, want)
		}
	}
	if got := s.Calls().Replay; got != Some {
		t.Errorf("it calls for a replay with urgency %d", got)
	}
	if err := s.Replay(nil); !errors.Is(err, ErrFull) {
		t.Errorf("replay: %v", err)
	}
	if _, err := s.Mend(noon); !errors.Is(err, ErrFull) {
		t.Errorf("mend: %v", err)
	}
	if got := s.Events(); got != MaxEvents {
		t.Errorf("%d events are kept", got)
	}
}

func sample(minute int, onSite float64) perron.Sample {
	return perron.Sample{Estimate: perron.Estimate{At: noon.Add(time.Duration(minute) * time.Minute), OnSite: perron.Exactly(onSite)}, Level: perron.Quiet}
}

func TestMendedFillsHolesAndReplaces(t *testing.T) {
	stored := []perron.Sample{sample(0, 1), sample(2, 1), sample(3, 1)}
	fresh := []perron.Sample{sample(-24*60, 2), sample(0, 2), sample(1, 2), sample(2, 2), sample(3, 2)}
	for _, c := range []struct {
		what       string
		since      time.Time
		all, added []perron.Sample
	}{
		{"holes only", time.Time{}, []perron.Sample{sample(0, 1), sample(1, 2), sample(2, 1), sample(3, 1)}, fresh[2:3]},
		{"from two on", noon.Add(2 * time.Minute), []perron.Sample{sample(0, 1), sample(1, 2), sample(2, 2), sample(3, 2)}, fresh[2:]},
	} {
		all, added := Mended{fresh, c.since}.Merge(stored, perron.DateOf(noon))
		if diff := cmp.Diff([][]perron.Sample{c.all, c.added}, [][]perron.Sample{all, added}); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	one, two := noon.Add(time.Minute), noon.Add(2*time.Minute)
	for _, c := range []struct{ was, is, want time.Time }{{one, two, one}, {two, one, one}, {one, time.Time{}, one}, {time.Time{}, two, two}} {
		got := Mended{fresh[:2], c.was}.With(Mended{stored, c.is})
		if want := (Mended{append(fresh[:1:1], stored...), c.want}); cmp.Diff(want, got) != "" {
			t.Errorf("%v and then %v: %s", c.was, c.is, cmp.Diff(want, got))
		}
	}
}

func TestSampleOf(t *testing.T) {
	site := caseSite()
	at := noon.Add(20 * time.Second)
	for quality, want := range map[perron.Quality]bool{perron.Measured: true, perron.Corrected: true, perron.Typical: false, perron.QualityUnknown: false} {
		b := perron.Busyness{Quality: quality, Level: perron.Quiet}
		if s, ok := SampleOf(site, &b, at); ok != want || ok && !s.At.Equal(noon) {
			t.Errorf("%s: %v, at %v", quality, ok, s.At)
		}
		if _, ok := SampleOf(site, &b, at.Add(12*time.Hour)); ok {
			t.Errorf("%s: a sample of midnight", quality)
		}
	}
}

func TestMeasuredQuarters(t *testing.T) {
	closed := func(minute int) perron.Sample {
		s := sample(minute, 9)
		s.Level = perron.Closed
		return s
	}
	samples := []perron.Sample{
		sample(0, 1), sample(1, 4), sample(2, 10), // the first quarter
		sample(15, 2), sample(16, 4), closed(17), closed(18),
		sample(30, 2), closed(31), closed(32),
	}
	slots := Measured(caseSite(), perron.DateOf(noon), []perron.Count{{Start: noon, In: 2}, {Start: noon, In: 3}}, samples, noon.Add(time.Hour))
	if len(slots) != 52 {
		t.Fatalf("%d quarters", len(slots))
	}
	for i, want := range []struct {
		onSite, arrivals float64
		level            perron.Level
		basis            perron.Quality
	}{{4, 5, perron.Quiet, perron.Measured}, {3, 0, perron.Quiet, perron.Measured}, {0, 0, perron.Closed, perron.Measured}, {0, 0, perron.Unknown, perron.QualityUnknown}} {
		s := slots[48+i]
		if s.OnSite.Mid != want.onSite || s.Arrivals.Mid != want.arrivals || s.Level != want.level || s.Basis != want.basis {
			t.Errorf("quarter %d: %+v, want %+v", i, s, want)
		}
	}
}
