package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

type gatewayCmd struct {
	Add    gatewayAddCmd    `cmd:"" help:"Issue a credential (a new one replaces the old at once) and print the finished gateway configuration."`
	Rotate gatewayRotateCmd `cmd:"" help:"Issue another credential beside the one in use, which ends when the new one is used, and print the section broker of the gateway's configuration."`
	List   gatewayListCmd   `cmd:"" help:"List the gateways that have a credential."`
	Revoke gatewayRevokeCmd `cmd:"" help:"End all credentials of a gateway; it is refused, and cut off if it is connected."`
}

// issueFlags are what issuing a credential takes.
type issueFlags struct {
	configFlag
	SecretOnly bool   `help:"Print the password alone."`
	Output     string `short:"o" placeholder:"FILE" help:"Write to this file, which only you can read, instead of printing."`
	Broker     string `help:"Address of the broker as the device sees it." placeholder:"HOST:PORT"`
	Site       string `arg:"" help:"Site id, as configured."`
	Name       string `arg:"" help:"Gateway id, as configured."`
}

// An issued credential is shown once and not kept.
type issued struct {
	store.Credential
	secret string
	pair   certs.Pair // empty without a certificate
}

// write opens what the credential is written to and issues it only then: a
// password that cannot be written is lost, and the one that it replaces as well.
func (c *issueFlags) write(e *env, mtls bool, save func(*sqlite.Accounts, issued) error, show func(io.Writer, issued) error) (err error) {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	if mtls && c.SecretOnly {
		return errors.New("--secret-only cannot show a certificate: leave it out")
	}
	out := e.stdout
	if c.Output != "" {
		f, openErr := secretFile(c.Output)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	var authority string
	if mtls {
		if b := cfg.Broker.Embedded; b == nil || b.TLS == nil {
			return fmt.Errorf("--mtls: a client certificate wants broker.embedded.tls in %s", c.Config)
		}
		authority = cfg.AuthorityPath()
	}
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	i, err := newCredential(c.Site, c.Name, authority, time.Now())
	if err == nil {
		err = save(accounts, i)
	}
	if err := errors.Join(err, accounts.Close()); err != nil {
		return err
	}
	if f, ok := out.(*os.File); ok && c.Output != "" {
		if err := emptied(f); err != nil {
			return fmt.Errorf("write the credential: %w", err)
		}
	}
	if c.SecretOnly {
		_, err := fmt.Fprintln(out, i.secret)
		return err
	}
	return show(out, i)
}

// writeCounter is write for a device that ESPHome runs on.
func (c *issueFlags) writeCounter(e *env, cfg *config.Server, counter *config.Counters, save func(*sqlite.Accounts, issued) error) error {
	var values map[string]any
	if !c.SecretOnly { // before anything is issued
		address, ca, err := brokerAddress(e, cfg, c.Broker)
		if err != nil {
			return err
		}
		if values, err = esphomeValues(counter, c.Site, address); err != nil {
			return err
		}
		values["CA"] = strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n    ")
	}
	return c.write(e, false, save, func(w io.Writer, i issued) error {
		values["Secret"] = i.secret
		return esphomeYAML.Execute(w, values)
	})
}

// newCredential makes a password and, with the folder of an authority, a
// certificate.
func newCredential(site, gateway, authority string, now time.Time) (issued, error) {
	secret, hash := newSecret()
	i := issued{Credential: store.Credential{GatewayID: store.GatewayID{Site: site, Gateway: gateway}, Hash: hash[:]}, secret: secret}
	if authority == "" {
		return i, nil
	}
	a, err := certs.OpenAuthority(authority, now)
	if err != nil {
		return issued{}, err
	}
	if i.pair, err = a.Issue(site+"/"+gateway, now); err != nil {
		return issued{}, err
	}
	print := certs.Fingerprint(i.pair.Leaf)
	i.Certificate, i.CertificateEnds = print[:], i.pair.Leaf.NotAfter
	return i, nil
}

// issueGateway stores a new credential without a certificate and returns its
// password.
func issueGateway(ctx context.Context, accounts *sqlite.Accounts, site, gateway string) (string, error) {
	i, err := newCredential(site, gateway, "", time.Now())
	if err != nil {
		return "", err
	}
	return i.secret, accounts.SetCredential(ctx, i.Credential)
}

type gatewayAddCmd struct {
	issueFlags
	MTLS    bool     `name:"mtls" help:"Issue a client certificate as well, which the gateway then has to show."`
	Sensors []string `placeholder:"SENSOR" help:"The sensors that are wired to this gateway; all of the site without."`
	Gates   []string `placeholder:"GATE" help:"The gates whose sensors are wired to this gateway."`
}

func (c *gatewayAddCmd) Run(e *env) error {
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	site := cfg.Site(c.Site)
	if site == nil {
		var ids []string
		for i := range cfg.Sites {
			ids = append(ids, string(cfg.Sites[i].ID))
		}
		return fmt.Errorf("site %q is not in %s: its sites are [%s]", c.Site, c.Config, strings.Join(ids, ", "))
	}
	if !site.HasGateway(c.Name) {
		return fmt.Errorf("site %q has no gateway %q in %s: add it to the site's gateways, which are [%s]",
			c.Site, c.Name, c.Config, strings.Join(site.Gateways, ", "))
	}
	counter, err := counterOf(cfg, c.Site, c.Name)
	if err != nil {
		return err
	}
	if counter != nil {
		if c.MTLS {
			return fmt.Errorf("--mtls: %s/%s is a counter, which has no place for a certificate", c.Site, c.Name)
		}
		return c.writeCounter(e, cfg, counter, func(a *sqlite.Accounts, i issued) error { return a.SetCredential(e.ctx, i.Credential) })
	}
	sensors, err := wired(cfg, site, c.Sensors, c.Gates, c.SecretOnly)
	if err != nil {
		return err
	}
	section, err := c.brokerSection(e, cfg)
	if err != nil {
		return err
	}
	return c.write(e, c.MTLS,
		func(a *sqlite.Accounts, i issued) error { return a.SetCredential(e.ctx, i.Credential) },
		func(w io.Writer, i issued) error {
			return gatewayYAML.Execute(w, map[string]any{"Site": site, "Name": c.Name, "Broker": section(i), "Sensors": sensors})
		})
}

type gatewayRotateCmd struct {
	issueFlags
	MTLS  *bool         `name:"mtls" negatable:"" help:"Issue a client certificate as well, or none; as before without."`
	Grace time.Duration `default:"168h" help:"How long the credential in use stays valid at most (${default})."`
}

func (c *gatewayRotateCmd) Run(e *env) error {
	if c.Grace <= 0 || c.Grace > 90*24*time.Hour {
		return fmt.Errorf("--grace %v: want up to 2160h, which is 90 days", c.Grace)
	}
	cfg, err := config.LoadServer(c.Config)
	if err != nil {
		return err
	}
	accounts, err := openAccounts(e.ctx, cfg)
	if err != nil {
		return err
	}
	before, err := accounts.Credentials(e.ctx, c.Site, c.Name)
	if err := errors.Join(err, accounts.Close()); err != nil {
		return err
	}
	if len(before) == 0 {
		return fmt.Errorf("%s/%s has no credential to rotate: issue one with perrondrukte gateway add", c.Site, c.Name)
	}
	mtls := before[0].Certificate != nil
	if c.MTLS != nil {
		mtls = *c.MTLS
	}
	until := time.Now().Add(c.Grace)
	counter, err := counterOf(cfg, c.Site, c.Name)
	if err != nil {
		return err
	}
	if counter != nil {
		return c.writeCounter(e, cfg, counter, func(a *sqlite.Accounts, i issued) error { return a.RotateCredential(e.ctx, i.Credential, until) })
	}
	section, err := c.brokerSection(e, cfg)
	if err != nil {
		return err
	}
	return c.write(e, mtls,
		func(a *sqlite.Accounts, i issued) error { return a.RotateCredential(e.ctx, i.Credential, until) },
		func(w io.Writer, i issued) error {
			_, err := fmt.Fprintf(w, `# Replaces the section broker in the configuration of gateway %s/%s, which takes it
# in without a restart. What it has now is valid until this is used, at the
# latest until %s.
%s`, c.Site, c.Name, until.In(perron.Amsterdam).Format("2 January 2006, 15:04 MST"), section(i))
			return err
		})
}

// wired are the sensors of a gateway, in the order of the site, without those
// that are configured to be a counter's. With several gateways somebody has to
// say which one has which.
func wired(cfg *config.Server, site *perron.Site, sensors, gates []string, unneeded bool) ([]string, error) {
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

// secretFile opens a file for writing that nobody but its owner can read, also
// when it was there before. What it holds stays, until there is something to put
// in its place.
func secretFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the credential: %w", err)
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the credential: %w", err), f.Close())
	}
	return f, nil
}

