package forecast

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// capacity is how many vehicles a minute a full yard lets through: as measured
// when that is plausible, else bays over the usual dwell (its mean, about 13 %
// above the median).
func (m *Model) capacity() float64 {
	if m.rate > 0 {
		return m.plausible(m.rate)
	}
	return m.plausible(m.usualRate())
}

// capacityLater is that of another day: what is usual, if that is known.
func (m *Model) capacityLater() float64 {
	if rate := m.usualRate(); rate > 0 {
		return m.plausible(rate)
	}
	return m.capacity()
}

// plausible is a rate, or one near it that the bays could have, or for 0 that
// of the bays.
func (m *Model) plausible(rate float64) float64 {
	dwell := m.site.TypicalDwell
	if !(dwell > 0) {
		dwell = 14
	}
	usual := float64(max(1, m.site.Bays)) / (dwell * 1.13)
	if rate > 0 {
		return math.Max(0.4*usual, math.Min(2.5*usual, rate))
	}
	return usual
}

// unqueue turns the entries of a day into arrivals. Entries stop at what the
// yard lets through; who came before is in the queue. Where the queue at both
// ends of a quarter is remembered, arrivals = entries + growth of the queue.
// Elsewhere a long stretch at capacity is taken to have been front-loaded: as
// many came as were let in, but earlier, by a cosine whose amplitude grows with
// the length of the stretch, since a longer one needs a longer queue. Of those
// who came to find a queue, some turned away: see [stay].
func (m *Model) unqueue(d perron.Date, y []float64) {
	full := 0.8 * m.capacityLater() * slotMinutes
	growth := make([]float64, perDay)
	remembered := make([]bool, perDay)
	for s := range perDay {
		at := d.At(perron.TimeOfDay(s * slotMinutes))
		q0, ok0 := m.queues[at.Unix()]
		q1, ok1 := m.queues[at.Add(slotMinutes*time.Minute).Unix()]
		if ok0 && ok1 {
			growth[s], remembered[s] = q1-q0, true
		}
	}
	from := -1
	for s := 0; s <= perDay; s++ {
		// One slot below capacity does not end a stretch.
		high := s < perDay && (y[s] >= full || from >= 0 && s+1 < perDay && y[s+1] >= full && y[s] >= 0.6*full)
		if high && !remembered[s] {
			if from < 0 {
				from = s
			}
			continue
		}
		if n := s - from; from >= 0 && n >= 4 {
			var sum float64
			for _, v := range y[from:s] {
				sum += v
			}
			amplitude := math.Min(0.35, 0.02+0.018*float64(n))
			queue := 0.0
			for i := range n {
				more := amplitude * sum / float64(n) * math.Cos(math.Pi*(float64(i)+0.5)/float64(n))
				y[from+i] = (y[from+i] + more) / stay(math.Max(0, queue+more/2)/m.capacityLater())
				queue += more
			}
		}
		from = -1
	}
	for s := range y {
		if remembered[s] {
			y[s] = math.Max(0, y[s]+growth[s]) / m.stayedAt(d.At(perron.TimeOfDay(s*slotMinutes)))
		}
	}
}

// halfTurn is the wait, in minutes, at which half of those who come turn away.
const halfTurn = 60

// stay is the part of those who come that joins a queue of so many minutes.
// The rest drives on, so that a queue that is longer than usual grows less. Of
// waits beyond an hour and a half nothing is known, and nobody is made up who
// would have turned away.
func stay(wait float64) float64 {
	wait = math.Max(0, math.Min(1.5*halfTurn, wait))
	return 1 / (1 + (wait/halfTurn)*(wait/halfTurn))
}

// stayedAt is the part that joined in a past quarter, by the queue at its
// start.
func (m *Model) stayedAt(start time.Time) float64 {
	q, ok := m.queues[start.Unix()]
	if !ok {
		return 1
	}
	return stay(q / m.capacityLater())
}
