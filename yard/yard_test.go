package yard_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
	"github.com/perrondrukte/perrondrukte/yard"
)

// bare is a site that states neither its dwell nor its road.
func bare() *perron.Site {
	s := &perron.Site{ID: "bare", Bays: 24, Lanes: 1}
	for w := range 7 {
		s.Hours.Weekly[w] = []perron.Span{{Open: 9 * 60, Close: 16 * 60}}
	}
	return s
}

// TestBothFollow changes each constant by a fifth: what the estimator says of a
// Saturday and what the forecast says must both change. A constant that only one
// of them uses is not shared and does not belong here.
func TestBothFollow(t *testing.T) {
	site := bare()
	y := &simulate.Yard{Site: site, Seed: 7, Visits: 500}
	saturday := perron.Date{Year: 2026, Month: time.May, Day: 16}
	day := y.Day(saturday)
	var history []perron.Count
	for k := -10; k < 0; k++ {
		for _, ev := range y.Day(saturday.AddDays(k)).Events {
			if ev.Kind == perron.In {
				history = append(history, perron.Count{Start: perron.Quarter.Start(ev.Time), In: 1})
			}
		}
	}
	estimated := func(p yard.Physics) (sum float64) {
		e := occupancy.Experience{}.NewUnder(p, site)
		for i, ev := range day.Events {
			e.Observe(ev)
			if i%20 == 0 {
				got := e.Estimate(ev.Time)
				sum += got.OnSite.High + got.Queue.High + got.Wait.Mid
			}
		}
		got := e.Belief().Dwell
		return sum + got.Mid
	}
	expected := func(p yard.Physics) (sum float64) {
		m := forecast.NewUnder(p, site)
		m.Refit(history)
		at := saturday.At(10 * 60)
		for _, s := range m.Forecast(at, nil, perron.Estimate{At: at, Queue: perron.Exactly(90)}).Quarters {
			sum += s.Arrivals.Mid + s.OnSite.Mid + s.Wait.Mid
		}
		return sum
	}
	usual := yard.Usual()
	present, ahead := estimated(usual), expected(usual)
	follow := func(name string, p yard.Physics) {
		if estimated(p) == present {
			t.Errorf("%s: the estimate does not follow it", name)
		}
		if expected(p) == ahead {
			t.Errorf("%s: the forecast does not follow it", name)
		}
	}
	fields := reflect.TypeFor[yard.Physics]()
	for i := range fields.NumField() {
		p := usual
		switch v := reflect.ValueOf(&p).Elem().Field(i); v.Kind() {
		case reflect.Float64:
			v.SetFloat(1.2 * v.Float())
			follow(fields.Field(i).Name, p)
		case reflect.Array:
			for k := range v.Len() {
				p := usual
				v := reflect.ValueOf(&p).Elem().Field(i).Index(k)
				v.SetFloat(1.2 * v.Float())
				follow(fields.Field(i).Name, p)
			}
		default:
			t.Errorf("%s: a %s cannot be changed by a fifth", fields.Field(i).Name, v.Kind())
		}
	}
}

// TestOfSite: what a site leaves open is filled in, what it states stands.
func TestOfSite(t *testing.T) {
	p := yard.Usual()
	for _, c := range []struct {
		site                     perron.Site
		bays, lanes, dwell, road float64
	}{
		{perron.Site{}, 1, 1, p.Dwell, p.Road},
		{perron.Site{TypicalDwell: math.NaN(), Bays: -3}, 1, 1, p.Dwell, p.Road},
		{perron.Site{Bays: 24, Lanes: 2, TypicalDwell: 9, RoadSpace: 45}, 24, 2, 9, 45},
	} {
		y := p.Of(&c.site)
		if y.Bays != c.bays || y.Lanes != c.lanes || y.Dwell != c.dwell || y.Road != c.road {
			t.Errorf("%+v: %+v", c.site, y)
		}
	}
}

// TestDefaultDwell: a site that states no dwell has the same one whether it
// comes from a configuration or not.
func TestDefaultDwell(t *testing.T) {
	server, err := config.ParseServer([]byte(`{data_dir: /x, sites: [{id: poort, name: Poort, bays: 24, gateways: [poort-1], gates: [{id: main, sensors: [main-in]}], hours: {weekly: {}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := server.Sites[0].Dwell.D().Minutes(); got != yard.Usual().Dwell {
		t.Errorf("%v minutes in a configuration, %v in the physics", got, yard.Usual().Dwell)
	}
}

// TestRates follows a yard of 24 bays, where a stay has a median of 14 minutes
// and a deviation that makes the mean an eighth longer.
func TestRates(t *testing.T) {
	p := yard.Usual()
	p.DwellSigma, p.LaneRate = math.Sqrt(2*math.Log(1.125)), 4
	y := p.Of(&perron.Site{Bays: 24, Lanes: 2, TypicalDwell: 14})
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("the service rate", y.ServiceRate(14), 24/15.75)
	near("the rate of the gate", y.GateRate(), 8)
	near("still inside at once", y.Staying(14, 0), 1)
	near("still inside after the median", y.Staying(14, 14), 0.5)
	near("still inside after a deviation more", y.Staying(14, 14*math.Exp(p.DwellSigma)), 0.5*math.Erfc(1/math.Sqrt2))
}

// TestBalkingAndReneging: half of the arrivals balk at their patience, four in
// five at twice that; a queue that people leave is shorter than its length says.
func TestBalkingAndReneging(t *testing.T) {
	for _, c := range []struct{ wait, patience, part float64 }{
		{0, 30, 1}, {30, 30, 0.5}, {60, 30, 0.2}, {15, 30, 0.8}, {30, 60, 0.8},
	} {
		if got := yard.Joins(c.wait, c.patience); math.Abs(got-c.part) > 1e-12 {
			t.Errorf("a wait of %v at a patience of %v: %v join, want %v", c.wait, c.patience, got, c.part)
		}
	}
	p := yard.Usual()
	p.Patience = [2]float64{20, 80}
	if got := p.MedianPatience(); got != 40 {
		t.Errorf("between 20 and 80 minutes lie %v", got)
	}
	p.RenegeRate = 0.01
	// Minute by minute: 100 vehicles, 2 let in per minute, 1 % of the rest leaves.
	queue, minutes := 100.0, 0.0
	for ; queue > 0; minutes += 0.001 {
		queue -= (2 + p.RenegeRate*queue) * 0.001
	}
	if got := p.Reneged(50); math.Abs(got-minutes) > 0.01 {
		t.Errorf("%v minutes behind a queue that takes %.2f", got, minutes)
	}
}

// TestRenegedUnseen: of a short queue as many have left it unseen as will leave it,
// and behind a longer one nobody waits for less long.
func TestRenegedUnseen(t *testing.T) {
	p := yard.Usual()
	p.RenegeRate = 0.01
	const minutes = 0.5
	seen, unseen := minutes-p.Reneged(minutes), minutes-p.RenegedUnseen(minutes)
	if math.Abs(unseen/seen-2) > 0.02 {
		t.Errorf("of %v minutes %v are those of who reneged unseen, and %v of who will", minutes, unseen, seen)
	}
	for m := 0.0; m < 600; m++ {
		if p.RenegedUnseen(m+1) <= p.RenegedUnseen(m) {
			t.Fatalf("%v minutes wait for longer than %v do", m, m+1)
		}
	}
}
