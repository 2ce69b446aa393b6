package perron

import "time"

// A Slot is a piece of a forecast, or of the day as it was measured.
type Slot struct {
	Start   time.Time `json:"start"`
	Minutes int       `json:"minutes"` // length: 15 or 60
	Open    bool      `json:"open"`    // whether the site is open at Start
	// Arrivals is the number of vehicles that join within the slot, OnSite the
	// number inside, Wait the minutes for someone who arrives at Start.
	Arrivals Interval `json:"arrivals"`
	OnSite   Interval `json:"onSite"`
	Wait     Interval `json:"wait"`
	Level    Level    `json:"level"`
	// Late is the probability that someone who arrives at Start will not get in
	// before closing, from 0 to 1; 0 where nothing is known.
	Late float64 `json:"late"`
	// Basis is Measured for the past, Typical when only the profile speaks.
	Basis Quality `json:"basis"`
}

// Expected is the basis of a forecast slot that knows the level of today.
const Expected Quality = "expected"

// A Moment is a stretch in which a visit is advised.
type Moment struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Wait  Interval  `json:"wait"`
	// Room is how many more vehicles each quarter of an hour from Start on can
	// take before its wait grows; empty where that is not known.
	Room []float64 `json:"room,omitempty"`
}

// A Forecast is all that is expected of one site, seen from Origin.
type Forecast struct {
	Site   string    `json:"site"`
	Origin time.Time `json:"origin"`
	// Weeks is how many weeks of history the profile rests on.
	Weeks int `json:"weeks"`
	// Measured is today until Origin; Quarters run from the slot of Origin to
	// the end of tomorrow; Hours cover seven days from today's first hour.
	Measured []Slot `json:"measured"`
	Quarters []Slot `json:"quarters"`
	Hours    []Slot `json:"hours"`
	// Best are the best moments that are left today, soonest first.
	Best []Moment `json:"best"`
	// Score is how good earlier forecasts were; nil until that is known. It is
	// published with a forecast and not stored with it.
	Score *Score `json:"score,omitempty"`
}

// SlotAt finds the finest slot that contains t.
func (f *Forecast) SlotAt(t time.Time) (Slot, bool) {
	for _, slots := range [][]Slot{f.Quarters, f.Hours, f.Measured} {
		for _, s := range slots {
			if !t.Before(s.Start) && t.Before(s.Start.Add(time.Duration(s.Minutes)*time.Minute)) {
				return s, true
			}
		}
	}
	return Slot{}, false
}

// A Count is what passed a gate, or all gates, in one interval.
type Count struct {
	Start time.Time `json:"start"`
	Gate  string    `json:"gate,omitempty"` // empty when gates are summed
	In    int       `json:"in"`
	Out   int       `json:"out"`
}
