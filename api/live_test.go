package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/api/hub"
	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

func quietLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestLiveTakesOnlyWhatIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link, c := &fakeLink{}, &clock{t: noon}
		live := NewLive(testSites(), link, c.now, quietLogger())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go live.run(ctx)

		if b := live.Busyness("poort"); b.Level != perron.Unknown || b.Quality != perron.QualityUnknown {
			t.Errorf("before the first word: %+v", b)
		}
		link.busyness(t, busy(noon))
		foreign := busy(noon)
		foreign.Site = "almelo"
		link.busyness(t, foreign) // not configured
		payload, err := broker.EncodeBusyness(foreign)
		if err != nil {
			t.Fatal(err)
		}
		link.deliver(broker.BusynessTopic("haven"), payload) // says it is another's
		link.deliver(broker.BusynessTopic("haven")+"/x/y", []byte("{}"))
		link.deliver(broker.ForecastTopic("poort"), []byte(`{"v":1,`))
		synctest.Wait()
		if b := live.Busyness("poort"); b.Level != perron.Busy || b.OnSite.Mid != 19.6 {
			t.Errorf("poort %+v", b)
		}
		if b := live.Busyness("haven"); b.Level != perron.Unknown {
			t.Errorf("haven %+v", b)
		}
		if _, ok := live.Forecast("poort"); ok {
			t.Error("half a forecast counts")
		}
		if n := live.refused.Load(); n != 4 {
			t.Errorf("%d messages refused", n)
		}

		link.status(t, perron.GatewayStatus{Site: "poort", Gateway: "gw", At: noon, Online: true, Version: "1.2", Waiting: 3})
		synctest.Wait()
		link.status(t, perron.GatewayStatus{Site: "poort", Gateway: "gw"}) // the last will
		link.status(t, perron.GatewayStatus{Site: "poort", Gateway: "stranger", Online: true})
		synctest.Wait()
		if g := live.Gateways("poort"); len(g) != 1 || g[0].Online || g[0].Version != "1.2" || g[0].At != noon || g[0].Waiting != 3 {
			t.Errorf("gateways %+v", g)
		}
	})
}

// A feeding is a feed whose frames are read without a socket.
type feeding struct {
	link   *fakeLink
	clock  *clock
	member *hub.Member[*frame]
}

// texts empties the queue and decodes it.
func (f *feeding) texts(t *testing.T) []openapi.LiveMessage {
	t.Helper()
	synctest.Wait()
	var out []openapi.LiveMessage
	for {
		select {
		case m := <-f.member.Messages():
			out = append(out, decodeFrame(t, m))
		default:
			return out
		}
	}
}

func decodeFrame(t *testing.T, f *frame) openapi.LiveMessage {
	t.Helper()
	var m openapi.LiveMessage
	if err := json.Unmarshal(f.text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// viewOf is a view that there is.
func (f *feed) viewOf(t testing.TB, to words.Audience, lang string) *view {
	t.Helper()
	v, ok := f.view(to, lang)
	if !ok {
		t.Fatalf("no view in %q", lang)
	}
	return v
}

func startFeed(t *testing.T, to words.Audience) *feeding {
	link, c := &fakeLink{}, &clock{t: noon}
	live := NewLive(testSites(), link, c.now, quietLogger())
	f := newFeed(live, testLanguages(t), 40*time.Millisecond, quietLogger())
	member, _, _ := f.viewOf(t, to, "").hub.Join([]string{"poort"}, 100, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); live.run(ctx) }()
	go f.run(ctx)
	t.Cleanup(func() { cancel(); <-done })
	return &feeding{link, c, member}
}

func stateIn(t *testing.T, m openapi.LiveMessage) openapi.State {
	t.Helper()
	b, err := json.Marshal(m.Site)
	if err != nil {
		t.Fatal(err)
	}
	var s openapi.State
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestViewersAreToldWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, words.ToAll)
		b := busy(noon)
		f.link.busyness(t, b)
		if got := f.texts(t); len(got) != 1 || got[0].Type != "state" || stateIn(t, got[0]).Level != perron.Busy {
			t.Fatalf("first state: %+v", got)
		}
		// Nothing that residents see: not a vehicle that left, nor a tenth of one,
		// nor seconds of age.
		b.Gates[0].OutToday++
		b.OnSite.Mid += 0.1
		b.MeasuredAt, b.StaleAt = b.MeasuredAt.Add(10*time.Second), b.StaleAt.Add(10*time.Second)
		time.Sleep(10 * time.Second)
		f.clock.advance(10 * time.Second)
		f.link.busyness(t, b)
		for _, m := range f.texts(t) {
			if m.Type != "heartbeat" {
				t.Errorf("told %+v", m)
			}
		}
		// That it is still measured is told every half minute.
		time.Sleep(21 * time.Second)
		f.clock.advance(21 * time.Second)
		b.MeasuredAt, b.StaleAt = b.MeasuredAt.Add(21*time.Second), b.StaleAt.Add(21*time.Second)
		f.link.busyness(t, b)
		var states []openapi.State
		for _, m := range f.texts(t) {
			if m.Type == "state" {
				states = append(states, stateIn(t, m))
			}
		}
		if len(states) != 1 || !states[0].MeasuredAt.Equal(b.MeasuredAt) {
			t.Errorf("told %+v", states)
		}
		// The collector falls silent: a second after the data is stale it is unknown.
		f.clock.advance(b.StaleAt.Sub(f.clock.now()) + time.Millisecond)
		time.Sleep(reviewEvery)
		got := f.texts(t)
		if len(got) == 0 || stateIn(t, got[0]).Level != perron.Unknown || stateIn(t, got[0]).Quality != perron.Typical {
			t.Errorf("stale: %+v", got)
		}
		// And closing time comes without a collector too.
		f.clock.advance(5 * time.Hour)
		time.Sleep(reviewEvery)
		got = f.texts(t)
		if len(got) == 0 || stateIn(t, got[0]).Level != perron.Closed {
			t.Errorf("closing time: %+v", got)
		}
	})
}

