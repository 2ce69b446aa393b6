package forecast

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Entries are censored arrivals: they stop at what a full yard lets through, and
// who came before is in the queue.

// arrivalsOf turns the entries of a day into arrivals. Where the queue at both
// ends of a quarter is remembered, arrivals = entries + growth of the queue.
// Elsewhere a long stretch at capacity is taken to have been front-loaded: as
// many came as were let in, but earlier, by a cosine whose amplitude grows with
// the length of the stretch, since a longer one needs a longer queue. Of those
// who arrived to a remembered queue some balked; a queue that is only guessed is
// taken to have kept nobody away.
func (q *queueMemory) arrivalsOf(d perron.Date, y []float64) {
	full := 0.8 * q.usualServiceRate() * slotMinutes
	growth := make([]float64, perDay)
	remembered := make([]bool, perDay)
	for s := range perDay {
		at := d.At(perron.TimeOfDay(s * slotMinutes))
		q0, ok0 := q.lengths[at.Unix()]
		q1, ok1 := q.lengths[at.Add(slotMinutes*time.Minute).Unix()]
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
			for i := range n {
				y[from+i] += amplitude * sum / float64(n) * math.Cos(math.Pi*(float64(i)+0.5)/float64(n))
			}
		}
		from = -1
	}
	for s := range y {
		if remembered[s] {
			y[s] = math.Max(0, y[s]+growth[s]) / q.joinedAt(d.At(perron.TimeOfDay(s*slotMinutes)))
		}
	}
}

// arrivalsToday is arrivalsOf for a day that is not over: who waits now has
// arrived. Where the queue is not remembered they are taken to have come
// within the last hour and a half.
func (q *queueMemory) arrivalsToday(d perron.Date, y []float64, waiting float64) {
	last := -1
	for s, v := range y {
		if !math.IsNaN(v) {
			last = s
		}
	}
	known := false
	for s := range y {
		at := d.At(perron.TimeOfDay(s * slotMinutes))
		q0, ok0 := q.lengths[at.Unix()]
		q1, ok1 := q.lengths[at.Add(slotMinutes*time.Minute).Unix()]
		if ok0 && ok1 {
			if s > last-6 {
				known = true
			}
			y[s] = math.Max(0, y[s]+q1-q0) / q.joinedAt(at)
		}
	}
	if known || last < 0 || waiting <= 0 {
		return
	}
	n := min(6, last+1)
	for s := last - n + 1; s <= last; s++ {
		y[s] = (y[s] + waiting/float64(n)) / q.joined(waiting/2/q.serviceRate())
	}
}
