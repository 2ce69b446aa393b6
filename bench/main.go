// Command bench measures the built binaries as they run in the field and
// prints a table beside the aims. It is run by `make bench`.
//
// Numbers from one machine say little; ratios within one run say more. The
// durable ingest is therefore shown beside a peer in the same run: the same
// rows written to the same kind of file with one fsync a row, and beside the
// disk's own fsync rate.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A bench is one run of the program.
type bench struct {
	bin, dir string
	influxd  string
	events   int // a gateway
	viewers  int
	seconds  int
	rows     []row
}

// A row is one figure with its aim; an empty aim is a figure that is reported
// only.
type row struct{ what, value, aim string }

func (b *bench) report(what, aim, format string, args ...any) {
	r := row{what, fmt.Sprintf(format, args...), aim}
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "%s: %s\n", r.what, r.value)
}

func run(ctx context.Context, args []string) error {
	b := &bench{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&b.bin, "bin", "bin", "folder of the built binaries")
	flags.StringVar(&b.influxd, "influxd", "", "influxd 1.8 binary; without it InfluxDB is left out")
	flags.IntVar(&b.events, "events", 200_000, "events a gateway in the ingest")
	flags.IntVar(&b.viewers, "viewers", 2000, "websocket viewers")
	flags.IntVar(&b.seconds, "seconds", 30, "length of the latency and viewer runs")
	only := flags.String("only", "memory,wear,edge,ingest,pulse,backlog,viewers", "which parts to run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "perrondrukte-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	parts := map[string]func(context.Context) error{
		"memory": b.memory, "ingest": b.ingest, "pulse": b.pulse, "backlog": b.backlog, "viewers": b.manyViewers,
		"wear": b.wear, "edge": b.edge,
	}
	for _, name := range strings.Split(*only, ",") {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("-only: %q is not one of memory, wear, edge, ingest, pulse, backlog, viewers", name)
		}
		if err := part(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tmeasured\taim")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.what, r.value, r.aim)
	}
	return w.Flush()
}
