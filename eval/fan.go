package eval

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Fan is a day as it was forecast at four times, over what came.
type Fan struct {
	site            *perron.Site
	day             perron.Date
	forecasts       []perron.Forecast
	arrivals, waits map[int64]float64
}

// Day is the day that is drawn.
func (f *Fan) Day() perron.Date { return f.day }

// add keeps the forecasts that are drawn: of the evening before, an hour before
// opening, and two of the day itself.
func (f *Fan) add(v perron.Forecast) {
	if d := perron.DateOf(v.Origin); d == f.day || d == f.day.AddDays(-1) {
		f.forecasts = append(f.forecasts, v)
	}
}

// chosen are the forecasts of the evening before, before opening, of three
// hours after it, and of six.
func (f *Fan) chosen() []perron.Forecast {
	periods := f.site.Hours.Periods(f.day)
	if len(periods) == 0 {
		return nil
	}
	open := periods[0].Start
	var out []perron.Forecast
	for _, at := range []time.Time{f.day.AddDays(-1).At(20 * 60), open.Add(-time.Hour), open.Add(150 * time.Minute), open.Add(330 * time.Minute)} {
		best := -1
		for i, v := range f.forecasts {
			if off := v.Origin.Sub(at).Abs(); off <= time.Hour && (best < 0 || off < f.forecasts[best].Origin.Sub(at).Abs()) {
				best = i
			}
		}
		if best >= 0 && (len(out) == 0 || out[len(out)-1].Origin.Before(f.forecasts[best].Origin)) {
			out = append(out, f.forecasts[best])
		}
	}
	return out
}

const (
	panelWidth  = 520.0
	panelHeight = 180.0
	panelGap    = 56.0
	marginLeft  = 56.0
	marginTop   = 70.0
)

