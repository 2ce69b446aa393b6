package main

import (
	"fmt"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/forecast"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// A loss scores forecasts of counts by interval.
type loss struct{ n, abs, pin, within float64 }

func (l *loss) add(y float64, v perron.Interval) {
	p := func(q, at float64) float64 { return math.Max(q*(y-at), (q-1)*(y-at)) }
	l.n++
	l.abs += math.Abs(y - v.Mid)
	l.pin += (p(0.1, v.Low) + p(0.5, v.Mid) + p(0.9, v.High)) / 3
	if v.Low <= y && y <= v.High {
		l.within++
	}
}

// A daily is a site whose forecasts are made at seven in the morning, for the
// quarters of the day, and for the day after.
type daily struct {
	yard  *simulate.Yard
	model *forecast.Model
	// told is what the model is told each morning before it forecasts.
	told         func(d perron.Date)
	today, after loss
}

// live makes days of history until a date and scores the days from there on.
func (l *daily) live(first, from, until perron.Date) {
	var history []perron.Count
	k := 0
	for d := first; d.Before(until); d = d.AddDays(1) {
		day := counts(l.yard.Day(d))
		if k++; !d.Before(from) && k%2 == 0 {
			truth := entries(day)
			for _, c := range counts(l.yard.Day(d.AddDays(1))) {
				truth[c.Start.Unix()] = float64(c.In)
			}
			if l.told != nil {
				l.told(d)
			}
			l.model.Refit(history)
			at := d.At(7 * 60)
			for _, s := range l.model.Forecast(at, nil, perron.Estimate{At: at, EntryRate: 1.3}).Quarters {
				if !s.Open {
					continue
				}
				if perron.DateOf(s.Start) == d {
					l.today.add(truth[s.Start.Unix()], s.Arrivals)
				} else {
					l.after.add(truth[s.Start.Unix()], s.Arrivals)
				}
			}
		}
		history = append(history, day...)
	}
}

func entries(of []perron.Count) map[int64]float64 {
	out := map[int64]float64{}
	for _, c := range of {
		out[c.Start.Unix()] = float64(c.In)
	}
	return out
}

// quietYard is a yard that is never full, so that entries are arrivals.
func quietYard(site *perron.Site, seed uint64) *simulate.Yard {
	return &simulate.Yard{Site: site, Seed: seed, Visits: 420}
}

// tell gives a model the weather of a yard up to some days ahead, each day once.
func tell(m *forecast.Model, y *simulate.Yard, ahead int) func(perron.Date) {
	var next perron.Date
	return func(d perron.Date) {
		if next == (perron.Date{}) {
			next = d.AddDays(-120)
		}
		for ; !d.AddDays(ahead).Before(next); next = next.AddDays(1) {
			m.Weather(y.Weather(next))
		}
	}
}

// outside shows what the weather and the school holidays are worth, and that
// neither does harm where it is absent or nonsense.
func (e *eval) outside() error {
	const seeds = 3
	first, from, until := perron.Date{Year: 2025, Month: time.February, Day: 1}, perron.Date{Year: 2025, Month: time.June, Day: 1}, perron.Date{Year: 2025, Month: time.August, Day: 31}
	variants := []struct {
		name string
		make func(seed uint64) *daily
	}{
		{"weather days, weather not known", func(seed uint64) *daily {
			y := quietYard(sixDays(24, 14, 1, road), seed)
			return &daily{yard: y, model: forecast.New(y.Site)}
		}},
		{"weather known and forecast", func(seed uint64) *daily {
			y := quietYard(sixDays(24, 14, 1, road), seed)
			l := &daily{yard: y, model: forecast.New(y.Site)}
			l.told = tell(l.model, y, 2)
			return l
		}},
		{"weather a week late", func(seed uint64) *daily {
			y := quietYard(sixDays(24, 14, 1, road), seed)
			l := &daily{yard: y, model: forecast.New(y.Site)}
			l.told = tell(l.model, y, -7)
			return l
		}},
		{"weather of another place", func(seed uint64) *daily {
			y := quietYard(sixDays(24, 14, 1, road), seed)
			other := quietYard(sixDays(24, 14, 1, road), seed+1000)
			l := &daily{yard: y, model: forecast.New(y.Site)}
			l.told = tell(l.model, other, 2)
			return l
		}},
		{"school holidays 25 % busier, not known", func(seed uint64) *daily {
			site := sixDays(24, 14, 1, road)
			site.SchoolHolidays = perron.SchoolHolidays(perron.Noord)
			y := quietYard(site, seed)
			y.School = 1.25
			blind := *site
			blind.SchoolHolidays = nil
			return &daily{yard: y, model: forecast.New(&blind)}
		}},
		{"school holidays known", func(seed uint64) *daily {
			site := sixDays(24, 14, 1, road)
			site.SchoolHolidays = perron.SchoolHolidays(perron.Noord)
			y := quietYard(site, seed)
			y.School = 1.25
			return &daily{yard: y, model: forecast.New(site)}
		}},
		{"known, but of no effect", func(seed uint64) *daily {
			site := sixDays(24, 14, 1, road)
			site.SchoolHolidays = perron.SchoolHolidays(perron.Noord)
			return &daily{yard: quietYard(site, seed), model: forecast.New(site)}
		}},
	}
	scores := make([][2]loss, len(variants))
	e.each(len(variants), func(i int) {
		for seed := range uint64(seeds) {
			l := variants[i].make(e.seed + 100*(seed+1))
			l.live(first, from, until)
			for k, v := range []*loss{&l.today, &l.after} {
				scores[i][k].n += v.n
				scores[i][k].abs += v.abs
				scores[i][k].pin += v.pin
				scores[i][k].within += v.within
			}
		}
	})
	t := e.table(fmt.Sprintf("Weather and school holidays: vehicles a quarter of an hour, forecast at 07:00 every other day from %s to %s, %d seeds", from, until.AddDays(-1), seeds),
		"what", "today: pinball", "ratio", "mean error", "tomorrow: pinball", "ratio", "mean error", "80 % range holds")
	base := map[int]int{0: 0, 1: 0, 2: 0, 3: 0, 4: 4, 5: 4, 6: 0}
	limits := map[int]float64{1: 0.99, 2: 1.015, 3: 1.015, 5: 0.99, 6: 1.015}
	for i, v := range variants {
		s, b := &scores[i], &scores[base[i]]
		ratio := func(k int) string {
			day := []string{"today", "tomorrow"}[k]
			r := s[k].pin / s[k].n / (b[k].pin / b[k].n)
			limit, judged := limits[i]
			if !judged {
				return fmt.Sprintf("%.3f", r)
			}
			return e.ratio(v.name+", "+day+": pinball to that without", r, limit)
		}
		t.row(v.name, fmt.Sprintf("%.3f", s[0].pin/s[0].n), ratio(0), fmt.Sprintf("%.2f", s[0].abs/s[0].n),
			fmt.Sprintf("%.3f", s[1].pin/s[1].n), ratio(1), fmt.Sprintf("%.2f", s[1].abs/s[1].n), fmt.Sprintf("%.3f", (s[0].within+s[1].within)/(s[0].n+s[1].n)))
	}
	return t.end()
}

// beginning shows the first weeks of a new site beside two that have a year,
// and the first Sundays of one that opens on Sundays like the others.
func (e *eval) beginning() error {
	const seeds = 4
	first := perron.Date{Year: 2026, Month: time.June, Day: 1} // a Monday
	week := func(bays int, name string, sundays bool) *perron.Site {
		s := sixDays(bays, 14, 1, road)
		s.ID = name
		if sundays {
			s.Hours.Weekly[time.Sunday] = []perron.Span{{Open: 10 * 60, Close: 15 * 60}}
		}
		return s
	}
	parts := []struct {
		name     string
		from, to int // days after the first
		sunday   bool
	}{
		{"day 1", 0, 1, false},
		{"days 2–3", 1, 3, false},
		{"days 4–6", 3, 6, false},
		{"week 2", 7, 13, false},
		{"weeks 3–4", 14, 27, false},
		{"weeks 5–8", 28, 55, false},
		{"first Sunday, after 13 weeks", 13*7 - 1, 13 * 7, true},
	}
	type score struct{ with, without loss }
	scores := make([][]score, seeds)
	e.each(seeds, func(i int) {
		seed := e.seed + 100*uint64(i+1)
		scores[i] = make([]score, len(parts))
		// The others: larger and smaller, with hours of their own.
		var lent []perron.Pattern
		for k, other := range []*perron.Site{week(30, "other-1", true), week(14, "other-2", true)} {
			other.Hours.Weekly[time.Saturday] = []perron.Span{{Open: 9 * 60, Close: perron.TimeOfDay(16*60 + 30*k)}}
			y := &simulate.Yard{Site: other, Seed: seed, Visits: []float64{560, 240}[k]}
			m := forecast.New(other)
			var history []perron.Count
			for d := first.AddDays(-100); d.Before(first); d = d.AddDays(1) {
				history = append(history, counts(y.Day(d))...)
			}
			m.Refit(history)
			if p, ok := m.Pattern(); ok {
				lent = append(lent, p)
			}
		}
		for _, opening := range []int{0, 13*7 - 1} {
			site := week(24, "new", opening > 0)
			y := &simulate.Yard{Site: site, Seed: seed, Visits: 420}
			with, without := forecast.New(site), forecast.New(site)
			with.Borrow(lent)
			var history []perron.Count
			last := 56
			if opening > 0 {
				last = 13 * 7
			}
			for k := range last {
				d := first.AddDays(k)
				day := counts(y.Day(d))
				if opening > 0 && d.Weekday() == time.Sunday && k < opening {
					continue // it does not open on Sundays yet
				}
				for p, part := range parts {
					if k < part.from || k >= part.to || part.sunday != (opening > 0) {
						continue
					}
					truth := entries(day)
					for _, m := range []*forecast.Model{with, without} {
						m.Refit(history)
						at := d.At(7 * 60)
						for _, s := range m.Forecast(at, nil, perron.Estimate{At: at, EntryRate: 1.3}).Quarters {
							if !s.Open || perron.DateOf(s.Start) != d {
								continue
							}
							into := &scores[i][p].without
							if m == with {
								into = &scores[i][p].with
							}
							into.add(truth[s.Start.Unix()], s.Arrivals)
						}
					}
				}
				history = append(history, day...)
			}
		}
	})
	t := e.table(fmt.Sprintf("A new perron beside two with 100 days: vehicles a quarter of an hour, forecast at 07:00, %d seeds; without a prior an unknown slot counts as 0", seeds),
		"when", "with what others lend: pinball", "mean error", "80 % range holds", "without: pinball", "mean error", "80 % range holds", "ratio of pinball")
	for p, part := range parts {
		var with, without loss
		for _, s := range scores {
			for k, v := range []loss{s[p].with, s[p].without} {
				into := []*loss{&with, &without}[k]
				into.n += v.n
				into.abs += v.abs
				into.pin += v.pin
				into.within += v.within
			}
		}
		if with.n != without.n || with.n == 0 {
			return fmt.Errorf("%s: %v and %v slots", part.name, with.n, without.n)
		}
		t.row(part.name, fmt.Sprintf("%.3f", with.pin/with.n), fmt.Sprintf("%.2f", with.abs/with.n), fmt.Sprintf("%.3f", with.within/with.n),
			fmt.Sprintf("%.3f", without.pin/without.n), fmt.Sprintf("%.2f", without.abs/without.n), fmt.Sprintf("%.3f", without.within/without.n),
			e.ratio(part.name+": pinball to that without a prior", with.pin/without.pin, 1.01))
	}
	return t.end()
}
