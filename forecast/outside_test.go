package forecast_test

import (
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// expected is the sum of the arrivals that are forecast for a day, at 07:00.
func expected(m *forecast.Model, d perron.Date) (sum float64) {
	at := d.At(7 * 60)
	for _, s := range m.Forecast(at, nil, idle(at)).Quarters {
		if perron.DateOf(s.Start) == d {
			sum += s.Arrivals.Mid
		}
	}
	return sum
}

// TestWeather: where dry days are busier, a day for which rain is forecast is
// expected to be quieter than one for which none is; nonsense changes nothing,
// and so does no weather at all.
func TestWeather(t *testing.T) {
	site := poort()
	d := day("2026-06-10")
	y := &simulate.Yard{Site: site, Seed: 5, Visits: 420}
	var history []perron.Count
	for k := -170; k < 0; k++ {
		history = append(history, counts(y.Day(d.AddDays(k)))...)
	}
	today := func(tell func(*forecast.Model)) float64 {
		m := forecast.New(site)
		tell(m)
		m.Refit(history)
		return expected(m, d)
	}
	past := func(m *forecast.Model) {
		for k := -200; k < 0; k++ {
			m.Weather(y.Weather(d.AddDays(k)))
		}
	}
	coming := func(temperature, rain float64) func(*forecast.Model) {
		return func(m *forecast.Model) {
			past(m)
			for at := d.Start(); at.Before(d.End()); at = at.Add(time.Hour) {
				m.Weather([]perron.Weather{{Hour: at, Temperature: temperature, Rain: rain}})
			}
		}
	}
	none := today(func(*forecast.Model) {})
	nonsense := today(func(m *forecast.Model) {
		for k := -200; k < 3; k++ {
			for _, bad := range []perron.Weather{{Temperature: math.NaN()}, {Temperature: 400}, {Rain: -1}, {Rain: math.Inf(1)}} {
				bad.Hour = d.AddDays(k).At(12 * 60)
				m.Weather([]perron.Weather{bad})
			}
		}
	})
	if nonsense != none {
		t.Errorf("%.1f with nonsense, %.1f without", nonsense, none)
	}
	wet, dry := today(coming(8, 2)), today(coming(19, 0))
	if !(wet < 0.95*dry && wet > 0.5*none && dry < 1.6*none) {
		t.Errorf("%.0f vehicles on a wet day, %.0f on a dry one, %.0f without the weather", wet, dry, none)
	}
	// A word on today changes the forecast without learning again.
	m := forecast.New(site)
	past(m)
	m.Refit(history)
	before := expected(m, d)
	coming(8, 2)(m)
	if after := expected(m, d); after >= before {
		t.Errorf("%.0f before rain was forecast, %.0f after", before, after)
	}
}

// TestBorrow: on its first day a perron expects what the others have, in
// proportion, and with wide intervals; a Sunday on which it never opened is
// that of the others; its own days soon count for more.
func TestBorrow(t *testing.T) {
	d := day("2026-06-10")
	old := poort()
	old.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 11 * 60, Close: 15 * 60}}
	lender := forecast.New(old)
	if _, ok := lender.Pattern(); ok {
		t.Error("a pattern of nothing")
	}
	lender.Refit(past(old, d, 70))
	p, ok := lender.Pattern()
	if !ok || p.Bays != 24 || len(p.Days[time.Sunday].Arrivals) != 16 || p.Days[time.Sunday].Open != 11*60 || len(p.Days[7].Arrivals) > 0 {
		t.Fatalf("pattern %+v", p)
	}

	site := poort()
	site.ID, site.Bays = "new", 12
	m := forecast.New(site)
	m.Borrow([]perron.Pattern{p, {}})
	f := m.Forecast(d.At(12*60), nil, idle(d.At(12*60)))
	sane(t, f)
	s, _ := f.SlotAt(d.At(14 * 60))
	usual, _ := lender.Typical(d.At(14 * 60))
	if r := s.Arrivals.Mid / usual.Arrivals.Mid; s.Basis != perron.Typical || r < 0.35 || r > 0.65 || s.Arrivals.High < 1.3*s.Arrivals.Mid {
		t.Errorf("on the first day %+v, where a yard of twice the size has %+v", s, usual)
	}
	if _, ok := m.Typical(d.At(12 * 60)); !ok {
		t.Error("nothing is typical")
	}

	// It has days of its own, and opens on Sundays at last.
	history := past(site, d, 40)
	site.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 10 * 60, Close: 16 * 60}}
	m.Refit(history)
	sunday := day("2026-06-14")
	at := sunday.AddDays(-1).At(7 * 60)
	f = m.Forecast(at, nil, idle(at))
	sane(t, f)
	mine, truth := 0.0, 0.0
	for _, s := range f.Quarters {
		if perron.DateOf(s.Start) == sunday {
			mine += s.Arrivals.Mid
		}
	}
	for k := range 6 { // as it came on that Sunday and those after it
		for _, c := range counts((&simulate.Yard{Site: site, Seed: 5}).Day(sunday.AddDays(7 * k))) {
			truth += float64(c.In) / 6
		}
	}
	if r := mine / truth; r < 0.6 || r > 1.5 {
		t.Errorf("%.0f vehicles on the first Sunday, %.0f came", mine, truth)
	}
	m.Borrow(nil)
	sane(t, m.Forecast(at, nil, idle(at)))
}

// TestSchoolHolidays: where school holidays were busier, the next ones are
// expected to be.
func TestSchoolHolidays(t *testing.T) {
	site := poort()
	site.SchoolHolidays = []perron.DateRange{{First: day("2026-04-25"), Last: day("2026-05-10")}, {First: day("2026-06-20"), Last: day("2026-07-19")}}
	y := &simulate.Yard{Site: site, Seed: 5, Visits: 420, School: 1.4}
	d := day("2026-06-22")
	var history []perron.Count
	for k := -120; k < -2; k++ {
		history = append(history, counts(y.Day(d.AddDays(k)))...)
	}
	m := forecast.New(site)
	m.Refit(history)
	blind := *site
	blind.SchoolHolidays = nil
	b := forecast.New(&blind)
	b.Refit(history)
	if with, without := expected(m, d), expected(b, d); with < 1.1*without {
		t.Errorf("%.0f vehicles on a Monday in the holidays, %.0f without knowing of them", with, without)
	}
}
