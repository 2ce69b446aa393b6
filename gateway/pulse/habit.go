package pulse

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// keptWeeks is how many counts are kept of each hour of the week.
	keptWeeks = 4
	// missing is how many events have to be missing for a sensor to be silent
	// against its own habit, when the habit is that of its quietest weeks: more
	// than chance alone explains (exp(20) is half a billion), for traffic is more
	// than chance.
	missing = 20
	// missingBeside is how many passages have to be missing for a sensor to be
	// stuck off, when the others at the gateway go on, and missingRank how many
	// times as many as ever were missing before it went on by itself.
	missingBeside = 15
	missingRank   = 2
	missingDecay  = 0.9995 // of what ever were missing, with each passage
	// A share is known after so many passages, and so long.
	knownPassages = 30
	knownAfter    = time.Hour
	// The share in an hour of the day is known after so much traffic in it, and
	// is halved after so much more, so that it follows the seasons.
	knownTraffic  = 100
	forgetTraffic = 5000
	// looks lie so far apart.
	lookEvery = 5 * time.Minute
	// maxHabits bounds the memory for the sensors of a recording.
	maxHabits = 256
)

// A habit is what a sensor is used to: how many events each hour of the week
// has, and what its share of the passages at the gateway is in each hour of the
// day. Hours are those of the clock in Amsterdam. Public holidays are like no
// other day: no hour is learned from them, and no events are expected of them.
type habit struct {
	hours [7 * 24][]uint16 // counts of earlier weeks, the newest first

	hour  time.Time // the hour that is being counted
	count int
	whole bool      // it has been watched from its beginning
	from  time.Time // since when time goes by without a jump

	lack float64   // events that should have come since the last one
	upto time.Time // until when lack is made up

	since   time.Time // of the first passage
	shares  [24]share
	all     share       // their sum
	run     [24]float64 // traffic since the last own passage, which is no part of shares yet
	missing float64     // own passages that this traffic should have come with
	pause   float64     // the most that ever were missing
}

// A share is how many passages of all are a sensor's.
type share struct {
	Own     float64 `json:"own"`
	Traffic float64 `json:"traffic"`
}

func (s share) add(own, traffic float64) share {
	s.Own, s.Traffic = s.Own+own, s.Traffic+traffic
	if s.Traffic > forgetTraffic {
		s.Own, s.Traffic = s.Own/2, s.Traffic/2
	}
	return s
}

func (s share) part() float64 {
	if s.Traffic == 0 {
		return 0
	}
	return min(s.Own/s.Traffic, 1)
}

func slot(t time.Time) int {
	t = t.In(perron.Amsterdam)
	return int(t.Weekday())*24 + t.Hour()
}

func holiday(t time.Time) bool { return perron.HolidayOn(perron.DateOf(t)).Public() }

// tick closes the hours that are over.
func (h *habit) tick(now time.Time) {
	hour := now.Truncate(time.Hour)
	if hour.Equal(h.hour) {
		return
	}
	// A clock that was set, or years between two recordings.
	if ahead := hour.Sub(h.hour); ahead < 0 || ahead > 7*24*time.Hour {
		h.hour, h.count, h.whole, h.from = hour, 0, false, now
		return
	}
	for ; h.hour.Before(hour); h.hour = h.hour.Add(time.Hour) {
		if h.whole && !holiday(h.hour) {
			s := &h.hours[slot(h.hour)]
			*s = slices.Insert(*s, 0, uint16(min(h.count, math.MaxUint16)))
			*s = (*s)[:min(len(*s), keptWeeks)]
		}
		h.count, h.whole = 0, true
	}
}

// usual is how many events there are at least in an hour like the one of t: the
// fewest of two or three weeks, or the second fewest of four, so that one week
// with a fault teaches nothing. Of less than two weeks nothing is known.
func (h *habit) usual(t time.Time) float64 {
	weeks := h.hours[slot(t)]
	if len(weeks) < 2 || holiday(t) {
		return 0
	}
	sorted := slices.Sorted(slices.Values(weeks))
	if len(sorted) == keptWeeks {
		return float64(sorted[1])
	}
	return float64(sorted[0])
}

