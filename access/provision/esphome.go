package provision

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"text/template"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/config"
)

// CounterOf is the configured device with counters of that name, nil when it is
// a gateway. One of a LoRaWAN network has no credential here.
func CounterOf(cfg *config.Server, site, name string) (*config.Counters, error) {
	for i := range cfg.Sites {
		if string(cfg.Sites[i].ID) != site {
			continue
		}
		for j := range cfg.Sites[i].Counters {
			c := &cfg.Sites[i].Counters[j]
			if string(c.ID) != name {
				continue
			}
			if c.Network != "" {
				return nil, fmt.Errorf("%s/%s reports by network %s and needs no credential here", site, name, c.Network)
			}
			return c, nil
		}
	}
	return nil, nil
}

// espPins are the pins of the wiring plan in firmware-config/esphome.
var espPins = []string{"GPIO25", "GPIO26"}

// esphomeYAML completes firmware-config/esphome/perron-counter.yaml. It holds
// what differs from one device to the next.
var esphomeYAML = template.Must(template.New("esphome").Parse(`# Counter {{.Name}} at {{.Site}}. Put it beside perron-counter.yaml, readable by you alone: it holds its password.
# secrets.yaml beside it needs wifi_ssid, wifi_password, ota_password and mqtt_password (which this file replaces).
substitutions:
  site: {{.Site}}
  device: {{.Name}}
  broker: {{.Host}}
  port: "{{.Port}}"
{{- range $i, $s := .Sensors}}
  sensor_{{$s.Letter}}: {{$s.ID}}
  pin_{{$s.Letter}}: {{$s.Pin}}
{{- end}}
packages:
  counter: !include perron-counter.yaml
mqtt:
  password: {{.Secret}}
{{- with .CA}}
  certificate_authority: |
    {{.}}
{{- end}}
`))

// ESPHome is what a device that ESPHome runs on needs beside
// perron-counter.yaml, but for the credential. It has two sensors.
func ESPHome(c *config.Counters, site string, b Broker) (func(io.Writer, access.Issued) error, error) {
	if len(c.Sensors) != len(espPins) {
		return nil, fmt.Errorf("%s/%s has %d sensors and perron-counter.yaml has %d: add or remove blocks in a copy of it, and use --secret-only",
			site, c.ID, len(c.Sensors), len(espPins))
	}
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, fmt.Errorf("address of the broker: %w", err)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, "1883"
	}
	type sensor struct{ Letter, ID, Pin string }
	var sensors []sensor
	for i, s := range c.Sensors {
		sensors = append(sensors, sensor{string(rune('a' + i)), string(s.Sensor), espPins[i]})
	}
	values := map[string]any{"Name": string(c.ID), "Site": site, "Host": host, "Port": port, "Sensors": sensors, "CA": indent(b.CA)}
	return func(w io.Writer, i access.Issued) error {
		values["Secret"] = i.Secret
		return esphomeYAML.Execute(w, values)
	}, nil
}
