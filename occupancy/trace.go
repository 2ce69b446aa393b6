package occupancy

// A trace keeps the steps that changed a belief, each of which is linear in it.
type trace struct{ steps []step }

type stepKind uint8

const (
	stepTime stepKind = iota
	stepComparison
	stepSwitch
	stepEntry
	stepExit
	stepRecount
	stepEmpty
	stepRestart
)

// A step is what a change of the belief depended on.
type step struct {
	kind     stepKind
	closed   bool
	minutes  float64
	double   float64
	base     float64
	born     float64
	evidence [errorHypotheses]float64
	vehicles int
	exits    [dwellHypotheses]float64
}

func (t *trace) add(exitRates []float64, s step) {
	if t == nil {
		return
	}
	copy(s.exits[:], exitRates)
	t.steps = append(t.steps, s)
}