// lapse lets time go by without an event, before tick, so that the time that is
// judged is not yet a part of the habit.
func (h *habit) lapse(now time.Time) {
	if d := now.Sub(h.upto); d > 0 && d <= 7*24*time.Hour {
		for h.upto.Before(now) {
			end := h.upto.Truncate(time.Hour).Add(time.Hour)
			if end.After(now) {
				end = now
			}
			h.lack += h.usual(h.upto) * end.Sub(h.upto).Hours()
			h.upto = end
		}
	}
	h.upto = now
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// event notes an event of the sensor itself.
func (h *habit) event(at time.Time) {
	h.tick(at)
	h.count++
	h.lack, h.upto = 0, at
}

// learn adds to what is known of an hour of the day.
func (h *habit) learn(hour int, own, traffic float64) {
	s := &h.shares[hour]
	before := *s
	*s = s.add(own, traffic)
	h.all.Own += s.Own - before.Own
	h.all.Traffic += s.Traffic - before.Traffic
}

// hour is the hour of the day, and what shares go by.
func hour(t time.Time) int { return t.In(perron.Amsterdam).Hour() }

// passage notes a passage of the sensor itself, in an hour of the day.
func (h *habit) passage(at time.Time, hour int) {
	if h.since.IsZero() {
		h.since = at
	}
	// A fault teaches no more than a little.
	h.pause = max(h.pause*missingDecay, min(h.missing, max(missingRank*h.pause, missingBeside)))
	for i, n := range h.run {
		if n > 0 {
			h.learn(i, 0, n)
			h.run[i] = 0
		}
	}
	h.missing = 0
	h.learn(hour, 1, 1)
}

// beside notes a passage of another sensor at the gateway.
func (h *habit) beside(hour int) {
	if h.since.IsZero() {
		return
	}
	h.run[hour]++
	if h.all.Own >= knownPassages {
		h.missing += h.part(hour)
	}
}

// part is the share of an hour of the day: what is known of it, else the less
// of the share of all hours and that of the last hour before that is known.
func (h *habit) part(hour int) float64 {
	for back := range 24 {
		s := h.shares[(hour+24-back)%24]
		switch {
		case s.Traffic < knownTraffic:
		case back == 0:
			return s.part()
		default:
			return min(s.part(), h.all.part())
		}
	}
	return h.all.part()
}

// alone says that the others go on as ever and this sensor does not.
func (h *habit) alone(now time.Time) bool {
	return h.missing >= missingBeside && h.missing >= missingRank*h.pause &&
		now.Sub(h.since) >= knownAfter
}

// known says whether there is anything to judge by.
func (h *habit) known() bool {
	return h.all.Own >= knownPassages || slices.ContainsFunc(h.hours[:], func(weeks []uint16) bool { return len(weeks) >= 2 })
}

// savedHabit is a habit as it is kept.
type savedHabit struct {
	Hours  [7 * 24][]uint16 `json:"hours"`
	Shares [24]share        `json:"shares"`
	Pause  float64          `json:"pause"`
	Since  time.Time        `json:"since,omitzero"`
}

// Habits is what the sensors are used to, for [Machine.Recall] after a restart.
func (m *Machine) Habits() ([]byte, error) {
	all := make(map[string]savedHabit)
	for _, s := range m.sensors {
		if h := s.health.habit; h != nil {
			all[s.ID] = savedHabit{h.hours, h.shares, h.pause, h.since.Round(0)}
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("write habits: %w", err)
	}
	return b, nil
}

// Recall takes what Habits gave. It is called before the first edge; what is
// known of sensors that are not there is left out.
func (m *Machine) Recall(habits []byte) error {
	var all map[string]savedHabit
	if err := json.Unmarshal(habits, &all); err != nil {
		return fmt.Errorf("read habits: %w", err)
	}
	sane := func(x float64) bool { return x >= 0 && x <= 1e6 }
	for id, saved := range all {
		for _, weeks := range saved.Hours {
			if len(weeks) > keptWeeks {
				return fmt.Errorf("read habits: %d weeks of %s, want at most %d", len(weeks), id, keptWeeks)
			}
		}
		for _, s := range saved.Shares {
			if !sane(s.Own) || !sane(s.Traffic) {
				return fmt.Errorf("read habits: the share of %s is %g of %g", id, s.Own, s.Traffic)
			}
		}
		if !sane(saved.Pause) {
			return fmt.Errorf("read habits: the longest pause of %s is %g", id, saved.Pause)
		}
	}
	for _, s := range m.sensors {
		if saved, ok := all[s.ID]; ok && s.health.habit != nil {
			h := s.health.habit
			h.hours, h.pause, h.since = saved.Hours, saved.Pause, saved.Since
			for i, known := range saved.Shares {
				h.learn(i, known.Own, known.Traffic)
			}
		}
	}
	return nil
}
