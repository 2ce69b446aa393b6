//go:build race

package occupancy_test

// underRace shortens the scoring: the detector makes it ten times as slow, and
// pure code on one goroutine gives it nothing to find.
const underRace = true