// Draw makes a drawing (SVG) with a row a forecast: vehicles on the left, the
// wait on the right. The band is the 80 % range, the line the middle, and the
// dots are what came.
func (f *Fan) Draw(to io.Writer) error {
	rows := f.chosen()
	if len(rows) == 0 {
		return fmt.Errorf("there is no forecast of %s", f.day)
	}
	periods := f.site.Hours.Periods(f.day)
	from, until := perron.Hour.Start(periods[0].Start), periods[len(periods)-1].End
	x := func(t time.Time) float64 { return t.Sub(from).Seconds() / until.Sub(from).Seconds() * panelWidth }
	top := [2]float64{4, 10}
	for _, v := range rows {
		for _, s := range v.Quarters {
			if s.Open && perron.DateOf(s.Start) == f.day {
				top[0], top[1] = math.Max(top[0], s.Arrivals.High), math.Max(top[1], s.Wait.High)
			}
		}
	}
	for t := from; t.Before(until); t = t.Add(15 * time.Minute) {
		top[0], top[1] = math.Max(top[0], f.arrivals[t.Unix()]), math.Max(top[1], f.waits[t.Unix()])
	}
	var b strings.Builder
	width := marginLeft + 2*panelWidth + panelGap + 20
	height := marginTop + float64(len(rows))*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="system-ui, sans-serif" font-size="13" fill="#1a1a1a">`+"\n", width, height, width, height)
	title := fmt.Sprintf("%s, %s: forecast and what came", f.site.Name, f.day.At(12*60).In(perron.Amsterdam).Format("Monday 2 January 2006"))
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="%.0f" y="26" font-size="18" font-weight="600">%s</text>`+"\n", marginLeft, html.EscapeString(title))
	fmt.Fprintf(&b, `<g transform="translate(%.0f 38)"><rect width="26" height="14" fill="#9cc3e6"/><text x="32" y="12">8 of 10 times within</text><path d="M190 7h26" stroke="#0b5394" stroke-width="2.5"/><text x="222" y="12">expected</text><circle cx="310" cy="7" r="3" fill="#b45309"/><text x="320" y="12">came, known by then</text><circle cx="480" cy="7" r="3" fill="none" stroke="#b45309" stroke-width="1.5"/><text x="490" y="12">came afterwards</text></g>`+"\n", marginLeft)
	for i, v := range rows {
		y := marginTop + float64(i)*(panelHeight+panelGap) + 24
		said := "said at " + v.Origin.In(perron.Amsterdam).Format("15:04")
		if perron.DateOf(v.Origin) != f.day {
			said = "said the day before at " + v.Origin.In(perron.Amsterdam).Format("15:04")
		}
		for k, what := range [2]string{"vehicles in 15 minutes", "minutes of waiting"} {
			p := panel{&b, x, top[k], from, until}
			fmt.Fprintf(&b, `<g transform="translate(%.0f %.0f)"><text x="0" y="-8" font-weight="600">%s, %s</text>`+"\n", marginLeft+float64(k)*(panelWidth+panelGap), y, what, said)
			p.axes()
			p.band(v, f.day, k)
			came := f.arrivals
			if k == 1 {
				came = f.waits
			}
			p.dots(came, v.Origin)
			p.now(v.Origin)
			b.WriteString("</g>\n")
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// A panel is one pair of axes.
type panel struct {
	b           *strings.Builder
	x           func(time.Time) float64
	top         float64
	from, until time.Time
}

func (p *panel) y(v float64) float64 { return panelHeight * (1 - math.Min(1, math.Max(0, v/p.top))) }

// axes draws grid lines at round values and full hours.
func (p *panel) axes() {
	step := math.Pow(10, math.Floor(math.Log10(p.top)))
	for p.top/step < 3 {
		step /= 2
	}
	for v := 0.0; v <= p.top; v += step {
		fmt.Fprintf(p.b, `<path d="M0 %.1fH%.0f" stroke="#ddd"/><text x="-6" y="%.1f" text-anchor="end" fill="#555">%g</text>`, p.y(v), panelWidth, p.y(v)+4, v)
	}
	for t := p.from; !t.After(p.until); t = t.Add(time.Hour) {
		fmt.Fprintf(p.b, `<path d="M%.1f %.0fv4" stroke="#555"/><text x="%.1f" y="%.0f" text-anchor="middle" fill="#555">%d</text>`,
			p.x(t), panelHeight, p.x(t), panelHeight+18, t.In(perron.Amsterdam).Hour())
	}
	p.b.WriteByte('\n')
}

// band draws the range and the middle of what was forecast: of the vehicles of
// a quarter at its middle, of the wait at its start.
func (p *panel) band(f perron.Forecast, day perron.Date, what int) {
	var upper, lower, middle []string
	for _, s := range f.Quarters {
		if !s.Open || perron.DateOf(s.Start) != day || s.Basis == perron.QualityUnknown {
			continue
		}
		v, at := s.Arrivals, s.Start.Add(450*time.Second)
		if what == 1 {
			v, at = s.Wait, s.Start
		}
		point := func(v float64) string { return fmt.Sprintf("%.1f %.1f", p.x(at), p.y(v)) }
		upper, middle = append(upper, point(v.High)), append(middle, point(v.Mid))
		lower = append([]string{point(v.Low)}, lower...)
	}
	if len(middle) == 0 {
		return
	}
	fmt.Fprintf(p.b, `<path d="M%sZ" fill="#9cc3e6" fill-opacity="0.75"/><path d="M%s" fill="none" stroke="#0b5394" stroke-width="2.5"/>`+"\n",
		strings.Join(append(upper, lower...), "L"), strings.Join(middle, "L"))
}

// dots draws what came: filled when it was known.
func (p *panel) dots(came map[int64]float64, origin time.Time) {
	for t := p.from; t.Before(p.until); t = t.Add(15 * time.Minute) {
		v, ok := came[t.Unix()]
		if !ok {
			continue
		}
		style := `fill="none" stroke="#b45309" stroke-width="1.5"`
		if !t.Add(15 * time.Minute).After(origin) {
			style = `fill="#b45309"`
		}
		fmt.Fprintf(p.b, `<circle cx="%.1f" cy="%.1f" r="3" %s/>`, p.x(t.Add(450*time.Second)), p.y(v), style)
	}
	p.b.WriteByte('\n')
}

func (p *panel) now(origin time.Time) {
	if origin.After(p.from) && origin.Before(p.until) {
		fmt.Fprintf(p.b, `<path d="M%.1f 0V%.0f" stroke="#555" stroke-dasharray="4 3"/>`+"\n", p.x(origin), panelHeight)
	}
}
