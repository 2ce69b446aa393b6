package perron

import "time"

// A Belief is what stands behind an estimate: how much the counters are
// assumed to miss, how long vehicles stay, and what that rests on. It is for
// staff.
type Belief struct {
	Entries CounterBelief `json:"entries"`
	Exits   CounterBelief `json:"exits"`
	// Dwell is the median stay in minutes, Stated the one that was configured.
	Dwell  Interval `json:"dwell"`
	Stated float64  `json:"stated"`
	// Days is how many closed days it was learned from; at 0 it is a starting
	// guess and what today has shown so far.
	Days int `json:"days"`
}

// A CounterBelief is what is assumed of all counters of one direction.
type CounterBelief struct {
	// Missed is the part of the vehicles that they are believed to miss now, 0 to
	// 1; Usual is the part that they used to miss, or the starting guess.
	Missed float64 `json:"missed"`
	Usual  float64 `json:"usual"`
	// DriftSince is since when they are likely to miss clearly more than they
	// used to; zero while they are not.
	DriftSince time.Time `json:"driftSince,omitzero"`
}
