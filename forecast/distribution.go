package forecast

import (
	"math"
	"slices"

	"github.com/perrondrukte/perrondrukte/perron"
)

// q90 is the 90 % point of the standard normal distribution.
const q90 = 1.2816

// quantileAt is the value of an interval at a standard normal z: a two-piece normal
// through the three quantiles, never below 0.
func quantileAt(v perron.Interval, z float64) float64 {
	if z < 0 {
		return math.Max(0, v.Mid+z/q90*(v.Mid-v.Low))
	}
	return math.Max(0, v.Mid+z/q90*(v.High-v.Mid))
}

// below is the probability that a value of an interval, taken as in [at], is
// less than x.
func below(v perron.Interval, x float64) float64 {
	side := v.High - v.Mid
	if x < v.Mid {
		side = v.Mid - v.Low
	}
	if side <= 0 {
		if x > v.Mid {
			return 1
		}
		return 0
	}
	return 0.5 * math.Erfc(-(x-v.Mid)/side*q90/math.Sqrt2)
}

// scaled is an interval times a factor.
func scaled(v perron.Interval, by float64) perron.Interval {
	return perron.Interval{Low: v.Low * by, Mid: v.Mid * by, High: v.High * by}
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// intervalOf is the interval of the paths' values; it sorts them.
func intervalOf(v []float64) perron.Interval {
	slices.Sort(v)
	pick := func(q float64) float64 {
		x := q*float64(len(v)) - 0.5
		i := int(x)
		if i+1 >= len(v) {
			return v[len(v)-1]
		}
		return v[i] + (x-float64(i))*(v[i+1]-v[i])
	}
	return perron.Interval{Low: pick(0.1), Mid: pick(0.5), High: pick(0.9)}
}
