package web

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"

	"github.com/perrondrukte/perrondrukte/perron"
)

// words says things in one language.
type words struct {
	tag    string
	local  *i18n.Localizer
	script map[string]any // the messages that the script uses as well
	dir    direction      // of the text
	run    direction      // of time in charts
}

// Lang is the language tag, "nl" or "en".
func (w *words) Lang() string { return w.tag }

// Dir is the direction of the text, as an attribute of HTML.
func (w *words) Dir() string { return string(w.dir) }

// Run is the direction of time in charts, as an attribute of HTML.
func (w *words) Run() string { return string(w.run) }

// figures keeps the order of the figures in a text of this language.
func (w *words) figures(s string) string {
	if w.dir != rtl {
		return s
	}
	return isolateFigures(s, w.run)
}

// T is the message id; kv are pairs of a placeholder's name and its value. A
// missing message is its own id, which TestWordsAreComplete refuses.
func (w *words) T(id string, kv ...any) string {
	return w.say(&i18n.LocalizeConfig{MessageID: id, TemplateData: w.pairs(kv)})
}

// N is the message id in the form for count.
func (w *words) N(id string, count int, kv ...any) string {
	return w.say(&i18n.LocalizeConfig{MessageID: id, PluralCount: count, TemplateData: w.pairs(append(kv, "Count", w.Number(count)))})
}

func (w *words) say(c *i18n.LocalizeConfig) string {
	s, err := w.local.Localize(c)
	if err != nil {
		return c.MessageID
	}
	return w.figures(s)
}

func (w *words) pairs(kv []any) map[string]any {
	if len(kv) == 0 {
		return nil
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		v := kv[i+1]
		if s, ok := v.(string); ok {
			v = isolateForeign(s, w.dir)
		}
		m[fmt.Sprint(kv[i])] = v
	}
	return m
}

// Number writes a whole number with the thousands set apart.
func (w *words) Number(n int) string {
	sep := "."
	if w.tag == "en" {
		sep = ","
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return s
}

// Clock is the civil time of day, "8:30".
func (w *words) Clock(t time.Time) string { return w.TimeOfDay(perron.TimeOfDayOf(t)) }

// TimeOfDay is "8:30".
func (w *words) TimeOfDay(t perron.TimeOfDay) string {
	return fmt.Sprintf("%d:%02d", int(t)/60, int(t)%60)
}

// Weekday is "zaterdag".
func (w *words) Weekday(d time.Weekday) string { return w.T(fmt.Sprintf("weekday.d%d", d)) }

// ShortWeekday is "za".
func (w *words) ShortWeekday(d time.Weekday) string { return w.T(fmt.Sprintf("weekday.s%d", d)) }

// Month is "mei".
func (w *words) Month(m time.Month) string { return w.T(fmt.Sprintf("month.m%d", m)) }

// Day is "zaterdag 9 mei".
func (w *words) Day(d perron.Date) string {
	return fmt.Sprintf("%s %d %s", w.Weekday(d.Weekday()), d.Day, w.Month(d.Month))
}

// DayOfMonth is "9 mei".
func (w *words) DayOfMonth(d perron.Date) string {
	return fmt.Sprintf("%d %s", d.Day, w.Month(d.Month))
}

// Date is "9 mei 2026".
func (w *words) Date(d perron.Date) string {
	return fmt.Sprintf("%d %s %d", d.Day, w.Month(d.Month), d.Year)
}

// FullDate is "zaterdag 9 mei 2026".
func (w *words) FullDate(d perron.Date) string { return fmt.Sprintf("%s %d", w.Day(d), d.Year) }

// NearDay is "vandaag", "morgen", or the day's full name.
func (w *words) NearDay(d, today perron.Date) string {
	switch d {
	case today:
		return w.T("day.today")
	case today.AddDays(1):
		return w.T("day.tomorrow")
	}
	return capital(w.Day(d))
}

// Level is the word for a level.
func (w *words) Level(l perron.Level) string { return w.T("level." + string(l)) }

// Wait says a band in words: "10–15 min".
func (w *words) Wait(b perron.Band, atLeast bool) string {
	switch {
	case b == (perron.Band{}):
		return w.T("wait.unknown")
	case atLeast && b.Min > 0:
		return w.T("wait.atleast", "Min", b.Min)
	case b.Max == 0:
		return w.T("wait.over", "Min", b.Min)
	case b.Min == 0:
		return w.T("wait.under", "Max", b.Max)
	}
	return w.T("wait.between", "Min", b.Min, "Max", b.Max)
}

// longest is the largest wait in minutes that a range names as its end.
const longest = 90

// WaitRange says an expected wait by its interval, on whole 5 minutes:
// "15–25 min".
func (w *words) WaitRange(i perron.Interval) string {
	lo := int(math.Floor(i.Low/5)) * 5
	hi := int(math.Ceil(i.High/5)) * 5
	switch {
	case math.IsNaN(i.Low) || math.IsNaN(i.High):
		return w.T("wait.unknown")
	case hi <= 5:
		return w.T("wait.under", "Max", 5)
	case lo >= 60:
		return w.T("wait.over", "Min", 60)
	case lo <= 0:
		return w.T("wait.upto", "Max", min(hi, longest))
	case hi > longest:
		return w.T("wait.atleast", "Min", lo)
	}
	return w.T("wait.between", "Min", lo, "Max", hi)
}

// Age says how old a measurement is.
func (w *words) Age(measured, now time.Time) string {
	minutes := int(now.Sub(measured) / time.Minute)
	if minutes < 1 {
		return w.T("age.now")
	}
	return w.N("age.minutes", minutes)
}

// OnSite says how many vehicles are inside; never a bare number.
func (w *words) OnSite(i perron.Interval) string {
	n := int(math.Round(i.Mid))
	if n < 1 {
		return w.T("onsite.none")
	}
	return w.N("onsite.vehicles", n)
}

// Visits says how many vehicles came in today.
func (w *words) Visits(n int) string {
	if n < 1 {
		return w.T("visits.none")
	}
	return w.N("visits.today", n)
}

// Queue says how many vehicles wait outside.
func (w *words) Queue(i perron.Interval, atLeast bool) string {
	if atLeast {
		if n := int(math.Floor(i.Low)); n > 0 {
			return w.N("queue.atleast", n)
		}
	}
	n := int(math.Round(i.Mid))
	if n < 1 {
		return w.T("queue.none")
	}
	return w.N("queue.vehicles", n)
}

// Opens says when a closed site opens again.
func (w *words) Opens(at, now time.Time) string {
	today, day := perron.DateOf(now), perron.DateOf(at)
	clock := w.Clock(at)
	switch {
	case day == today:
		return w.T("hours.today", "Time", clock)
	case day == today.AddDays(1):
		return w.T("hours.tomorrow", "Time", clock)
	case day.Before(today.AddDays(7)):
		return capital(w.T("hours.weekday", "Day", w.Weekday(day.Weekday()), "Time", clock))
	}
	return w.T("hours.date", "Day", w.Day(day), "Time", clock)
}

// Local picks a text in this language, else in any other, and says which
// language it is, so that it can be marked as such.
func (w *words) Local(text map[string]string) (s, lang string) {
	if s := text[w.tag]; s != "" {
		return s, w.tag
	}
	for _, tag := range tags {
		if s := text[tag]; s != "" {
			return s, tag
		}
	}
	for tag, s := range text {
		return s, tag
	}
	return "", w.tag
}

// capital makes the first letter a capital; the words have ASCII there.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
