package config

import "time"

// DriverSimulate makes the events of an imagined yard.
const DriverSimulate Driver = "simulate"

// Simulate is an imagined yard.
type Simulate struct {
	// Two runs with the same seed are the same.
	Seed uint64 `yaml:"seed"`
	// Visits on an average open day.
	VisitsPerDay int `yaml:"visits_per_day" jsonschema:"minimum=1,maximum=100000"`
	// Number of vehicles that can unload at once.
	Bays int `yaml:"bays" jsonschema:"minimum=1,maximum=1000"`
	// Number of vehicles that can enter at once.
	Lanes int `yaml:"lanes" jsonschema:"minimum=1,maximum=20"`
	// Usual time on the yard.
	Dwell Duration `yaml:"dwell" bounds:"1m,4h"`
	// How many vehicles fit between the entrance and the public road.
	RoadSpace int `yaml:"road_space" jsonschema:"minimum=0,maximum=1000"`
}

func (s *Simulate) setDefaults() {
	*s = Simulate{Seed: 1, VisitsPerDay: 600, Bays: 24, Lanes: 1, Dwell: Duration(14 * time.Minute), RoadSpace: 30}
}
