package words

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// StaffFigures are the figures that staff see of a site besides.
type StaffFigures struct {
	Count   string       `json:"count"` // vehicles on site
	Between string       `json:"between,omitempty"`
	Queue   string       `json:"queue"`
	Gates   []GateFigure `json:"gates,omitempty"`
	// Parts changes when anything changes that only the page says: doubts,
	// notices, closures, and which rows its tables have.
	Parts string `json:"parts"`
}

// A GateFigure is what passed one gate.
type GateFigure struct {
	Gate     string `json:"gate"`
	InToday  string `json:"inToday"`
	OutToday string `json:"outToday"`
	InHour   string `json:"inHour"`
	OutHour  string `json:"outHour"`
}

func (l *Language) staff(site *perron.Site, b *perron.Busyness, now time.Time) *StaffFigures {
	f := &StaffFigures{Count: l.T("staff.unknown"), Queue: l.T("staff.unknown"), Parts: parts(b)}
	if !b.StaleAt.IsZero() && !now.After(b.StaleAt) {
		f.Count = l.Number(int(math.Round(b.OnSite.Mid)))
		if lo, hi := max(0, int(math.Floor(b.OnSite.Low))), int(math.Ceil(b.OnSite.High)); lo < hi {
			f.Between = l.T("staff.interval", "Low", lo, "High", hi)
		}
		f.Queue = l.Queue(b.Queue, b.AtLeast)
	}
	for _, g := range site.Gates {
		for _, n := range b.Gates {
			if n.Gate == g.ID {
				f.Gates = append(f.Gates, GateFigure{
					Gate: g.ID, InToday: l.Number(n.InToday), OutToday: l.Number(n.OutToday),
					InHour: l.Number(n.InHour), OutHour: l.Number(n.OutHour),
				})
			}
		}
	}
	return f
}

// parts is a short name of all that only a page says of a state. The part of
// the vehicles that a doubt concerns is left out: it moves by itself.
func parts(b *perron.Busyness) string {
	h := fnv.New32a()
	for _, d := range b.Doubts {
		h.Write(fmt.Appendln(nil, d.Kind, d.Gateway, d.Sensor, d.Since.UnixMilli(), d.Count))
	}
	if b.Notice != nil {
		h.Write(fmt.Appendln(nil, "notice", b.Notice.ID))
	}
	if b.Closure != nil {
		h.Write(fmt.Appendln(nil, "closed", b.Closure.Since.UnixMilli()))
	}
	for _, g := range b.Gates {
		h.Write(fmt.Appendln(nil, g.Gate, g.InToday > 0, g.OutToday > 0))
	}
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}
