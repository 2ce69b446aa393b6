package occupancy

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

// quantiles of a distribution over 0, 1, 2, …: the median and a range around it
// that leaves out tail on either side. Each number stands for the stretch half
// way to its neighbours and belongs to the range when its middle does: to count
// every number that the range touches would make it too wide by one.
func quantiles(p []float64, tail float64) perron.Interval {
	var total float64
	for _, v := range p {
		total += v
	}
	last := float64(len(p) - 1)
	low, mid, high := last, last, last
	var sum float64
	wants := [3]float64{tail * total, 0.5 * total, (1 - tail) * total}
	i := 0
	for n, v := range p {
		for i < 3 && v > 0 && sum+v >= wants[i] {
			x := float64(n) - 0.5 + (wants[i]-sum)/v
			switch i {
			case 0:
				low = math.Ceil(x)
			case 1:
				mid = float64(n)
			case 2:
				high = math.Floor(x)
			}
			i++
		}
		sum += v
	}
	return perron.Interval{Low: math.Max(0, math.Min(low, mid)), Mid: mid, High: math.Max(high, mid)}
}

// normalise scales p to a sum of 1 and says whether that was possible.
func normalise(p []float64) bool {
	var sum float64
	for _, v := range p {
		sum += v
	}
	if !(sum > 1e-280) || math.IsInf(sum, 0) {
		return false
	}
	f := 1 / sum
	for i := range p {
		p[i] *= f
	}
	return true
}
