// Package forecast says how many vehicles will come, how busy it will be and
// how long the wait is at the time someone would arrive. It does no I/O, starts
// no goroutine and takes the time as an argument.
//
// Three sentences for a planner: the forecast starts from what is usual on
// this weekday at this time over the last eight weeks; it is raised or lowered
// by how today, the last hours and the last week compare to what was usual
// then, by as much as that has helped in the past; and the vehicles expected
// are then sent through the queue and the bays as they stand now, many times
// with other luck, which gives the wait and its interval.
//
// See docs/forecasting.md for formulas and sources, and
// docs/forecasting-measured.md for scores.
package forecast
