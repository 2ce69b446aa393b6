package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
)

type gatewayCmd struct {
	Add    gatewayAddCmd    `cmd:"" help:"Issue a credential (a new one replaces the old) and print the finished gateway configuration."`
	List   gatewayListCmd   `cmd:"" help:"List the gateways that have a credential."`
	Revoke gatewayRevokeCmd `cmd:"" help:"End a credential; the gateway is refused, and cut off if it is connected."`
}

type gatewayAddCmd struct {
	configFlag
	SecretOnly bool   `help:"Print the password alone."`
	Output     string `short:"o" placeholder:"FILE" help:"Write to this file, which only you can read, instead of printing."`
	Broker     string `help:"Address of the broker as the device sees it." placeholder:"HOST:PORT"`
	Site       string `arg:"" help:"Site id, as configured."`
	Name       string `arg:"" help:"Gateway id, as configured."`
}

func (c *gatewayAddCmd) Run(e *env) (err error) {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	site := cfg.Site(c.Site)
	if site == nil {
		return fmt.Errorf("site %q is not in %s", c.Site, c.Config)
	}
	if !site.HasGateway(c.Name) {
		return fmt.Errorf("site %q has no gateway %q in %s: add it to the site's gateways, which are [%s]",
			c.Site, c.Name, c.Config, strings.Join(site.Gateways, ", "))
	}
	counter, err := counterOf(cfg, c.Site, c.Name)
	if err != nil {
		return err
	}
	broker := c.Broker
	if broker == "" {
		broker = cfg.BrokerURL()
	}
	if !strings.Contains(broker, "://") {
		broker = "tcp://" + broker
	}
	values := map[string]any{"Site": site, "Name": c.Name, "Broker": broker}
	if counter != nil && !c.SecretOnly {
		if values, err = esphomeValues(counter, c.Site, broker); err != nil {
			return err
		}
	}
	// Before anything is issued: a password that cannot be written is lost, and
	// the one that it replaces as well.
	out := e.stdout
	if c.Output != "" {
		f, openErr := secretFile(c.Output)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	secret, err := issueGateway(e.ctx, accounts, c.Site, c.Name)
	if err := errors.Join(err, accounts.Close()); err != nil {
		return err
	}
	if c.SecretOnly {
		_, err := fmt.Fprintln(out, secret)
		return err
	}
	values["Secret"] = secret
	if counter != nil {
		return esphomeYAML.Execute(out, values)
	}
	return gatewayYAML.Execute(out, values)
}

// secretFile opens a file for writing that nobody but its owner can read, also
// when it was there before.
func secretFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the credential: %w", err)
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the credential: %w", err), f.Close())
	}
	return f, nil
}

// gatewayYAML is the configuration of a device with a pulse a gate sensor and
// a presence input a queue loop; the pins are those of the wiring plan in
// firmware-config.
var gatewayYAML = template.Must(template.New("gateway").Funcs(template.FuncMap{
	"pin":       func(i int) string { return wiringPins[i%len(wiringPins)] },
	"direction": sensorDirection,
	"list":      gatewayInputs,
}).Parse(`# Gateway {{.Name}} at {{.Site.Name}}. Keep this file readable by the gateway alone: it holds its password.
site: {{.Site.ID}}
gateway: {{.Name}}
data_dir: /var/lib/perron-gateway
broker:
  url: {{.Broker}}
  password: {{.Secret}}
source:
  driver: gpio
inputs:
{{- range $i, $s := list .Site}}
  - {id: {{$s}}, pin: {{pin $i}}, pull: up, active: low, debounce: 10ms}
{{- end}}
sensors:
{{- range .Site.Gates}}{{range .Sensors}}
  - {id: {{.}}, type: pulse, input: {{.}}, direction: {{direction .}}, min_headway: 800ms}
{{- end}}{{end}}
{{- range .Site.QueueLoops}}
  - {id: {{.Sensor}}, type: presence, input: {{.Sensor}}, stuck_after: 30m}
{{- end}}
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

type gatewayListCmd struct{ configFlag }

func (c *gatewayListCmd) Run(e *env) error {
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	gateways, err := accounts.Gateways(e.ctx)
	for _, g := range gateways {
		fmt.Fprintf(e.stdout, "%s/%s\n", g.Site, g.Gateway)
	}
	return errors.Join(err, accounts.Close())
}

type gatewayRevokeCmd struct {
	configFlag
	Site string `arg:""`
	Name string `arg:""`
}

func (c *gatewayRevokeCmd) Run(e *env) error {
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	if err := accounts.RemoveGateway(e.ctx, c.Site, c.Name); err != nil {
		return errors.Join(fmt.Errorf("revoke %s/%s: %w", c.Site, c.Name, err), accounts.Close())
	}
	fmt.Fprintf(e.stdout, "%s/%s is refused from now on; a running server cuts it off within %s.\n", c.Site, c.Name, cutEvery)
	return accounts.Close()
}
