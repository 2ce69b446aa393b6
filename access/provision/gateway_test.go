package provision

import (
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/config"
)

// With several gateways somebody has to say what is wired to which.
func TestWired(t *testing.T) {
	cfg, err := config.ParseServer([]byte(`
data_dir: d
sites:
  - {id: a, name: A, bays: 1, gateways: [g1, g2], gates: [{id: in, sensors: [in-1, in-2]}, {id: out, sensors: [out-1]}], queue_loops: [{sensor: queue-2, distance: 2}]}
  - {id: b, name: B, bays: 1, gateways: [g1], gates: [{id: in, sensors: [in-1]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		site           string
		sensors, gates []string
		want, fault    string
	}{
		{"a", nil, nil, "", "its sensors are in-1,in-2,out-1,queue-2, and its gates in,out"},
		{"a", []string{"queue-2", "in-2"}, nil, "in-2 queue-2", ""},
		{"a", []string{"queue-2"}, []string{"in"}, "in-1 in-2 queue-2", ""},
		{"a", []string{"in-3"}, nil, "", `no sensor "in-3"`},
		{"a", nil, []string{"side"}, "", `no gate "side"`},
		{"b", nil, nil, "in-1", ""},
	} {
		got, err := Wired(cfg, cfg.Site(c.site), c.sensors, c.gates, false)
		if s := strings.Join(got, " "); s != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%v: %q, %v", c, s, err)
		}
	}
}
