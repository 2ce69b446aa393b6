package simulate

import (
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// weekdayVisits is the demand of a weekday as a part of Saturday's.
var weekdayVisits = [7]float64{
	time.Sunday: 0.75, time.Monday: 0.62, time.Tuesday: 0.42, time.Wednesday: 0.48,
	time.Thursday: 0.46, time.Friday: 0.56, time.Saturday: 1,
}

// early is how many seconds before opening the first people come.
const early = 15 * 60

// shape is the relative demand at a time of day, hours with decimals.
func shape(w time.Weekday, hour, sinceOpen, untilClose float64) float64 {
	bump := func(at, width float64) float64 {
		x := (hour - at) / width
		return math.Exp(-x * x / 2)
	}
	var v, burst float64
	switch w {
	case time.Saturday, time.Sunday:
		v, burst = 0.18+0.85*bump(11.8, 1.5)+0.75*bump(14.2, 1.3), 0.35
	case time.Monday: // the weekend's clearing-up comes first thing
		v, burst = 0.45+0.6*bump(10, 1.3)+0.35*bump(14, 1.6), 0.8
	case time.Friday:
		v, burst = 0.45+0.35*bump(10.5, 1.4)+0.6*bump(14.8, 1.5), 0.4
	default:
		v, burst = 0.5+0.4*bump(10.5, 1.4)+0.45*bump(14.3, 1.5), 0.4
	}
	if sinceOpen < 0 {
		return 0.5 * burst // waiting for the gate to open
	}
	v += burst * math.Exp(-sinceOpen/0.3)
	// Fewer set out when closing time is near.
	return v * math.Min(1, 0.15+untilClose/0.75)
}

// demand is the expected arrivals a second in each minute of the day, before
// today's weather and luck.
func (y *Yard) demand(d perron.Date, spans []span) []float64 {
	start := d.Start()
	minutes := int(d.End().Sub(start).Minutes())
	rate := make([]float64, minutes)
	var sum, open float64
	for _, s := range spans {
		open += s.close - s.open
		for m := max(0, int(s.open-early)/60); m < min(minutes, int(s.close)/60); m++ {
			t := float64(m)*60 + 30
			local := start.Add(time.Duration(m) * time.Minute).In(perron.Amsterdam)
			hour := float64(local.Hour()) + float64(local.Minute())/60
			rate[m] = shape(d.Weekday(), hour, (t-s.open)/3600, (s.close-t)/3600)
		}
	}
	for _, v := range rate {
		sum += v
	}
	if sum == 0 {
		return rate
	}
	visits := y.visits() * weekdayVisits[d.Weekday()] * calendar(y.Site, d) * y.school(d) * math.Pow(open/3600/8.5, 0.7)
	for m := range rate {
		rate[m] *= visits / (sum * 60)
	}
	return rate
}

// visits is the configured demand of a Saturday, or the one that overloads the
// bays a little in the busiest hour.
func (y *Yard) visits() float64 {
	if y.Visits > 0 {
		return y.Visits
	}
	w := y.dwell()
	mean := w.Median * math.Exp(w.Sigma*w.Sigma/2) * (1 + w.Crowding)
	hourly := float64(max(1, y.Site.Bays)) / mean * 60
	// The busiest hour of the Saturday shape holds about 17 % of the day.
	return 1.2 * hourly / 0.17
}

// calendar is the factor of season and holidays.
func calendar(site *perron.Site, d perron.Date) float64 {
	doy := float64(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).YearDay())
	// Gardens make spring and early autumn busy and January quiet.
	f := 1 + 0.16*math.Sin(2*math.Pi*(doy-80)/365.25) + 0.06*math.Sin(4*math.Pi*(doy-30)/365.25)
	if h := perron.HolidayOn(d); h == perron.GoodFriday {
		f *= 1.35
	} else if h.Public() {
		f *= 0.9 // where the site opens on a holiday at all
	}
	if d.Month == time.December && d.Day >= 27 && d.Day <= 30 {
		f *= 1.25
	}
	// What could not be brought yesterday comes today.
	if y := d.AddDays(-1); perron.HolidayOn(y).Public() && len(site.Hours.On(y)) == 0 {
		f *= 1.2
	}
	return f
}