// emptied takes out what a file holds, if it is one that holds anything.
func emptied(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Truncate(0)
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

// brokerAddress is where a device finds the broker, and what it has to trust
// there, in PEM; nothing when the system of the device does already.
func brokerAddress(e *env, cfg *config.Server, address string) (_ string, ca []byte, err error) {
	var leaf *x509.Certificate
	if b := cfg.Broker.Embedded; b != nil && b.TLS != nil {
		if leaf, ca, err = certs.Shown(b.TLS.CertFile); err != nil {
			return "", nil, fmt.Errorf("broker.embedded.tls: %w", err)
		}
	}
	asked, scheme := address, "tcp://"
	if leaf != nil {
		scheme = "ssl://"
	}
	switch {
	case address == "":
		address = cfg.BrokerURL()
		if u, err := url.Parse(address); err == nil && leaf != nil && leaf.VerifyHostname(u.Hostname()) != nil && len(leaf.DNSNames) > 0 {
			address = scheme + net.JoinHostPort(leaf.DNSNames[0], u.Port())
		}
	case !strings.Contains(address, "://"):
		address = scheme + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, fmt.Errorf("address of the broker: %w", err)
	}
	if asked != "" && u.Port() == "" {
		return "", nil, fmt.Errorf("--broker %s: want the port as well, like %s:8883", asked, u.Hostname())
	}
	if ip := net.ParseIP(u.Hostname()); asked == "" && ip != nil && ip.IsLoopback() {
		fmt.Fprintf(e.stderr, "warning: %s is the device itself when the device looks for it: have broker.embedded.listen at an address that devices reach, and give that with --broker\n", u.Hostname())
	}
	if leaf != nil {
		if err := leaf.VerifyHostname(u.Hostname()); err != nil {
			fmt.Fprintf(e.stderr, "warning: the gateway will refuse the broker: its certificate is not for %s; give its address with --broker (%v)\n", u.Hostname(), err)
		}
	}
	return address, ca, nil
}

// brokerSection finds out all that the section broker of a gateway's
// configuration says beside the credential, before one is issued: a new one may
// have ended the one in use by then.
func (c *issueFlags) brokerSection(e *env, cfg *config.Server) (func(issued) string, error) {
	if c.SecretOnly {
		return nil, nil
	}
	address, ca, err := brokerAddress(e, cfg, c.Broker)
	if err != nil {
		return nil, err
	}
	return func(i issued) string {
		var text strings.Builder
		fmt.Fprintf(&text, "broker:\n  url: %s\n  password: %s\n", address, i.secret)
		block := func(key string, value []byte) {
			if len(value) > 0 {
				fmt.Fprintf(&text, "  %s: |\n    %s\n", key, strings.ReplaceAll(strings.TrimSpace(string(value)), "\n", "\n    "))
			}
		}
		block("ca", ca)
		block("certificate", i.pair.Certificate)
		block("key", i.pair.Key)
		return text.String()
	}, nil
}

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
	all, err := accounts.Gateways(e.ctx)
	for _, c := range all {
		fmt.Fprintf(e.stdout, "%s/%s", c.Site, c.Gateway)
		if !c.Until.IsZero() {
			fmt.Fprintf(e.stdout, ", being replaced, valid until %s", c.Until.In(perron.Amsterdam).Format("2 January 2006, 15:04 MST"))
		}
		if c.Certificate != nil {
			words, _ := certs.LeftUntil(c.CertificateEnds, time.Now())
			fmt.Fprintf(e.stdout, ", with a certificate that %s", words)
		}
		fmt.Fprintln(e.stdout)
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
	err = accounts.RemoveGateway(e.ctx, c.Site, c.Name)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%s/%s has no credential; perrondrukte gateway list says who has", c.Site, c.Name)
		return errors.Join(err, accounts.Close())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("revoke %s/%s: %w", c.Site, c.Name, err), accounts.Close())
	}
	fmt.Fprintf(e.stdout, "%s/%s is refused from now on; a running server cuts it off within %s.\n", c.Site, c.Name, cutEvery)
	return accounts.Close()
}
