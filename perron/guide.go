package perron

import (
	"math"
	"time"
)

const (
	// follows is the part of those who are told a moment that is taken to come
	// then.
	follows = 0.2
	// maxGuests bounds what a guide remembers of a day; who comes after is told
	// nothing.
	maxGuests = 200_000
)

// A Guide sends visitors of one site to its best moments without sending them
// all to one: of the quarters in which a moment has room it picks by chance, one
// with twice the room twice as often, and it takes those whom it has told into
// account. When what has room is given away it has no advice; then more advice
// would only move the queue. It is not safe for concurrent use.
type Guide struct {
	day  Date
	told map[int64]float64    // vehicles that are taken to come, by quarter
	sent map[uint64]time.Time // quarter that a visitor was told; zero for none
}

// Choose gives a visitor a moment from now on: one of the moments from a quarter
// in it on. Who asks again is told the same while it is still a moment, and
// counts once. The visitor's number should be evenly spread and stay the same
// over the day. False is no advice.
func (g *Guide) Choose(moments []Moment, now time.Time, visitor uint64) (Moment, bool) {
	if day := DateOf(now); g.day != day || g.told == nil {
		g.day, g.told, g.sent = day, map[int64]float64{}, map[uint64]time.Time{}
	}
	last, known := g.sent[visitor]
	var places []Moment
	sum := 0.0
	for _, m := range moments {
		for i, start := 0, m.Start; start.Before(m.End); i, start = i+1, start.Add(15*time.Minute) {
			if !start.Add(15*time.Minute).After(now) || i >= len(m.Room) {
				continue
			}
			part := m
			part.Start, part.Room = start, m.Room[i:]
			if known && last.Equal(start) {
				return part, true
			}
			if room := m.Room[i] - g.told[start.Unix()]; room > 0 {
				places = append(places, part)
				sum += room
			}
		}
	}
	if len(g.sent) >= maxGuests && !known {
		return Moment{}, false
	}
	if known && !last.IsZero() && last.After(now) {
		g.told[last.Unix()] -= follows // they are told otherwise now
	}
	if len(places) == 0 {
		g.sent[visitor] = time.Time{}
		return Moment{}, false
	}
	at := float64(visitor) / math.MaxUint64 * sum
	pick := places[len(places)-1]
	for _, p := range places {
		if at -= p.Room[0] - g.told[p.Start.Unix()]; at < 0 {
			pick = p
			break
		}
	}
	g.told[pick.Start.Unix()] += follows
	g.sent[visitor] = pick.Start
	return pick, true
}
