// Command faults proves that no passage is lost and none counted twice. It runs
// the built server and gateways as processes, with a proxy of its own between
// them, and a recording of which every passage is known. A seeded plan of faults
// is done to them: processes are killed and stopped, links are cut, bent and
// slowed down, disks fill up, outboxes are deleted and damaged. After a quiet
// end the store must hold the recording exactly.
//
//	go run ./test/faults -n 200          # a report, and exit status 1 on any difference
//	go run ./test/faults -seed 17        # one sequence again
//
// A plan follows from its seed alone; what it meets depends on how the
// processes are scheduled, so that a rare fault may need some repetitions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	shim()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// options of a run of many sequences.
type options struct {
	n         int
	seed      uint64 // of the first sequence; the others count on from it
	parallel  int
	bin       string // folder of the binaries
	mosquitto string // path of the other broker
	dir       string // for everything that is written
	keep      bool   // the folders of sequences that are good, too
	calm      time.Duration
	powerless error             // why the power cannot be cut
	plan      func(i int) *plan // of sequence i
	only      string            // part of the name of the faults that are done
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 0, "number of sequences (1 with -seed, else 200)")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the first sequence; from the clock when 0")
	flags.IntVar(&o.parallel, "parallel", 5*runtime.NumCPU(), "sequences at a time")
	flags.StringVar(&o.bin, "bin", "", "folder of the binaries; built when empty")
	flags.BoolVar(&o.keep, "keep", false, "keep the files of good sequences, too")
	flags.DurationVar(&o.calm, "calm", 4*time.Minute, "how long the quiet end may take")
	flags.StringVar(&o.only, "only", "", "draw only faults whose name holds this, like power")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !slices.ContainsFunc(faults, func(f weighted) bool { return strings.Contains(string(f.fault), o.only) }) {
		return fmt.Errorf("no fault has %q in its name", o.only)
	}
	if o.n == 0 {
		o.n = 200
		if o.seed != 0 {
			o.n = 1
		}
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixMilli())
	}
	o.plan = func(i int) *plan { return newPlan(o.seed+uint64(i), o.only) }
	var err error
	if o.mosquitto, err = findMosquitto(); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "perrondrukte-faults-"); err != nil {
		return err
	}
	if o.bin == "" {
		o.bin = filepath.Join(o.dir, "bin")
		if err := build(ctx, o.bin); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d sequences from seed %d, %d at a time\n", o.n, o.seed, o.parallel)
	began := time.Now()
	total, failed := runAll(ctx, o, out)
	total.print(out, time.Since(began))
	if len(failed) == 0 {
		if !o.keep {
			return errors.Join(ctx.Err(), os.RemoveAll(o.dir))
		}
		return ctx.Err()
	}
	for _, seed := range failed {
		fmt.Fprintf(out, "repeat with: go run ./test/faults -seed %d", seed)
		if o.only != "" {
			fmt.Fprintf(out, " -only %q", o.only)
		}
		fmt.Fprintln(out)
	}
	return fmt.Errorf("%d of %d sequences failed; their files are in %s", len(failed), o.n, o.dir)
}

func findMosquitto() (string, error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		return "", errors.New("mosquitto is not installed; install it with: apt-get install mosquitto")
	}
	return path, nil
}

// build makes the binaries from the source tree around the working directory.
func build(ctx context.Context, to string) error {
	const module = "github.com/perrondrukte/perrondrukte"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to+"/", module+"/cmd/perrondrukte", module+"/cmd/perron-gateway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binaries: %w\n%s", err, text)
	}
	return nil
}

// runAll runs the sequences and returns the seeds of those that failed.
func runAll(ctx context.Context, o options, out io.Writer) (total *totals, failed []uint64) {
	total = newTotals()
	if o.powerless = canTrace(); o.powerless != nil {
		fmt.Fprintf(out, "the power is never cut: %v\n", o.powerless)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, o.parallel)
	for i := range o.n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			p := o.plan(i)
			seed := o.seed + uint64(i)
			dir := filepath.Join(o.dir, fmt.Sprint(seed))
			began := time.Now()
			r, err := runSequence(ctx, p, o, dir)
			if ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(p, r, time.Since(began))
			switch {
			case err != nil:
				failed = append(failed, seed)
				fmt.Fprintf(out, "seed %d: %v\n%s", seed, err, p)
			case !o.keep:
				_ = os.RemoveAll(dir) // the folder above is removed at the end
			}
		})
	}
	wg.Wait()
	return total, failed
}
