package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/access/provision"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
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

// write opens what the credential is written to and issues it only then: a
// password that cannot be written is lost, and the one that it replaces as well.
func (c *issueFlags) write(e *env, cfg *config.Server, mtls bool, save func(Accounts, access.Issued) error, show func(io.Writer, access.Issued) error) (err error) {
	if mtls && c.SecretOnly {
		return errors.New("--secret-only cannot show a certificate: leave it out")
	}
	out := e.stdout
	var file access.SecretFile
	if c.Output != "" {
		if file, err = access.OpenSecretFile(c.Output); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	var authority string
	if mtls {
		if b := cfg.Broker.Embedded; b == nil || b.TLS == nil {
			return fmt.Errorf("--mtls: a client certificate wants broker.embedded.tls in %s", c.Config)
		}
		authority = cfg.AuthorityPath()
	}
	accounts, err := openAccounts(e.ctx, cfg)
	if err != nil {
		return err
	}
	issued, err := access.NewCredential(c.Site, c.Name, authority, time.Now())
	if err == nil {
		err = save(accounts, issued)
	}
	if err := errors.Join(err, accounts.Close()); err != nil {
		return err
	}
	if c.Output != "" {
		if err := file.Empty(); err != nil {
			return err
		}
	}
	if c.SecretOnly {
		_, err := fmt.Fprintln(out, issued.Secret)
		return err
	}
	return show(out, issued)
}

// broker finds out all that is to be known of the broker before a credential is
// issued: a new one may have ended the one in use by then.
func (c *issueFlags) broker(e *env, cfg *config.Server) (provision.Broker, error) {
	if c.SecretOnly {
		return provision.Broker{}, nil
	}
	b, warnings, err := provision.FindBroker(cfg, c.Broker)
	for _, w := range warnings {
		fmt.Fprintf(e.stderr, "warning: %s\n", w)
	}
	return b, err
}

// writeCounter is write for a device that ESPHome runs on.
func (c *issueFlags) writeCounter(e *env, cfg *config.Server, counter *config.Counters, save func(Accounts, access.Issued) error) error {
	var show func(io.Writer, access.Issued) error
	if !c.SecretOnly {
		b, err := c.broker(e, cfg)
		if err != nil {
			return err
		}
		if show, err = provision.ESPHome(counter, c.Site, b); err != nil {
			return err
		}
	}
	return c.write(e, cfg, false, save, show)
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
	counter, err := provision.CounterOf(cfg, c.Site, c.Name)
	if err != nil {
		return err
	}
	if counter != nil {
		if c.MTLS {
			return fmt.Errorf("--mtls: %s/%s is a counter, which has no place for a certificate", c.Site, c.Name)
		}
		return c.writeCounter(e, cfg, counter, func(a Accounts, i access.Issued) error { return a.SetCredential(e.ctx, i.Credential) })
	}
	sensors, err := provision.Wired(cfg, site, c.Sensors, c.Gates, c.SecretOnly)
	if err != nil {
		return err
	}
	b, err := c.broker(e, cfg)
	if err != nil {
		return err
	}
	return c.write(e, cfg, c.MTLS,
		func(a Accounts, i access.Issued) error { return a.SetCredential(e.ctx, i.Credential) },
		func(w io.Writer, i access.Issued) error {
			return provision.Gateway(w, site, c.Name, sensors, b, i)
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
	counter, err := provision.CounterOf(cfg, c.Site, c.Name)
	if err != nil {
		return err
	}
	if counter != nil {
		return c.writeCounter(e, cfg, counter, func(a Accounts, i access.Issued) error { return a.RotateCredential(e.ctx, i.Credential, until) })
	}
	b, err := c.broker(e, cfg)
	if err != nil {
		return err
	}
	return c.write(e, cfg, mtls,
		func(a Accounts, i access.Issued) error { return a.RotateCredential(e.ctx, i.Credential, until) },
		func(w io.Writer, i access.Issued) error {
			_, err := fmt.Fprintf(w, `# Replaces the section broker in the configuration of gateway %s/%s, which takes it
# in without a restart. What it has now is valid until this is used, at the
# latest until %s.
%s`, c.Site, c.Name, until.In(perron.Amsterdam).Format("2 January 2006, 15:04 MST"), b.Section(i))
			return err
		})
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
	fmt.Fprintf(e.stdout, "%s/%s is refused from now on; a running server cuts it off within %s.\n", c.Site, c.Name, access.CutEvery)
	return accounts.Close()
}