// school is the factor of the school holidays.
func (y *Yard) school(d perron.Date) float64 {
	if y.School > 0 {
		for _, r := range y.Site.SchoolHolidays {
			if r.Contains(d) {
				return y.School
			}
		}
	}
	return 1
}

// weather is the level of a day: log-normal with mean about 1, and today's is
// like yesterday's more often than not.
func (y *Yard) weather(d perron.Date) float64 {
	z := func(d perron.Date) float64 { return source(y.Seed, "weather", d).NormFloat64() }
	v := 0.85*z(d) + 0.53*z(d.AddDays(-1))
	return math.Exp(0.15*v - 0.15*0.15/2)
}

// Weather is what was measured of the weather of a day, an hour each: on days
// that keep people away it is wet and cold, more often than not. Only the level
// of the day, which it hides behind noise, has an effect on demand.
func (y *Yard) Weather(d perron.Date) []perron.Weather {
	level := (math.Log(y.weather(d)) + 0.15*0.15/2) / 0.15 // standard normal
	r := source(y.Seed, "weather/hours", d)
	doy := float64(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).YearDay())
	mean := 10.5 - 7.5*math.Cos(2*math.Pi*(doy-20)/365.25) + 2.2*level + 1.5*r.NormFloat64()
	dry := 1.1*level + 0.6*r.NormFloat64()
	var out []perron.Weather
	for at := d.Start(); at.Before(d.End()); at = at.Add(time.Hour) {
		hour := float64(at.In(perron.Amsterdam).Hour())
		w := perron.Weather{Hour: at.UTC(), Temperature: mean + 3.5*math.Sin(2*math.Pi*(hour-9)/24) + 0.4*r.NormFloat64()}
		if dry+0.8*r.NormFloat64() < -0.5 {
			w.Rain = 1.2 * r.ExpFloat64()
		}
		out = append(out, w)
	}
	return out
}

// arrivals draws the instants, in seconds after the start of the day, at which
// vehicles reach the end of the queue: a Poisson process whose rate is the
// demand times the weather of the day times a slowly wandering log-normal
// level, which makes counts over-dispersed.
func (y *Yard) arrivals(d perron.Date, spans []span) []float64 {
	r := y.rand(d, "arrivals")
	rate := y.demand(d, spans)
	level := y.weather(d) * math.Exp(0.06*r.NormFloat64())
	const (
		sigma = 0.16
		keep  = 0.989 // a minute: the wandering forgets in an hour and a half
	)
	wander := sigma * r.NormFloat64()
	var out []float64
	need := r.ExpFloat64()
	for m, v := range rate {
		wander = keep*wander + sigma*math.Sqrt(1-keep*keep)*r.NormFloat64()
		v *= level * math.Exp(wander-sigma*sigma/2)
		for have, at := v*60, 0.0; v > 0; {
			if need > have {
				need -= have
				break
			}
			have -= need
			at += need / v
			out = append(out, float64(m)*60+at)
			need = r.ExpFloat64()
		}
	}
	if y.Divert != nil {
		y.divert(d, out)
	}
	return out
}

// divert lets everybody choose another time of the day.
func (y *Yard) divert(d perron.Date, arrivals []float64) {
	r := y.rand(d, "divert")
	start := d.Start()
	for i, at := range arrivals {
		other := y.Divert(start.Add(time.Duration(at*float64(time.Second))), r.Float64()).Sub(start).Seconds()
		if other >= 0 && other < d.End().Sub(start).Seconds() {
			arrivals[i] = other
		}
	}
	slices.Sort(arrivals)
}
