// Command perrondrukte is the server: MQTT broker, collector, API and website,
// all in one process or one role a process.
//
//	perrondrukte demo                       everything on simulated sensors
//	perrondrukte serve --config FILE        the real thing
//	perrondrukte check-config FILE          every fault in a configuration
//	perrondrukte user add NAME              someone who may log in
//	perrondrukte gateway add SITE NAME      a credential for a device
//	perrondrukte simulate|estimate|backtest how good the numbers are
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
)

// version is set by the linker in releases.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; from then on the default
	// handling is back, so a second one kills.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "perrondrukte: %v\n", explain(err))
		os.Exit(1)
	}
}

// env is what a subcommand may use of the outside world.
type env struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
}

type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the service."`
	Demo        demoCmd        `cmd:"" help:"Run everything on simulated sensors and show where to look."`
	CheckConfig checkConfigCmd `cmd:"" name:"check-config" help:"Print every fault in a server configuration."`
	User        userCmd        `cmd:"" help:"People who may log in."`
	Gateway     gatewayCmd     `cmd:"" help:"Credentials of the devices on the yards."`
	Simulate    simulateCmd    `cmd:"" help:"Make events and truth of a yard that does not exist."`
	Estimate    estimateCmd    `cmd:"" help:"Estimate vehicles on site, queue and wait from a file of events."`
	Backtest    backtestCmd    `cmd:"" help:"Forecast the past of a series of counts, for a scorer, or of a perron, to see how far off it was."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// run is the whole program but for the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("perrondrukte"),
		kong.Description("How long is the wait at the recycling yard?"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.UsageOnError(),
	)
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	kctx, err := parser.Parse(args)
	if exited { // --help was asked for and printed
		return nil
	}
	if err != nil {
		return err
	}
	return kctx.Run(&env{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr})
}

// explain turns an error that people meet often into one sentence that says
// what to do.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; stop the program that uses the address or choose another one", err)
	}
	return err
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "perrondrukte", versionText())
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
