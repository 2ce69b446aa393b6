package perron

// DayKinds is how many kinds of day a [Pattern] tells apart: the weekdays from
// Sunday on, and public holidays on which a site opens.
const DayKinds = 8

// A Pattern is what is usual at one site: what a new one can borrow.
type Pattern struct {
	Bays int
	// Weeks is how many weeks of history it rests on.
	Weeks int
	// Days are the kinds of day; one that the site does not know is empty.
	Days [DayKinds]DayPattern
}

// A DayPattern is what is usual on a kind of day.
type DayPattern struct {
	// Open and Close are the hours of the day it was made of; equal when there
	// is none.
	Open, Close TimeOfDay
	// Arrivals are vehicles a quarter of an hour from Open on.
	Arrivals []float64
}
