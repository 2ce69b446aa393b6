// Command perron-gateway is the device at the gates of a site: it reads loops
// and contacts, keeps what they count, and sends it to the server.
//
//	perron-gateway run --config FILE      the service
//	perron-gateway watch --config FILE    every input on the terminal, for who installs it
//	perron-gateway selftest --config FILE whether wiring, clock, disk and link are fit
//	perron-gateway check-config FILE      every fault in a configuration
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/perrondrukte/perrondrukte/config"
)

// version is set by the linker in releases.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; a second one kills.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "perron-gateway: %v\n", err)
		os.Exit(1)
	}
}

// env is what a subcommand may use of the outside world.
type env struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

type cli struct {
	Run         runCmd         `cmd:"" help:"Count, keep and send, until told to stop."`
	Watch       watchCmd       `cmd:"" help:"Show every input and sensor live; drive over the loop and look. Nothing is kept or sent."`
	Selftest    selftestCmd    `cmd:"" help:"Say whether wiring, clock, disk and link are fit; also beside the running service."`
	CheckConfig checkConfigCmd `cmd:"" name:"check-config" help:"Print every fault in a gateway's configuration."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// run is the whole program but for the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("perron-gateway"),
		kong.Description("The device at the gates of a recycling yard."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.UsageOnError(),
	)
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	k, err := parser.Parse(args)
	if exited { // --help was asked for and printed
		return nil
	}
	if err != nil {
		return err
	}
	return k.Run(&env{ctx: ctx, stdout: stdout, stderr: stderr})
}

type checkConfigCmd struct {
	File string `arg:"" help:"The gateway's YAML file."`
}

func (c *checkConfigCmd) Run(e *env) error {
	g, err := config.LoadGateway(c.File)
	if fault := new(config.Error); errors.As(err, &fault) {
		fmt.Fprintln(e.stderr, fault)
		if len(fault.Faults) == 1 {
			return fmt.Errorf("one fault in %s", c.File)
		}
		return fmt.Errorf("%d faults in %s", len(fault.Faults), c.File)
	}
	if err != nil {
		return err
	}
	// What only the parts themselves know: a recording is read, too.
	if err := checkParts(e.ctx, g); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s is right: gateway %s of site %s, driver %s\n", c.File, g.Gateway, g.Site, g.Source.Driver)
	return err
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "perron-gateway", versionText())
	return err
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
