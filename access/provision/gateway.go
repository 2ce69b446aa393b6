// Package provision writes what a device begins with: who it is, where the broker
// is and what to trust there, its credential, and which sensors are wired to it.
package provision

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
)

// Gateway writes the configuration of a device with the sensors wired to it.
func Gateway(w io.Writer, site *perron.Site, name string, sensors []string, b Broker, i access.Issued) error {
	return gatewayYAML.Execute(w, map[string]any{"Site": site, "Name": name, "Broker": b.Section(i), "Sensors": sensors})
}

// gatewayYAML is the configuration of a device with a pulse a gate sensor and
// a presence input a queue loop; the pins are those of the wiring plan in
// firmware-config.
var gatewayYAML = template.Must(template.New("gateway").Funcs(template.FuncMap{
	"pin":       func(i int) string { return wiringPins[i%len(wiringPins)] },
	"direction": sensorDirection,
	"has":       func(all []string, s string) bool { return slices.Contains(all, s) },
}).Parse(`# Gateway {{.Name}} at {{.Site.Name}}. Keep this file readable by the gateway alone: it holds its password.
site: {{.Site.ID}}
gateway: {{.Name}}
data_dir: /var/lib/perron-gateway
{{.Broker}}source:
  driver: gpio
inputs:
{{- range $i, $s := .Sensors}}
  - {id: {{$s}}, pin: {{pin $i}}, pull: up, active: low, debounce: 10ms}
{{- end}}
sensors:
{{- range .Site.Gates}}{{range .Sensors}}{{if has $.Sensors .}}
  - {id: {{.}}, type: pulse, input: {{.}}, direction: {{direction .}}, min_headway: 800ms}
{{- end}}{{end}}{{end}}
{{- range .Site.QueueLoops}}{{if has $.Sensors .Sensor}}
  - {id: {{.Sensor}}, type: presence, input: {{.Sensor}}, stuck_after: 30m}
{{- end}}{{end}}
`))

// wiringPins are free of every bus on the 40-pin header.
var wiringPins = []string{"GPIO17", "GPIO27", "GPIO22", "GPIO23", "GPIO24", "GPIO25", "GPIO5", "GPIO6", "GPIO16", "GPIO26"}

// gatewayInputs names an input a sensor, in the order of the terminals.
func gatewayInputs(site *perron.Site) []string {
	var ids []string
	for _, g := range site.Gates {
		ids = append(ids, g.Sensors...)
	}
	for _, l := range site.QueueLoops {
		ids = append(ids, l.Sensor)
	}
	return ids
}

// sensorDirection reads the direction from the sensor's name; whoever wires
// the device checks it with `perron-gateway watch`.
func sensorDirection(sensor string) perron.Kind {
	for _, word := range strings.Split(sensor, "-") {
		if word == "out" || word == "uit" || word == "exit" {
			return perron.Out
		}
	}
	return perron.In
}

// Wired are the sensors of a gateway, in the order of the site, without those
// that are configured to be a counter's. With several gateways somebody has to
// say which one has which.
func Wired(cfg *config.Server, site *perron.Site, sensors, gates []string, unneeded bool) ([]string, error) {
	all, gateways := gatewayInputs(site), slices.Clone(site.Gateways)
	for _, s := range cfg.Sites {
		for _, c := range s.Counters {
			if string(s.ID) != site.ID {
				continue
			}
			gateways = slices.DeleteFunc(gateways, func(id string) bool { return id == string(c.ID) })
			for _, counted := range c.Sensors {
				all = slices.DeleteFunc(all, func(id string) bool { return id == string(counted.Sensor) })
			}
		}
	}
	if len(sensors) == 0 && len(gates) == 0 {
		if len(gateways) > 1 && !unneeded {
			return nil, fmt.Errorf("site %q has %d gateways (%s): say what is wired to this one, with --sensors or --gates; its sensors are %s, and its gates %s",
				site.ID, len(gateways), strings.Join(gateways, ", "), strings.Join(all, ","), strings.Join(gateIDs(site), ","))
		}
		return all, nil
	}
	for _, s := range sensors {
		if !slices.Contains(all, s) {
			return nil, fmt.Errorf("--sensors: site %q has no sensor %q; it has %s", site.ID, s, strings.Join(all, ","))
		}
	}
	for _, id := range gates {
		i := slices.IndexFunc(site.Gates, func(g perron.Gate) bool { return g.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("--gates: site %q has no gate %q; it has %s", site.ID, id, strings.Join(gateIDs(site), ","))
		}
		sensors = append(sensors, site.Gates[i].Sensors...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return !slices.Contains(sensors, s) }), nil
}

func gateIDs(site *perron.Site) (ids []string) {
	for _, g := range site.Gates {
		ids = append(ids, g.ID)
	}
	return ids
}
