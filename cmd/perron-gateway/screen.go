package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// The screen is that of the smallest terminal.
const (
	columns = 80
	rows    = 24
)

// A screen draws views on a terminal that knows ANSI.
type screen struct {
	w     io.Writer
	drawn bool
}

func (s *screen) show(v view) error {
	var b strings.Builder
	if !s.drawn {
		s.drawn = true
		b.WriteString("\x1b[?1049h\x1b[?25l") // other buffer, no cursor
	}
	b.WriteString("\x1b[H")
	for i, line := range render(v) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(s.w, b.String())
	return err
}

func (s *screen) close() error {
	_, err := io.WriteString(s.w, "\x1b[?25h\x1b[?1049l")
	return err
}

const (
	bold    = "\x1b[1m"
	reverse = "\x1b[7m"
	plainly = "\x1b[0m"
)

// How many lines of the screen inputs and sensors may take, so that enough of
// the last edges fits below them.
const (
	maxInputs  = 6
	maxSensors = 6
)

// render is at most rows lines of at most columns visible characters.
func render(v view) []string {
	var out []string
	add := func(style, format string, args ...any) {
		text := cut(fmt.Sprintf(format, args...), columns)
		if style != "" {
			text = style + text + plainly
		}
		out = append(out, text)
	}
	add(bold, "%-59s %20s", cut(v.Title, 59), v.Now.In(perron.Amsterdam).Format("2006-01-02 15:04:05"))
	style, text := serviceLine(v)
	add(style, "%s", text)

	if n := len(v.Inputs); n > 0 {
		add(reverse, "%-80s", "INPUT             LEVEL     FOR         LAST PULSE   EDGES")
		for _, in := range v.Inputs[:shown(n, maxInputs)] {
			style, level, since, width := "", "free", "", "none yet"
			switch {
			case in.Fault:
				style, level = bold, "FAULT"
			case !in.Known:
				level = "?"
			case in.Active:
				style, level = bold, "■ ACTIVE"
			}
			if in.Known {
				since = span(v.Now.Sub(in.Since))
			}
			if in.Width > 0 {
				width = short(in.Width)
			}
			add(style, "%-16s  %-8s  %-10s  %-11s  %d", in.Input, level, since, width, in.Edges)
		}
		if n > maxInputs {
			add("", "and %d more inputs", n-shown(n, maxInputs))
		}
	}
	add(reverse, "%-80s", "SENSOR            NOW          IN     OUT   HEALTH    LAST EVENT")
	// Where devices count by themselves there are no edges, and the room is the
	// sensors'.
	edges := len(v.Inputs) > 0 || len(v.Edges) > 0 || len(v.Verdicts) > 0
	n, most := len(v.Sensors), maxSensors
	if !edges {
		most = rows - 1 - len(out)
	}
	for _, s := range v.Sensors[:shown(n, most)] {
		now, style := "free", ""
		if s.Active {
			now = "■ active"
		}
		if s.Health != perron.SensorOK && s.Health != perron.SensorFinished {
			style = bold
		}
		last := "none yet"
		if !s.Last.IsZero() {
			last = s.Last.In(perron.Amsterdam).Format("2006-01-02 15:04:05")
		}
		add(style, "%-16s  %-8s %6d  %6d   %-8s  %s", s.Sensor, now, s.In, s.Out, s.Health, last)
	}
	if n > most {
		add("", "and %d more sensors", n-shown(n, most))
	}
	// Edges on the left, what the sensors made of them on the right.
	if edges {
		add(reverse, "%-40s%-40s", "EDGES  ▲ active  ▼ free", "VERDICTS, newest first")
	}
	for i := 1; len(out) < rows-1; i++ {
		left, right := "", ""
		if i <= len(v.Edges) {
			left = edgeLine(v.Edges[len(v.Edges)-i])
		}
		if i <= len(v.Verdicts) {
			j := v.Verdicts[len(v.Verdicts)-i]
			right = fmt.Sprintf("%s %-12s %s", j.At.In(perron.Amsterdam).Format("15:04:05.000"), cut(j.Sensor, 12), wordOf(j.Verdict))
		}
		add("", "%-39s %s", cut(left, 39), cut(right, 40))
	}
	foot := "Ctrl-C stops."
	if v.Service {
		foot = "Ctrl-C stops watching; the service goes on."
	}
	if v.Ended {
		foot += " The source is finished."
	}
	if v.Lost > 0 {
		foot += fmt.Sprintf(" %d EDGES LOST.", v.Lost)
	}
	if v.Note != "" {
		foot += " " + strings.TrimSpace(v.Note)
	}
	add("", "%s", foot)
	return out
}

// shown is how many of n lines there are when at most that many may be, the last
// of which then says how many more.
func shown(n, most int) int {
	if n > most {
		return most - 1
	}
	return n
}

// serviceLine says how the running service fares, and its style.
func serviceLine(v view) (style, text string) {
	if !v.Service {
		return "", "The service does not run: inputs are read here, nothing is kept or sent."
	}
	st := &v.Status
	link := "LINK DOWN"
	if style = bold; v.Connected {
		style, link = "", "link up"
		if !v.Acked.IsZero() {
			link += ", ack " + short(v.Now.Sub(v.Acked)) + " ago"
		}
	}
	box := fmt.Sprintf("outbox %d waiting, %s", st.Waiting, size(v.FileBytes))
	switch {
	case !st.FailingSince.IsZero():
		style, box = bold, "OUTBOX CANNOT BE WRITTEN for "+span(v.Now.Sub(st.FailingSince))
	case st.Dropped > 0:
		style, box = bold, box+fmt.Sprintf(", %d DROPPED", st.Dropped)
	}
	clock := "clock ?"
	if st.ClockSynced != nil {
		clock = "clock right"
		if !*st.ClockSynced {
			style, clock = bold, "CLOCK NOT SYNCHRONISED"
		}
	}
	return style, link + " · " + box + " · " + clock
}

func edgeLine(e gateway.SeenEdge) string {
	what, after := "▼", ""
	if e.Active {
		what = "▲"
	}
	switch {
	case e.Known:
		after = "as found"
	case e.Width > 0 && e.Active:
		after = "gap " + short(e.Width)
	case e.Width > 0:
		after = "pulse " + short(e.Width)
	}
	return fmt.Sprintf("%s %-10s %s %s", e.At.In(perron.Amsterdam).Format("15:04:05.000"), cut(e.Input, 10), what, after)
}

// wordOf says a verdict so that it can be seen from a distance.
func wordOf(v pulse.Verdict) string {
	switch perron.Kind(v) {
	case perron.In:
		return "→ in"
	case perron.Out:
		return "← out"
	case perron.On:
		return "occupied"
	case perron.Off:
		return "free"
	}
	return "✗ " + string(v)
}

// size is a number of bytes in few characters.
func size(n int64) string {
	switch {
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	case n < 1<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// short is a duration of anything between bounce and days.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", max(d, 0).Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return span(d)
}

// span is a duration in few characters.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", max(d, 0).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// cut shortens a text to n characters, and leaves out what would move the
// cursor.
func cut(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
