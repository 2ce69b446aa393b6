package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

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
	add(bold, "%-59s %20s", cut(v.title, 59), v.now.In(perron.Amsterdam).Format("2006-01-02 15:04:05"))

	// Inputs and sensors may take so much that a few recent events still fit.
	room := rows - 4 // title, two headings, the last line
	inputs := min(len(v.inputs), 8)
	sensors := min(len(v.sensors), room-inputs-3)
	if inputs > 0 {
		add(reverse, "%-80s", "INPUT             LEVEL     FOR         EDGES")
		for _, in := range v.inputs[:inputs] {
			style, level, since := "", "free", ""
			switch {
			case in.Fault:
				style, level = bold, "FAULT"
			case !in.Known:
				level = "?"
			case in.Active:
				style, level = bold, "■ ACTIVE"
			}
			if in.Known {
				since = span(v.now.Sub(in.Since))
			}
			add(style, "%-16s  %-8s  %-10s  %d", in.Input, level, since, in.Edges)
		}
		if n := len(v.inputs) - inputs; n > 0 {
			add("", "and %d more", n)
		}
	}
	add(reverse, "%-80s", "SENSOR            NOW         IN     OUT   HEALTH    LAST EVENT")
	for _, s := range v.sensors[:sensors] {
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
		add(style, "%-16s  %-8s %5d   %5d   %-8s  %s", s.Sensor, now, v.in[s.Sensor], v.out[s.Sensor], s.Health, last)
	}
	if n := len(v.sensors) - sensors; n > 0 {
		add("", "and %d more", n)
	}
	for i := len(v.recent) - 1; i >= 0 && len(out) < rows-1; i-- {
		e := v.recent[i]
		add("", "%s  %-16s %s", e.Time.In(perron.Amsterdam).Format("15:04:05.000"), e.Sensor, words[e.Kind])
	}
	for len(out) < rows-1 {
		out = append(out, "")
	}
	foot := "Ctrl-C stops."
	if v.ended {
		foot += " The source is finished."
	}
	if v.lost > 0 {
		foot += fmt.Sprintf(" %d EDGES LOST.", v.lost)
	}
	if v.note != "" {
		foot += " " + strings.TrimSpace(v.note)
	}
	add("", "%s", foot)
	return out
}

var words = map[perron.Kind]string{perron.In: "→ in", perron.Out: "← out", perron.On: "occupied", perron.Off: "free"}

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
