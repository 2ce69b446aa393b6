package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

type watchCmd struct {
	Config string `required:"" placeholder:"FILE" help:"The gateway's YAML file."`
	Plain  bool   `help:"A line an event instead of a screen; so it is anyway when the output is not a terminal."`
}

// frame is how often the screen is drawn.
const frame = 200 * time.Millisecond

func (c *watchCmd) Run(e *env) error {
	g, err := config.LoadGateway(c.Config)
	if err != nil {
		return err
	}
	var out display = &plain{w: e.stdout}
	if f, ok := e.stdout.(*os.File); ok && !c.Plain {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			out = &screen{w: f}
		}
	}
	if err := watchService(e.ctx, g, out); !errors.Is(err, errNoService) {
		return err
	}
	// Nobody runs: the inputs are free to be read here.
	w := &watcher{title: g.Username() + ", driver " + string(g.Source.Driver), now: time.Now}
	p, err := newParts(g, w.now, slog.New(logs.NewText(noteWriter{w}, slog.LevelInfo, logs.Bare)))
	if err != nil {
		return err
	}
	if w.machine, err = pulse.New(p.inputs, p.sensors); err != nil {
		return err
	}
	return w.run(e.ctx, p.source, out)
}

// watchService shows what the running gateway says of itself.
func watchService(ctx context.Context, g *config.Gateway, out display) error {
	shown := false
	err := lookAt(ctx, socketOf(g), func(v gateway.View) error {
		v.Title += ", driver " + string(g.Source.Driver)
		last := view{View: v}
		if !shown { // what was before is on the screen, but is no news
			shown = true
			if p, ok := out.(*plain); ok {
				p.seen = v.Judged
			}
		}
		return out.show(last)
	})
	if shown {
		err = errors.Join(err, out.close())
	}
	return err
}

// A display shows views.
type display interface {
	show(view) error
	close() error
}

// A view is what there is to see, and of a source that is read here, all
// verdicts since the last view.
type view struct {
	gateway.View
	fresh []pulse.Judged
}

// A watcher is a sink that keeps nothing.
type watcher struct {
	title string
	now   func() time.Time

	mu      sync.Mutex
	machine *pulse.Machine
	trace   *gateway.Trace
	fresh   []pulse.Judged
	lost    uint64
	note    string
	ended   bool
}

var _ gateway.Sink = (*watcher)(nil)

func (w *watcher) run(ctx context.Context, source gateway.Source, out display) (err error) {
	w.trace = gateway.NewTrace(w.machine)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		switch err := source.Run(ctx, w); {
		case ctx.Err() != nil:
		case err != nil:
			failed = err
			cancel()
		default:
			w.mu.Lock()
			w.ended = true
			w.machine.Finish(w.now())
			w.mu.Unlock()
		}
	})
	defer func() {
		cancel()
		wg.Wait()
		err = errors.Join(failed, err, out.show(w.view()), out.close())
	}()
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := out.show(w.view()); err != nil {
				return err
			}
		}
	}
}

// view lets time go by and returns what there is to see.
func (w *watcher) view() view {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.took(w.machine.Advance(now))
	v := view{View: gateway.View{Title: w.title, Now: now, Lost: w.lost, Note: w.note, Ended: w.ended}, fresh: w.fresh}
	w.trace.Fill(&v.View)
	w.fresh = nil
	return v
}

func (w *watcher) took(events []perron.Event) {
	for _, e := range events {
		w.fresh = append(w.fresh, pulse.Judged{At: e.Time, Sensor: e.Sensor, Verdict: pulse.Verdict(e.Kind)})
	}
}

func (w *watcher) Edge(_ context.Context, e pulse.Edge) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace.Edge(e)
	events, err := w.machine.Edge(e)
	w.took(events)
	return err
}

func (w *watcher) Events(ctx context.Context, events []perron.Event, _ []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machine.Observe(events, w.now())
	w.trace.Events(events)
	w.took(events)
	return ctx.Err()
}

func (w *watcher) Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machine.Report(sensor, health, gaps, w.now())
}

func (w *watcher) Position() []byte { return nil }

func (w *watcher) Lost(_ string, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += n
}

func (w *watcher) Blind(input string) {
	w.say("it cannot be noticed when edges of input " + input + " are lost")
}

func (w *watcher) Fault(input string, err error) {
	w.mu.Lock()
	w.machine.Fault(input, w.now())
	w.mu.Unlock()
	w.say(err.Error())
}

func (w *watcher) say(note string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = note
}

// noteWriter puts what is logged on the screen's last line.
type noteWriter struct{ w *watcher }

func (n noteWriter) Write(line []byte) (int, error) {
	n.w.say(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// plain prints a line an event, for a pipe.
type plain struct {
	w    io.Writer
	seen uint64 // verdicts, of a service
}

func (p *plain) show(v view) error {
	fresh := v.fresh
	if v.Service {
		n := min(v.Judged-min(p.seen, v.Judged), uint64(len(v.Verdicts)))
		if missed := v.Judged - min(p.seen, v.Judged) - n; missed > 0 {
			if _, err := fmt.Fprintf(p.w, "and %d more\n", missed); err != nil {
				return err
			}
		}
		fresh, p.seen = v.Verdicts[uint64(len(v.Verdicts))-n:], v.Judged
	}
	for _, e := range fresh {
		if _, err := fmt.Fprintf(p.w, "%s %-16s %s\n", e.At.In(perron.Amsterdam).Format("2006-01-02 15:04:05.000"), e.Sensor, e.Verdict); err != nil {
			return err
		}
	}
	return nil
}

func (p *plain) close() error { return nil }
