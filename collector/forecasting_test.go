package collector

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

func TestTrend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		for _, c := range []struct {
			expected float64
			want     perron.Trend
		}{{0, perron.Steady}, {2.9, perron.Steady}, {3.1, perron.Rising}, {2, perron.Rising}, {1, perron.Steady}} {
			r.forecaster.mu.Lock()
			r.forecaster.inAWhat = c.expected
			r.forecaster.mu.Unlock()
			time.Sleep(time.Minute)
			r.well()
			time.Sleep(tickEvery)
			if b := r.shown(); b.Trend != c.want {
				t.Errorf("expecting %v minutes after none: %v, want %v", c.expected, b.Trend, c.want)
			}
		}
	})
}

func TestSamplesAndForecasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		now := at(saturday.Add(20 * time.Second))
		r := start(t, st, now, nil)
		r.well()
		for range 12 {
			r.send("pi-1", in(r.now()))
		}
		for range 60 {
			time.Sleep(30 * time.Second)
			r.well()
		}
		st.mu.Lock()
		samples, saved := slices.Clone(st.samples["poort"]), len(st.forecasts)
		st.mu.Unlock()
		if len(samples) != 30 || samples[0].At != saturday.Add(time.Minute) || samples[0].Wait.Mid != 10 || samples[0].Level != perron.Busy {
			t.Errorf("%d samples in half an hour, the first %+v", len(samples), samples[0])
		}
		if saved != 3 { // at the start and with each new quarter
			t.Errorf("%d forecasts saved, want 3", saved)
		}
		f := r.forecast()
		if n := len(f.Measured); n != 50 { // from local midnight to 12:30
			t.Fatalf("%d quarters measured", n)
		}
		last := f.Measured[49]
		if last.Wait.Mid != 10 || last.OnSite.Mid != 12 || last.Level != perron.Busy || last.Basis != perron.Measured || !last.Open {
			t.Errorf("the last measured quarter: %+v", last)
		}
		if got := f.Measured[48].Arrivals.Mid; got != 12 {
			t.Errorf("%v arrivals in the quarter from noon", got)
		}
		if s := f.Measured[0]; s.Level != perron.Closed || s.Open {
			t.Errorf("the quarter after midnight: %+v", s)
		}
		if s := f.Measured[40]; s.Level != perron.Unknown || s.Basis != perron.QualityUnknown {
			t.Errorf("a quarter from before the collector ran: %+v", s)
		}
		if r.forecaster.fitted() != 1 || r.forecaster.present().Wait.Mid != 10 {
			t.Errorf("%d fits, the present is %+v", r.forecaster.fitted(), r.forecaster.present())
		}
		// Waits that come while the store is away are saved when it is back.
		st.setFail(store.ErrUnavailable)
		for range 10 {
			time.Sleep(30 * time.Second)
			r.well()
		}
		st.setFail(nil)
		time.Sleep(time.Minute)
		r.well()
		if n := st.sampled(); n != 36 {
			t.Errorf("%d samples, want 36", n)
		}
		// What is not known is not sampled.
		time.Sleep(20 * time.Minute)
		if n := st.sampled(); n > 42 {
			t.Errorf("%d samples, though the gateways are silent", n)
		}
		if r.forecaster.present() != (perron.Estimate{}) {
			t.Errorf("the forecast is told %+v of an unknown present", r.forecaster.present())
		}
		r.stop()
		again := start(t, st, now, nil)
		again.settle()
		if s := again.forecast().Measured[49]; s.Wait.Mid != 10 {
			t.Errorf("after a restart the measured quarter is %+v", s)
		}
	})
}

// TestForecastDoesNotWaitForTheMinute: at a start the gateways are heard a
// moment after the first forecast, which then knew nothing of the present.
func TestForecastDoesNotWaitForTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday.Add(5*time.Second)), nil)
		if e := r.forecaster.present(); !e.At.IsZero() {
			t.Fatalf("before any gateway was heard the present is %+v", e)
		}
		r.well()
		time.Sleep(time.Second)
		synctest.Wait()
		if e := r.forecaster.present(); e.At.IsZero() {
			t.Error("a second after the gateways were heard the forecast still knows nothing of the present")
		}
	})
}

func TestRefits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		fits := r.forecaster.fitted
		if n := fits(); n != 1 {
			t.Errorf("%d fits at the start", n)
		}
		r.send("pi-1", in(saturday.AddDate(0, 0, -7)))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := fits(); n != 2 {
			t.Errorf("%d fits after late data, want 2", n)
		}
		if h := r.forecaster.fit(1); len(h) != 1 || h[0].In != 1 {
			t.Errorf("learned from %+v", h)
		}
		for range 30 * 60 { // a backlog of half an hour
			r.send("pi-1", in(saturday.AddDate(0, 0, -7)))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := fits(); n < 4 || n > 6 {
			t.Errorf("%d fits while late data came for half an hour", n)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before := fits()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := fits() - before; n != 1 {
			t.Errorf("%d fits in a day and a night", n)
		}
		from := r.store.queries[0].From
		if want := (perron.Date{Year: 2025, Month: 12, Day: 1}).Start(); !from.Equal(want) {
			t.Errorf("learns from %v on, want %v", from, want)
		}
	})
}

func TestStatesWaitForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newFakeStore(), at(saturday), nil)
		r.link.mu.Lock()
		r.link.fail = fmt.Errorf("offline")
		sent := len(r.link.sent)
		r.link.mu.Unlock()
		for range 50 {
			r.send("pi-1", in(r.now()))
			r.well()
		}
		r.link.mu.Lock()
		r.link.fail = nil
		r.link.mu.Unlock()
		time.Sleep(3 * time.Second)
		r.settle()
		if b := r.shown(); b.Gates[0].InToday != 50 {
			t.Errorf("shown after the broker is back: %+v", b.Gates)
		}
		if n := r.link.count() - sent; n > 6 {
			t.Errorf("%d messages after the broker is back, want only the newest", n)
		}
	})
}

// rememberer is a forecaster that wants to know how long the queue was.
type rememberer struct {
	*fakeForecaster
	got    []time.Time
	before []int // samples that were known at each fit
}

func (f *rememberer) Remember(samples []perron.Sample) {
	for _, s := range samples {
		f.got = append(f.got, s.At)
	}
}

func (f *rememberer) Refit(history []perron.Count) {
	f.before = append(f.before, len(f.got))
	f.fakeForecaster.Refit(history)
}

func TestForecasterRemembersSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		for _, days := range []int{200, 179, 30, 1} { // the first is too old
			st.samples["poort"] = append(st.samples["poort"], perron.Sample{Estimate: perron.Estimate{At: saturday.AddDate(0, 0, -days)}})
		}
		f := &rememberer{}
		r := start(t, st, at(saturday), func(c *Config) {
			c.NewForecaster = func(*perron.Site) Forecaster {
				f.fakeForecaster = &fakeForecaster{}
				return f
			}
		})
		r.minutes(10)
		// Late data has the past learned again, with the samples since.
		r.send("pi-1", in(saturday.AddDate(0, 0, -7)))
		r.minutes(3)
		r.stop()
		if len(f.before) != 2 || f.before[0] != 3 || f.before[1] < 12 {
			t.Errorf("samples known at each fit: %v", f.before)
		}
		for i := range f.got[1:] {
			if !f.got[i].Before(f.got[i+1]) {
				t.Errorf("given again: %v after %v", f.got[i+1], f.got[i])
			}
		}
	})
}

// A villager lends and borrows, and hears of the weather.
type villager struct {
	*fakeForecaster
	site     string
	borrowed []int
	hours    int
}

func (v *villager) Pattern() (perron.Pattern, bool) {
	return perron.Pattern{Bays: len(v.site)}, v.site != "buiten"
}

func (v *villager) Borrow(patterns []perron.Pattern) { v.borrowed = append(v.borrowed, len(patterns)) }
func (v *villager) Weather(hours []perron.Weather)   { v.hours += len(hours) }

type fakeWeather struct{ revision int }

func (w *fakeWeather) Hours(site string, since int) ([]perron.Weather, int) {
	if site != "poort" || since == w.revision {
		return nil, since
	}
	return make([]perron.Weather, 24), w.revision
}

// TestForecasterBorrowsAndHearsTheWeather: what a neighbour has learned is
// given once, not to itself, and the weather each time that it is new.
func TestForecasterBorrowsAndHearsTheWeather(t *testing.T) {
	c := &core{cfg: Config{Weather: &fakeWeather{revision: 3}}}
	of := func(id string) (*forecasting, *villager) {
		v := &villager{site: id}
		return &forecasting{d: newDesk(c, &perron.Site{ID: id}), forecaster: v}, v
	}
	poort, p := of("poort")
	haven, h := of("haven")
	buiten, b := of("buiten") // too young to lend
	poort.borrow()
	for _, k := range []*forecasting{poort, haven, buiten} {
		k.lend()
	}
	for range 2 {
		for _, k := range []*forecasting{poort, haven, buiten} {
			k.borrow()
			k.weather()
		}
	}
	if fmt.Sprint(p.borrowed, h.borrowed, b.borrowed) != "[1] [1] [2]" {
		t.Errorf("borrowed %v, %v and %v patterns", p.borrowed, h.borrowed, b.borrowed)
	}
	if p.hours != 24 || h.hours != 0 {
		t.Errorf("%d and %d hours of weather", p.hours, h.hours)
	}
	c.cfg.Weather.(*fakeWeather).revision++
	if poort.weather(); p.hours != 48 {
		t.Errorf("%d hours of weather after a change", p.hours)
	}
	c.cfg.Weather = nil
	poort.weather()
	(&forecasting{d: poort.d, forecaster: &fakeForecaster{}}).borrow()
}