func TestPulsesAreTakenTogetherButTheFirstIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, words.ToAll)
		b := busy(noon)
		f.link.busyness(t, b)
		f.texts(t)
		time.Sleep(time.Second)
		f.texts(t)
		var waits []time.Duration
		pending := map[float64]time.Time{}
		collect := func() {
			for _, m := range f.texts(t) {
				if m.Type != "state" {
					continue
				}
				mid := stateIn(t, m).OnSite.Mid
				for v, since := range pending {
					if v <= mid {
						waits = append(waits, time.Since(since))
						delete(pending, v)
					}
				}
			}
		}
		const pulses = 250 // at 50 a second
		messages := 0
		for range pulses {
			b.OnSite.Mid++
			pending[float64(int(b.OnSite.Mid+0.5))] = time.Now()
			f.link.busyness(t, b)
			for range 20 {
				before := len(waits)
				collect()
				if len(waits) > before {
					messages++
				}
				time.Sleep(time.Millisecond)
			}
		}
		for range 50 {
			collect()
			time.Sleep(time.Millisecond)
		}
		if len(waits) != pulses {
			t.Fatalf("%d of %d pulses were told", len(waits), pulses)
		}
		if waits[0] != 0 {
			t.Errorf("the first waited %s", waits[0])
		}
		for i, w := range waits {
			if w > 40*time.Millisecond {
				t.Errorf("pulse %d waited %s", i, w)
			}
		}
		if messages > pulses*20/40+2 {
			t.Errorf("%d messages for %d pulses", messages, pulses)
		}
	})
}

func TestStaffSeeMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFeed(t, words.ToStaff)
		b := busy(noon)
		f.link.busyness(t, b)
		f.link.status(t, perron.GatewayStatus{Site: "poort", Gateway: "gw", At: noon, Online: true})
		time.Sleep(time.Second)
		got := f.texts(t)
		s := stateIn(t, got[len(got)-1])
		if len(s.Gates) != 1 || len(s.Gateways) != 1 || s.OnSite.Mid != 19.6 {
			t.Errorf("staff see %+v", s)
		}
		b.Gates[0].InToday++
		f.link.busyness(t, b)
		if got := f.texts(t); len(got) != 1 || stateIn(t, got[0]).Gates[0].InToday != 121 {
			t.Errorf("a passage: %+v", got)
		}
		// A gateway that says no more than "still here" is no news.
		time.Sleep(time.Second)
		f.link.status(t, perron.GatewayStatus{Site: "poort", Gateway: "gw", At: noon.Add(30 * time.Second), Online: true})
		if got := f.texts(t); len(got) != 0 {
			t.Errorf("no news: %+v", got)
		}
		f.link.forecast(t, perron.Forecast{Site: "poort", Origin: noon})
		got = f.texts(t)
		if len(got) != 1 || got[0].Type != "forecast" || got[0].Site != "poort" || !got[0].Origin.Equal(noon) {
			t.Errorf("forecast: %+v", got)
		}
	})
}

// A change that is held back and then taken back is never told, so a snapshot
// in between must not show it.
func TestSnapshotShowsWhatWasTold(t *testing.T) {
	live := NewLive(testSites(), &fakeLink{}, func() time.Time { return noon }, quietLogger())
	f := newFeed(live, testLanguages(t), 40*time.Millisecond, quietLogger())
	public := f.viewOf(t, words.ToAll, "")
	set := func(level perron.Level) {
		b := busy(noon)
		b.Level = level
		live.update("poort", func(s *liveSite) { s.busyness = b })
		f.dirty("poort")
	}
	start := time.Now()
	set(perron.Busy)
	if _, err := f.flush(start); err != nil {
		t.Fatal(err)
	}
	set(perron.VeryBusy)
	if next, err := f.flush(start.Add(10 * time.Millisecond)); next != 30*time.Millisecond || err != nil {
		t.Fatalf("next in %s, %v", next, err)
	}
	if s := public.snapshot([]string{"poort"}, 1, noon).(openapi.LiveMessage); s.Sites[0].Level != perron.Busy {
		t.Errorf("snapshot says %s", s.Sites[0].Level)
	}
}
