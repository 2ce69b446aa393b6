package perron

import (
	"math"
	"time"
)

// Weather is that of one hour, measured or forecast.
type Weather struct {
	Hour        time.Time // its start
	Temperature float64   // °C, two metres above the ground
	Rain        float64   // mm in the hour
}

// Plausible says whether the numbers can be weather in the Netherlands.
func (w Weather) Plausible() bool {
	return !w.Hour.Before(Earliest) && w.Temperature > -40 && w.Temperature < 50 && w.Rain >= 0 && w.Rain < 150 &&
		!math.IsNaN(w.Temperature) && !math.IsNaN(w.Rain)
}
