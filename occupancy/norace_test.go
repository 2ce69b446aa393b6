//go:build !race

package occupancy_test

const underRace = false
