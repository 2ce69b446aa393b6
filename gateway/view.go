package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// showTrace is how many edges and verdicts there are to see; keepTrace is how
	// many are kept before the older half goes.
	showTrace = 60
	keepTrace = 4 * showTrace
)

// A SeenEdge is an edge of an input, bounce and all.
type SeenEdge struct {
	At     time.Time
	Input  string
	Active bool
	Known  bool // the level as it was found, not an edge
	// Width is how long the level before had lasted; 0 when that is not known.
	Width time.Duration
}

// A Trace keeps the last of what inputs and sensors did, for an installer's
// eyes. It is not safe for concurrent use.
type Trace struct {
	machine  *pulse.Machine
	edges    []SeenEdge
	verdicts []pulse.Judged
	judged   uint64
	last     map[string]time.Time // edge, by input
	in, out  map[string]int       // passages by sensor
}

// NewTrace keeps what a machine says of its sensors.
func NewTrace(m *pulse.Machine) *Trace {
	t := &Trace{machine: m, last: make(map[string]time.Time), in: make(map[string]int), out: make(map[string]int)}
	m.Tell(t.note)
	return t
}

func (t *Trace) note(j pulse.Judged) {
	switch perron.Kind(j.Verdict) {
	case perron.In:
		t.in[j.Sensor]++
	case perron.Out:
		t.out[j.Sensor]++
	}
	t.judged++
	if len(t.verdicts) == keepTrace {
		t.verdicts = slices.Delete(t.verdicts, 0, keepTrace/2)
	}
	t.verdicts = append(t.verdicts, j)
}

// Edge notes an edge, beside giving it to the machine.
func (t *Trace) Edge(e pulse.Edge) {
	seen := SeenEdge{At: e.Time, Input: e.Input, Active: e.Active, Known: e.Known}
	if last, ok := t.last[e.Input]; ok {
		seen.Width = e.Time.Sub(last)
	}
	t.last[e.Input] = e.Time
	if len(t.edges) == keepTrace {
		t.edges = slices.Delete(t.edges, 0, keepTrace/2)
	}
	t.edges = append(t.edges, seen)
}

// Events notes events that came ready-made.
func (t *Trace) Events(events []perron.Event) {
	for _, e := range events {
		t.note(pulse.Judged{At: e.Time, Sensor: e.Sensor, Verdict: pulse.Verdict(e.Kind)})
	}
}

// A View is all that there is to see of a gateway at one instant.
type View struct {
	Title string
	Now   time.Time
	// Service says that the view is of a running service, and Status and what
	// follows are filled in.
	Service bool
	Inputs  []pulse.Level
	Sensors []SeenSensor
	// Edges and Verdicts are the last ones, oldest first; Judged counts all
	// verdicts since the start.
	Edges    []SeenEdge
	Verdicts []pulse.Judged
	Judged   uint64
	Lost     uint64 // edges
	Note     string // the last thing that was logged
	Ended    bool   // the source is finished

	Status    perron.GatewayStatus
	FileBytes int64 // of the outbox
	Connected bool
	// Acked is when the collector last acknowledged something new; zero when it
	// has not yet.
	Acked time.Time
}

// A SeenSensor is the state of a sensor, and what it has counted.
type SeenSensor struct {
	perron.SensorStatus
	In, Out int
}

// Fill fills in what the trace and its machine know.
func (t *Trace) Fill(v *View) {
	v.Inputs = t.machine.Levels()
	for _, s := range t.machine.Sensors() {
		v.Sensors = append(v.Sensors, SeenSensor{s, t.in[s.Sensor], t.out[s.Sensor]})
	}
	v.Edges = slices.Clone(t.edges[max(0, len(t.edges)-showTrace):])
	v.Verdicts = slices.Clone(t.verdicts[max(0, len(t.verdicts)-showTrace):])
	v.Judged = t.judged
}

// View is what there is to see of the gateway now.
func (g *Gateway) View(ctx context.Context) (View, error) {
	v := View{Title: g.cfg.Site + "/" + g.cfg.Gateway, Service: true, Status: g.status.now(ctx), Connected: g.cfg.Link.Connected()}
	v.Status.Sensors = nil // they are in Sensors
	v.Now, v.Lost = v.Status.At, v.Status.LostEdges
	var err error
	if v.FileBytes, err = g.box.FileSize(); err != nil {
		return View{}, err
	}
	v.Acked = g.times.right(g.pub.ackedAt())
	s := g.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace.Fill(&v)
	v.Ended = s.finished
	// Times are those of the machine: they may be off with the device's clock.
	right := s.times.right
	for i := range v.Inputs {
		v.Inputs[i].Since = right(v.Inputs[i].Since)
	}
	for i := range v.Sensors {
		st := &v.Sensors[i].SensorStatus
		st.Since, st.Last = right(st.Since), right(st.Last)
	}
	for i := range v.Edges {
		v.Edges[i].At = right(v.Edges[i].At)
	}
	for i := range v.Verdicts {
		v.Verdicts[i].At = right(v.Verdicts[i].At)
	}
	return v, nil
}
