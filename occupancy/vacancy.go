package occupancy

import "math"

// vacancies is a belief on how many bays are free for the queue to move into:
// 0, 1, 2, …, the last standing for many. Before a full yard one vehicle out is
// one vehicle in, so that with a queue an entry follows soon on an exit and
// hardly ever comes without one, while those who find no queue come as they
// like. That tells whether there is a queue where no loop sees it.
type vacancies [7]float64

const (
	many = len(vacancies{}) - 1

	unseenOut = 0.05 // of the exits
	unseenIn  = 0.03 // of the entries
	squeezed  = 0.10 // entries an exit that come although no bay is free
	forgets   = 40.0 // minutes after which the belief on the yard counts again
)

// fresh is the belief without any event: none free in a yard that is full.
func (v *vacancies) fresh(full float64) {
	*v = vacancies{}
	v[0], v[many] = full, 1-full
}

// pace is the rate, a minute, at which vehicles of a queue enter when so many
// bays are free.
func pace(free int, lanes, exits float64) float64 {
	if free == 0 {
		return squeezed*exits + 0.01
	}
	return math.Min(float64(free), lanes) * 60 / entrance
}

// pass lets minutes pass in which nobody is seen to enter, and returns the
// likelihood of that.
func (v *vacancies) pass(minutes, full, exits, lanes float64) float64 {
	var likely float64
	for free := range v {
		v[free] *= math.Exp(-pace(free, lanes, exits) * minutes)
		likely += v[free]
	}
	if !(likely > 1e-200) {
		v.fresh(full)
		return likely
	}
	out := 1 - math.Exp(-unseenOut*exits*minutes)
	for free := many - 1; free > 0; free-- {
		v[free] += out * (v[free-1] - v[free])
	}
	v[0] -= out * v[0]
	for free := 1; free < many; free++ {
		in := (1 - math.Exp(-unseenIn*pace(free, lanes, exits)*minutes)) * v[free]
		v[free] -= in
		v[free-1] += in
	}
	v.towards(1-math.Exp(-minutes/forgets), full)
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
// a rate a minute.
func (v *vacancies) entry(full, exits, lanes float64) float64 {
	var rate float64
	for free := range v {
		v[free] *= pace(free, lanes, exits)
		rate += v[free]
	}
	v[0] += v[1]
	for free := 1; free < many-1; free++ {
		v[free] = v[free+1]
	}
	v[many-1] = 0
	if !(rate > 1e-200) {
		v.fresh(full)
		return rate
	}
	v.towards(0, full)
	return rate
}

// towards moves the belief to the fresh one and scales it to a sum of 1.
func (v *vacancies) towards(step, full float64) {
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
