package words

import (
	"math"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	scoreDaysEnough = 7  // days that a score must rest on to be told to residents
	scoreEnough     = 50 // pairs
	scoreLead       = 3 * 60
)

// Score says how often the range that was given up to three hours
// before was right, or honestly that too little is known.
func (l *Language) Score(s *perron.Score) string {
	if s == nil || s.Days < scoreDaysEnough {
		return l.T("perron.scorenone")
	}
	var wait perron.Accuracy
	idle := 0
	for _, h := range s.Horizons {
		if h.UpTo > scoreLead {
			continue
		}
		n := float64(wait.N + h.Wait.N)
		if h.Wait.N > 0 {
			mean := func(a, b float64) float64 { return (a*float64(wait.N) + b*float64(h.Wait.N)) / n }
			wait.MAE, wait.Coverage = mean(wait.MAE, h.Wait.MAE), mean(wait.Coverage, h.Wait.Coverage)
		}
		wait.N += h.Wait.N
		idle += h.Idle
	}
	switch {
	case wait.N+idle < scoreEnough:
		return l.T("perron.scorenone")
	case wait.N*50 < idle:
		return l.T("perron.scorequiet")
	case wait.N < scoreEnough:
		return l.T("perron.scoreidle")
	}
	// Ten out of ten is said only of what never failed.
	tenths := int(math.Round(10 * wait.Coverage))
	if wait.Coverage < 1 {
		tenths = min(9, tenths)
	}
	return l.N("perron.score", max(1, int(math.Round(wait.MAE))), "Tenths", tenths)
}
