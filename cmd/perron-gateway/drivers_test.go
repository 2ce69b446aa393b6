package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
)

// samples are the right configurations of the corpus, by driver.
func samples(t *testing.T) map[config.Driver][]*config.Gateway {
	t.Helper()
	files, err := filepath.Glob("../../config/testdata/gateway/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	out := make(map[config.Driver][]*config.Gateway)
	for _, file := range files {
		text, err := os.ReadFile(file) // one with a secret would have to be private to be loaded
		if err != nil {
			t.Fatal(err)
		}
		g, err := config.ParseGateway(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[g.Source.Driver] = append(out[g.Source.Driver], g)
	}
	return out
}

// abilitiesOf is what a source can do beside delivering.
func abilitiesOf(s gateway.Source) (can abilities) {
	_, can.list = s.(gateway.SensorLister)
	_, can.settle = s.(gateway.Settler)
	_, can.open = s.(gateway.Opener)
	_, can.check = s.(gateway.Checker)
	_, can.examine = s.(gateway.Examiner)
	return can
}

// Each driver of the table can be built from the samples of its configuration,
// and its source has the abilities that the table declares, no more and no less.
func TestDriversHaveTheirAbilities(t *testing.T) {
	of := samples(t)
	for _, d := range drivers {
		if len(of[d.name]) == 0 {
			t.Errorf("%s: no sample: want config/testdata/gateway/%s.good.yaml", d.name, d.name)
		}
		for _, g := range of[d.name] {
			p, err := newParts(g, time.Now, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Errorf("%s: %v", d.name, err)
				continue
			}
			if can := abilitiesOf(p.source); can != d.can {
				t.Errorf("%s: its source has the abilities %+v, and the table declares %+v", d.name, can, d.can)
			}
			if p.ownTimes != d.ownTimes {
				t.Errorf("%s: own times %t: want %t", d.name, p.ownTimes, d.ownTimes)
			}
		}
	}
}

// A driver that may be configured is in the table, and the other way round; and
// the guide has a line of each.
func TestDriversAreThoseOfTheConfiguration(t *testing.T) {
	guide, err := os.ReadFile("../../docs/add-a-driver.md")
	if err != nil {
		t.Fatal(err)
	}
	var table []string
	for _, d := range drivers {
		table = append(table, string(d.name))
		if !strings.Contains(string(guide), "\n| `"+string(d.name)+"` |") {
			t.Errorf("docs/add-a-driver.md has no line of %s in its table of drivers", d.name)
		}
	}
	known := config.Driver("").Choices()
	slices.Sort(table)
	slices.Sort(known)
	if !slices.Equal(table, known) {
		t.Errorf("the table has the drivers %v, and the configuration knows %v", table, known)
	}
}

// No driver stands in for one that there is not.
func TestUnknownDriver(t *testing.T) {
	for _, name := range []config.Driver{"", "no-such-driver", "GPIO"} {
		g := samples(t)[config.DriverGPIO][0]
		g.Source.Driver = name
		p, err := newParts(g, time.Now, slog.New(slog.DiscardHandler))
		if err == nil || p.source != nil {
			t.Errorf("driver %q: built %T", name, p.source)
			continue
		}
		for _, want := range []string{"source.driver", `"` + string(name) + `"`, "gpio, modbus"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("driver %q: %q is missing in %q", name, want, err)
			}
		}
	}
}
