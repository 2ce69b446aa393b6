package occupancy

import (
	"math"

	"github.com/perrondrukte/perrondrukte/yard"
)

// vacancies is a belief on how many bays are free for the queue to move into:
// 0, 1, 2, …, the last standing for many. Before a full yard one vehicle out is
// one vehicle in, so that with a queue an entry follows soon on an exit and
// hardly ever comes without one, while those who find no queue come as they
// like. That tells whether there is a queue where no loop sees it.
type vacancies [7]float64

const (
	many = len(vacancies{}) - 1

	unseenOut     = 0.05 // of the exits
	unseenIn      = 0.03 // of the entries
	fullEntryPart = 0.10 // entries an exit that come although no bay is free
	vacancyMemory = 40.0 // minutes after which the belief on the yard counts again
)

// reset is the belief without any event: none free in a yard that is full.
func (v *vacancies) reset(full float64) {
	*v = vacancies{}
	v[0], v[many] = full, 1-full
}

// entryPace is the rate, per minute, at which vehicles of a queue enter when so many
// bays are free.
func entryPace(free int, exits float64, y *yard.Yard) float64 {
	if free == 0 {
		return fullEntryPart*exits + 0.01
	}
	return math.Min(float64(free), y.Lanes) * y.LaneRate
}

// elapse lets minutes pass in which nobody is seen to enter, and returns the
// likelihood of that.
func (v *vacancies) elapse(minutes, full, exits float64, y *yard.Yard) float64 {
	var likely float64
	for free := range v {
		v[free] *= math.Exp(-entryPace(free, exits, y) * minutes)
		likely += v[free]
	}
	if !(likely > 1e-200) {
		v.reset(full)
		return likely
	}
	out := 1 - math.Exp(-unseenOut*exits*minutes)
	for free := many - 1; free > 0; free-- {
		v[free] += out * (v[free-1] - v[free])
	}
	v[0] -= out * v[0]
	for free := 1; free < many; free++ {
		in := (1 - math.Exp(-unseenIn*entryPace(free, exits, y)*minutes)) * v[free]
		v[free] -= in
		v[free-1] += in
	}
	v.pullTowards(1-math.Exp(-minutes/vacancyMemory), full)
	return likely
}

// exit takes in that a vehicle left.
func (v *vacancies) exit() {
	v[many-1] += v[many-2]
	for free := many - 2; free > 0; free-- {
		v[free] = v[free-1]
	}
	v[0] = 0
}

// entry takes in that a vehicle entered, and returns the likelihood of that as
// a rate per minute.
func (v *vacancies) entry(full, exits float64, y *yard.Yard) float64 {
	var rate float64
	for free := range v {
		v[free] *= entryPace(free, exits, y)
		rate += v[free]
	}
	v[0] += v[1]
	for free := 1; free < many-1; free++ {
		v[free] = v[free+1]
	}
	v[many-1] = 0
	if !(rate > 1e-200) {
		v.reset(full)
		return rate
	}
	v.pullTowards(0, full)
	return rate
}

// pullTowards moves the belief to that of reset and scales it to a sum of 1.
func (v *vacancies) pullTowards(step, full float64) {
	var sum float64
	for _, p := range v {
		sum += p
	}
	for free := range v {
		v[free] *= (1 - step) / sum
	}
	v[0] += step * full
	v[many] += step * (1 - full)
}
